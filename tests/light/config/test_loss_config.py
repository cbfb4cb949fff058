from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError
from segkit.catalog import LOSSES
from segkit.config import Config, read
from segkit.config.loss import TERMS, changes, checked, weight_at
from tests.helpers.draws import says

CRACK = {"kind": "binary", "classes": ["crack"]}


def config(folder: Path, **sections: object) -> Config:
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({"task": CRACK, **sections}))
    return read(path)


def test_the_settings_of_every_loss_are_known() -> None:
    assert set(TERMS) == set(LOSSES)


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ({"dice": {"gamma": 2}}, ("loss.dice.gamma: there is no such setting", "known are weight, include_background")),
        ({"focal": {"gamma": -1}}, ("loss.focal.gamma", "greater than or equal to 0", "found -1")),
        ({"cross_entropy": {"label_smoothing": 1}}, ("loss.cross_entropy.label_smoothing", "less than 1", "found 1")),
        ({"top_k_cross_entropy": {"share": 0}}, ("loss.top_k_cross_entropy.share", "greater than 0")),
        ({"cl_dice": {"iterations": 2.5}}, ("loss.cl_dice.iterations", "integer", "found 2.5")),
        ({"lovasz": {"smooth": 0}}, ("loss.lovasz.smooth", "greater than 0")),
        ({"dice": -1}, ("loss.dice.weight: a number from 0 on, or a list of two or more", "found -1")),
        ({"dice": "much"}, ("loss.dice.weight", "found 'much'")),
        ({"dice": None}, ("loss.dice.weight", "found None")),
        ({"dice": [1]}, ("loss.dice.weight", "found [1]")),
        ({"dice": {"weight": [1, "x"]}}, ("loss.dice.weight", "[1, 'x']")),
        ({"dice": {"weight": {0: 1}}}, ("loss.dice.weight", "{0: 1}")),
        ({"dice": {"weight": float("inf")}}, ("loss.dice.weight", "inf")),
        ({"dice": {"a": 1}, "jaccard": 1}, ("loss.dice.a",)),
        ({"lovasch": 1}, ("loss: unknown name 'lovasch' (did you mean 'lovasz'?)",)),
        ({"mine.losses:Loss": {"weight": -1}}, ("loss.mine.losses:Loss.weight",)),
    ],
)
def test_a_term_that_does_not_fit_is_named_before_keras_is_loaded(
    tmp_path: Path, loss: object, parts: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as problem:
        config(tmp_path, loss=loss)
    assert says(problem, f"{tmp_path / 'a.yaml'}: ", *parts)


def test_terms_stay_as_they_were_said_with_numbers_for_numbers() -> None:
    terms = {
        "dice": "1e-2",  # YAML takes 1e-2 for a word
        "boundary": ["0", 0.1],
        "focal": {"gamma": "3"},
        "cl_dice": {"weight": [1, 0], "iterations": 3},
        "mine.losses:Loss": {"mode": "best", "copy": [1]},
    }
    assert checked(terms) == {
        "dice": 0.01,
        "boundary": [0.0, 0.1],
        "focal": {"gamma": 3.0},
        "cl_dice": {"weight": [1.0, 0.0], "iterations": 3},
        "mine.losses:Loss": {"mode": "best", "copy": [1]},
    }


def test_a_loss_that_changes_cannot_say_which_epoch_is_best(tmp_path: Path) -> None:
    loss = {"dice": 1, "boundary": [0, 0.1]}
    assert changes(config(tmp_path, loss=loss).loss)
    assert not changes(config(tmp_path, loss={"dice": 1, "boundary": {"weight": 0.1}}, train={"monitor": "loss"}).loss)
    with pytest.raises(ConfigError) as problem:
        config(tmp_path, loss=loss, train={"monitor": "loss"})
    assert says(problem, "train.monitor", "cannot be compared", "dice_foreground")


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6), st.floats(0, 1))
def test_weights_are_met_at_equally_spaced_moments_with_straight_lines_between(
    points: list[float], share: float
) -> None:
    gaps = len(points) - 1
    for i, point in enumerate(points):
        assert weight_at(points, i / gaps) == pytest.approx(point, abs=1e-6)
    before = min(int(share * gaps), gaps - 1)
    part = share * gaps - before
    wanted = (1 - part) * points[before] + part * points[before + 1]
    assert weight_at(points, share) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
