"""Images in memory through a network, in batches or windows."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError
from segkit.inference.tiles import Predict, predict_tiled
from segkit.io.images import fit_channels

Named = tuple[str, np.ndarray]


def predict_images(
    predict: Predict, config: RunConfig, images: Iterable[Named]
) -> Generator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, image, probabilities (H, W, classes)) in order: neighbours of one size in a batch, large ones in tiles."""
    batch: list[Named] = []
    settings, align = config.predict, config.model.stride
    for name, image in images:
        if batch and (image.shape != batch[0][1].shape or len(batch) == settings.batch_size):
            yield from _predict_batch(predict, batch)
            batch = []
        if max(image.shape[:2]) > settings.tile:
            yield (
                name,
                image,
                predict_tiled(image, predict, settings.tile, settings.overlap, settings.batch_size, align),
            )
        else:
            batch.append((name, image))
    yield from _predict_batch(predict, batch)


def fit(config: RunConfig, image: np.ndarray, where: str) -> np.ndarray:
    """Return the image as the run's model takes it. Raises `DataError` for other bands or another depth than trained on."""
    given = config.input
    if str(image.dtype) != given.dtype:
        raise DataError(
            f"{where}: is {image.dtype}; the model was trained on {given.dtype} images and scales those", "depth"
        )
    return fit_channels(image, given.channels, where)


def _predict_batch(predict: Predict, batch: list[Named]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if batch:
        answers = predict(np.stack([image for _, image in batch]))
        for (name, image), answer in zip(batch, answers, strict=True):
            yield name, image, answer
