"""An endless stream of training batches, made by threads while the model trains."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.augment import Augment
from segkit.data.batches.cache import Batch, Encoded, Samples, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.batches.shares import order_by_shares
from segkit.data.batches.views import AnyBatch, ViewMaker
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.system.threads import cores, one_opencv_thread, prefetch

MOST_WORKERS = 16
"""Largest number of threads. More only wait for Python's lock, each with a batch in memory."""


class Stream(NamedTuple):
    """A stream of samples, and the numbers that keep its random numbers apart from others."""

    has_labels: bool
    order: tuple[int, ...]
    augmentation: int


LABELLED = Stream(True, (), 1)
UNLABELLED = Stream(False, (3,), 2)


def training_batches(
    part: Subset,
    config: Config,
    input_config: InputConfig,
    first_step: int = 0,
    workers: int | None = None,
    cache_folder: Path | None = None,
    samples: Samples | None = None,
    replicas: Replicas = ALONE,
    unlabelled: Subset | None = None,
) -> Generator[AnyBatch]:
    """Yield augmented batches without end.

    Sample i of the stream depends only on `train.seed` and i, so a resumed run continues the same
    stream. At most `workers` + 2 batches are in memory.

    Args:
        part: The training samples.
        config: The config of the run.
        input_config: The model's input.
        first_step: The step of the first batch.
        workers: Number of threads; by default the number of cores.
        cache_folder: Folder of the cache on disk, if `data.cache_folder` is not set.
        samples: Reads samples; by default they are opened with the cache that `data.cache` sets.
        replicas: The processes that share each batch; each process yields its own share.
        unlabelled: Images without masks (`train.unlabelled`), at least one; None without them.

    Yields:
        Images (B, H, W, C) and encoded targets (B, ...), with distances if the loss needs them.
        With `train.consistency` two dictionaries, see `segkit.data.batches.views`.
    """
    samples = samples or open_samples(part, config.data, config.task, input_config, cache_folder)
    labelled = _BatchMaker(samples, part.names, config, input_config, replicas, LABELLED)
    make_batch: Callable[[int], AnyBatch] = labelled
    if config.train.consistency:
        others = _unlabelled_batches(unlabelled, config, input_config, cache_folder, replicas)
        make_batch = ViewMaker(labelled, others)
    threads = workers or min(cores(), MOST_WORKERS)
    return _with_one_opencv_thread(prefetch(make_batch, itertools.count(first_step), threads))


def _unlabelled_batches(
    images: Subset | None,
    config: Config,
    input_config: InputConfig,
    cache_folder: Path | None,
    replicas: Replicas,
) -> _BatchMaker | None:
    """Return what makes the batches of images without masks; None without such images."""
    if images is None:
        return None
    samples = open_samples(images, config.data, config.task, input_config, cache_folder)
    return _BatchMaker(samples, images.names, config, input_config, replicas, UNLABELLED)


class _BatchMaker:
    """Makes this process's share of the batch of a step; any number of threads may call it."""

    def __init__(
        self,
        samples: Samples,
        names: Sequence[str],
        config: Config,
        input_config: InputConfig,
        replicas: Replicas,
        stream: Stream,
    ) -> None:
        train = config.train
        foreground = train.foreground if stream.has_labels else 0.0
        self.augment = Augment(config.task, config.augment, input_config, train.crop, foreground)
        self.stream = stream
        self.samples = samples
        self.names = names
        self.task = config.task
        self.loss = config.loss
        self.size = train.batch_size
        self.seed = train.seed
        self.shares = train.shares if stream.has_labels else None
        self.own = replicas.share(self.size)
        self.order = functools.lru_cache(maxsize=4)(self._shuffle)

    def __call__(self, step: int) -> Batch:
        first = step * self.size
        images = []
        targets = []
        for i in range(first + self.own.start, first + self.own.stop):
            image, target = self.augment(*self._sample(i), [self.seed, self.stream.augmentation, i])
            images.append(image)
            targets.append(target)
        return np.stack(images), self.as_needed(np.stack(targets))

    def as_needed(self, targets: np.ndarray) -> np.ndarray:
        """Return encoded targets (B, ...) in the form that the losses need."""
        return as_losses_need(targets, self.task, self.loss)

    def views(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the images of a step, the same without changes of intensities, and targets.

        The targets are encoded, in the form before `as_needed`.
        """
        first = step * self.size
        views = []
        for i in range(first + self.own.start, first + self.own.stop):
            views.append(
                self.augment.views(*self._sample(i), [self.seed, self.stream.augmentation, i])
            )
        strong, weak, targets = (np.stack(arrays) for arrays in zip(*views, strict=True))
        return strong, weak, targets

    def _sample(self, i: int) -> Encoded:
        """Return sample i of the stream."""
        epoch, place = divmod(i, len(self.names))
        return self.samples(self.names[self.order(epoch)[place]])

    def _shuffle(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in an epoch."""
        rng = np.random.default_rng([self.seed, *self.stream.order, epoch])
        if self.shares is None:
            return rng.permutation(len(self.names))
        return order_by_shares(self.names, self.shares, rng)


def _with_one_opencv_thread(
    batches: Generator[AnyBatch],
) -> Generator[AnyBatch]:
    """Yield batches while OpenCV uses one thread, because the batches have threads of their own."""
    with one_opencv_thread():
        yield from batches
