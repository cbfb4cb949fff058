"""The check of images that all runtimes but Keras share."""

from __future__ import annotations

import numpy as np

from segkit.config import InputConfig
from segkit.errors import DataError


def check_images(images: np.ndarray, given: InputConfig) -> None:
    """Raise `DataError` unless images are (B, H, W, C) of the depth and bands that the model was trained on."""
    if images.ndim != 4 or images.shape[-1] != given.channels or str(images.dtype) != given.dtype:
        raise DataError(
            f"the model takes {given.dtype} images of shape (batch, height, width, {given.channels}); found "
            f"{images.dtype} {images.shape}",
            "channels",
        )
