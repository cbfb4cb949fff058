"""`segkit.evaluate`: scores of a run on images with known masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Source, Subset
from segkit.errors import ConfigError
from segkit.evaluation.image_scores import BoundarySettings, write_table
from segkit.evaluation.measurements import Measurements, Scene
from segkit.evaluation.summary import summarize
from segkit.evaluation.surfaces import TOLERANCE
from segkit.inference.decoding import decode
from segkit.inference.export_choice import AUTO
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.load import PathLike, as_paths, open_together
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.system.progress import Progress
from segkit.system.threads import prefetch
from segkit.task import VOID


class ScoreOptions(NamedTuple):
    """What is measured beside the pixel counts, and where the table is written."""

    boundary: bool = False
    """Whether boundary scores are computed."""
    tolerance: float = TOLERANCE
    """Tolerance of the normalised surface Dice, in pixels or in the unit of `data.pixel_size`."""
    groups: Sequence[str] | None = None
    """Group of each sample of the part; None if there are no groups."""
    second: Source | None = None
    """The masks of a second annotator, for samples of the same names."""
    table: Path | None = None
    """File of the scores of each image; None writes none."""


def evaluate(
    runs: PathLike | Sequence[PathLike],
    images: PathLike,
    masks: PathLike,
    *,
    boundary: bool = False,
    tolerance: float = TOLERANCE,
    table: PathLike | None = None,
    second_masks: PathLike | None = None,
    tta: str | None = None,
    runtime: str = AUTO,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a run on images with known masks.

    Args:
        runs: A run folder or an export; or several, whose probabilities are averaged.
        images: A folder of images.
        masks: A folder of their masks, stored like those that the run was trained on.
        boundary: Whether distances between outlines and other boundary scores are computed, which
            takes longer.
        tolerance: Tolerance of the normalised surface Dice, in pixels or in the unit of
            `data.pixel_size`; 0 or more.
        table: A CSV file for the scores of each image, worst first.
        second_masks: A folder of masks of the same images by a second annotator, which show how
            well two annotators agree.
        tta: Test-time augmentation: "flips" averages over mirrored copies of each image,
            "rotations" over mirrored and rotated ones.
        runtime: Library that runs the network: "auto", "keras", "onnx", "litert" or "openvino".
        progress: Receives which model is loaded, and the number of scored images.

    Returns:
        The keys of `segkit.evaluation.counts.report`, whose scores are those of all pixels
        together, and:

        - "groups": number of groups, or None if there are none.
        - "intervals": 95 % intervals of the scores in "mean" and "classes", in the same layout.
          Each is {"low", "high", "lowest", "highest", "groups"}. "low" and "high" are None below 20
          groups; "lowest" and "highest" are the scores of single groups. Without groups every image
          is a group.
        - "per_image": {"mean", "classes"}: means of the scores of single images, each with "value"
          and its interval. With `boundary` also "hd95", "average_surface_distance",
          "surface_dice" and "boundary_iou".
        - "lost": 1 - Dice of each foreground class by cause: "boundary", "missed", "invented",
          "confused with CLASS" and "rest". They add up to 1 - Dice.
        - "ceiling": {"moved": ...}, the "dice" and "iou" of the true masks against themselves moved
          by one pixel; with `second_masks` also "annotators".
        - "worst": up to ten images with the lowest mean Dice, each {"image", "dice"}.
        - "stands_out": one sentence about the images with the lowest scores.
        - "confusion": {"classes", "pixels"}: a row for each true class, a column for each predicted
          one.
        - "boundary", with `boundary`: {"spacing", "tolerance", "band"}.

    Raises:
        ConfigError: For a runtime that is not available, a tolerance below 0, and runs that cannot
            be averaged.
        DataError: For an image or mask that cannot be used.
        RunError: If there is no finished run.
    """
    check_tolerance(tolerance)
    progress = progress or Progress()
    opened = open_together(as_paths(runs), runtime, tta)
    opened.announce(progress)
    config = opened.config
    source = in_folders(Path(images), Path(masks), config.task, config.data)
    second = None
    if second_masks is not None:
        second = in_folders(Path(images), Path(second_masks), config.task, config.data)
    watch = ScaleWatch(config.input)
    part = Subset(source, source.names)
    options = ScoreOptions(
        boundary=boundary,
        tolerance=tolerance,
        groups=_groups_of_part(part, config),
        second=second,
        table=None if table is None else Path(table),
    )
    with progress.counting("scoring", len(part)) as counter:
        report = score_part(opened.predict, config, part, counter, watch, options)
    warning = watch.warning()
    if warning:
        progress.warning(warning)
    return report


def check_tolerance(tolerance: float) -> None:
    """Raise `ConfigError` for a tolerance that is no distance."""
    if not 0 <= tolerance < math.inf:
        raise ConfigError(f"0 or more; found {tolerance:g}", setting="--tolerance")


def score_part(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
    options: ScoreOptions | None = None,
) -> dict[str, Any]:
    """Predict the samples of a part as `segkit predict` does, and score them.

    Args:
        predict: The network.
        config: The run's config.
        part: The samples.
        progress: Called with the name of each sample.
        watch: Receives the images, to warn of values that do not fit the training images.
        options: What is measured, and where the table is written.

    Returns:
        The report that `evaluate` describes.
    """
    options = options or ScoreOptions()
    measured = Measurements(config.task, _boundary_settings(config, options))
    groups = [""] * len(part) if options.groups is None else options.groups
    samples = _predict_samples(predict, config, part, progress, watch)
    for (name, image, target, probabilities), group in zip(samples, groups, strict=True):
        second = _second_target(config, options.second, name)
        mask = decode(config, probabilities)
        measured.add(Scene(name, image, target, mask, second), group)
    if options.table is not None and measured.images:
        write_table(options.table, config.task, measured.images)
    return summarize(measured, options.groups is not None)


def _groups_of_part(part: Subset, config: RunConfig) -> list[str] | None:
    """Return the group of each sample of a part; None if there are no groups."""
    return None


def _boundary_settings(config: RunConfig, options: ScoreOptions) -> BoundarySettings | None:
    if not options.boundary:
        return None
    return BoundarySettings(
        spacing=config.data.pixel_size or (1.0, 1.0), tolerance=options.tolerance
    )


def _second_target(config: RunConfig, second: Source | None, name: str) -> np.ndarray | None:
    """Return the encoded mask of the second annotator; None if there is none."""
    if second is None or name not in second.names:
        return None
    return config.task.encode(second.read(name).mask, name, void=VOID)


def predict_part(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the encoded target and the probabilities (H, W, classes) of each sample, in order.

    Args:
        predict: The network.
        config: The run's config.
        part: The samples.
        progress: Called with the name of each sample, after it was used.
        watch: Receives the images, to warn of values that do not fit the training images.
    """
    for _, _, target, probabilities in _predict_samples(predict, config, part, progress, watch):
        yield target, probabilities


def _predict_samples(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None],
    watch: ScaleWatch | None,
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield name, image, encoded target and probabilities of each sample, in order."""
    targets: dict[str, np.ndarray] = {}

    def images() -> Iterator[tuple[str, np.ndarray]]:
        for sample in prefetch(part.read, part.names):
            targets[sample.name] = config.task.encode(sample.mask, sample.name, void=VOID)
            image = match_model_input(config, sample.image, sample.name)
            if watch is not None:
                watch.see(sample.name, image)
            yield sample.name, image

    for name, image, probabilities in predict_images(predict, config, images()):
        yield name, image, targets.pop(name), probabilities
        progress(name)
