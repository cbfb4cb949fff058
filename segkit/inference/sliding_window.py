"""The mask of an image larger than one window, without all of its probabilities in memory at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from segkit.config import RunConfig
from segkit.inference.blend import CarriedInMemory, Grid, row_probabilities
from segkit.inference.decoding import apply_rules, classify
from segkit.inference.tiles import Predict, batch_of, chunks, cover

Progress = Callable[[int, int], None]
"""Called with the windows done and all windows."""


def predict_mask(
    image: np.ndarray, predict: Predict, config: RunConfig, progress: Progress
) -> np.ndarray:
    """Return the mask of an image that is larger than one window.

    Windows are blended row by row. The pixels that no later row touches are decoded and dropped, so the memory is that
    of one row of windows beside the image and its mask. The probabilities are those of `tiles.predict_tiled`.

    Args:
        image: (H, W, C), as the network takes it.
        predict: The network.
        config: The config of the run. Its rules for objects must not need the probabilities (`needs_probabilities`).
        progress: Receives the windows done after each batch.

    Returns:
        The mask, as `Task.decode` returns it.
    """
    settings = config.predict
    height, width = image.shape[:2]
    grid = Grid.over(height, width, settings.tile, settings.overlap, config.model.stride)
    answers = _answers(image, predict, config, progress)
    sums = config.task.channels + 1
    above = CarriedInMemory(0, width, sums)
    bands = []
    for row in range(len(grid.tops)):
        below = CarriedInMemory(grid.carried(row), width, sums)
        row_of_windows = itertools.islice(answers, len(grid.lefts))
        pieces = []
        for _, probabilities in row_probabilities(grid, row, row_of_windows, above, below.write):
            pieces.append(classify(config, probabilities))
        bands.append(np.concatenate(pieces, axis=1))
        above = below
    return apply_rules(config, np.concatenate(bands))


def _answers(
    image: np.ndarray, predict: Predict, config: RunConfig, progress: Progress
) -> Iterator[np.ndarray]:
    """Yield the probabilities of each window, row by row."""
    settings = config.predict
    height, width = image.shape[:2]
    windows = cover(height, width, settings.tile, settings.overlap, config.model.stride)
    done = 0
    progress(done, len(windows))
    for chunk in chunks(windows, batch_of(settings.batch_size, settings.tile, settings.tile)):
        probabilities = predict(np.stack([image[window] for window in chunk]))
        done += len(chunk)
        progress(done, len(windows))
        yield from probabilities
