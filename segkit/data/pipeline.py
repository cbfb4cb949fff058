"""Batches for the model: the stream of training batches, and the validation images as Keras takes them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.samples import Samples, open_samples
from segkit.data.source import Subset
from segkit.data.stream import Batch, training_batches
from segkit.distances import as_losses_need
from segkit.task import VOID

__all__ = ["Batch", "Samples", "ValidationBatches", "training_batches"]


class ValidationBatches(keras.utils.PyDataset):
    """Whole validation images without change, padded with VOID to one size and in batches.

    Images larger than `largest` pixels a side are cut to their centre: scores during training are for choosing the
    best epoch; the run's scores.json sees every pixel.
    """

    def __init__(
        self,
        part: Subset,
        config: Config,
        given: InputConfig,
        largest: int = 1024,
        cache_folder: Path | None = None,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.samples, self.names = open_samples(part, config.data, config.task, given, cache_folder), part.names
        self.size, self.largest = config.train.batch_size, largest
        self.task, self.loss = config.task, config.loss
        self.shape: tuple[int, int] | None = None

    def __len__(self) -> int:
        return -(-len(self.names) // self.size)

    def __getitem__(self, index: int) -> Batch:
        pairs = [self.samples(name) for name in self.names[index * self.size : (index + 1) * self.size]]
        height = min(self.largest, max(image.shape[0] for image, _ in pairs))
        width = min(self.largest, max(image.shape[1] for image, _ in pairs))
        images = [_centred(image, height, width, None) for image, _ in pairs]
        targets = [_centred(target, height, width, VOID) for _, target in pairs]
        return np.stack(images), as_losses_need(np.stack(targets), self.task, self.loss)


def _centred(array: np.ndarray, height: int, width: int, fill: int | None) -> np.ndarray:
    """Return the centre of an array, padded below and to the right: with `fill`, or mirrored if that is None."""
    top, left = (max(0, (have - want) // 2) for have, want in zip(array.shape, (height, width), strict=False))
    array = array[top : top + height, left : left + width]
    missing = [(0, height - array.shape[0]), (0, width - array.shape[1])] + [(0, 0)] * (array.ndim - 2)
    if fill is None:
        return np.pad(array, missing, mode="symmetric")
    return np.pad(array, missing, constant_values=fill)
