"""The number of the frames of a film and their times, from its packets, without decoding them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io.films.ffmpeg import VIDEO, output_of

WITHOUT_MOVEMENT = Fraction(25)
"""Frames per second that are assumed if the times do not show it, as in a film of one frame."""
UNKNOWN = -(2**63)
"""What ffmpeg writes for a time that the film does not state."""
MOST_RATE_PARTS = 1001
"""Largest denominator of a frame rate; 30000/1001 is that of American television."""


class Packets(NamedTuple):
    """The frames of a film in the order in which they are shown."""

    frames: int
    """Their number."""
    times: np.ndarray | None
    """The time of each frame in units of `unit`, (frames,) int64, increasing; None if the film does
    not state them."""
    unit: Fraction
    """Seconds."""
    rate: Fraction
    """The mean number of frames per second."""


def read_packets(path: Path) -> Packets:
    """Read the packets of the first video stream of a film; this takes about as long as a copy.

    Args:
        path: The film.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If it cannot be read, has no video stream ("film-stream") or no frame ("empty").
    """
    listed = output_of(["-map", VIDEO, "-c", "copy", "-f", "framecrc"], path)
    base = None
    shown = []
    decoded = []
    for line in listed.splitlines():
        if line.startswith("#tb 0:"):
            base = Fraction(line.partition(":")[2].strip())
        elif line and not line.startswith("#"):
            _, decoded_at, shown_at, *_ = line.split(",")
            decoded.append(int(decoded_at))
            shown.append(int(shown_at))
    if not shown or base is None:
        raise DataError(f"{path}: its video stream has no frame; record it again", "empty")
    times = None
    if UNKNOWN not in shown and len(set(shown)) == len(shown):
        times = np.array(sorted(shown), np.int64)
    return Packets(len(shown), times, base, _rate(decoded, base))


def _rate(decoded: list[int], base: Fraction) -> Fraction:
    """Return the mean number of frames per second, from the times at which they are decoded."""
    ticks = decoded[-1] - decoded[0]
    if ticks <= 0:
        return WITHOUT_MOVEMENT
    rate = (len(decoded) - 1) / (ticks * base)
    return rate.limit_denominator(MOST_RATE_PARTS)
