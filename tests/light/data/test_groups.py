"""Groups: which samples belong together, and that no split divides them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.config import Config
from segkit.data.groups import groups_of, units_of
from segkit.data.parts import divided_parts, open_parts, places_of
from segkit.data.split import fold, folds, fraction, split
from segkit.io.images import write_picture
from tests.helpers.errors import fails

NAMES = st.lists(st.text("ab1_/", min_size=1, max_size=8), min_size=4, max_size=40, unique=True)
GROUPED = st.dictionaries(
    st.text("ab1_/", min_size=1, max_size=8), st.sampled_from("ABCDEFGH"), min_size=4, max_size=40
).filter(lambda units: len(set(units.values())) >= 3)
SHARES = st.floats(0, 0.45)


def config(**data: Any) -> Config:
    data = {"source": "shapes", "count": 60, "size": [16, 16], **data}
    return Config.model_validate({"task": Task.binary("disc").model_dump(), "data": data})


def folder_data(folder: Path, names: list[str]) -> dict[str, Any]:
    for name in names:
        for kind in ("images", "masks"):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, np.zeros((4, 4, 1), np.uint8))
    return {"source": "folder", "images": folder / "images", "masks": folder / "masks"}


def old_split(names: list[str], validation: float, test: float) -> dict[str, list[str]]:
    """The split before there were groups, name by name."""
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name in names:
        position = fraction(name)
        if position < test:
            parts["test"].append(name)
        elif position < test + validation:
            parts["validation"].append(name)
        else:
            parts["train"].append(name)
    for part, share in (("test", test), ("validation", validation), ("train", 1.0)):
        if share > 0 and not parts[part]:
            largest = max(parts.values(), key=len)
            moved = min(largest, key=fraction)
            largest.remove(moved)
            parts[part].append(moved)
    return parts


@given(NAMES, SHARES, SHARES)
def test_without_groups_a_split_is_the_old_one(
    names: list[str], validation: float, test: float
) -> None:
    assert split(names, validation, test) == old_split(names, validation, test)


@given(NAMES, st.integers(2, 4))
def test_without_groups_folds_are_the_old_ones(names: list[str], count: int) -> None:
    for number in range(1, count + 1):
        in_fold = set(sorted(names, key=fraction)[number - 1 :: count])
        found = fold(names, f"{number}/{count}")
        assert found["validation"] == [name for name in names if name in in_fold]
        assert found["train"] == [name for name in names if name not in in_fold]


@given(GROUPED, SHARES, SHARES, st.randoms(use_true_random=False))
def test_trap_45_a_group_is_in_one_part_whatever_the_order(
    units: dict[str, str], validation: float, test: float, random: Any
) -> None:
    names = list(units)
    parts = split(names, validation, test, units)
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    groups = [{units[name] for name in part} for part in parts.values()]
    assert sum(map(len, groups)) == len(set(units.values()))
    for part, share in (("train", 1.0), ("validation", validation), ("test", test)):
        assert bool(parts[part]) == (share > 0)
    shuffled = list(names)
    random.shuffle(shuffled)
    again = split(shuffled, validation, test, units)
    assert {part: set(found) for part, found in again.items()} == {
        part: set(found) for part, found in parts.items()
    }


@given(GROUPED, st.integers(2, 3), st.randoms(use_true_random=False))
def test_trap_45_folds_partition_the_groups(units: dict[str, str], count: int, random: Any) -> None:
    names = list(units)
    found = folds(names, count, units)
    assert sorted(name for chosen in found for name in chosen) == sorted(names)
    assert all(found)
    groups = [{units[name] for name in chosen} for chosen in found]
    assert sum(map(len, groups)) == len(set(units.values()))
    random.shuffle(names)
    assert [set(chosen) for chosen in folds(names, count, units)] == [set(one) for one in found]


def test_too_few_groups_are_refused() -> None:
    units = {name: name[0] for name in ("a1", "a2", "a3", "b1")}
    with fails(ConfigError, "too-few-samples", 2, setting="data"):
        split(list(units), 0.2, 0.2, units)
    with fails(ConfigError, "too-few-samples", 2, 3, setting="data.fold"):
        folds(list(units), 3, units)


@pytest.mark.parametrize(
    ("groups", "names", "expected"),
    [
        (r"(case\d+)_.*", ["case12_a", "x/case3_b"], ["case12", "case3"]),
        (r"case\d+", ["case12_a", "x/case3_b"], ["case12", "case3"]),
        (r"(.)-\d(.)", ["a-1b", "a-2b", "a-1c"], ["a/b", "a/b", "a/c"]),
        ({"folder": 1}, ["a/b/c", "d/e"], ["a", "d"]),
        ({"folder": 2}, ["a/b/c", "d/b/c", "a/b/x#001@0-1"], ["a/b", "d/b", "a/b"]),
    ],
)
def test_the_group_of_a_name(groups: Any, names: list[str], expected: list[str]) -> None:
    assert groups_of(names, config(groups=groups)) == expected
    assert groups_of(names, config()) is None


@pytest.mark.parametrize("groups", [r"(case\d+)_.*", {"folder": 2}, r"(z*)"])
def test_a_name_without_a_group_is_refused_with_examples(groups: Any) -> None:
    names = ["zcase1_a", "q/scan_07", "q/scan_08"]
    with fails(DataError, "no-group", "q/scan_07", "q/scan_08"):
        groups_of(names, config(groups=groups))


def test_groups_of_a_column(tmp_path: Path) -> None:
    names = [f"i{number}" for number in range(12)]
    folder_data(tmp_path, names)
    rows = ["image;mask;Patient"]
    rows += [f"images/{name}.png;masks/{name}.png; P{int(name[1:]) // 3} " for name in names]
    listing = tmp_path / "list.csv"
    listing.write_text("\n".join(rows), encoding="utf-8")
    data = {"source": "folder", "list_file": listing, "groups": {"column": "Patient"}}
    opened = config(**data)
    parts = open_parts(opened)
    assert groups_of(["images/i11", "images/i0#002@1-0"], opened) == ["P3", "P0"]
    found = [set(groups_of(part.names, opened) or []) for part in parts.values()]
    assert all(found)
    assert sum(map(len, found)) == 4
    with fails(DataError, "list", "visit", "Patient"):
        open_parts(config(**{**data, "groups": {"column": "visit"}}))
    listing.write_text("\n".join([*rows[:-1], rows[-1].replace("P3", "")]), encoding="utf-8")
    with fails(DataError, "no-group", "images/i11"):
        open_parts(opened)


def test_parts_and_folds_of_a_config_keep_groups_and_copies_together(tmp_path: Path) -> None:
    names = [f"p{patient}/{number}" for patient in range(12) for number in range(5)]
    data = folder_data(tmp_path, names)
    together = [["p0/1", "p1/0"], ["p1/3", "gone", "p2/0"], ["gone", "p3/1"]]
    opened = config(**data, groups={"folder": 1}, keep_together=together)
    units = units_of(names, opened)
    assert units is not None
    assert {units[name] for name in names if name[:2] in ("p0", "p1", "p2", "p3")} >= {
        units["p3/1"]
    }
    assert len({units[f"p{patient}/2"] for patient in range(4)}) == 1
    assert len(set(units.values())) == 9
    held = []
    for number in range(1, 4):
        chosen = opened.data.model_copy(update={"fold": f"{number}/3", "test": 0.0})
        fold_config = opened.model_copy(update={"data": chosen})
        parts = open_parts(fold_config)
        held += parts["validation"].names
        assert not {units[name] for name in parts["train"].names} & {
            units[name] for name in parts["validation"].names
        }
        places = places_of(fold_config, parts)
        assert {places[name] for name in parts["validation"].names} == {str(number)}
    assert sorted(held) == sorted(names)


def test_parts_of_the_user_are_not_divided(tmp_path: Path) -> None:
    names = [f"{part}/{number}" for part in ("train", "test") for number in range(9)]
    data = folder_data(tmp_path, names)
    opened = config(**data, validation=0.3)
    parts = open_parts(opened)
    assert divided_parts(opened, parts) == ["train", "validation"]
    assert set(places_of(opened, parts)) == {name for name in names if name.startswith("train")}
    alone = config(**data, validation=0.0)
    assert divided_parts(alone, open_parts(alone)) == []
    in_folds = config(**data, fold="1/3")
    assert set(places_of(in_folds, open_parts(in_folds)).values()) == {"1", "2", "3"}
