"""The physical sizes of the pixels of a data set, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.config import DataConfig, InputConfig
from segkit.data.pixel_size import PixelSizes, common_sizes, size_in_words
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.problem import Problem, problem_of
from segkit.inspection.summary import PixelSizeSummary
from segkit.io.geometry import Geometry


def sizes_of_facts(data: DataConfig, facts: Sequence[SampleFingerprint]) -> PixelSizes:
    """Return the pixel sizes of samples, by the setting `data.pixel_size` or by their files."""
    geometries: dict[str, Geometry | None] = {}
    for fact in facts:
        name = fact.name
        if name in geometries:  # parts with files of their own may use a name twice
            name = f"{fact.part}: {fact.name}"
        geometries[name] = fact.geometry
    return common_sizes(data, geometries)


def pixel_size_problems(data: DataConfig, facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return warnings for sizes that some files lack, contradictions, and maps in degrees."""
    problems = []
    for warning in sizes_of_facts(data, facts).warnings:
        message = str(warning).removeprefix(f"{warning.code}: ")
        problems.append(problem_of("warning", "pixel-size", message))
    in_degrees = [fact.name for fact in facts if _lacks_length(fact.geometry)]
    if in_degrees and data.pixel_size is None:
        message = (
            "the coordinates of these maps are degrees, in Mercator, whose scale changes with the "
            "latitude, or of an unknown unit, so the size of a pixel in metres is unknown. Project "
            "them to metres, as UTM does, or set data.pixel_size"
        )
        problems.append(problem_of("warning", "pixel-size", message, in_degrees))
    return problems


def _lacks_length(geometry: Geometry | None) -> bool:
    """Return whether an image lies on a map whose unit is no known length."""
    if geometry is None or geometry.georeference is None:
        return False
    return geometry.pixel_size is None


def with_pixel_size(
    data: DataConfig, input_config: InputConfig, facts: Sequence[SampleFingerprint]
) -> InputConfig:
    """Return the section `input` with the median pixel size of the training images.

    Args:
        data: The section `data`.
        input_config: The section `input`. A pixel size that it has stays.
        facts: The samples of all parts.
    """
    if input_config.pixel_size is not None:
        return input_config
    sizes = sizes_of_facts(data, [fact for fact in facts if fact.part == "train"])
    if not sizes.sizes:
        return input_config
    height, width = sizes.median()
    rounded = (float(f"{height:.6g}"), float(f"{width:.6g}"))
    return input_config.model_copy(update={"pixel_size": rounded, "pixel_unit": sizes.unit})


def pixel_size_line(found: PixelSizeSummary) -> str:
    """Return the pixel size as `segkit inspect` prints it.

    >>> pixel_size_line(PixelSizeSummary([0.5] * 3, [0.5] * 3, "m", "the GeoTIFF headers"))
    '0.5 m per pixel, from the GeoTIFF headers'
    """
    lowest, median, highest = zip(found.height, found.width, strict=True)
    text = size_in_words(median, found.unit)
    if lowest != highest:
        smallest = size_in_words(lowest, found.unit)
        largest = size_in_words(highest, found.unit)
        text = f"{smallest} to {largest} (median {text})"
    return f"{text}, from {found.read_from}"
