"""A run as a function: the same masks as predict, from several threads, and clear errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import segkit
from segkit.cli import main
from segkit.data.sources.folder import in_folders
from segkit.run import Run
from tests.helpers.errors import fails


def test_masks_are_those_that_predict_writes(trained: Run, tmp_path: Path) -> None:
    images = trained.path.parent / "test" / "images"
    assert main(["predict", str(trained.path), str(images), "--out", str(tmp_path / "masks")]) == 0
    predictor = segkit.Predictor.load(trained.path)
    source = in_folders(images, tmp_path / "masks", predictor.task)
    for name in source.names:
        sample = source.read(name)
        np.testing.assert_array_equal(predictor(sample.image), sample.mask)


def test_large_images_go_in_windows_and_threads_take_turns(trained: Run) -> None:
    predictor = segkit.Predictor.load(str(trained.path))
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (40 + 3 * i, 1100 if i == 2 else 50, 3)).astype(np.uint8)
        for i in range(6)
    ]
    one_by_one = [predictor.probabilities(image) for image in images]
    assert [p.shape[:2] for p in one_by_one] == [image.shape[:2] for image in images]
    with ThreadPoolExecutor(6) as pool:
        for found, wanted in zip(
            pool.map(predictor.probabilities, images), one_by_one, strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


def test_images_unlike_the_training_images_are_refused(trained: Run) -> None:
    predictor = segkit.Predictor.load(trained.path)
    with fails(segkit.DataError, "depth", "float64", "uint8"):
        predictor(np.zeros((8, 8, 3)))
    with fails(segkit.DataError, "channels", 3, 5):
        predictor(np.zeros((8, 8, 5), np.uint8))
    with fails(segkit.DataError, "channels", (2, 8, 8, 3)):
        predictor(np.zeros((2, 8, 8, 3), np.uint8))
    assert predictor(np.zeros((8, 8), np.uint8)).shape[:2] == (8, 8)  # grey counts as RGB
