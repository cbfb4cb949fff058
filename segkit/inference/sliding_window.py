"""Predict an image larger than a window without holding all of its probabilities."""

from __future__ import annotations

import itertools

import numpy as np

from segkit.config import RunConfig
from segkit.inference.blend import CarriedInMemory, WindowGrid, row_probabilities
from segkit.inference.decoding import apply_rules, classify
from segkit.inference.tiles import Predict, Progress, batch_of, cover, predict_windows


def predict_mask(
    image: np.ndarray, predict: Predict, config: RunConfig, progress: Progress
) -> np.ndarray:
    """Return the mask of an image that is larger than one window.

    Windows are blended row by row. Pixels that no later row covers are decoded at once, so the
    memory is that of one row of windows beside the image and its mask. The probabilities are those
    of `tiles.predict_tiled`.

    Args:
        image: (H, W, C), as the network takes it.
        predict: The network.
        config: The config of the run. Its rules for objects must not need the probabilities
            (`decoding.needs_probabilities`).
        progress: Receives the number of windows that are done, after each batch.

    Returns:
        The mask, as `Task.decode` returns it.
    """
    settings = config.predict
    height, width = image.shape[:2]
    grid = WindowGrid.over(height, width, settings.tile, settings.overlap, config.model.stride)
    windows = cover(height, width, settings.tile, settings.overlap, config.model.stride)
    at_once = batch_of(settings.batch_size, settings.tile, settings.tile)
    predictions = predict_windows(image, predict, windows, at_once, progress)
    channels = config.task.channels + 1
    above = CarriedInMemory(0, width, channels)
    bands = []
    for row in range(len(grid.tops)):
        below = CarriedInMemory(grid.carried(row), width, channels)
        own_windows = itertools.islice(predictions, len(grid.lefts))
        pieces = []
        for _, probabilities in row_probabilities(grid, row, own_windows, above, below.write):
            pieces.append(classify(config, probabilities))
        bands.append(np.concatenate(pieces, axis=1))
        above = below
    return apply_rules(config, np.concatenate(bands))
