"""The validation images as Keras takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.cache import Batch, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.task import VOID


class ValidationBatches(keras.utils.PyDataset):
    """Whole validation images without change, padded with VOID to one size and in batches.

    Images larger than `largest` pixels a side are cut to their centre: scores during training are for choosing the
    best epoch; the run's scores.json sees every pixel.

    Replicas need the same number of images each. Batches are filled up with images that are all VOID, which no score sees;
    a weight, the same for all images, takes them out of the mean loss again. Of several processes each reads its share.
    """

    def __init__(
        self,
        part: Subset,
        config: Config,
        given: InputConfig,
        largest: int = 1024,
        cache_folder: Path | None = None,
        replicas: Replicas = ALONE,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.samples, self.names = open_samples(part, config.data, config.task, given, cache_folder), part.names
        self.task, self.loss, self.given, self.replicas = config.task, config.loss, given, replicas
        self.size, self.largest = config.train.batch_size, largest
        padded = sum(replicas.padded(len(self._all(index))) for index in range(len(self)))
        self.weight = padded / len(self.names)
        self.shapes: np.ndarray | None = None
        if replicas.processes > 1:  # the parts of a batch that others read must have the same height and width
            own = [self._shape([self.samples(name) for name in self._own(index)]) for index in range(len(self))]
            self.shapes = replicas.largest(np.array(own))

    def __len__(self) -> int:
        return -(-len(self.names) // self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        pairs = [self.samples(name) for name in self._own(index)]
        height, width = self._shape(pairs) if self.shapes is None else self.shapes[index]
        images = [_centred(image, height, width, None) for image, _ in pairs]
        targets = [_centred(target, height, width, VOID) for _, target in pairs]
        if self.weight == 1:
            return np.stack(images), as_losses_need(np.stack(targets), self.task, self.loss)
        share = self.replicas.share(self.replicas.padded(len(self._all(index))))
        count = share.stop - share.start
        images += [np.zeros((height, width, self.given.channels), self.given.dtype)] * (count - len(pairs))
        targets += [np.full(self.task.target_shape(height, width), VOID, np.uint8)] * (count - len(pairs))
        asked = as_losses_need(np.stack(targets), self.task, self.loss)
        return np.stack(images), asked, np.full(count, self.weight, np.float32)

    def _all(self, index: int) -> Sequence[str]:
        return self.names[index * self.size : (index + 1) * self.size]

    def _own(self, index: int) -> Sequence[str]:
        names = self._all(index)
        return names[self.replicas.share(self.replicas.padded(len(names)))]

    def _shape(self, pairs: Sequence[Batch]) -> tuple[int, int]:
        height, width = (max((image.shape[axis] for image, _ in pairs), default=1) for axis in (0, 1))
        return min(self.largest, height), min(self.largest, width)


def _centred(array: np.ndarray, height: int, width: int, fill: int | None) -> np.ndarray:
    """Return the centre of an array, padded below and to the right: with `fill`, or mirrored if that is None."""
    top, left = (max(0, (have - want) // 2) for have, want in zip(array.shape, (height, width), strict=False))
    array = array[top : top + height, left : left + width]
    missing = [(0, height - array.shape[0]), (0, width - array.shape[1])] + [(0, 0)] * (array.ndim - 2)
    if fill is None:
        return np.pad(array, missing, mode="symmetric")
    return np.pad(array, missing, constant_values=fill)
