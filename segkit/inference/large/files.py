"""Separate large images from the others, and predict them in windows one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from segkit import catalog
from segkit.config import RunConfig
from segkit.data.pixel_size import pixel_size_of_new
from segkit.data.sources.coding import coding_of
from segkit.errors import ConfigError, DataError
from segkit.inference.large.glass import check_glass_is_background
from segkit.inference.large.memory_budget import (
    MemoryBudget,
    budget_within,
    is_large,
    memory_limit,
)
from segkit.inference.large.predict import predict_large
from segkit.inference.large.work_folder import Strip, work_folder
from segkit.inference.outputs.summary import row_of_files
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.pipeline import Outcome, failure
from segkit.inference.reading import geometry_of_image
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict, Progress
from segkit.io.coding import Coding
from segkit.io.georeference import has_place
from segkit.io.slide_addresses import is_slide

Images = dict[str, Path]
ShowWindows = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of the image of a name."""


def fit_batch(predict: Predict, config: RunConfig, memory: int | None) -> RunConfig:
    """Return the config with a batch size that fits into the memory, at least 1.

    Args:
        predict: The network.
        config: The config of the run.
        memory: Memory limit in bytes that the user chose. Without one the config is not changed.
    """
    if memory is None:
        return config
    try:
        batch_size = budget_within(predict, config, memory).batch_size
    except ConfigError:  # a window does not fit, but smaller images may
        batch_size = 1
    settings = config.predict.model_copy(update={"batch_size": batch_size})
    return config.model_copy(update={"predict": settings})


def separate_large(
    config: RunConfig, images: Mapping[str, Path], outputs: Outputs, memory: int | None
) -> tuple[Images, Images]:
    """Separate the images into those that are predicted whole and those predicted in windows.

    An image that an earlier call began or finished in windows stays with them, however much memory
    is free now.

    Args:
        config: The config of the run.
        images: Image files by name.
        outputs: What to write.
        memory: Memory limit in bytes that the user chose; None for the default.

    Raises:
        ConfigError: If `outputs` or the rules for objects are not possible in windows.
    """
    limit = memory_limit(memory)
    coding = coding_of(config, outputs.coding)
    whole: Images = {}
    large: Images = {}
    for name, path in images.items():
        begun = bool(_written_in_windows(coding, outputs.masks, name, path))
        if is_large(config, path, 0 if begun else limit):
            large[name] = path
        else:
            whole[name] = path
    if config.predict.skip_glass and any(is_slide(path) for path in large.values()):
        check_glass_is_background(config.task)
    for name, path in large.items():
        _check_possible(config, outputs, name, path, coding)
    return whole, large


def _check_possible(
    config: RunConfig, outputs: Outputs, name: str, path: Path, coding: Coding
) -> None:
    """Raise `ConfigError` if an image predicted in windows cannot have these results."""
    written = _written_in_windows(coding, outputs.masks, name, path)
    advice = "allow more --memory"
    if written:
        advice = f"remove what was predicted in windows ({', '.join(map(str, written))})"
    others = [name for name in outputs.formats if name not in catalog.LARGE_OUTPUTS]
    if outputs.overlays or outputs.probabilities or outputs.uncertainty or others:
        possible = " and ".join(f"--format {name}" for name in catalog.LARGE_OUTPUTS)
        raise ConfigError(
            f"{path}: is predicted in windows, and then only its mask and {possible} are written; "
            f"leave out --overlay, other formats and similar options, or {advice}",
            "contradiction",
        )
    if any(map(any, config.decode.rules(config.task))):
        raise ConfigError(
            f"{path}: is predicted in windows, where objects are not whole; remove the rules for "
            f"objects in decode (segkit tune --reset removes those that it found), or {advice}",
            "contradiction",
            setting="decode",
        )


def _written_in_windows(coding: Coding, masks: Path, name: str, image: Path) -> list[Path]:
    """Return the existing masks and work folder of an image that only windows can have written."""
    possible: list[Path] = []
    tiffs = coding.paths(masks, name, tiff=True)
    if coding.paths(masks, name, tiff=has_place(image)) != tiffs:  # whole it would be no TIFF
        possible += tiffs
    possible.append(work_folder(masks / f"{name}.tif"))
    return [path for path in possible if path.exists()]


def _write_formats(
    config: RunConfig, results: Results, name: str, path: Path, bands: Sequence[Strip]
) -> None:
    """Write the formats of an image from the rows of its mask."""
    size = pixel_size_of_new(config.data, geometry_of_image(config, path))
    for output in results.other_outputs:
        write = catalog.load_part(catalog.LARGE_OUTPUTS, output.ending.removeprefix("-"))
        [written] = output.paths(name)
        write(written, path, config.task, bands, results.shapes, size)


def _watched(predict: Predict, name: str, scale: ScaleWatch | None) -> Predict:
    """Return the network; `scale` sees the windows of the image of this name, if it is given."""
    if scale is None:
        return predict
    return scale.watched(predict, name)


def predict_and_write_large(
    predict: Predict,
    config: RunConfig,
    fingerprint: str,
    budget: MemoryBudget,
    show_windows: ShowWindows,
    images: Mapping[str, Path],
    results: Results,
    scale: ScaleWatch | None = None,
) -> Generator[Outcome]:
    """Predict large images in windows, write their masks, and yield the outcome of each.

    Args:
        predict: The network.
        config: The config of the run.
        fingerprint: Identifies the network. Work begun with another one starts again.
        budget: What fits into the memory.
        show_windows: Shows the progress within an image.
        images: Image files by name.
        results: Where the masks are written.
        scale: Warns of windows with another range of values.
    """
    for name, path in images.items():
        try:
            with show_windows(name) as progress:
                masks = predict_large(
                    _watched(predict, name, scale),
                    config,
                    path,
                    results.masks,
                    name,
                    budget,
                    fingerprint,
                    progress,
                    results.coding,
                    partial(_write_formats, config, results, name, path),
                )
            outcome = Outcome(name, row_of_files(results.coding, name, masks))
        except (OSError, DataError) as problem:
            outcome = failure(name, path, problem, results)
        yield outcome
