"""Writes frames as a film that every browser and player shows: H.264 in MP4."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from segkit.errors import DataError, one_line
from segkit.io.atomic import atomic
from segkit.io.films.ffmpeg import library
from segkit.io.films.packets import read_packets

QUALITY = 7
"""Quality of the film, 1 to 10."""


def write_film(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> None:
    """Write frames as a film. Odd heights and widths, which H.264 cannot have, get a pixel more.

    Args:
        path: The film to write, with the suffix .mp4.
        frames: Frames of one size, (H, W, 3) uint8 in RGB; only one at a time is in memory.
        rate: Frames per second.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If frames have different sizes.
        OSError: If the file cannot be written.
    """
    with atomic(path) as temporary:
        count = _encode(temporary, frames, rate)
        try:
            written = read_packets(temporary).frames
        except DataError as problem:
            raise OSError(errno.EIO, one_line(problem), str(temporary)) from problem
        if written != count:
            message = f"ffmpeg wrote {written} of {count} frames"
            raise OSError(errno.EIO, message, str(temporary))


def _encode(path: Path, frames: Iterable[np.ndarray], rate: Fraction) -> int:
    """Encode frames, and return their number."""
    encoder = None
    shape: tuple[int, ...] = ()
    count = 0
    try:
        for frame in frames:
            if encoder is None:
                shape = frame.shape
                encoder = _open_encoder(path, shape, rate)
            if frame.shape != shape:
                raise DataError(
                    f"{path}: frames have different sizes, {shape[:2]} and {frame.shape[:2]}; "
                    f"remove them, and predict the film again",
                    "film-size",
                )
            encoder.send(_with_even_sides(frame))
            count += 1
    finally:
        if encoder is not None:
            encoder.close()
    return count


def _open_encoder(path: Path, shape: tuple[int, ...], rate: Fraction):  # type: ignore[no-untyped-def]
    height = shape[0] + shape[0] % 2
    width = shape[1] + shape[1] % 2
    encoder = library().write_frames(
        str(path),
        (width, height),
        fps=rate,
        quality=QUALITY,
        macro_block_size=1,
        ffmpeg_log_level="fatal",
        output_params=["-f", "mp4", "-movflags", "+faststart"],
    )
    encoder.send(None)
    return encoder


def _with_even_sides(frame: np.ndarray) -> np.ndarray:
    """Return a frame whose last row and column are repeated where its sides are odd."""
    rows = frame.shape[0] % 2
    columns = frame.shape[1] % 2
    if rows or columns:
        frame = np.pad(frame, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)
