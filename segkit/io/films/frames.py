"""Addresses of frames, which stand for image files, and the films that are kept open for them."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io.files import check_is_file
from segkit.io.films.film import Film
from segkit.io.image_files import FILMS, list_contents
from segkit.io.pages import FRAME
from segkit.io.unicode_names import nfc

FRAME_NAME = re.compile(r"/frame_[0-9]+$")
"""The end of the name of a frame, after the name of its film."""
MOST_KNOWN = 256
"""Films whose times of frames are kept."""
MOST_OPEN = 4
"""Films of which a process of ffmpeg and some frames are kept."""


class FrameAddress(NamedTuple):
    """What the address of a frame means."""

    film: Path
    number: int
    """The number of the frame, from 0."""
    step: int
    """The distance of the frames that are read."""


class _Opened:
    """A film that is kept open. The first thread that needs it opens it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.film: Film | None = None
        self.version: tuple[int, int] | None = None


_opened: OrderedDict[Path, _Opened] = OrderedDict()
_opened_lock = threading.Lock()


def is_film(path: Path) -> bool:
    """Return whether a file is a film by its suffix."""
    return path.suffix.lower() in FILMS


def find_films(folder: Path) -> dict[str, Path]:
    """Return the films in a folder and below it by name, sorted.

    The name of a film is its path below the folder, without suffix.

    Raises:
        DataError: If the folder is missing, or two films have one name ("duplicate-name").
    """
    found: dict[str, Path] = {}
    for entry in list_contents(folder).left_out:
        if not is_film(entry.path):
            continue
        name = nfc(entry.path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            message = f"{entry.path} and {found[name]}: two films of one name; rename one"
            raise DataError(message, "duplicate-name")
        found[name] = entry.path
    return dict(sorted(found.items()))


def frame_path(path: Path, index: int, step: int = 1) -> Path:
    """Return the address of a frame, which is counted from 0.

    >>> frame_path(Path("a/b.mp4"), 2).name, frame_path(Path("a/b.mp4"), 20, 10).name
    ('b.mp4#frame_000003', 'b.mp4#frame_000021_every_10')
    """
    name = f"{path.name}#frame_{index + 1:06d}"
    if step > 1:
        name += f"_every_{step}"
    return path.with_name(name)


def frame_name(film: str, index: int) -> str:
    """Return the name of a frame.

    >>> frame_name("monday/b", 2)
    'monday/b/frame_000003'
    """
    return f"{film}/frame_{index + 1:06d}"


def film_name(name: str) -> str:
    """Return the name of the film of a frame.

    >>> film_name("monday/b/frame_000003")
    'monday/b'
    """
    return FRAME_NAME.sub("", name, count=1)


def of_one_film(one: str, other: str) -> bool:
    """Return whether two names are those of frames of one film.

    >>> of_one_film("b/frame_000003", "b/frame_000004"), of_one_film("a", "a")
    (True, False)
    """
    film = film_name(one)
    return film != one and film == film_name(other)


def split_frame(path: Path) -> FrameAddress | None:
    """Return what an address means; None for a path that is no address of a frame."""
    found = FRAME.fullmatch(path.name)
    if found is None or int(found["number"]) < 1 or path.exists():
        return None
    step = max(1, int(found["step"] or 1))
    return FrameAddress(path.with_name(found["file"]), int(found["number"]) - 1, step)


def open_film(path: Path) -> Film:
    """Return the film in a file. Films are kept open; one that has changed is opened again.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If it cannot be read.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (links are not resolved)
    check_is_file(path)
    try:
        status = path.stat()
    except (OSError, ValueError) as problem:
        raise DataError(f"{path}: there is no such film", "missing-file") from problem
    version = (status.st_mtime_ns, status.st_size)
    with _opened_lock:
        opened = _opened.setdefault(path, _Opened())
        _opened.move_to_end(path)
    with opened.lock:
        film = opened.film
        if film is None or opened.version != version:
            if film is not None:
                film.close()
            film = Film(path)
            opened.film = film
            opened.version = version
    _close_others()
    return film


def _close_others() -> None:
    """Close the films that were used least recently; a thread that still reads one opens it."""
    with _opened_lock:
        unused = list(_opened.values())[:-MOST_OPEN]
        while len(_opened) > MOST_KNOWN:
            _opened.popitem(last=False)
    for opened in unused:
        if opened.film is not None:
            opened.film.close()


def read_frame(address: FrameAddress) -> np.ndarray:
    """Return a frame, (H, W, 3) uint8 in RGB.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If it cannot be read.
    """
    return open_film(address.film).frame(address.number, address.step)


def frames_apart(images: Mapping[str, Path], step: int) -> dict[str, Path]:
    """Return the addresses of every n-th frame of the films among some images, by name.

    A film that cannot be opened stays one image, whose reading raises the error.

    Args:
        images: Files by name; those that are no films stay as they are.
        step: The distance of the frames, from the first frame on.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If a frame and another image have one name ("duplicate-name").
    """
    apart: dict[str, Path] = {}
    for name, path in images.items():
        frames = {name: path}
        if is_film(path):
            frames = _frames_of(name, path, step)
        for own_name, address in frames.items():
            if own_name in apart:
                raise DataError(
                    f"{path} and {apart[own_name]}: two images of the name {own_name}; a name "
                    f"stands for one image",
                    "duplicate-name",
                )
            apart[own_name] = address
    return apart


def _frames_of(name: str, path: Path, step: int) -> dict[str, Path]:
    """Return the addresses of every n-th frame of a film by name."""
    try:
        count = open_film(path).count
    except DataError:
        return {name: frame_path(path, 0)}
    return {
        frame_name(name, index): frame_path(path, index, step) for index in range(0, count, step)
    }
