"""`segkit.evaluate`: scores of a run on images with known masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.config.sets import for_new_masks
from segkit.data.groups import groups_of
from segkit.data.pixel_size import (
    IN_PIXELS,
    PixelSizes,
    common_sizes,
    find_geometries,
    pixel_size_of,
)
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Source, Subset, open_source, task_of_source
from segkit.data.sources.vector import open_other_labels
from segkit.errors import ConfigError, DataError
from segkit.evaluation.image_scores import BoundarySettings, ImageScores, write_table
from segkit.evaluation.measurements import Measurements, Scene
from segkit.evaluation.pooling import write_counts
from segkit.evaluation.stored_masks import (
    advising_set,
    missing_class_warning,
    with_stored_masks,
)
from segkit.evaluation.summary import build_report
from segkit.evaluation.surfaces import TOLERANCE
from segkit.inference.decoding import at_pixel_size, decode
from segkit.inference.export_choice import AUTO
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.load import LoadedRun, PathLike, as_paths, open_together
from segkit.inference.resolution import resolution_warning
from segkit.inference.scale import ScaleWatch
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.io.films.frames import find_films
from segkit.io.scans.finding import find_scans
from segkit.system.progress import Progress
from segkit.system.threads import prefetch
from segkit.task import VOID
from segkit.task.soft import drawn_target


class PredictedSample(NamedTuple):
    """A sample and what the network predicts for it."""

    name: str
    image: np.ndarray
    """(H, W, channels)."""
    target: np.ndarray
    """The true mask as `Task.encode` returns it."""
    probabilities: np.ndarray
    """(H, W, classes)."""
    config: RunConfig
    """The config of the run, whose smallest objects are in pixels of this sample."""
    drawn: np.ndarray
    """The true mask for calibration: `target`, or `drawn_target` of a soft label."""


class ScoreOptions(NamedTuple):
    """What is measured beside the pixel counts, and where the table is written."""

    boundary: bool = False
    """Whether boundary scores are computed."""
    tolerance: float | None = None
    """Tolerance of the normalised surface Dice in the unit of the distances: that of
    `data.pixel_size`, else that of the image files if all state one, else pixels. None is
    `TOLERANCE` pixels, or `TOLERANCE` times the unit of `data.pixel_size`."""
    groups: Sequence[str] | None = None
    """Group of each sample of the part; None if there are no groups."""
    second: Source | None = None
    """The masks of a second annotator, for samples of the same names."""
    table: Path | None = None
    """File of the scores of each image; None writes none."""
    pixel_sizes: PixelSizes | None = None
    """The sizes of the pixels of the part, for boundary scores; None if they are to be found."""
    seen: Callable[[Scene, ImageScores], None] | None = None
    """Called with each image and its scores, such as `segkit.reporting.album.Album.add`."""
    counts: Path | None = None
    """File of the pixel counts of each image (`write_counts`); None writes none."""


def evaluate(
    runs: PathLike | Sequence[PathLike],
    images: PathLike,
    masks: PathLike,
    *,
    boundary: bool = False,
    tolerance: float | None = None,
    table: PathLike | None = None,
    second_masks: PathLike | None = None,
    tta: str | None = None,
    runtime: str = AUTO,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a run on images with known masks.

    Args:
        runs: A run folder or an export; or several, whose probabilities are averaged.
        images: A folder of images.
        masks: A folder of their masks, stored as in the training; or a file of vector labels.
        boundary: Whether boundary scores such as HD95 are computed, which takes longer.
        tolerance: Of the normalised surface Dice; by default that of `ScoreOptions`.
        table: A CSV file for the scores of each image, worst first.
        second_masks: A folder of masks of the same images by a second annotator.
        tta: "flips" or "rotations": average over mirrored, or mirrored and rotated copies.
        runtime: Library that runs the network: "auto", "keras", "onnx", "litert" or "openvino".
        settings: How the masks are stored: "data.mask_values={0: background, 1: leaf}".
        progress: Receives which model is loaded, and the number of scored images.

    Returns:
        The report; `segkit.evaluation.summary` lists its keys.

    Raises:
        SegkitError: For settings that contradict each other, and files that cannot be used.
    """
    check_tolerance(tolerance)
    opened = open_together(as_paths(runs), runtime, tta)
    with advising_set(False, settings):
        opened, source, second = _with_masks(opened, images, masks, second_masks, settings)
        options = ScoreOptions(boundary, tolerance, None, second, Path(table) if table else None)
        return score_opened(opened, Subset(source, source.names), options, progress or Progress())


def _with_masks(
    opened: LoadedRun,
    images: PathLike,
    masks: PathLike,
    second_masks: PathLike | None,
    settings: Sequence[str],
) -> tuple[LoadedRun, Source, Source | None]:
    """Open the masks and those of a second annotator; the run gets the sets that they need."""
    opened = opened._replace(config=with_stored_masks(opened.config, settings))
    opened, source = _with_labels(opened, images, masks)
    if second_masks is None:
        return opened, source, None
    opened, second = _with_labels(opened, images, second_masks)
    return opened, source, second


def _with_labels(opened: LoadedRun, images: PathLike, masks: PathLike) -> tuple[LoadedRun, Source]:
    """Open masks, and add the sets of classes that they need to the task of the run."""
    source = open_labels(opened.config, images, masks)
    return with_sets_of(opened, source), source


def with_sets_of(opened: LoadedRun, source: Source) -> LoadedRun:
    """Return a run whose task has the sets of classes that a source needs."""
    task = task_of_source(opened.config.task, source)
    return opened._replace(config=opened.config.model_copy(update={"task": task}))


def open_labels(config: RunConfig, images: PathLike, masks: PathLike) -> Source:
    """Open folders of images, scans or films and masks, or images with vector labels in a file."""
    labels = Path(masks).absolute()
    if config.data.source == "vector" and labels.is_file():
        return open_other_labels(Path(images).absolute(), labels, config.task, config.data)
    folder = Path(images)
    are_scans = config.data.source == "scans" and bool(find_scans(folder).named)
    are_films = config.data.source == "video" and bool(find_films(folder))
    if not are_scans and not are_films:
        return in_folders(Path(images), Path(masks), config.task, config.data)
    reading = for_new_masks(config.task, config.data, Path(images), Path(masks))
    return open_source(reading, config.task)


def score_opened(
    opened: LoadedRun, part: Subset, options: ScoreOptions, progress: Progress
) -> dict[str, Any]:
    """Score a part, and warn of images whose values do not fit the training images.

    Args:
        opened: The runs that predict together.
        part: The samples.
        options: What is measured; the groups are those of the config.
        progress: Receives which model is loaded, the number of scored images, and warnings.

    Returns:
        The report; `segkit.evaluation.summary` lists its keys.
    """
    opened.announce(progress)
    options = options._replace(groups=find_groups(part, opened.config, progress))
    options = options._replace(pixel_sizes=_check_sizes(opened.config, part, options, progress))
    watch = ScaleWatch(opened.config.input)
    with progress.counting("scoring", len(part)) as counter:
        report = score_part(opened.predict, opened.config, part, counter, watch, options)
    for warning in (watch.warning(), missing_class_warning(opened.config, report)):
        if warning:
            progress.warning(warning)
    return report


def _check_sizes(
    config: RunConfig, part: Subset, options: ScoreOptions, progress: Progress
) -> PixelSizes | None:
    """Return the sizes of the pixels of a part, and warn of them; None if nobody needs them."""
    if not options.boundary and config.input.pixel_unit is None:
        return None
    geometries = find_geometries(part)
    sizes = common_sizes(config.data, geometries)
    warnings = [resolution_warning(config, geometries)]
    if options.boundary:
        warnings += sizes.warnings
    for warning in warnings:
        if warning is not None:
            progress.warning(warning)
    return sizes


def find_groups(part: Subset, config: RunConfig, progress: Progress) -> list[str] | None:
    """Find the group of each sample of a part.

    Args:
        part: The samples. Their names may differ from those of the training samples.
        config: The run's config.
        progress: Receives a warning if `data.groups` does not fit the names.

    Returns:
        The groups; None if there are none, or if a sample has none.
    """
    try:
        return groups_of(part.names, config)
    except DataError as problem:
        progress.warning(f"{problem}. The intervals are over images instead")
        return None


def check_tolerance(tolerance: float | None) -> None:
    """Raise `ConfigError` for a tolerance that is no distance; None is the default one."""
    if tolerance is not None and not 0 <= tolerance < math.inf:
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
        The report; `segkit.evaluation.summary` lists its keys.
    """
    options = options or ScoreOptions()
    sizes = _sizes_for_boundaries(config, part, options)
    measured = Measurements(config.task, _boundary_settings(options, sizes))
    groups = [""] * len(part) if options.groups is None else options.groups
    samples = predict_samples(predict, config, part, progress, watch)
    for sample, group in zip(samples, groups, strict=True):
        second = _second_target(config, options.second, sample.name)
        scene = _as_scene(sample, second, sizes)
        measured.add(scene, group)
        if options.seen is not None:
            options.seen(scene, measured.images[-1])
    if options.table is not None and measured.images:
        write_table(options.table, config.task, measured.images)
    if options.counts is not None and measured.images:
        write_counts(options.counts, measured.images, options.groups is not None)
    return build_report(measured, options.groups is not None)


def _sizes_for_boundaries(config: RunConfig, part: Subset, options: ScoreOptions) -> PixelSizes:
    """Return the sizes of the pixels of a part; no file is opened if nobody needs them."""
    if not options.boundary:
        return IN_PIXELS
    if options.pixel_sizes is not None:
        return options.pixel_sizes
    return common_sizes(config.data, find_geometries(part))


def _boundary_settings(options: ScoreOptions, sizes: PixelSizes) -> BoundarySettings | None:
    if not options.boundary:
        return None
    tolerance = options.tolerance
    if tolerance is None:
        tolerance = TOLERANCE
        if sizes.from_files:  # nobody chose their unit, so 2 of it may be 40 pixels or none
            tolerance *= math.sqrt(math.prod(sizes.median()))
    return BoundarySettings(
        spacing=sizes.median(), tolerance=tolerance, unit=sizes.unit, varies=sizes.differ()
    )


def _as_scene(sample: PredictedSample, second: np.ndarray | None, sizes: PixelSizes) -> Scene:
    """Return a predicted sample with the mask that its config decodes."""
    temperature = sample.config.decode.temperature
    return Scene(
        name=sample.name,
        image=sample.image,
        target=sample.target,
        mask=decode(sample.config, sample.probabilities),
        second=second,
        spacing=sizes.of(sample.name),
        probabilities=tempered(sample.config.task, sample.probabilities, temperature),
        drawn=sample.drawn,
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
    for sample in predict_samples(predict, config, part, progress, watch):
        yield sample.target, sample.probabilities


def predict_samples(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
) -> Iterator[PredictedSample]:
    """Yield the prediction of each sample, in order. The arguments are those of `predict_part`.

    Raises:
        ConfigError: If a smallest object is an area, and a sample has no known pixel size.
    """
    targets: dict[str, np.ndarray] = {}
    drawn: dict[str, np.ndarray] = {}
    configs: dict[str, RunConfig] = {}

    def images() -> Iterator[tuple[str, np.ndarray]]:
        for sample in prefetch(part.read, part.names):
            target = config.task.encode(sample.mask, sample.name, void=VOID)
            targets[sample.name] = target
            drawn[sample.name] = target
            if sample.soft is not None:
                drawn[sample.name] = drawn_target(config.task, sample.soft, sample.name)
            size = pixel_size_of(config.data, sample.geometry)
            configs[sample.name] = at_pixel_size(config, size, sample.name)
            image = match_model_input(config, sample.image, sample.name)
            if watch is not None:
                watch.see(sample.name, image)
            yield sample.name, image

    for name, image, probabilities in predict_images(predict, config, images()):
        yield PredictedSample(
            name, image, targets.pop(name), probabilities, configs.pop(name), drawn.pop(name)
        )
        progress(name)
