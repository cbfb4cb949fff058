"""Who computes a training step: copies of the network on several devices, and which samples each process reads for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segkit.errors import ConfigError


@dataclass(frozen=True)
class Replicas:
    """`count` copies of the network, one a device, spread evenly over `processes`; this is number `process` of them, from 0.

    Every process calls the methods that gather (`largest`, `agreed`) the same number of times, in the same order.
    """

    count: int = 1
    process: int = 0
    processes: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process == 0

    def share(self, samples: int) -> slice:
        """Return which of the samples of a batch this process reads; the batch is a multiple of `count`.

        >>> Replicas(count=4, process=1, processes=2).share(12)
        slice(6, 12, None)
        """
        each = samples // self.processes
        return slice(self.process * each, (self.process + 1) * each)

    def padded(self, samples: int) -> int:
        """Return the size of the smallest batch that holds so many samples and that all replicas can share.

        >>> Replicas(count=4).padded(9)
        12
        """
        return -(-samples // self.count) * self.count

    def check(self, batch_size: int) -> None:
        """Raise `ConfigError` if a training batch cannot be shared evenly."""
        if batch_size % self.count:
            above = self.padded(batch_size)
            nearest = f"{above - self.count} and {above}" if above > self.count else f"{above}"
            raise ConfigError(
                f"a multiple of the {self.count} devices that share each batch; found "
                f"{batch_size}, the nearest: {nearest}",
                "contradiction",
                setting="train.batch_size",
            )

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the largest of what all processes give, element by element."""
        if self.processes == 1:
            return values
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(values)).max(axis=0)

    def agreed(self, value: float) -> float:
        """Return what the first process gives, so that all decide alike what each would measure differently."""
        if self.processes == 1:
            return value
        from jax.experimental import multihost_utils

        return float(multihost_utils.broadcast_one_to_all(np.float32(value)))


def check_backend(devices: int | str, backend: str, accumulate: int = 1) -> None:
    """Raise `ConfigError` if a training on more than one device is asked of a backend that cannot do it."""
    if devices == 1:
        return
    if backend not in ("jax", "tensorflow"):
        raise ConfigError(
            f"other than 1 needs JAX or TensorFlow; found {devices} on {backend}",
            "not-for-backend",
            setting="train.devices",
        )
    if (
        backend == "tensorflow" and accumulate > 1
    ):  # an update under a condition is none that MirroredStrategy can make
        raise ConfigError(
            f"on several devices TensorFlow cannot gather the gradients of batches; found "
            f"{accumulate} with train.devices {devices}. Set train.accumulate to 1 and "
            f"train.batch_size to the whole, or KERAS_BACKEND=jax",
            "not-for-backend",
            setting="train.accumulate",
        )


ALONE = Replicas()
"""One device, one process."""
