"""An endless stream of training batches, made by threads while the model trains."""

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
    size = config.train.batch_size
    seed = config.train.seed
    names = part.names
    own = replicas.share(size)

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(len(names))

    def make_batch(step: int) -> Batch:
        images = []
        targets = []
        for i in range(step * size + own.start, step * size + own.stop):
            epoch, place = divmod(i, len(names))
            image, target = samples(names[order(epoch)[place]])
            image, target = augment(image, target, [seed, 1, i])
            images.append(image)
            targets.append(target)
        encoded = as_losses_need(np.stack(targets), config.task, config.loss)
        return np.stack(images), encoded

    threads = workers or min(cores(), MOST_WORKERS)
    return _with_one_opencv_thread(prefetch(make_batch, itertools.count(first_step), threads))


def _with_one_opencv_thread(batches: Generator[Batch]) -> Generator[Batch]:
    """Yield batches while OpenCV uses one thread, because the batches have threads of their own."""
    with one_opencv_thread():
        yield from batches
