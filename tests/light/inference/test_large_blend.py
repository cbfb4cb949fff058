"""Blending row by row gives exactly the probabilities of `predict_tiled`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segkit.inference.blend import WindowGrid, row_probabilities
from segkit.inference.large.predict import sums_file
from segkit.inference.tiles import Predict, cover, predict_tiled
from tests.helpers.large_cases import network, noise


def by_rows(image: np.ndarray, predict: Predict, grid: WindowGrid, classes: int) -> np.ndarray:
    """Predict window by window, with the sums between rows in files."""
    bands = []
    with tempfile.TemporaryDirectory() as folder:
        for row in range(len(grid.tops)):
            rows = grid.window_rows(row)
            windows = (
                predict(image[None, rows, grid.window_columns(left)])[0] for left in grid.lefts
            )
            above, below = (sums_file(Path(folder), grid, r, classes) for r in (row - 1, row))
            with below.writing() as write:
                pieces = [piece for _, piece in row_probabilities(grid, row, windows, above, write)]
            assert below.is_whole()
            bands.append(np.concatenate(pieces, axis=1))
    return np.concatenate(bands)


SIDE, TILE, OVERLAP = st.integers(1, 150), st.integers(16, 48), st.floats(0, 0.75)


@given(SIDE, SIDE, TILE, OVERLAP, st.sampled_from([1, 4, 16]), st.integers(1, 3))
def test_the_probabilities_are_exactly_those_of_predict_tiled(
    height: int, width: int, tile: int, overlap: float, align: int, classes: int
) -> None:
    grid = WindowGrid.over(height, width, tile, overlap, align)
    image, predict = noise(height, width), network(classes)
    found = by_rows(image, predict, grid, classes)
    expected = predict_tiled(image, predict, tile, overlap, 1, align)
    if (
        len(cover(height, width, tile, overlap, align)) == 1
    ):  # predict_tiled does not blend a single window
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(found, expected)


def test_the_probabilities_of_a_single_window_are_those_of_the_network() -> None:
    image = noise(60, 64)
    found = by_rows(image, network(2), WindowGrid.over(60, 64, 64, 0.25, 16), 2)
    np.testing.assert_allclose(found, network(2)(image[None])[0], rtol=1e-6)


@given(SIDE, SIDE, TILE, OVERLAP, st.sampled_from([1, 4, 16]))
def test_the_grid_is_that_of_cover_and_its_bands_are_all_rows(
    height: int, width: int, tile: int, overlap: float, align: int
) -> None:
    grid = WindowGrid.over(height, width, tile, overlap, align)
    windows = [
        (grid.window_rows(i), grid.window_columns(x))
        for i in range(len(grid.tops))
        for x in grid.lefts
    ]
    assert windows == cover(height, width, tile, overlap, align)
    rows = [
        y for row in range(len(grid.tops)) for y in range(grid.band(row).start, grid.band(row).stop)
    ]
    assert rows == list(range(height))
