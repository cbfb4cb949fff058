"""Which images of a folder are predicted by windows, and their prediction one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from segkit.config import RunConfig
from segkit.data.sources.coding import coding_of
from segkit.errors import ConfigError, DataError
from segkit.inference.files import Outcome, failure
from segkit.inference.large.memory_budget import MemoryBudget, allowed, is_large, room_for
from segkit.inference.large.predict import Progress, predict_large
from segkit.inference.large.work_folder import work_folder
from segkit.inference.outputs.summary import row_of_files
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.io.coding import Coding
from segkit.io.georeference import has_place

Images = dict[str, Path]
Watch = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of the image of a name."""


def fit_batch(predict: Predict, config: RunConfig, memory: int | None) -> RunConfig:
    """Return the config with a batch that fits `--memory`, 1 at least; without it as it is."""
    if memory is None:
        return config
    try:
        batch_size = room_for(predict, config, memory).batch_size
    except ConfigError:  # a window would not fit; smaller images may
        batch_size = 1
    return config.model_copy(
        update={"predict": config.predict.model_copy(update={"batch_size": batch_size})}
    )


def divide(
    config: RunConfig, images: Images, outputs: Outputs, memory: int | None
) -> tuple[Images, Images]:
    """Return the images that are predicted whole, and those by windows. Raises `ConfigError` for outputs of the latter.

    What was begun or finished by windows stays so, however much memory is free by now.
    """
    most = allowed(memory)
    coding = coding_of(config, outputs.coding)
    large = {
        name: path
        for name, path in images.items()
        if is_large(
            config, path, 0 if _made_by_windows(coding, outputs.masks, name, path) else most
        )
    }
    for name, path in large.items():
        _check_outputs(config, outputs, name, path, coding)
    return {name: path for name, path in images.items() if name not in large}, large


def _check_outputs(
    config: RunConfig, outputs: Outputs, name: str, path: Path, coding: Coding
) -> None:
    made = ", ".join(map(str, _made_by_windows(coding, outputs.masks, name, path)))
    whole = f"remove what windows have made of it ({made})" if made else "allow more --memory"
    if len(outputs.folders) > 1:
        raise ConfigError(
            f"{path}: is predicted by windows, and then only its mask is written; leave out --overlay, --format and the "
            f"like, or {whole}",
            "contradiction",
        )
    if any(map(any, config.decode.rules(config.task))):
        raise ConfigError(
            f"{path}: is predicted by windows, where objects are not whole; do without the rules for objects in decode "
            f"(segkit tune --reset removes those that it found), or {whole}",
            "contradiction",
            setting="decode",
        )


def _made_by_windows(coding: Coding, masks: Path, name: str, image: Path) -> list[Path]:
    """Return the masks of an image, and the folder of one that is begun, which are there and only windows can have made."""
    finished = coding.paths(masks, name, tiff=True)
    if (
        coding.paths(masks, name, tiff=has_place(image)) == finished
    ):  # so would be the mask of the whole image
        finished = []
    return [path for path in (*finished, work_folder(masks / f"{name}.tif")) if path.exists()]


def each_large_written(
    predict: Predict,
    config: RunConfig,
    weights: str,
    room: MemoryBudget,
    watch: Watch,
    todo: Mapping[str, Path],
    results: Results,
    scale: ScaleWatch | None = None,
) -> Generator[Outcome]:
    """Predict large images one after the other in the `room` that there is; yield the outcome of each.

    `weights` stand for the networks; `scale` is shown every window.
    """
    for name, path in todo.items():
        network = predict if scale is None else scale.watched(predict, name)
        try:
            with watch(name) as progress:
                masks = predict_large(
                    network,
                    config,
                    path,
                    results.masks,
                    name,
                    room,
                    weights,
                    progress,
                    results.coding,
                )
            outcome = Outcome(name, row_of_files(results.coding, name, masks))
        except (OSError, DataError) as problem:
            outcome = failure(name, path, problem, results)
        yield outcome
