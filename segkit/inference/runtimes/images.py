"""The check of images that all runtimes but Keras share."""

from __future__ import annotations

import numpy as np

from segkit.config import InputConfig
from segkit.errors import DataError


def check_images(images: np.ndarray, expected: InputConfig) -> None:
    """Raise `DataError` unless images are (B, H, W, C) with the dtype and channels expected."""
    fits = images.ndim == 4 and images.shape[-1] == expected.channels
    if not fits or str(images.dtype) != expected.dtype:
        raise DataError(
            f"the model takes {expected.dtype} images of shape (batch, height, width, "
            f"{expected.channels}); found {images.dtype} {images.shape}",
            "channels",
        )
