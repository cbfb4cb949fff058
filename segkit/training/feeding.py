"""Training and validation batches in the form that `fit` takes.

On TensorFlow, Keras makes a `tf.data.Dataset` of every generator and of every `PyDataset`, and
tunes it. The deletion of a tuned dataset can wait up to about a minute for the thread that tunes
it, at the end of `fit` or at any later garbage collection. Therefore the datasets are made here,
without tuning.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import keras
import numpy as np

from segkit.data.batches.validation import ValidationBatches
from segkit.data.batches.views import AnyBatch
from segkit.training.mirrored import is_mirrored

AHEAD = 2
"""Number of batches that TensorFlow fetches ahead of the network."""


@contextmanager
def training_data(begin: Callable[[], Generator[AnyBatch, None, None]]) -> Iterator[Any]:
    """Context manager: the training batches in the form that `fit` takes.

    Args:
        begin: Starts the stream of batches, which has no end. All batches have the same shape.

    Yields:
        A `tf.data.Dataset` on TensorFlow, and a generator on other backends.
    """
    with closing(begin()) as batches:
        if keras.backend.backend() != "tensorflow":
            yield batches
            return
        first = next(batches)
        signature = keras.tree.map_structure(_specification, first)
        if not is_mirrored():
            yield _dataset(lambda: itertools.chain([first], batches), None, signature)
            return
    # Under a strategy Keras draws one batch to build the model, and then drops the iterator with
    # its prefetched batches. So every iterator has its own stream.
    yield _dataset(begin, None, signature)
    gc.collect()  # an iterator that lives until the process ends would print an error then


def validation_data(batches: ValidationBatches | None) -> Any:
    """Return the validation batches in the form that `fit` takes.

    Args:
        batches: The batches, or None if there are no validation images.

    Returns:
        A `tf.data.Dataset` on TensorFlow, and `batches` on other backends.
    """
    if batches is None or keras.backend.backend() != "tensorflow":
        return batches
    first = batches[0]
    heights = {height for height, _ in batches.sizes}
    widths = {width for _, width in batches.sizes}
    signature = []
    for array in first:
        shape: list[int | None] = [None, *array.shape[1:]]
        if array.ndim > 1 and len(heights) > 1:
            shape[1] = None
        if array.ndim > 1 and len(widths) > 1:
            shape[2] = None
        signature.append(_specification(array, shape))
    count = len(batches)
    return _dataset(lambda: (batches[index] for index in range(count)), count, tuple(signature))


def _specification(array: np.ndarray, shape: Sequence[int | None] | None = None) -> Any:
    """Return the shape of an array, or another one, and its dtype in TensorFlow's form."""
    import tensorflow as tf

    return tf.TensorSpec(array.shape if shape is None else shape, array.dtype)


def _dataset(
    begin: Callable[[], Iterable[Any]],
    count: int | None,
    signature: Any,
) -> Any:
    """Return a dataset of `count` batches (None: no end) that have a signature."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    # all devices belong to this machine, so no data is sharded
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = tf.data.Dataset.from_generator(begin, output_signature=signature)
    length = tf.data.INFINITE_CARDINALITY if count is None else count
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(AHEAD).with_options(options)
