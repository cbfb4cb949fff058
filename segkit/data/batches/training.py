"""An endless stream of training batches, made by threads while the model trains."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.augment import Augment
from segkit.data.batches.cache import Batch, Samples, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.batches.shares import order_by_shares
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.system.threads import cores, one_opencv_thread, prefetch

MOST_WORKERS = 16
"""Largest number of threads. More only wait for Python's lock, each with a batch in memory."""


def training_batches(
    part: Subset,
    config: Config,
    input_config: InputConfig,
    first_step: int = 0,
    workers: int | None = None,
    cache_folder: Path | None = None,
    samples: Samples | None = None,
    replicas: Replicas = ALONE,
) -> Generator[Batch]:
    """Yield augmented batches without end.

    Sample i of the stream depends only on `train.seed` and i: on its position in the shuffled order
    of its epoch, and on its augmentation. Therefore a resumed run continues the same stream. At
    most `workers` + 2 batches are in memory.

    Args:
        part: The training samples.
        config: The config of the run.
        input_config: The model's input: number of channels, range and dtype.
        first_step: The step of the first batch.
        workers: Number of threads; by default the number of cores.
        cache_folder: Folder of the cache on disk, if `data.cache_folder` is not set.
        samples: Reads samples; by default they are opened with the cache that `data.cache` sets.
        replicas: The processes that share each batch; each process yields its own share.

    Yields:
        Images (B, H, W, C) and encoded targets (B, ...), with distances if the loss needs them.
    """
    samples = samples or open_samples(part, config.data, config.task, input_config, cache_folder)
    augment = Augment(
        config.task, config.augment, input_config, config.train.crop, config.train.foreground
    )
    make_batch = _BatchMaker(samples, augment, part.names, config, replicas)
    threads = workers or min(cores(), MOST_WORKERS)
    return _with_one_opencv_thread(prefetch(make_batch, itertools.count(first_step), threads))


class _BatchMaker:
    """Makes this process's share of the batch of a step; any number of threads may call it."""

    def __init__(
        self,
        samples: Samples,
        augment: Augment,
        names: Sequence[str],
        config: Config,
        replicas: Replicas,
    ) -> None:
        self.samples = samples
        self.augment = augment
        self.names = names
        self.task = config.task
        self.loss = config.loss
        self.size = config.train.batch_size
        self.seed = config.train.seed
        self.shares = config.train.shares
        self.own = replicas.share(self.size)
        self.order = functools.lru_cache(maxsize=4)(self._shuffle)

    def __call__(self, step: int) -> Batch:
        first = step * self.size
        images = []
        targets = []
        for i in range(first + self.own.start, first + self.own.stop):
            epoch, place = divmod(i, len(self.names))
            image, target = self.samples(self.names[self.order(epoch)[place]])
            image, target = self.augment(image, target, [self.seed, 1, i])
            images.append(image)
            targets.append(target)
        return np.stack(images), as_losses_need(np.stack(targets), self.task, self.loss)

    def _shuffle(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        if self.shares is None:
            return rng.permutation(len(self.names))
        return order_by_shares(self.names, self.shares, rng)


def _with_one_opencv_thread(batches: Generator[Batch]) -> Generator[Batch]:
    """Yield batches while OpenCV uses one thread, because the batches have threads of their own."""
    with one_opencv_thread():
        yield from batches
