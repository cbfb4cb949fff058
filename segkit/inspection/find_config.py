"""The config that reads a data set: the user's own, or one that is found from the files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from segkit.config import Config, DataConfig, changed, read
from segkit.errors import ConfigError
from segkit.inspection.mask_format.detect import detect_format
from segkit.inspection.mask_format.guess import Guess
from segkit.system.progress import Progress
from segkit.task import Task

CONFIGS = (".yaml", ".yml")
OF_SCANS = ("data.axis", "data.neighbours", "data.window")
"""Settings that only scans have."""


def find_config(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None,
    classes: Sequence[str],
    settings: Sequence[str],
    progress: Progress,
    trust: bool = False,
) -> tuple[Config, Guess | None]:
    """Return the config in a file, or one that reads images and masks with the guess behind it.

    Args:
        images: A config file, or the `images` of `segkit.inspect`.
        masks: None for a config file and for data sets that name their masks.
        classes: Names of the classes in the order of their values.
        settings: Overrides such as "data.mask_threshold=128".
        progress: Receives the number of masks that are read.
        trust: Whether Python that the config or the data set names may be imported.

    Raises:
        ConfigError: Settings do not fit together.
        DataError: The data cannot be opened.
    """
    images = Path(images)
    if masks is None and images.suffix.lower() in CONFIGS:
        if classes:
            raise ConfigError("the config names the classes", "contradiction", setting="--classes")
        return read(images, settings, trust=trust), None
    of_data = [setting for setting in settings if setting.startswith("data.")]
    if any(setting.startswith(OF_SCANS) for setting in of_data):
        of_data.insert(0, "data.source=scans")
    data = changed(Config(task=Task.binary(), data=DataConfig(trust=trust)), of_data).data
    _refuse_soft(data)
    mask_path = Path(masks).absolute() if masks else None
    with progress.counting("looking at masks", None) as counter:
        guess = detect_format(images.absolute(), mask_path, list(classes), counter, data)
    return changed(_config_of(guess, trust), settings), guess


def _refuse_soft(data: DataConfig) -> None:
    """Raise `ConfigError` if labels are soft, because their classes cannot be found in files."""
    if not data.are_soft:
        return
    raise ConfigError(
        "soft labels do not show which classes they are of; write a config with the sections "
        "task and data, and pass it instead of folders",
        "missing-setting",
        setting="data.mask_probabilities" if data.mask_probabilities else "data.annotators",
    )


def _config_of(guess: Guess, trust: bool) -> Config:
    """Return a config whose parts are all training, and that does not exchange left and right."""
    data = guess.data.model_copy(update={"validation": 0.0, "test": 0.0})
    return Config.model_validate(
        {
            "task": guess.task.model_dump(),
            "data": {**data.model_dump(mode="json"), "trust": trust},
            "augment": {"flip_horizontal": not guess.task.sided},
        }
    )
