"""Imports Keras quietly, and sets options of its backend that make it faster."""

from __future__ import annotations

import ctypes
import logging
import os
import platform

from segkit.system.packages import explained_imports
from segkit.system.quiet import quiet

_M_TRIM_THRESHOLD = -1
"""Option of glibc's mallopt: the free memory at the end of the heap above which it is returned."""
_M_TOP_PAD = -2
"""Option of mallopt: the memory that is requested in addition when the heap grows."""
_M_MMAP_MAX = -4
"""Option of mallopt: the number of blocks outside the heap, which are returned when they are
freed."""


def load_keras() -> str:
    """Import Keras and start its backend without TensorFlow's start-up messages.

    Returns:
        A description of Keras, the backend and the devices.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").addFilter(_is_not_retracing)
    prefer_onednn()
    with explained_imports(), quiet():
        import keras

        keras.ops.zeros(1)  # the first operation looks for a GPU
        devices = keras.distribution.list_devices()
    kinds = sorted({device.partition(":")[0] for device in devices})
    return (
        f"Keras {keras.__version__} on {keras.backend.backend()}, {len(devices)} "
        f"{'/'.join(kinds)} device(s)"
    )


def _is_not_retracing(record: logging.LogRecord) -> bool:
    """Filter TensorFlow's warning about many models and image sizes, which are intended."""
    return "retracing" not in str(record.msg)


def prefer_onednn() -> None:
    """Let TensorFlow use oneDNN on every x86 CPU; by default it does so only with AVX-512.

    Measured on 2 cores with AVX2 (Zen 3), a training step of 2 images of 217 x 181 with width 16
    and stem 2 takes 0.31 s of CPU time with oneDNN and 0.70 s without.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def keep_freed_memory() -> None:
    """Let glibc keep the memory that a training step frees, because the next step needs it again.

    By default glibc returns large blocks to the kernel, which must fill them with zeros before it
    hands them out again. On 2 virtual cores (Zen 3) this took half of the time: half a minute was
    enough for 33 steps of configs/brain_mri_brain.yaml, and for 76 with these options.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
        mallopt(option, value)
