"""Images in memory through a network, in batches or windows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError
from segkit.inference.sliding_window import predict_mask
from segkit.inference.tiles import Predict, batch_of, predict_tiled
from segkit.io.images import fit_channels

Named = tuple[str, np.ndarray]
Windows = Callable[[str, int, int], None]
"""Called with the name of an image, how many of its windows are done, and how many it has."""


class Prediction(NamedTuple):
    """An image (H, W, C) and what the network says of it; one of the last two is None."""

    name: str
    image: np.ndarray
    probabilities: np.ndarray | None
    """(H, W, classes)"""
    mask: np.ndarray | None = None
    """The decoded mask, where the probabilities are not kept."""


def predict_images(
    predict: Predict, config: RunConfig, images: Iterable[Named]
) -> Generator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, image, probabilities (H, W, classes)) in order: neighbours of one size in a batch, large ones in tiles."""
    for prediction in predict_each(predict, config, images, keep_probabilities=True):
        assert prediction.probabilities is not None
        yield prediction.name, prediction.image, prediction.probabilities


def predict_each(
    predict: Predict,
    config: RunConfig,
    images: Iterable[Named],
    keep_probabilities: bool,
    windows: Windows = lambda name, done, total: None,
) -> Generator[Prediction]:
    """Yield the prediction of each image, in order.

    Args:
        predict: The network.
        config: The config of the run.
        images: Names and images (H, W, C) as the network takes them.
        keep_probabilities: Whether images larger than a window keep their probabilities. Without them such an image takes
            the memory of its mask and of a row of windows. Smaller images always keep them.
        windows: Receives how many windows of a large image are done.
    """
    batch: list[Named] = []
    settings = config.predict
    for name, image in images:
        height, width = image.shape[:2]
        at_once = batch_of(settings.batch_size, height, width)
        if batch and (image.shape != batch[0][1].shape or len(batch) == at_once):
            yield from _predict_batch(predict, batch)
            batch = []
        if max(height, width) <= settings.tile:
            batch.append((name, image))
            continue

        def progress(done: int, total: int, name: str = name) -> None:
            windows(name, done, total)

        if keep_probabilities:
            values = predict_tiled(
                image,
                predict,
                settings.tile,
                settings.overlap,
                settings.batch_size,
                config.model.stride,
                progress,
            )
            yield Prediction(name, image, values)
        else:
            yield Prediction(name, image, None, predict_mask(image, predict, config, progress))
    yield from _predict_batch(predict, batch)


def match_model_input(config: RunConfig, image: np.ndarray, where: str) -> np.ndarray:
    """Return the image as the run's model takes it. Raises `DataError` for other bands or another depth than trained on."""
    given = config.input
    if str(image.dtype) != given.dtype:
        raise DataError(
            f"{where}: is {image.dtype}; the model was trained on {given.dtype} images and scales those",
            "depth",
        )
    return fit_channels(image, given.channels, where)


def _predict_batch(predict: Predict, batch: list[Named]) -> Generator[Prediction]:
    if batch:
        answers = predict(np.stack([image for _, image in batch]))
        for (name, image), answer in zip(batch, answers, strict=True):
            yield Prediction(name, image, answer)
