"""A TIFF over the limit of pixels is predicted in windows, with the same mask as in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from segkit.cli import main
from segkit.data.sources.folder import in_folders
from segkit.errors import ConfigError
from segkit.inference.tiles import predict_tiled
from segkit.io.images import write_picture
from segkit.run import Run
from tests.helpers.command_line import assert_fails, numbers


def test_a_large_tiff_becomes_a_tiled_tiff_mask(
    trained: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(trained.path, run.path)
    values = yaml.safe_load(run.config_file.read_text())
    values["predict"] = {"tile": 96, "overlap": 0.25, "batch_size": 3}
    run.config_file.write_text(yaml.safe_dump(values))
    image = np.random.default_rng(1).integers(0, 256, (230, 310, 3)).astype(np.uint8)
    (tmp_path / "images").mkdir()
    path = tmp_path / "images" / "large.tif"
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb", compression="zlib")
    write_picture(tmp_path / "images" / "small.png", image[:40, :50])

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)
    assert (
        main(["predict", str(run.path), str(tmp_path / "images"), "--out", str(tmp_path / "masks")])
        == 0
    )
    assert numbers(capsys.readouterr().out.splitlines()[-1]) == [
        2,
        0,
    ]  # masks written, images failed
    monkeypatch.undo()

    task, stride = run.config().task, run.config().model.stride
    source = in_folders(tmp_path / "images", tmp_path / "masks", task)
    model = keras.saving.load_model(run.model)
    probabilities = predict_tiled(image, model.predict_on_batch, 96, 0.25, 3, stride)
    found, expected = source.read("large").mask, task.decode(probabilities)
    assert found.shape == expected.shape
    assert (found != expected).mean() < 1e-3  # batches of other windows may decide a tie otherwise
    assert source.read("small").mask.shape[:2] == (40, 50)
    again = [
        "predict",
        str(run.path),
        str(path),
        "--out",
        str(tmp_path / "masks"),
        "--skip-existing",
    ]
    assert main([*again, "--memory", "900GB"]) == 0
    assert numbers(capsys.readouterr().out.splitlines()[-1]) == [
        0,
        1,
        0,
    ]  # written, there already, failed
    assert_fails([*again, "--overlay"], ConfigError, "contradiction", path, "--overlay")
