"""Makes TensorFlow's MirroredStrategy equal to one device.

Batch statistics and gradient clipping use the whole batch instead of each replica's part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from segkit.models.layers import batch_normalizations


def device_names() -> list[str]:
    """Return the names of TensorFlow's GPUs, or of its CPUs if there is no GPU.

    There is one CPU unless TensorFlow was configured to split it into several logical devices.
    """
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return [device.name for device in tf.config.list_logical_devices(kind)]


@contextmanager
def mirrored(names: Sequence[str]) -> Iterator[None]:
    """Context manager: networks are built with a copy on each device, and `fit` splits every batch.

    Args:
        names: Names of the devices, as `device_names` returns them.
    """
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(list(names)).scope():
        yield


def train_as_one(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Make batch statistics and gradient clipping use the whole batch on several devices.

    Nothing changes on one device, or on JAX, whose compiled step computes the whole batch.

    Args:
        model: The network; its batch normalisation layers are changed.
        optimizer: The optimizer; its gradient clipping is changed.
    """
    if not is_mirrored():
        return
    for layer in batch_normalizations(model):
        layer.synchronized = True
    if optimizer.global_clipnorm:
        _clip_sums(optimizer)


def is_mirrored() -> bool:
    """Return whether networks are built under a TensorFlow strategy."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def _clip_sums(optimizer: keras.optimizers.Optimizer) -> None:
    """Clip the sum of all replicas' gradients; Keras would clip them before it adds them."""
    import tensorflow as tf

    clip = optimizer._clip_gradients

    def clip_sum(gradients: list[Any]) -> list[Any]:
        replicas = tf.distribute.get_replica_context()
        summed = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        # Keras adds the replicas' gradients once more, so each replica returns its share of them.
        return [gradient / replicas.num_replicas_in_sync for gradient in clip(summed)]

    optimizer._clip_gradients = clip_sum


def add_to_sum(variable: keras.Variable, value: np.ndarray) -> None:
    """Add a value to a variable in which a metric sums.

    Under a strategy each device holds a part of the sum. Assigning to the variable would split the
    value evenly among the devices, and round integers. So the value is added to the first device's
    part.

    Args:
        variable: The variable of a metric.
        value: An array of the variable's shape and dtype.
    """
    if is_mirrored():
        import tensorflow as tf

        if variable._value.synchronization == tf.VariableSynchronization.ON_READ:
            first = variable._value.values[0]
            first.assign(first + value)
            return
    variable.assign(variable + value)


@contextmanager
def unshared_statistics(model: keras.Model) -> Iterator[None]:
    """Context manager: a model of several devices can be saved for every backend inside.

    Other backends cannot load batch normalisation whose statistics are synchronized.

    Args:
        model: The model to save.
    """
    shared = [layer for layer in batch_normalizations(model) if layer.synchronized]
    for layer in shared:
        layer.synchronized = False
    try:
        yield
    finally:
        for layer in shared:
            layer.synchronized = True
