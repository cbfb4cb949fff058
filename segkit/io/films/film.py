"""`Film`: the frames of a film, decoded in order by a process of ffmpeg."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError, SegkitError, one_line
from segkit.io import codecs
from segkit.io.films.ffmpeg import VIDEO, input_of, library, unreadable
from segkit.io.films.packets import read_packets

KEPT = 4
"""Decoded frames that are kept, for threads that ask for them in nearly the right order."""
FAR = 100
"""To a frame that is so many frames ahead it is faster to seek than to decode."""
SEEKABLE = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
"""Films in which ffmpeg finds a frame by its time exactly; others are decoded from their start."""


class Film:
    """A film whose frames are read on demand. Threads may share it.

    Args:
        path: The film.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        packets = read_packets(path)
        self.count = packets.frames
        """The number of frames."""
        self.rate = packets.rate
        """The mean number of frames per second."""
        self._packets = packets
        self._can_seek = packets.times is not None and path.suffix.lower() in SEEKABLE
        self._lock = threading.Lock()
        self._decoder: _Decoder | None = None
        self._recent: OrderedDict[int, np.ndarray] = OrderedDict()
        self._end = self.count
        """The first frame that could not be decoded."""

    def frame(self, index: int, step: int = 1) -> np.ndarray:
        """Return a frame; those of increasing numbers are read fastest.

        Args:
            index: The number of the frame, from 0.
            step: The distance of the frames that will be asked for.

        Returns:
            (H, W, 3) uint8 in RGB, upright.

        Raises:
            DataError: If there is no such frame, or it cannot be decoded.
        """
        if not 0 <= index < self.count:
            raise DataError(f"{self.path}: has {self.count} frame(s), not {index + 1}", "pages")
        with self._lock:
            if index not in self._recent:
                self._decode_up_to(index, step)
            return self._recent[index].copy()

    def close(self) -> None:
        """End the process that decodes the film."""
        with self._lock:
            self._stop()
            self._recent.clear()

    def _decode_up_to(self, index: int, step: int) -> None:
        """Decode frames until that of a number is among the recent ones."""
        if index >= self._end:
            raise self._damaged()
        decoder = self._decoder
        if decoder is None or not decoder.leads_to(index, step):
            decoder = self._start(index, step)
        while decoder.next <= index:
            number = decoder.next
            frame = decoder.read()
            if frame is None:
                self._end = number
                self._stop()
                raise self._damaged()
            self._recent[number] = frame
            if len(self._recent) > KEPT:
                self._recent.popitem(last=False)

    def _start(self, index: int, step: int) -> _Decoder:
        """Start to decode at a frame, or before it where ffmpeg cannot seek."""
        self._stop()
        first = index % step
        seconds = None
        times = self._packets.times
        if self._can_seek and times is not None and index > 0:
            first = index
            between = int(times[index - 1]) + int(times[index])
            seconds = float(between * self._packets.unit / 2)
        self._decoder = _Decoder(self.path, first, step, seconds)
        return self._decoder

    def _stop(self) -> None:
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = None

    def _damaged(self) -> DataError:
        return DataError(
            f"{self.path}: frame {self._end + 1} of {self.count} cannot be decoded, so that no "
            f"frame from there on is read. Copy the film again, or convert it with ffmpeg",
            "film-damaged",
        )


class _Decoder:
    """A process of ffmpeg that decodes every n-th frame of a film from a frame on."""

    def __init__(self, path: Path, first: int, step: int, seconds: float | None) -> None:
        self.path = path
        self.next = first
        """The number of the next frame."""
        self.step = step
        # Without these, ffmpeg leaves damaged frames out, or invents their pixels.
        start = ["-xerror", "-err_detect", "explode"]
        if seconds is not None:
            start += ["-seek_timestamp", "1", "-ss", f"{seconds:.6f}"]
        skipped = 0 if seconds is not None else first
        chosen = f"select=not(mod(n-{skipped}\\,{step}))*gte(n\\,{skipped})"
        output = ["-map", VIDEO, "-fps_mode", "passthrough", "-vf", chosen]
        self._frames: Iterator[Any] = library().read_frames(
            input_of(path), input_params=start, output_params=output
        )
        try:
            meta = next(self._frames)
            self._width, self._height = meta["size"]
        except SegkitError:
            raise
        except Exception as problem:  # the library raises errors of every type
            raise unreadable(path, one_line(problem)) from problem
        if self._width * self._height > codecs.most_pixels():
            self.close()
            raise DataError(codecs.too_large(path), "too-large")

    def leads_to(self, index: int, step: int) -> bool:
        """Return whether a frame soon follows among those that are decoded."""
        ahead = index - self.next
        return step == self.step and ahead >= 0 and ahead % step == 0 and ahead <= FAR * step

    def read(self) -> np.ndarray | None:
        """Return the next frame (H, W, 3) uint8; None if there is none."""
        try:
            content = next(self._frames, None)
        except Exception:  # the library raises errors of every type for an incomplete frame
            content = None
        if content is None:
            return None
        self.next += self.step
        return np.frombuffer(content, np.uint8).reshape(self._height, self._width, 3)

    def close(self) -> None:
        """End the process."""
        self._frames.close()  # type: ignore[attr-defined]
