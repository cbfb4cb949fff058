"""What a process does once before it builds a network: load Keras quietly, seed, choose precision and devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from segkit.config import TrainConfig
from segkit.errors import ConfigError
from segkit.system.keras_start import keep_freed_memory
from segkit.system.replicas import ALONE, Replicas, check_backend


def prepare(settings: TrainConfig, precision: str | None = None) -> None:
    """Seed Python, NumPy and the backend, and choose the precision of the layers to come: the settings', if not told.

    What is still "auto" is float32 (`precision.choose_precision` measures it).
    """
    import keras

    keep_freed_memory()
    keras.utils.set_random_seed(settings.seed)
    policy = precision or settings.precision
    keras.config.set_dtype_policy("float32" if policy == "auto" else policy)


@contextmanager
def use_devices(settings: TrainConfig) -> Iterator[Replicas]:
    """Within, networks are built and fitted on the settings' devices: of this machine, or of all processes that have joined.

    Variables are on every device and batches are cut among them, and the compiled step is of the whole batch. Raises
    `ConfigError` if there are fewer devices, or the batch cannot be shared.
    """
    import keras

    from segkit.training import mirrored

    backend = keras.backend.backend()
    check_backend(settings.devices, backend, settings.accumulate)
    if backend == "jax":
        names, replicas = _jax_devices(settings)
    elif settings.devices == 1:
        names, replicas = [], ALONE
    else:
        names = _first(mirrored.device_names(), settings.devices)
        replicas = Replicas(len(names))
    replicas.check(settings.batch_size)
    if replicas == ALONE:
        yield replicas
    elif backend == "jax":
        with keras.distribution.DataParallel(devices=names, auto_shard_dataset=False).scope():
            yield replicas
    else:
        with mirrored.mirrored(names):
            yield replicas


def device_count(settings: TrainConfig) -> int:
    """Return on how many devices of all processes that have joined a network of these settings is trained."""
    import keras

    from segkit.training import mirrored

    if keras.backend.backend() == "jax":
        return _jax_devices(settings)[1].count
    return 1 if settings.devices == 1 else len(_first(mirrored.device_names(), settings.devices))


def _jax_devices(settings: TrainConfig) -> tuple[list[str], Replicas]:
    import jax

    processes, every = jax.process_count(), jax.devices()
    names: list[str] = []
    for process in range(processes):
        own = [
            f"{device.platform}:{device.id}" for device in every if device.process_index == process
        ]
        if len(own) * processes != len(every):
            raise ConfigError(
                f"process {process + 1} has {len(own)} of {len(every)} devices; give each of the {processes} as many",
                "missing-hardware",
            )
        names += _first(own, settings.devices)
    return names, Replicas(len(names), jax.process_index(), processes)


def _first(devices: list[str], wanted: int | str) -> list[str]:
    if wanted == "all":
        return devices
    if int(wanted) > len(devices):
        raise ConfigError(
            f"there are {len(devices)} ({', '.join(devices)}); found {wanted}",
            "missing-hardware",
            setting="train.devices",
        )
    return devices[: int(wanted)]
