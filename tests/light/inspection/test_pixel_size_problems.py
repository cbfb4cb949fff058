"""`segkit inspect` says how large pixels are, and training keeps it."""

from __future__ import annotations

import numpy as np
import pytest

from segkit.config import DataConfig
from segkit.data.sources.source import Sample
from segkit.inspection.fingerprint import SampleFingerprint, Survey, facts_of
from segkit.inspection.pixel_size import (
    pixel_size_line,
    pixel_size_problems,
    sizes_of_facts,
    with_pixel_size,
)
from segkit.inspection.summary import summarize
from segkit.io.geometry import Geometry, Georeference
from tests.helpers.errors import holds
from tests.helpers.problem_data import CRACK, only
from tests.helpers.stand_in import GIVEN

HALF = Geometry((0.5, 0.5), "m", read_from="the GeoTIFF headers")
IN_DEGREES = Geometry(georeference=Georeference((1, 0, 0, 0, -1, 0), "EPSG:4326"))


def facts(*geometries: Geometry | None, part: str = "train") -> list[SampleFingerprint]:
    mask = np.ones((4, 4), np.uint8)
    found = []
    for number, geometry in enumerate(geometries):
        sample = Sample(f"s{number}", np.ones((4, 4, 1), np.uint8), mask, None, geometry)
        found.append(facts_of(CRACK, part, sample, mask))
    return found


def line_of(data: DataConfig, found: list[SampleFingerprint]) -> str:
    survey = Survey(found, [], len(found))
    sizes = sizes_of_facts(data, found)
    summary = summarize("", CRACK, {}, None, survey, [], None, sizes)
    assert summary.pixel_size is not None
    assert summary.as_json()["pixel_size"]["unit"] == sizes.unit
    return pixel_size_line(summary.pixel_size)


def test_the_size_and_its_origin_are_one_line() -> None:
    assert line_of(DataConfig(), facts(HALF, HALF)) == "0.5 m per pixel, from the GeoTIFF headers"
    data = DataConfig(pixel_size=(1, 2), pixel_unit="mm")
    line = line_of(data, facts(None))
    assert all(holds(line, value) for value in (1, 2, "mm", "data.pixel_size"))
    several = line_of(DataConfig(), facts(HALF, HALF, Geometry((2, 2), "m")))
    assert all(holds(several, value) for value in (0.5, 2, "m"))


def test_without_a_size_there_is_no_line_and_no_problem() -> None:
    found = facts(None, None)
    assert sizes_of_facts(DataConfig(), found).sizes == {}
    assert pixel_size_problems(DataConfig(), found) == []


def test_files_with_and_without_a_size_are_a_problem() -> None:
    problem = only(pixel_size_problems(DataConfig(), facts(HALF, None, None)), "pixel-size")
    assert problem.level == "warning"
    assert all(holds(problem.message, value) for value in (1, 2))


def test_maps_in_degrees_are_named() -> None:
    problem = only(pixel_size_problems(DataConfig(), facts(IN_DEGREES)), "pixel-size")
    assert problem.files == ("s0",)
    data = DataConfig(pixel_size=(1, 1), pixel_unit="m")
    assert pixel_size_problems(data, facts(IN_DEGREES)) == []


def test_a_name_in_two_parts_counts_twice() -> None:
    found = [*facts(HALF), *facts(None, part="test")]
    assert only(pixel_size_problems(DataConfig(), found), "pixel-size").number == 0


def test_training_keeps_the_median_size_of_its_own_part() -> None:
    sizes = [Geometry((side, 2 * side), "mm") for side in (1, 2, 10)]
    others = facts(Geometry((100, 100), "mm"), part="test")
    found = with_pixel_size(DataConfig(), GIVEN, [*facts(*sizes), *others])
    assert (found.pixel_size, found.pixel_unit) == ((2, 4), "mm")
    stated = found.model_copy(update={"pixel_size": (7, 7)})
    assert with_pixel_size(DataConfig(), stated, facts(*sizes)) is stated
    assert with_pixel_size(DataConfig(), GIVEN, facts(None)) is GIVEN


@pytest.mark.parametrize("unit", ["um", None])
def test_training_keeps_the_setting(unit: str | None) -> None:
    data = DataConfig(pixel_size=(3, 3), pixel_unit=unit)
    found = with_pixel_size(data, GIVEN, facts(None))
    assert (found.pixel_size, found.pixel_unit) == ((3, 3), data.pixel_unit)
