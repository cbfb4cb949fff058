"""Prepares a process to build a network: seed, precision and devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from segkit.config import TrainConfig
from segkit.errors import ConfigError
from segkit.system.keras_start import keep_freed_memory
from segkit.system.replicas import ALONE, Replicas, check_backend


def prepare(settings: TrainConfig, precision: str | None = None) -> None:
    """Seed Python, NumPy and the backend, and set the precision of layers that are built later.

    Args:
        settings: Section `train` of the config.
        precision: Name of a Keras dtype policy; by default the precision of the settings. "auto"
            means float32 here (`precision.measure_precision` replaces it).
    """
    import keras

    keep_freed_memory()
    keras.utils.set_random_seed(settings.seed)
    policy = precision or settings.precision
    if policy == "auto":
        policy = "float32"
    keras.config.set_dtype_policy(policy)


class Devices(NamedTuple):
    """The devices of all processes that train one network together."""

    names: list[str]
    """Names as the backend spells them; empty for the backend's default device."""
    replicas: Replicas
    """The copies of the network, one per device."""


def choose_devices(settings: TrainConfig) -> Devices:
    """Return the devices that `train.devices` asks for, of all processes that have joined.

    Args:
        settings: Section `train` of the config.

    Returns:
        The devices.

    Raises:
        ConfigError: If there are fewer devices, or the backend cannot train on several.
    """
    import keras

    from segkit.training import mirrored

    backend = keras.backend.backend()
    check_backend(settings.devices, backend, settings.accumulate)
    if backend == "jax":
        return _jax_devices(settings)
    if settings.devices == 1:
        return Devices([], ALONE)
    names = _first(mirrored.device_names(), settings.devices)
    return Devices(names, Replicas(len(names)))


@contextmanager
def use_devices(devices: Devices) -> Iterator[None]:
    """Context manager for data-parallel training.

    Inside, variables are mirrored on every device, each batch is split among the devices, and a
    training step computes the whole batch.

    Args:
        devices: The devices, as `choose_devices` returns them.
    """
    import keras

    from segkit.training import mirrored

    if devices.replicas == ALONE:
        yield
    elif keras.backend.backend() == "jax":
        parallel = keras.distribution.DataParallel(devices=devices.names, auto_shard_dataset=False)
        with parallel.scope():
            yield
    else:
        with mirrored.mirrored(devices.names):
            yield


def _jax_devices(settings: TrainConfig) -> Devices:
    import jax

    devices = jax.devices()
    processes = jax.process_count()
    names: list[str] = []
    for process in range(processes):
        own = []
        for device in devices:
            if device.process_index == process:
                own.append(f"{device.platform}:{device.id}")
        if len(own) * processes != len(devices):
            raise ConfigError(
                f"process {process + 1} has {len(own)} of {len(devices)} devices; all {processes} "
                f"processes need the same number of devices",
                "missing-hardware",
            )
        names += _first(own, settings.devices)
    return Devices(names, Replicas(len(names), jax.process_index(), processes))


def _first(devices: list[str], count: int | str) -> list[str]:
    if count == "all":
        return devices
    if int(count) > len(devices):
        raise ConfigError(
            f"there are {len(devices)} ({', '.join(devices)}); found {count}",
            "missing-hardware",
            setting="train.devices",
        )
    return devices[: int(count)]
