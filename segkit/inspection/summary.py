"""The summary of an inspection: the content of the JSON file, the screen and the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from segkit.data.pixel_size import IN_PIXELS, PixelSizes
from segkit.errors import RunError
from segkit.inspection.agreement import AgreementSummary, summarize_agreement
from segkit.inspection.data_sets import SetSummary, knows
from segkit.inspection.fingerprint import SampleFingerprint, Survey
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.problem import Problem
from segkit.inspection.verdict import Verdict
from segkit.io.json_files import read_object
from segkit.task import Task


@dataclass(frozen=True)
class SideLengths:
    """Heights or widths of the images, pixels."""

    smallest: int
    median: float
    largest: int


@dataclass(frozen=True)
class ImageSummary:
    """Facts of all images that can be read."""

    height: SideLengths
    width: SideLengths
    dtype: list[str]
    """The different data types."""
    bands: list[int]
    """The different numbers of bands."""
    low: float
    high: float
    percentiles: dict[str, list[float]]
    """Median over the images of each percentile, for each band."""


@dataclass(frozen=True)
class ClassSummary:
    """Facts of one class."""

    pixels: int
    share: float
    """Share of the labelled pixels, 0 to 1."""
    images: int
    """Number of images that show the class."""
    pieces: int
    """Number of connected pieces; 0 for the background."""
    piece_area_10_50_90: list[int] | None
    """Percentiles 10, 50 and 90 of their sizes, pixels; None without a piece."""
    known_images: int
    """Number of images in which every labelled pixel says whether it has the class."""
    known_share: float
    """Share of the labelled pixels that say whether they have the class, 0 to 1."""


@dataclass(frozen=True)
class PixelSizeSummary:
    """The physical sizes of pixels."""

    height: list[float]
    """Lowest, median and highest height of a pixel over the images, in `unit`."""
    width: list[float]
    unit: str | None
    """Such as "mm"; None if only `data.pixel_size` is set, without `data.pixel_unit`."""
    read_from: str
    """The origin of the sizes: "data.pixel_size" or "the GeoTIFF headers"."""


@dataclass(frozen=True)
class VerdictSummary:
    """The verdict as JSON has it."""

    kind: str
    head: str
    because: str
    unless: str


@dataclass(frozen=True)
class DataSummary:
    """All facts of a data set, its problems and the verdict."""

    read_as: str
    samples: dict[str, int]
    """Number of samples of each part."""
    groups: int | None
    """Number of groups of samples, as `data.groups` says; None if it is not set."""
    unreadable: int
    """Number of samples that cannot be used."""
    images: ImageSummary | None
    """None if no sample can be read."""
    classes: dict[str, ClassSummary]
    void_share: float
    """Share of the pixels that are unlabelled, 0 to 1."""
    overlap_pixels: int
    """Number of pixels of two classes or more."""
    empty_masks: int
    """Number of masks without a foreground pixel."""
    problems: list[Problem]
    verdict: VerdictSummary | None
    """None if no sample can be read."""
    pixel_size: PixelSizeSummary | None = None
    """None if the size of the pixels is unknown."""
    sets: dict[str, SetSummary] = field(default_factory=dict)
    """Facts of each of several data sets (`data.sets`), by its name."""
    agreement: AgreementSummary | None = None
    """How much annotators agree (`data.annotators`); None if no image has the masks of two."""

    def as_json(self) -> dict[str, Any]:
        """Return JSON types; `images` is empty if no sample can be read."""
        values = asdict(self)
        values["images"] = values["images"] or {}
        return values


def read_data_summary(path: Path) -> DataSummary:
    """Return the summary in a JSON file that `DataSummary.as_json` was written to.

    Raises:
        RunError: If the file is damaged.
    """
    advice = "remove it"
    values = read_object(path, ("samples", "classes", "images"), advice)
    try:
        return TypeAdapter(DataSummary).validate_python(
            {**values, "images": values["images"] or None}
        )
    except ValidationError as problem:
        raise RunError(
            f"{path}: has other facts than those of a data set; {advice}", "damaged-file"
        ) from problem


def summarize(
    read_as: str,
    task: Task,
    samples: dict[str, int],
    groups: int | None,
    survey: Survey,
    problems: list[Problem],
    verdict: Verdict | None,
    pixel_sizes: PixelSizes = IN_PIXELS,
    sets: Mapping[str, SetSummary] | None = None,
) -> DataSummary:
    """Return the summary of an inspection.

    Args:
        read_as: How the masks were read.
        task: The task that they were read with.
        samples: Number of samples of each part.
        groups: Number of groups of samples; None if they are unknown.
        survey: The fingerprints of the samples.
        problems: The problems.
        verdict: The verdict; None if no sample can be read.
        pixel_sizes: The physical sizes of pixels.
        sets: Facts of each of several data sets, by its name.
    """
    facts = survey.facts
    return DataSummary(
        read_as=read_as,
        samples=samples,
        groups=groups,
        unreadable=len(survey.broken),
        images=image_summary(facts) if facts else None,
        classes=_class_summaries(task, facts),
        void_share=_void_share(facts),
        overlap_pixels=sum(fact.overlap for fact in facts),
        empty_masks=_empty_masks(task, facts),
        problems=problems,
        verdict=_verdict_summary(verdict),
        pixel_size=_pixel_size_summary(pixel_sizes),
        sets=dict(sets or {}),
        agreement=summarize_agreement(task, facts),
    )


def _empty_masks(task: Task, facts: Sequence[SampleFingerprint]) -> int:
    foreground = list(task.foreground)
    return sum(not fact.classes[foreground].any() for fact in facts)


def _void_share(facts: Sequence[SampleFingerprint]) -> float:
    unlabelled = sum(fact.pixels - fact.labelled for fact in facts)
    return _share(unlabelled, sum(fact.pixels for fact in facts))


def _class_summaries(task: Task, facts: Sequence[SampleFingerprint]) -> dict[str, ClassSummary]:
    """Return the summary of each class; none without samples."""
    if not facts:
        return {}
    return {name: class_summary(facts, index) for index, name in enumerate(task.classes)}


def _pixel_size_summary(found: PixelSizes) -> PixelSizeSummary | None:
    if not found.sizes:
        return None
    sides = np.array(list(found.sizes.values()))
    height, width = np.quantile(sides, (0, 0.5, 1), axis=0).T.tolist()
    return PixelSizeSummary(height, width, found.unit, found.read_from)


def _verdict_summary(verdict: Verdict | None) -> VerdictSummary | None:
    if verdict is None:
        return None
    return VerdictSummary(verdict.kind, verdict.task.head, verdict.because, verdict.unless)


def image_summary(facts: Sequence[SampleFingerprint]) -> ImageSummary:
    """Return sizes, data types, bands and values of the images, at least one."""
    measured = [fact for fact in facts if fact.measured] or facts
    return ImageSummary(
        height=_side_lengths([fact.size[0] for fact in facts]),
        width=_side_lengths([fact.size[1] for fact in facts]),
        dtype=sorted({fact.dtype for fact in facts}),
        bands=sorted({fact.bands for fact in facts}),
        low=min(fact.low for fact in measured),
        high=max(fact.high for fact in measured),
        percentiles=_median_percentiles(measured, max(fact.bands for fact in facts)),
    )


def _side_lengths(lengths: list[int]) -> SideLengths:
    return SideLengths(min(lengths), float(np.median(lengths)), max(lengths))


def _median_percentiles(facts: Sequence[SampleFingerprint], bands: int) -> dict[str, list[float]]:
    """Return the median over the images of each percentile; grey images count for all bands."""
    shape = (len(PERCENTILES), bands)
    arrays = []
    for fact in facts:
        if fact.bands in (1, bands):
            arrays.append(np.broadcast_to(fact.percentiles, shape))
    medians = np.round(np.median(arrays, axis=0), 3)
    return {str(percent): medians[row].tolist() for row, percent in enumerate(PERCENTILES)}


def class_summary(facts: Sequence[SampleFingerprint], index: int) -> ClassSummary:
    """Return the facts of the class with this index over all samples, at least one."""
    pixels = int(sum(fact.classes[index] for fact in facts))
    sizes = np.concatenate([fact.objects[index] for fact in facts])
    size_percentiles = None
    if sizes.size:
        size_percentiles = np.percentile(sizes, (10, 50, 90)).round().astype(int).tolist()
    return ClassSummary(
        pixels=pixels,
        share=_share(pixels, sum(fact.labelled for fact in facts)),
        images=sum(bool(fact.classes[index]) for fact in facts),
        pieces=int(sizes.size),
        piece_area_10_50_90=size_percentiles,
        known_images=sum(knows(fact, index) for fact in facts),
        known_share=_share(
            int(sum(fact.known[index] for fact in facts)), sum(fact.labelled for fact in facts)
        ),
    )


def _share(part: float, whole: float) -> float:
    if not whole:
        return 0.0
    return round(part / whole, 6)
