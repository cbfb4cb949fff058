"""Shares training batches among several devices and processes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segkit.errors import ConfigError


@dataclass(frozen=True)
class Replicas:
    """How a batch is shared among replicas of the network.

    `largest` and `agreed` are collective operations: every process must call them in the same
    order.
    """

    count: int = 1
    """Number of replicas in all processes, one per device."""
    process: int = 0
    """Number of this process, counted from 0."""
    processes: int = 1
    """Number of processes, which have equally many replicas."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process == 0

    def share(self, samples: int) -> slice:
        """Return the samples of a batch that this process reads.

        Args:
            samples: The size of the batch, a multiple of `count`.

        >>> Replicas(count=4, process=1, processes=2).share(12)
        slice(6, 12, None)
        """
        each = samples // self.processes
        return slice(self.process * each, (self.process + 1) * each)

    def padded(self, samples: int) -> int:
        """Return a number of samples, rounded up to a multiple of `count`.

        Args:
            samples: The number of samples.

        >>> Replicas(count=4).padded(9)
        12
        """
        return math.ceil(samples / self.count) * self.count

    def check(self, batch_size: int) -> None:
        """Check that a training batch can be shared evenly.

        Args:
            batch_size: The value of `train.batch_size`.

        Raises:
            ConfigError: If it is no multiple of `count`.
        """
        if batch_size % self.count == 0:
            return
        above = self.padded(batch_size)
        nearest = str(above)
        if above > self.count:
            nearest = f"{above - self.count} and {above}"
        raise ConfigError(
            f"must be a multiple of the {self.count} devices that share each batch; found "
            f"{batch_size}, and the nearest allowed: {nearest}",
            "contradiction",
            setting="train.batch_size",
        )

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the element-wise maximum over all processes.

        Args:
            values: The values of this process.
        """
        if self.processes == 1:
            return values
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(values)).max(axis=0)

    def agreed(self, value: float) -> float:
        """Return the value of the first process, so that all processes decide the same.

        Args:
            value: The value of this process, such as a measured time.
        """
        if self.processes == 1:
            return value
        from jax.experimental import multihost_utils

        return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def check_backend(devices: int | str, backend: str, accumulate: int = 1) -> None:
    """Check that the backend can train on several devices.

    Args:
        devices: The value of `train.devices`.
        backend: The name of the backend.
        accumulate: The value of `train.accumulate`.

    Raises:
        ConfigError: If it cannot.
    """
    if devices == 1:
        return
    if backend not in ("jax", "tensorflow"):
        raise ConfigError(
            f"must be 1 unless the backend is JAX or TensorFlow; found {devices} on {backend}",
            "not-for-backend",
            setting="train.devices",
        )
    if backend == "tensorflow" and accumulate > 1:  # MirroredStrategy has no conditional updates
        raise ConfigError(
            f"on several devices TensorFlow cannot average the gradients of batches; found "
            f"{accumulate} with train.devices {devices}. Set train.accumulate to 1 and multiply "
            f"train.batch_size by {accumulate}, or set KERAS_BACKEND=jax",
            "not-for-backend",
            setting="train.accumulate",
        )


ALONE = Replicas()
"""One device, one process."""
