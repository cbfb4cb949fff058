"""A training on all samples: folds score it, the last epoch is kept, and everything opens it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import segkit
from segkit.cli import main
from segkit.errors import ConfigError, RunError
from segkit.models.saved import load
from segkit.run import Run
from tests.helpers.command_line import assert_fails
from tests.helpers.errors import fails
from tests.helpers.tiny_runs import tiny_config

pytestmark = pytest.mark.one_backend


def weights_of(path: Path) -> list[np.ndarray]:
    return load(path).get_weights()


def test_folds_and_then_all_samples_in_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(tmp_path, "binary", pictures=0, ema=0.5)
    folder = tmp_path / "runs"
    command = ["train", str(config), "--run", str(folder), "--fold", "all/2", "--on-all"]
    assert main(command) == 0
    run = Run.open(folder / "all")
    made_with = run.config_made_with()
    assert made_with.data.on_all
    scores = json.loads(run.scores.read_text())
    pooled = json.loads((folder / "folds.json").read_text())["pooled"]
    assert scores == {"part": "folds", **pooled}
    assert scores["images"] == sum(Run(folder / f"fold_{k}").scored()["images"] for k in (1, 2))
    assert "2 folds, not of this model" in run.card.read_text()
    assert "2 folds, not of this model" in capsys.readouterr().out
    assert math.isnan(run.rows()[0]["val_loss"])
    for best, last in zip(weights_of(run.model), weights_of(run.last), strict=True):
        np.testing.assert_array_equal(best, last)
    before = run.model.read_bytes()
    assert main([*command, "--resume"]) == 0  # everything is finished
    assert run.model.read_bytes() == before
    with fails(ConfigError, "too-few-samples", run.path, setting="data.on_all"):
        segkit.tune(run.path)
    predictor = segkit.Predictor.load(run.path)
    assert predictor(np.zeros((40, 36, 3), np.uint8)).shape == (40, 36)


def test_without_folds_the_model_has_no_score_until_there_are_some(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "binary", epochs=1, pictures=0)
    run = segkit.train(config, tmp_path / "runs" / "all", on_all=True)
    assert run.report() is None
    assert "no score" in run.card.read_text()
    with fails(RunError, "mismatch", "data.on_all"):
        segkit.train(config, run.path, resume=True)
    before = weights_of(run.model)
    segkit.cross_validate(config, run.path.parent, folds=2)
    segkit.train(config, run.path, on_all=True, resume=True)
    report = run.report()
    assert report is not None
    assert (report["part"], report["folds"]) == ("folds", 2)
    assert "2 folds" in run.card.read_text()
    for one, other in zip(before, weights_of(run.model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(run.rows()) == 1


def test_an_interrupted_training_on_all_samples_ends_with_the_same_weights(tmp_path: Path) -> None:
    import keras

    config = tiny_config(tmp_path, "binary", epochs=3, pictures=0)
    whole = segkit.train(config, tmp_path / "whole", on_all=True)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segkit.train(config, tmp_path / "cut", on_all=True, callbacks=[Stop()])
    cut = segkit.train(config, tmp_path / "cut", on_all=True, resume=True)
    for one, other in zip(weights_of(whole.model), weights_of(cut.model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_single_fold_is_not_followed_by_a_training_on_all(tmp_path: Path) -> None:
    command = ["train", str(tiny_config(tmp_path, "binary")), "--fold", "1/2", "--on-all"]
    assert_fails(command, ConfigError, "contradiction", "1/2", setting="--on-all")
