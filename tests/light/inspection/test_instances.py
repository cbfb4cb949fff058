"""Numbers of single objects are distinguished from classes, and read as one class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.sources.folder import in_folders
from segkit.inspection.inspect import inspect
from segkit.inspection.mask_format.detect import detect_format
from segkit.inspection.mask_format.instances import count_torn, count_touching, numbered_objects
from segkit.planning.rules import draft
from tests.helpers.errors import fails
from tests.helpers.mask_sets import codes, look, read, save

SIZE = (40, 48)
PLACES = [(row, column) for row in range(2, 38, 6) for column in range(2, 46, 6)]
"""Top left corners of squares that do not touch."""


def objects(numbers: list[int], dtype: type = np.uint16) -> np.ndarray:
    """Return a mask of one square for each number."""
    mask = np.zeros(SIZE, dtype)
    for number, (row, column) in zip(numbers, PLACES, strict=False):
        mask[row : row + 3, column : column + 3] = number
    return mask


def seen(*masks: np.ndarray) -> str | None:
    """Return the kind of the numbers in masks."""
    found = numbered_objects(
        [np.unique(mask).tolist() for mask in masks], lambda place: masks[place]
    )
    return found.kind if found else None


def upto(count: int) -> np.ndarray:
    return objects(list(range(1, count + 1)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_trap_41_numbers_of_objects_are_read_as_one_class(tmp_path: Path, dtype: type) -> None:
    stored = [objects(list(range(1, count + 1)), dtype) for count in (4, 9, 6)]
    found = look(tmp_path, stored, ["cell"])
    assert (found.task, found.data.mask_ids) == (Task.binary("cell"), "instances")
    assert codes(found) == ["mask-instances"]
    assert "19 numbered objects of one class in 3 masks" in found.read_as
    for mask, target in zip(stored, read(found), strict=True):
        np.testing.assert_array_equal(target[..., 0], mask > 0)


def test_trap_41_settings_of_the_user_decide_between_classes_and_objects(tmp_path: Path) -> None:
    stored = [upto(count) for count in (4, 9, 6)]
    look(tmp_path, stored)
    folders = tmp_path / "images", tmp_path / "masks"
    found = detect_format(*folders, data=DataConfig(mask_ids="classes"))
    assert (found.task.channels, codes(found)) == (10, [])
    found = detect_format(*folders, ["cell"], data=DataConfig(mask_ids="instances"))
    assert (found.task, codes(found)) == (Task.binary("cell"), [])


def test_trap_41_a_plan_reads_numbers_of_objects_as_inspect_does(tmp_path: Path) -> None:
    look(tmp_path, [upto(count) for count in (4, 9, 6)])
    inspection = inspect(tmp_path / "images", tmp_path / "masks")
    assert inspection.config
    assert inspection.verdict
    plan = draft(inspection.config, inspection.verdict, inspection.survey.facts, inspection.guess)
    assert (plan.config.task.kind, plan.config.data.mask_ids) == ("binary", "instances")
    assert "data.mask_ids" in plan.reasons


@pytest.mark.parametrize(
    ("masks", "kind"),
    [
        ([upto(4), upto(5), upto(6)], "instances"),
        ([upto(3), upto(0), upto(4), upto(2)], "instances"),
        ([upto(20), upto(20), upto(19)], "instances"),
        ([upto(20)], "instances"),
        ([upto(5)], None),  # five organs
        ([upto(5)] * 3, None),
        ([upto(20)] * 2, None),
        ([upto(2), upto(1), upto(2)], "unclear"),  # a disc and its cup, or two cells
        ([upto(3), upto(2), upto(1)], "unclear"),
        (
            [objects([3, 17]), objects([1, 8, 25]), objects([9])],
            "unclear",
        ),  # cut out of a larger mask
        ([objects([1, 3]), objects([2, 3]), objects([1])], None),
        ([upto(1), upto(1)], None),
        ([np.ones(SIZE, np.uint16), np.full(SIZE, 2, np.uint16)], None),
    ],
)
def test_trap_41_objects_have_numbers_without_gaps_and_of_differing_count(
    masks: list[np.ndarray], kind: str | None
) -> None:
    assert seen(*masks) == kind


def test_numbers_in_several_pieces_are_classes() -> None:
    masks = [upto(4), upto(5), upto(6)]
    for mask in masks:
        mask[36, 40] = 1
        mask[30, 40] = 2
    assert seen(*masks) is None
    one_torn = [upto(20), upto(30), upto(25)]
    one_torn[0][38, 46] = 1
    assert seen(*one_torn) == "instances"


@given(st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=2, max_size=6))
def test_pieces_and_contacts_are_those_of_a_loop_over_the_pixels(rows: list[list[int]]) -> None:
    mask = np.array(rows, np.uint8)
    values = [value for value in np.unique(mask).tolist() if value]
    torn = sum(_pieces(mask, value) > 1 for value in values)
    assert min(count_torn(mask), 2) == min(torn, 2)  # counting ends where too many are torn
    assert count_touching(mask) == sum(
        any(other not in (0, value) for other in _around(mask, value)) for value in values
    )


def _around(mask: np.ndarray, value: int) -> list[int]:
    found = []
    for y, x in np.argwhere(mask == value).tolist():
        found += mask[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].ravel().tolist()
    return found


def _pieces(mask: np.ndarray, value: int) -> int:
    left = {(y, x) for y, x in np.argwhere(mask == value).tolist()}
    count = 0
    while left:
        waiting = [left.pop()]
        count += 1
        while waiting:
            y, x = waiting.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            waiting += near
    return count


def test_the_description_counts_touching_objects(tmp_path: Path) -> None:
    stored = [upto(count) for count in (4, 9, 6)]
    stored[1][2:5, 5:8] = 2  # between the first two
    found = look(tmp_path, stored)
    assert "2 touch" in found.read_as


def test_ambiguous_numbers_are_a_warning(tmp_path: Path) -> None:
    found = look(tmp_path, [upto(3), upto(2), upto(1)])
    assert (found.task.channels, codes(found)) == (4, ["mask-instances"])


def test_masks_are_read_only_where_their_values_allow_for_objects() -> None:
    def never(place: int) -> np.ndarray:
        pytest.fail(f"mask {place} was read")

    for values in (
        [[0, 1], [0, 1]],
        [[0, 1, 2]] * 5,
        [[0, 255], [0]],
        [[-1, 0, 1, 2, 3, 4]],
        [[1, 2], [1]],
        [[0], [0]],
    ):
        assert numbered_objects(values, never) is None
    read: list[int] = []

    def first(place: int) -> np.ndarray:
        read.append(place)
        return np.array([[1, 0, 1, 0, 2, 0, 2]])

    assert numbered_objects([[0, *range(1, number + 1)] for number in range(9)], first) is None
    assert len(read) < 4
    assert (
        numbered_objects([[0, *range(1, number + 1)] for number in range(9)], lambda place: None)
        is None
    )


def test_a_mask_of_objects_that_a_config_reads_as_yes_and_no(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        save(tmp_path / folder / "a.tif", upto(7))
    folders = tmp_path / "images", tmp_path / "masks", Task.binary("cell")
    with fails(
        DataError, "mask-soft-edges", tmp_path / "masks" / "a.tif", "data.mask_ids: instances"
    ):
        in_folders(*folders).read("a")
    mask = in_folders(*folders, DataConfig(mask_ids="instances")).read("a").mask
    np.testing.assert_array_equal(mask, upto(7) > 0)
    save(tmp_path / "masks" / "a.tif", upto(7).astype(np.int16) - 1)
    with fails(DataError, "mask-values", tmp_path / "masks" / "a.tif", -1):
        in_folders(*folders, DataConfig(mask_ids="instances")).read("a")


def test_a_config_of_classes_for_numbers_of_objects_is_a_warning(tmp_path: Path) -> None:
    look(tmp_path, [upto(count) for count in (4, 9, 6)])
    config = {
        "task": {"kind": "multiclass", "classes": [f"c{number}" for number in range(10)]},
        "data": {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks"), "test": 0},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    assert "mask-instances" in [problem.code for problem in inspect(tmp_path / "c.yaml").problems]
    for settings in (
        ["data.mask_ids=classes"],
        ["data.mask_ids=instances", "task.kind=binary", "task.classes=[x]"],
    ):
        found = inspect(tmp_path / "c.yaml", settings=settings)
        assert not found.wrong
        assert "mask-instances" not in [problem.code for problem in found.problems]


def test_numbers_of_objects_in_one_of_several_data_sets_are_a_warning(tmp_path: Path) -> None:
    look(tmp_path / "ids", [upto(3), upto(3), upto(3)])
    look(tmp_path / "objects", [upto(count) for count in (4, 9, 6)])
    sets = {
        name: {"images": str(tmp_path / name / "images"), "masks": str(tmp_path / name / "masks")}
        for name in ("ids", "objects")
    }
    config = {
        "task": {"kind": "multiclass", "classes": [f"c{number}" for number in range(10)]},
        "data": {"sets": sets, "test": 0},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    found = inspect(tmp_path / "c.yaml")
    [warning] = [problem for problem in found.problems if problem.code == "mask-instances"]
    assert "data.sets.objects.mask_ids" in warning.message
    assert "19 numbered objects" in warning.message
    assert "set ids: 3 16-bit PNG" in found.read_as
    sets["objects"]["mask_ids"] = "classes"
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    stated = inspect(tmp_path / "c.yaml")
    assert not stated.wrong
    assert "mask-instances" not in [problem.code for problem in stated.problems]


def test_instances_are_objects_of_one_class(tmp_path: Path) -> None:
    cells = Task.multiclass(["background", "cell"])
    with fails(ConfigError, "not-for-task", 2, setting="data.mask_ids"):
        in_folders(tmp_path, tmp_path, cells, DataConfig(mask_ids="instances"))
    with fails(ConfigError, "contradiction", "mask_values", setting="data.mask_ids"):
        Config.model_validate(
            {
                "task": {"kind": "binary", "classes": ["x"]},
                "data": {"mask_ids": "instances", "mask_values": {0: "absent"}},
            }
        )
