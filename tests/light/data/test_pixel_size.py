"""The pixel sizes of a data set: the setting, the files, and what contradicts."""

from __future__ import annotations

import pytest

from segkit import ConfigError
from segkit.config import DataConfig
from segkit.data.pixel_size import common_sizes, contradicts, pixel_size_of, pixel_size_of_new
from segkit.io.geometry import Geometry
from tests.helpers.errors import fails, holds

HALF = Geometry((0.5, 0.5), "mm", read_from="the OME metadata")


def test_files_are_believed_if_all_state_a_size() -> None:
    """The usual unit is that of the result."""
    found = common_sizes(
        DataConfig(), {"a": HALF, "b": Geometry((250, 1000), "µm"), "c": Geometry((2, 1), "mm")}
    )
    assert found.unit == "mm"
    assert found.of("a") == (0.5, 0.5)
    assert found.of("b") == pytest.approx((0.25, 1.0))
    assert found.of("c") == (2, 1)
    assert found.median() == pytest.approx((0.5, 1.0))
    assert found.differ()
    assert found.warnings == ()


def test_no_size_is_no_warning() -> None:
    found = common_sizes(DataConfig(), {"a": None, "b": Geometry(orientation="PL")})
    assert (found.unit, found.of("a"), found.warnings) == ("pixels", (1.0, 1.0), ())


def test_a_warning_counts_the_files_with_and_without_a_size() -> None:
    found = common_sizes(DataConfig(), {"a": HALF, "b": None, "c": HALF, "d": HALF})
    assert (found.unit, found.of("a")) == ("pixels", (1.0, 1.0))
    (warning,) = found.warnings
    assert warning.code == "pixel-size"
    assert all(holds(str(warning), value) for value in (3, 1, "data.pixel_size"))


def test_the_setting_is_used_for_all_and_a_contradiction_is_named() -> None:
    data = DataConfig(pixel_size=(0.7, 0.7), pixel_unit="mm")
    alike = Geometry((700, 704), "µm")
    found = common_sizes(data, {"a": HALF, "b": None, "c": alike})
    assert found.unit == "mm"
    assert [found.of(name) for name in "abc"] == [(0.7, 0.7)] * 3
    (warning,) = found.warnings
    assert warning.code == "pixel-size"
    assert all(holds(str(warning), value) for value in ("data.pixel_size", "a", 0.5, 0.7))
    assert common_sizes(data, {"b": None, "c": alike}).warnings == ()


@pytest.mark.parametrize(
    ("size", "unit", "contradiction"),
    [
        ((0.5, 0.5), "mm", False),
        ((500, 500), "um", False),
        ((500, 500), None, False),  # in micrometres
        ((0.504, 0.5), "mm", False),  # 0.8 %
        ((0.506, 0.5), "mm", True),  # 1.2 %
        ((0.5, 0.25), "mm", True),
        ((0.5, 0.25), None, True),
        ((0.5, 0.5), "m", True),
        ((0.7, 0.7), None, True),
    ],
)
def test_a_setting_contradicts_a_file(
    size: tuple[float, float], unit: str | None, contradiction: bool
) -> None:
    assert contradicts(DataConfig(pixel_size=size, pixel_unit=unit), HALF) is contradiction


def test_a_new_image_is_measured_by_its_own_file() -> None:
    """The setting describes the data set, and so comes first only for its samples."""
    data = DataConfig(pixel_size=(2, 2), pixel_unit="m")
    assert pixel_size_of(data, HALF) == ((2, 2), "m")
    assert pixel_size_of_new(data, HALF) == ((0.5, 0.5), "mm")
    assert pixel_size_of_new(data, None) == ((2, 2), "m")
    assert pixel_size_of_new(DataConfig(), None) is None


def test_units_of_the_setting() -> None:
    assert DataConfig(pixel_size=(1, 1), pixel_unit="microns").pixel_unit == "µm"
    with fails(ConfigError, "wrong-value", "furlong"):
        DataConfig(pixel_size=(1, 1), pixel_unit="furlong")
    with fails(ConfigError, "missing-setting", setting="data.pixel_unit"):
        DataConfig(pixel_unit="mm")
