from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError
from segkit.catalog import LOSSES
from segkit.config import Config, read
from segkit.config.loss import TERMS, changes, parse_terms, weight_at
from tests.helpers.errors import fails

CRACK = {"kind": "binary", "classes": ["crack"]}


def config(folder: Path, **sections: object) -> Config:
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({"task": CRACK, **sections}))
    return read(path)


def test_the_settings_of_every_loss_are_known() -> None:
    assert set(TERMS) == set(LOSSES)


@pytest.mark.parametrize(
    ("loss", "code", "setting", "values"),
    [
        (
            {"dice": {"gamma": 2}},
            "unknown-setting",
            "loss.dice.gamma",
            ("weight", "include_background"),
        ),
        ({"focal": {"gamma": -1}}, "wrong-value", "loss.focal.gamma", (0, -1)),
        (
            {"cross_entropy": {"label_smoothing": 1}},
            "wrong-value",
            "loss.cross_entropy.label_smoothing",
            (1,),
        ),
        (
            {"top_k_cross_entropy": {"share": 0}},
            "wrong-value",
            "loss.top_k_cross_entropy.share",
            (0,),
        ),
        ({"cl_dice": {"iterations": 2.5}}, "wrong-value", "loss.cl_dice.iterations", (2.5,)),
        ({"lovasz": {"smooth": 0}}, "wrong-value", "loss.lovasz.smooth", (0,)),
        ({"dice": -1}, "wrong-value", "loss.dice.weight", (-1,)),
        ({"dice": "much"}, "wrong-value", "loss.dice.weight", ("'much'",)),
        ({"dice": None}, "wrong-value", "loss.dice.weight", (None,)),
        ({"dice": [1]}, "wrong-value", "loss.dice.weight", ([1],)),
        ({"dice": {"weight": [1, "x"]}}, "wrong-value", "loss.dice.weight", ([1, "x"],)),
        ({"dice": {"weight": {0: 1}}}, "wrong-value", "loss.dice.weight", ({0: 1},)),
        ({"dice": {"weight": float("inf")}}, "wrong-value", "loss.dice.weight", ("inf",)),
        ({"dice": {"a": 1}, "jaccard": 1}, "unknown-setting", "loss.dice.a", ()),
        ({"lovasch": 1}, "unknown-name", "loss", ("'lovasch'", "'lovasz'")),
        (
            {"mine.losses:Loss": {"weight": -1}},
            "wrong-value",
            "loss.mine.losses:Loss.weight",
            (-1,),
        ),
    ],
)
def test_a_wrong_loss_setting_is_named_before_keras_is_loaded(
    tmp_path: Path, loss: object, code: str, setting: str, values: tuple[object, ...]
) -> None:
    with fails(ConfigError, code, tmp_path / "a.yaml", *values, setting=setting):
        config(tmp_path, loss=loss)


def test_losses_keep_their_form_and_numbers_become_floats() -> None:
    terms = {
        "dice": "1e-2",  # in YAML 1e-2 is a string
        "boundary": ["0", 0.1],
        "focal": {"gamma": "3"},
        "cl_dice": {"weight": [1, 0], "iterations": 3},
        "mine.losses:Loss": {"mode": "best", "copy": [1]},
    }
    assert parse_terms(terms) == {
        "dice": 0.01,
        "boundary": [0.0, 0.1],
        "focal": {"gamma": 3.0},
        "cl_dice": {"weight": [1.0, 0.0], "iterations": 3},
        "mine.losses:Loss": {"mode": "best", "copy": [1]},
    }


def test_a_loss_with_changing_weights_cannot_choose_the_best_epoch(tmp_path: Path) -> None:
    loss = {"dice": 1, "boundary": [0, 0.1]}
    assert changes(config(tmp_path, loss=loss).loss)
    assert not changes(
        config(
            tmp_path, loss={"dice": 1, "boundary": {"weight": 0.1}}, train={"monitor": "loss"}
        ).loss
    )
    with fails(ConfigError, "contradiction", "dice_foreground", setting="train.monitor"):
        config(tmp_path, loss=loss, train={"monitor": "loss"})


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6), st.floats(0, 1))
def test_weights_are_interpolated_linearly_between_equally_spaced_moments(
    points: list[float], share: float
) -> None:
    gaps = len(points) - 1
    for i, point in enumerate(points):
        assert weight_at(points, i / gaps) == pytest.approx(point, abs=1e-6)
    before = min(int(share * gaps), gaps - 1)
    part = share * gaps - before
    wanted = (1 - part) * points[before] + part * points[before + 1]
    assert weight_at(points, share) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
