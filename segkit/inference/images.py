"""Predict images in memory: small ones in batches, large ones in windows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError
from segkit.inference.sliding_window import predict_mask
from segkit.inference.tiles import Predict, batch_of, predict_tiled
from segkit.io.images import fit_channels

NamedImage = tuple[str, np.ndarray]
"""A name and an image (H, W, C)."""
WindowProgress = Callable[[str, int, int], None]
"""Called with the name of an image, the number of its windows that are done, and of all."""


def no_window_progress(name: str, done: int, total: int) -> None:
    """Ignore the progress within an image."""


class Prediction(NamedTuple):
    """An image and what the network predicts for it: probabilities or a mask, the other is None."""

    name: str
    image: np.ndarray
    """(H, W, C)"""
    probabilities: np.ndarray | None
    """(H, W, classes)"""
    mask: np.ndarray | None = None
    """The decoded mask, if the probabilities are not needed any more."""


def predict_images(
    predict: Predict, config: RunConfig, images: Iterable[NamedImage]
) -> Generator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, image and probabilities (H, W, classes) of each image, in order."""
    for prediction in predict_each(predict, config, images, keep_probabilities=True):
        assert prediction.probabilities is not None
        yield prediction.name, prediction.image, prediction.probabilities


def predict_each(
    predict: Predict,
    config: RunConfig,
    images: Iterable[NamedImage],
    keep_probabilities: bool,
    progress: WindowProgress = no_window_progress,
) -> Generator[Prediction]:
    """Yield the prediction of each image, in order.

    Consecutive images of one size go through the network as a batch. Images larger than a window
    are predicted in windows.

    Args:
        predict: The network.
        config: The config of the run.
        images: Names and images (H, W, C) as the network takes them.
        keep_probabilities: Whether images larger than a window keep their probabilities. Without
            them such an image needs the memory of its mask and of one row of windows. Smaller
            images always keep them.
        progress: Receives the number of windows of a large image that are done.
    """
    settings = config.predict
    batch: list[NamedImage] = []
    for name, image in images:
        height, width = image.shape[:2]
        batch_size = batch_of(settings.batch_size, height, width)
        is_other_size = bool(batch) and image.shape != batch[0][1].shape
        if is_other_size or len(batch) == batch_size:
            yield from _predict_batch(predict, batch)
            batch = []
        if max(height, width) <= settings.tile:
            batch.append((name, image))
        elif keep_probabilities:
            yield _predict_in_windows(predict, config, name, image, progress)
        else:
            mask = predict_mask(image, predict, config, partial(progress, name))
            yield Prediction(name, image, None, mask)
    yield from _predict_batch(predict, batch)


def _predict_batch(predict: Predict, batch: list[NamedImage]) -> Iterator[Prediction]:
    """Yield the predictions of images of one size; none for an empty batch."""
    if not batch:
        return
    probabilities = predict(np.stack([image for _, image in batch]))
    for (name, image), values in zip(batch, probabilities, strict=True):
        yield Prediction(name, image, values)


def _predict_in_windows(
    predict: Predict, config: RunConfig, name: str, image: np.ndarray, progress: WindowProgress
) -> Prediction:
    settings = config.predict
    probabilities = predict_tiled(
        image,
        predict,
        settings.tile,
        settings.overlap,
        settings.batch_size,
        config.model.stride,
        partial(progress, name),
    )
    return Prediction(name, image, probabilities)


def match_model_input(config: RunConfig, image: np.ndarray, where: str) -> np.ndarray:
    """Return an image with the channels that the run's model takes.

    Args:
        config: The config of the run.
        image: (H, W, C).
        where: The name of the image, for messages.

    Raises:
        DataError: If the dtype is not that of the training images, or the channels do not fit.
    """
    expected = config.input
    if str(image.dtype) != expected.dtype:
        raise DataError(
            f"{where}: is {image.dtype}; the model was trained on {expected.dtype} images and "
            f"scales those",
            "depth",
        )
    return fit_channels(image, expected.channels, where)
