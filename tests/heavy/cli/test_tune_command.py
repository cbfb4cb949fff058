"""segkit tune on a real run; predictions with it, with augmentation, ensembles and uncertainty."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

import segkit
from segkit.cli import main
from segkit.data.sources.folder import in_folders
from segkit.inference.decoding import decode
from segkit.inference.load import config_of
from segkit.run import Run, tuned
from tests.helpers.errors import holds
from tests.helpers.exports_made import add_export
from tests.helpers.tiny_runs import tiny_config


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy of the run, which may be changed."""
    shutil.copytree(trained.path, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_everything_uses_what_was_tuned_until_it_is_reset(
    run: Run, trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, export = run.config().task.kind, add_export(run, "savedmodel")
    assert main(["tune", str(run.path)]) == 0
    found = tuned.read_tuned(run.tuned)
    shown = capsys.readouterr().out
    assert holds(shown, f"{found.after['mean']['dice_foreground']:.4f}")
    assert holds(shown, run.tuned)
    assert found.after["reliability"]["nll"] <= found.before["reliability"]["nll"]
    assert config_of(export) == run.config()
    assert run.config().decode == found.decode != run.config_made_with().decode
    config = tiny_config(tmp_path, kind)
    assert (
        main(["convert", str(config), "--part", "validation", "--out", str(tmp_path / "seen")]) == 0
    )
    images, masks, scores = (
        tmp_path / "seen" / "images",
        tmp_path / "seen" / "masks",
        tmp_path / "scores.json",
    )
    score = [
        "evaluate",
        str(run.path),
        "--images",
        str(images),
        "--masks",
        str(masks),
        "--out",
        str(scores),
    ]
    assert main(score) == 0
    assert json.loads(scores.read_text())["mean"] == pytest.approx(found.after["mean"], abs=1e-6)

    assert (
        main(
            [
                "predict",
                str(run.path),
                str(images),
                "--out",
                str(tmp_path / "masks"),
                "--probabilities",
            ]
        )
        == 0
    )
    predictor, raw = segkit.Predictor.load(run.path), segkit.Predictor.load(trained.path)
    source = in_folders(images, tmp_path / "masks", predictor.task)
    for name in source.names:
        sample = source.read(name)
        np.testing.assert_array_equal(predictor(sample.image), sample.mask)
        np.testing.assert_array_equal(
            decode(run.config(), raw.probabilities(sample.image)), sample.mask
        )
        stored = tifffile.imread(tmp_path / "masks-probabilities" / f"{name}.tif").reshape(
            *sample.mask.shape[:2], -1
        )
        np.testing.assert_allclose(stored, predictor.probabilities(sample.image), rtol=1e-5)

    assert (
        main(["train", str(config), "--run", str(run.path), "--resume"]) == 0
    )  # over already: nothing to compare wrong
    assert run.tuned.exists()
    assert main(["tune", str(run.path), "--reset"]) == 0
    assert main(score) == 0
    assert config_of(export) == run.config() == run.config_made_with()
    assert json.loads(scores.read_text())["mean"] == pytest.approx(found.before["mean"], abs=1e-6)


def test_what_was_tuned_goes_with_the_model_it_was_tuned_for(run: Run) -> None:
    from keras.saving import load_model

    from segkit.training.callbacks import save

    run.tuned.write_text("of the model before")
    save(load_model(run.model), run, last=True)
    assert run.tuned.exists()
    save(load_model(run.model), run)
    assert not run.tuned.exists()


def seen(predictor: segkit.Predictor, image: np.ndarray, turns: int, step: int) -> np.ndarray:
    """Return the probabilities of an image turned, then mirrored by a step of -1, turned back."""
    answer = predictor.probabilities(np.rot90(image, turns)[:, ::step].copy())
    return np.rot90(answer[:, ::step], -turns)


def test_augmented_views_and_runs_are_averaged_and_their_uncertainty_is_written(
    trained: Run, run: Run, tmp_path: Path
) -> None:
    images = trained.path.parent / "test" / "images"
    runs = [str(trained.path), str(run.path)]
    asked = [
        "--out",
        str(tmp_path / "masks"),
        "--tta",
        "rotations",
        "--uncertainty",
        "--probabilities",
    ]
    assert main(["predict", *runs, str(images), *asked]) == 0
    together = segkit.Predictor.load(*runs, tta="rotations")
    alone = segkit.Predictor.load(trained.path)
    source = in_folders(images, tmp_path / "masks", together.task)
    for name in source.names:
        sample = source.read(name)
        np.testing.assert_array_equal(together(sample.image), sample.mask)
        mean = together.probabilities(sample.image)
        by_hand = np.mean(
            [seen(alone, sample.image, k, step) for k in range(4) for step in (1, -1)], axis=0
        )
        np.testing.assert_allclose(mean, by_hand, atol=1e-5)
        maps = tifffile.imread(tmp_path / "masks-uncertainty" / f"{name}.tif")
        assert maps.shape == (*sample.mask.shape[:2], 2)
        assert maps.dtype == np.float16
        assert 0 <= maps.min() <= maps.max() <= 1
        assert (maps[..., 1] <= maps[..., 0]).all()
        assert maps[..., 1].max() > 0
    scored = [
        "evaluate",
        *runs,
        "--images",
        str(images),
        "--masks",
        str(trained.path.parent / "test" / "masks"),
    ]
    assert main([*scored, "--tta", "flips"]) == 0
