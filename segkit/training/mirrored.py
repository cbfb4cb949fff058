"""TensorFlow's MirroredStrategy trains several devices as one: what Keras leaves to each device is made of all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import keras
import numpy as np

from segkit.data.batches.cache import Batch
from segkit.models.layers import batch_normalizations


def device_names() -> list[str]:
    """Return TensorFlow's GPUs, or if there is none its CPUs: one, unless it was told to make several of it."""
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


@contextmanager
def mirrored(names: Sequence[str]) -> Iterator[None]:
    """Within, networks are built with a copy on each device, and `fit` cuts every batch among them."""
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(list(names)).scope():
        yield


def train_as_one(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Have batch statistics and the clipping of gradients be those of the whole batch, not of each device's part."""
    if not _is_mirrored():
        return  # one device, or JAX, whose compiled step is of the whole batch
    for layer in batch_normalizations(model):
        layer.synchronized = True
    if optimizer.global_clipnorm:
        _clip_sums(optimizer)


@contextmanager
def batches_of(begin: Callable[[], Generator[Batch, None, None]]) -> Iterator[Any]:
    """Yield what `fit` takes of a stream, which `begin` begins.

    Under a strategy Keras takes one batch to build the model and lets the iterator go, with all that it has read ahead. So
    what it gets there begins anew whenever it is asked for an iterator.
    """
    if not _is_mirrored():
        with closing(begin()) as batches:
            yield batches
        return
    import tensorflow as tf

    with closing(begin()) as batches:
        arrays = next(batches)
    signature = tuple(tf.TensorSpec(array.shape, array.dtype) for array in arrays)
    options = tf.data.Options()  # nothing to shard: all devices are of this machine
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    yield tf.data.Dataset.from_generator(begin, output_signature=signature).with_options(options)
    gc.collect()  # an iterator that is left to the end of the process would complain there


def _is_mirrored() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def _clip_sums(optimizer: keras.optimizers.Optimizer) -> None:
    """Keras would clip the gradients of each part and sum what is left."""
    import tensorflow as tf

    clip = optimizer._clip_gradients

    def clip_sum(gradients: list[Any]) -> list[Any]:
        replicas = tf.distribute.get_replica_context()
        summed = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        return [
            gradient / replicas.num_replicas_in_sync for gradient in clip(summed)
        ]  # Keras sums them once more

    optimizer._clip_gradients = clip_sum


def add_to_sum(variable: keras.Variable, value: np.ndarray) -> None:
    """Add to the sum of a metric. Under a strategy each device has its part of it, and assigning would share out a whole
    number in equal parts, rounded.
    """
    if _is_mirrored():
        import tensorflow as tf

        if variable._value.synchronization == tf.VariableSynchronization.ON_READ:
            first = variable._value.values[0]
            first.assign(first + value)
            return
    variable.assign(variable + value)


@contextmanager
def unshared_statistics(model: keras.Model) -> Iterator[None]:
    """Within, a model may be saved so that other backends load it, which refuse statistics that are shared."""
    shared = [layer for layer in batch_normalizations(model) if layer.synchronized]
    for layer in shared:
        layer.synchronized = False
    try:
        yield
    finally:
        for layer in shared:
            layer.synchronized = True
