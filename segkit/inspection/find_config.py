"""The config that reads a data set: the user's own, or one that follows from its files."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from segkit.config import Config, DataConfig, changed, read
from segkit.errors import ConfigError
from segkit.inspection.mask_format.detect import guess
from segkit.inspection.mask_format.values import Guess
from segkit.system.progress import Progress
from segkit.task import Task

CONFIGS = (".yaml", ".yml")


def find_config(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None,
    classes: Sequence[str],
    settings: Sequence[str],
    progress: Progress,
    trust: bool = False,
) -> tuple[Config, Guess | None]:
    """Return the config in a file, or one that reads images and masks, with the guess that it comes from.

    Args:
        images: A config file, or what `segkit.inspect` takes.
        masks: None for a config file and for data sets that name their masks.
        classes: Names of the classes in the order of their values.
        settings: Overrides such as "data.mask_threshold=128".
        progress: Receives the number of masks that were looked at.
        trust: Whether Python that the config or the data set names may be imported.

    Raises:
        ConfigError: For settings that do not fit together.
        DataError: For data that cannot be opened.
    """
    images = Path(images)
    if masks is None and images.suffix.lower() in CONFIGS:
        if classes:
            raise ConfigError("the config names the classes", "contradiction", setting="--classes")
        return read(images, settings, trust=trust), None
    reading = [setting for setting in settings if setting.startswith("data.")]
    data = changed(Config(task=Task.binary(), data=DataConfig(trust=trust)), reading).data
    with progress.counting("looking at masks", None) as done:
        found = guess(
            images.absolute(), Path(masks).absolute() if masks else None, list(classes), done, data
        )
    values = {
        "task": found.task.model_dump(),
        "data": found.data.model_copy(update={"validation": 0.0, "test": 0.0}).model_dump(
            mode="json"
        )
        | {"trust": trust},
        "augment": {"flip_horizontal": not found.task.sided},
    }
    return changed(Config.model_validate(values), settings), found
