"""Joins the overlays of the frames of a film to one film."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.prediction import beside
from segkit.io.films.frames import FrameAddress, film_name, open_film, split_frame
from segkit.io.films.packets import read_packets
from segkit.io.films.writing import write_film
from segkit.io.images import read_image
from segkit.io.names import file_in


def write_overlay_films(masks: Path, images: Mapping[str, Path]) -> list[tuple[Path, str]]:
    """Write DIR-overlays/FILM.mp4 of each film whose overlays exist for all frames.

    The film has the frame rate of the original, divided by the distance of the frames. One that is
    newer than its overlays is left as it is.

    Args:
        masks: The folder of the masks, DIR.
        images: Image files and the addresses of frames by name.

    Returns:
        The films that could not be written, and why.
    """
    folder = beside(masks, "-overlays")
    problems = []
    for film, frames in _frames_by_film(images).items():
        overlays = [file_in(folder, name, ".png") for name in frames]
        if not all(path.exists() for path in overlays):
            continue  # frames failed, or another process predicts them
        name, address = next(iter(frames.items()))
        path = file_in(folder, film_name(name), ".mp4")
        try:
            if not _is_current(path, overlays):
                write_film(path, _read_all(overlays), open_film(film).rate / address.step)
        except (OSError, DataError) as problem:
            problems.append((film, f"{path}: its overlays cannot be written as a film ({problem})"))
    return problems


def _frames_by_film(images: Mapping[str, Path]) -> dict[Path, dict[str, FrameAddress]]:
    """Return the frames of each film by name, in their order."""
    films: dict[Path, dict[str, FrameAddress]] = {}
    for name, path in images.items():
        address = split_frame(path)
        if address is not None:
            films.setdefault(address.film, {})[name] = address
    return films


def _is_current(path: Path, overlays: list[Path]) -> bool:
    """Return whether a film was made of these overlays."""
    if not path.exists():
        return False
    written = path.stat().st_mtime_ns
    if any(overlay.stat().st_mtime_ns > written for overlay in overlays):
        return False
    return read_packets(path).frames == len(overlays)


def _read_all(overlays: Iterable[Path]) -> Iterator[np.ndarray]:
    """Yield the pictures (H, W, 3) of files, one at a time."""
    for path in overlays:
        yield read_image(path)
