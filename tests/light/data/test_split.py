from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, Task
from segkit.config import Config, DataConfig, PartConfig
from segkit.data.parts import held_out, open_parts
from segkit.data.sources.shapes import ShapesSource
from segkit.data.sources.source import Subset
from segkit.data.split import fraction, split
from segkit.io.images import write_picture
from tests.helpers.errors import fails

NAMES = st.lists(st.text("ab1/", min_size=1, max_size=8), min_size=3, max_size=40, unique=True)
SHARES = st.floats(0, 0.45)
SHAPES = {"source": "shapes", "count": 40, "size": (16, 16)}


@given(NAMES, SHARES, SHARES)
def test_trap_33_every_name_is_in_exactly_one_part(
    names: list[str], validation: float, test: float
) -> None:
    parts = split(names, validation, test)
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    for part, share in (("train", 1.0), ("validation", validation), ("test", test)):
        assert bool(parts[part]) == (share > 0)


@given(NAMES, st.lists(st.text("xyz", min_size=1), max_size=20, unique=True), SHARES, SHARES)
def test_names_stay_in_their_part_when_others_are_added(
    names: list[str], added: list[str], validation: float, test: float
) -> None:
    """But for the one name that fills a part which would be empty without it."""
    before, after = split(names, validation, test), split(sorted(names + added), validation, test)
    moved = [name for part in before for name in before[part] if name not in after[part]]
    by_hash = {name: _part(name, validation, test) for name in names}
    filled = [name for part in before for name in before[part] if by_hash[name] != part]
    filled += [
        name for part in after for name in after[part] if name in by_hash and by_hash[name] != part
    ]
    assert set(moved) <= set(filled)
    assert len(set(filled)) <= 4


def _part(name: str, validation: float, test: float) -> str:
    where = fraction(name)
    return "test" if where < test else "validation" if where < test + validation else "train"


@given(NAMES, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = split(names, 0.2, 0.2), split(shuffled, 0.2, 0.2)
    assert {part: set(found) for part, found in one.items()} == {
        part: set(found) for part, found in other.items()
    }


def test_parts_have_about_the_configured_shares() -> None:
    parts = split([f"image {i}" for i in range(5000)], 0.2, 0.1)
    assert [round(len(parts[part]) / 5000, 1) for part in ("train", "validation", "test")] == [
        0.7,
        0.2,
        0.1,
    ]


def test_fractions_never_change() -> None:
    assert fraction("shape_00000") == pytest.approx(int("380c55bbe5fd", 16) / 2**48, abs=0)
    assert np.ptp([fraction(str(i)) for i in range(1000)]) > 0.99


def test_too_few_samples_are_refused() -> None:
    with fails(ConfigError, "too-few-samples", 2, setting="data"):
        split(["a", "b"], 0.1, 0.1)
    assert split(["a", "b"], 0.0, 0.0) == {"train": ["a", "b"], "validation": [], "test": []}


def test_parts_of_a_config_are_subsets_of_its_source() -> None:
    config = Config.model_validate(
        {"task": Task.binary("disc"), "data": {**SHAPES, "validation": 0.2, "test": 0}}
    )
    parts = open_parts(config)
    assert sum(map(len, parts.values())) == 40
    assert len(parts["test"]) == 0
    assert held_out(parts) == "validation"
    assert [sample.name for sample in parts["validation"]] == list(parts["validation"].names)


def test_the_part_to_score_is_test_then_validation() -> None:
    source = ShapesSource(Task.binary("disc"), 1, (16, 16), seed=0)
    empty, full = Subset(source, []), Subset(source, source.names)
    assert held_out({"train": full, "validation": full, "test": full}) == "test"
    with fails(ConfigError, "too-few-samples", "data.test", "data.validation"):
        held_out({"train": full, "validation": empty, "test": empty})


def test_a_part_can_have_folders_of_its_own(tmp_path: Path) -> None:
    for folder, name in (("images", "a"), ("images", "b"), ("test_images", "c")):
        write_picture(tmp_path / folder / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
        write_picture(
            tmp_path / folder.replace("images", "masks") / f"{name}.png",
            np.zeros((4, 4, 1), np.uint8),
        )
    own = PartConfig(images=tmp_path / "test_images", masks=tmp_path / "test_masks")
    data = DataConfig(
        images=tmp_path / "images", masks=tmp_path / "masks", validation=0.3, test=own
    )
    parts = open_parts(Config(task=Task.binary("x"), data=data))
    assert list(parts["test"].names) == ["c"]
    assert sorted([*parts["train"].names, *parts["validation"].names]) == ["a", "b"]
    assert next(iter(parts["test"])).image.shape == (4, 4, 3)
