"""Batches for the model: read, encode, augment, in threads ahead of the model, in an order that a seed fixes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Sequence

import keras
import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.augment import Augment
from segkit.data.source import Source, Subset
from segkit.files import fit_channels
from segkit.prefetch import prefetch
from segkit.replicas import ALONE, Replicas
from segkit.task import VOID, Task

Batch = tuple[np.ndarray, np.ndarray]
"""Images (B, H, W, C) and encoded targets."""

CACHE_BYTES = 2**30
"""Samples are kept in memory up to this much, so that small data sets are decoded once."""


class Samples:
    """Reads samples as (image, target), with the model's number of channels, and keeps the first GiB of them."""

    def __init__(self, source: Source, task: Task, given: InputConfig, cache_bytes: int = CACHE_BYTES) -> None:
        self.source, self.task, self.given = source, task, given
        self._kept: dict[str, Batch] = {}
        self._room = cache_bytes
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Batch:
        if name in self._kept:
            return self._kept[name]
        sample = self.source.read(name)
        image = fit_channels(sample.image, self.given.channels, name)
        target = self.task.encode(sample.mask, name, void=VOID)
        with self._lock:
            if image.nbytes + target.nbytes <= self._room and name not in self._kept:
                self._room -= image.nbytes + target.nbytes
                self._kept[name] = (image, target)
        return image, target


def training_batches(
    part: Subset,
    config: Config,
    given: InputConfig,
    first_step: int = 0,
    workers: int = 2,
    cache_bytes: int = CACHE_BYTES,
    replicas: Replicas = ALONE,
) -> Generator[Batch]:
    """Yield augmented batches without end, beginning with the step `first_step`.

    Sample number i of the stream is the same whenever and wherever the run is made: its place in the epoch's order
    and its changes follow from (train.seed, i). At most `workers` + 2 batches wait in memory; samples as they were read
    are kept up to `cache_bytes`. Of several processes each reads its share of every batch.
    """
    samples = Samples(part.source, config.task, given, cache_bytes)
    augment = Augment(config.task, config.augment, given, config.train.crop, config.train.foreground)
    size, seed, names = config.train.batch_size, config.train.seed, part.names
    own = replicas.share(size)

    def batch(step: int) -> Batch:
        pairs = []
        for i in range(step * size + own.start, step * size + own.stop):
            epoch, place = divmod(i, len(names))
            order = np.random.default_rng([seed, epoch]).permutation(len(names))
            image, target = samples(names[order[place]])
            pairs.append(augment(image, target, int(np.random.default_rng([seed, 1, i]).integers(2**31))))
        images, targets = zip(*pairs, strict=True)
        return np.stack(images), np.stack(targets)

    return prefetch(batch, itertools.count(first_step), workers)


class ValidationBatches(keras.utils.PyDataset):
    """Whole validation images without change, padded with VOID to one size and in batches.

    Images larger than `largest` pixels a side are cut to their centre: scores during training are for choosing the
    best epoch; the run's scores.json sees every pixel.

    Replicas need the same number of images each. Batches are filled up with images that are all VOID, which no score sees;
    a weight, the same for all images, takes them out of the mean loss again. Of several processes each reads its share.
    """

    def __init__(
        self, part: Subset, config: Config, given: InputConfig, largest: int = 1024, replicas: Replicas = ALONE
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.samples, self.names = Samples(part.source, config.task, given), part.names
        self.task, self.given, self.replicas = config.task, given, replicas
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
            return np.stack(images), np.stack(targets)
        share = self.replicas.share(self.replicas.padded(len(self._all(index))))
        count = share.stop - share.start
        images += [np.zeros((height, width, self.given.channels), self.given.dtype)] * (count - len(pairs))
        targets += [np.full(self.task.target_shape(height, width), VOID, np.uint8)] * (count - len(pairs))
        return np.stack(images), np.stack(targets), np.full(count, self.weight, np.float32)

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
