"""An endless stream of training batches: read, encoded, augmented in threads ahead of the model, in an order by seed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Generator
from pathlib import Path

import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.augment import Augment
from segkit.data.batches.cache import Batch, Samples, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.system.threads import cores, one_opencv_thread, prefetch

MOST_WORKERS = 16
"""More threads than this only wait for Python's lock, and each has a batch in memory."""


def training_batches(
    part: Subset,
    config: Config,
    given: InputConfig,
    first_step: int = 0,
    workers: int | None = None,
    cache_folder: Path | None = None,
    samples: Samples | None = None,
    replicas: Replicas = ALONE,
) -> Generator[Batch]:
    """Yield augmented batches without end, beginning with the step `first_step`.

    Sample number i of the stream is the same whenever and wherever the run is made: its place in the epoch's order
    and its changes follow from (train.seed, i). `workers` threads, as many as there are cores, make batches; at most
    `workers` + 2 batches wait in memory. Decoded samples are kept as `data.cache` says, on disk in `cache_folder`.
    Of several processes each reads its share of every batch.
    """
    samples = samples or open_samples(part, config.data, config.task, given, cache_folder)
    augment = Augment(
        config.task, config.augment, given, config.train.crop, config.train.foreground
    )
    size, seed, names = config.train.batch_size, config.train.seed, part.names
    own = replicas.share(size)

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(len(names))

    def batch(step: int) -> Batch:
        pairs = []
        for i in range(step * size + own.start, step * size + own.stop):
            epoch, place = divmod(i, len(names))
            image, target = samples(names[order(epoch)[place]])
            pairs.append(augment(image, target, [seed, 1, i]))
        images, targets = zip(*pairs, strict=True)
        return np.stack(images), as_losses_need(np.stack(targets), config.task, config.loss)

    return _by_threads_of_ours(
        prefetch(batch, itertools.count(first_step), workers or min(cores(), MOST_WORKERS))
    )


def _by_threads_of_ours(batches: Generator[Batch]) -> Generator[Batch]:
    with one_opencv_thread():
        yield from batches
