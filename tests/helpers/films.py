"""Small films, written by the library of the field; their tests need the extra video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

REASON = "needs the extra video"
SIZE = (24, 32)


def still(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a frame whose pixels show its number, from 0: noise below a bright field."""
    height, width = size
    frame = np.random.default_rng(number).integers(0, 256, (height, width, 3)).astype(np.uint8)
    frame[: height // 2, : width // 2] = (number * 37 % 256, number % 256, 200)
    return frame


def save_film(
    path: Path,
    count: int = 7,
    size: tuple[int, int] = SIZE,
    rate: float | Fraction = 12,
    codec: str = "ffv1",
    options: tuple[str, ...] = (),
) -> list[np.ndarray]:
    """Write a film of `count` stills, and return them. The codec ffv1 is lossless."""
    library = pytest.importorskip("imageio_ffmpeg", reason=REASON)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [still(number, size) for number in range(count)]
    encoder = library.write_frames(
        str(path),
        size[::-1],
        fps=rate,
        codec=codec,
        pix_fmt_out="gbrp" if codec == "ffv1" else "yuv420p",
        quality=None,
        macro_block_size=1,
        ffmpeg_log_level="fatal",
        output_params=list(options),
    )
    encoder.send(None)
    for frame in frames:
        encoder.send(frame)
    encoder.close()
    return frames
