"""The start of Keras: quiet, and with settings of the backend that make it faster."""

from __future__ import annotations

import ctypes
import logging
import os
import platform

from segkit.system.quiet import quiet

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""Of malloc.h: free memory that stays at the heap's top, how much more than needed it grows, how many blocks are mapped."""


def load_keras() -> str:
    """Import Keras and start its backend without the start-up talk of TensorFlow; return what it runs on, in words."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").addFilter(_is_no_retracing)
    prefer_onednn()
    with quiet():
        import keras

        keras.ops.zeros(1)  # the first operation looks for a GPU
        devices = keras.distribution.list_devices()
    names = sorted({device.partition(":")[0] for device in devices})
    return f"Keras {keras.__version__} on {keras.backend.backend()}, {len(devices)} {'/'.join(names)} device(s)"


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """TensorFlow warns if several models predict images of several sizes, which is what segkit does."""
    return "retracing" not in str(record.msg)


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
