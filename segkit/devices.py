"""What a process does once before it builds a network: load Keras quietly, seed, choose precision and devices."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from segkit.errors import ConfigError
from segkit.replicas import ALONE, Replicas, check_backend
from segkit.train_config import TrainConfig


def load_keras() -> str:
    """Import Keras and start its backend without the start-up talk of TensorFlow; return what it runs on, in words."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    prefer_onednn()
    with quiet():
        import keras

        keras.ops.zeros(1)  # the first operation looks for a GPU
        devices = keras.distribution.list_devices()
    names = sorted({device.partition(":")[0] for device in devices})
    return f"Keras {keras.__version__} on {keras.backend.backend()}, {len(devices)} {'/'.join(names)} device(s)"


def prefer_onednn() -> None:
    """Let TensorFlow use oneDNN on every x86 CPU; by itself it does so on those with AVX-512 only.

    Measured on 2 cores with AVX2 (Zen 3), a training step of 2 images of 217 x 181, width 16 and stem 2: 0.31 s of CPU time
    with it, 0.70 s without.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def keep_freed_memory() -> None:
    """Have glibc keep what one training step frees for the next, which wants the same again.

    By default it returns large blocks to the kernel, which hands out zeroed pages anew. Measured on 2 virtual cores (Zen 3),
    where that took half of all time: 76 steps of configs/brain_mri_brain.yaml in half a minute instead of 33.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
        mallopt(option, value)


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""Of malloc.h: free memory that stays at the heap's top, how much more than needed it grows, how many blocks are mapped."""


def prepare(settings: TrainConfig, precision: str | None = None) -> None:
    """Seed Python, NumPy and the backend, and choose the precision of the layers to come: the settings', if not told.

    What is still "auto" is float32 (`precision.settle` measures it).
    """
    import keras

    keep_freed_memory()
    keras.utils.set_random_seed(settings.seed)
    policy = precision or settings.precision
    keras.config.set_dtype_policy("float32" if policy == "auto" else policy)


@contextmanager
def spread(settings: TrainConfig) -> Iterator[Replicas]:
    """Within, networks are built and fitted on the settings' devices: of this machine, or of all processes that have joined.

    Variables are on every device and batches are cut among them, and the compiled step is of the whole batch. Raises
    `ConfigError` if there are fewer devices, or the batch cannot be shared.
    """
    import keras

    from segkit import mirrored

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

    from segkit import mirrored

    if keras.backend.backend() == "jax":
        return _jax_devices(settings)[1].count
    return 1 if settings.devices == 1 else len(_first(mirrored.device_names(), settings.devices))


def _jax_devices(settings: TrainConfig) -> tuple[list[str], Replicas]:
    import jax

    processes, every = jax.process_count(), jax.devices()
    names: list[str] = []
    for process in range(processes):
        own = [f"{device.platform}:{device.id}" for device in every if device.process_index == process]
        if len(own) * processes != len(every):
            raise ConfigError(
                f"process {process + 1} has {len(own)} of {len(every)} devices; give each of the {processes} as many"
            )
        names += _first(own, settings.devices)
    return names, Replicas(len(names), jax.process_index(), processes)


def _first(devices: list[str], wanted: int | str) -> list[str]:
    if wanted == "all":
        return devices
    if int(wanted) > len(devices):
        raise ConfigError(f"train.devices: there are {len(devices)} ({', '.join(devices)}); found {wanted}")
    return devices[: int(wanted)]


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to standard error, C++ libraries included; show it after all if there is an error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
