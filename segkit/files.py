"""Images on disk: find, read, write whole or not at all."""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segkit import codecs
from segkit.errors import DataError

JPEG = (".jpg", ".jpeg")
SUFFIXES = (".png", *JPEG, *codecs.TIFF, ".bmp", ".gif", ".webp")
"""Image files that segkit reads, by suffix, in any case."""


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files under `folder` by name: the path below it, without suffix ("a", "monday/b"), sorted.

    Hidden files and other suffixes are passed over. Raises `DataError` if the folder is missing or two files share
    a name (a.png and a.jpg).
    """
    found: dict[str, Path] = {}
    for name, path in walk_images(folder):
        if name in found:
            raise DataError(f"{path} and {found[name]}: two files of one name; a name stands for one image")
        found[name] = path
    return dict(sorted(found.items()))


def walk_images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every image file under `folder` as `list_images` does, names may come twice."""
    if not folder.is_dir():
        raise DataError(f"{folder}: {'is a file, not a folder' if folder.is_file() else 'there is no such folder'}")
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES and not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(folder).with_suffix("").as_posix() if parent != str(folder) else stem, path


def _refuse(problem: OSError) -> None:
    raise DataError(f"{problem.filename}: the folder cannot be read ({problem.strerror})") from problem


def read_image(path: Path) -> np.ndarray:
    """Return an image as (H, W, C) uint8, uint16 or float32, turned as its EXIF orientation says.

    Grey images have one channel; palette, CMYK and the like become RGB; an alpha channel is dropped; TIFF keeps all
    its bands. Raises `DataError`, naming the file, if it cannot be read or holds NaN or infinite values.
    """
    with codecs.naming(path):
        array = codecs.read_tiff(path, colours=True) if codecs.is_tiff(path) else codecs.read_picture(path)
    return as_image(array, path)


def as_image(array: np.ndarray, path: Path) -> np.ndarray:
    """Return decoded pixels (H, W) or (H, W, C) as `read_image` does, (H, W, C) uint8, uint16 or float32."""
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise DataError(f"{path}: holds NaN or infinite values; replace them by a number")
    return array


def fit_channels(image: np.ndarray, channels: int, where: str) -> np.ndarray:
    """Return the image with `channels` channels where that loses nothing (grey to RGB, RGB of three equal channels)."""
    found = image.shape[-1]
    if found == channels:
        return image
    if found == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if found == 3 and channels == 1 and (image == image[..., :1]).all():
        return image[..., :1]
    raise DataError(f"{where}: the model takes {channels} channel(s); this image has {found}")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end; after an error nothing is left."""
    with together([path]) as (temporary,):
        yield temporary


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of `paths`, and rename all of them at the end, the last one last.

    Where the last file stands, all stand and belong together, whenever the process is killed: an older last file goes
    before the first is replaced. After an error while the temporary files are written nothing has changed.
    """
    for path in paths:
        if path.is_dir():  # found out at its renaming, it would cost the older last file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    temporaries = [_temporary(path) for path in paths]
    try:
        yield temporaries
        if len(paths) > 1:
            paths[-1].unlink(missing_ok=True)
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # the error that led here is the one to tell
                temporary.unlink(missing_ok=True)


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden file in `folder` by which others see that theirs is the same folder; it goes at the end.

    `remove_leftovers` takes it for a temporary file: touch it more often than daily.
    """
    path = _temporary(folder / "mark")
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, below: bool = True) -> None:
    """Remove what killed writers left in `folder` and below: temporary files of dead processes of this machine, and those
    of others that are a day old.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = folders if below else []
        for name in names:
            found = _LEFTOVER.fullmatch(name)
            if found:
                path = Path(parent, name)
                with suppress(OSError):  # another run may have removed it
                    dead = found[1] == _MACHINE and not _alive(int(found[2]))
                    if dead or time.time() - path.stat().st_mtime > 86400:
                        path.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.{_MACHINE}.{os.getpid()}.part{path.suffix}")


_LEFTOVER = re.compile(r"\.[0-9a-f]{8}\.([\w-]*)\.([0-9]+)\.part(\.[^.]*)?")


def _machine() -> str:
    """Name the machine, and the container on it: process numbers mean something only there."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:60]
    with suppress(OSError):
        name += f"-{Path('/proc/self/ns/pid').stat().st_ino}"
    return name


_MACHINE = _machine()


def _alive(process: int) -> bool:
    if os.name == "nt":
        return True  # there a signal 0 is none; what is a day old goes
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def owner() -> str:
    """Name this process and its machine, for files that tell others whose they are."""
    return f"{os.getpid()}@{_MACHINE}"


def is_dead(owner: str) -> bool | None:
    """Return whether the process that `owner` named is dead; None if nobody here can know: it is another machine's.

    >>> is_dead(owner()), is_dead("1@elsewhere")
    (False, None)
    """
    process, _, machine = owner.partition("@")
    return not _alive(int(process)) if machine == _MACHINE and process.isdecimal() else None


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W, 1) uint8 as a picture."""
    with atomic(path) as temporary:
        Image.fromarray(rgb[..., 0] if rgb.shape[-1] == 1 else rgb).save(temporary)


def write_image(folder: Path, name: str, image: np.ndarray) -> None:
    """Write an image (H, W, C) without loss: PNG where 8 bits of grey or RGB hold it, else TIFF."""
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        write_picture(folder / f"{name}.png", image)
    else:
        write_tiff(folder / f"{name}.tif", image)


def write_tiff(path: Path, array: np.ndarray) -> None:
    """Write an image or probabilities (H, W, C) as a compressed TIFF with all its bands."""
    import tifffile

    with atomic(path) as temporary:
        layout = "contig" if array.shape[-1] > 1 else None
        tifffile.imwrite(temporary, array, compression="zlib", photometric="minisblack", planarconfig=layout)


def as_display(image: np.ndarray) -> np.ndarray:
    """Return any image as (H, W, 3) uint8 to look at: other depths between their 1st and 99th percentile, three bands."""
    shown: Any = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99))
        shown = np.clip((shown.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1) * 255
    return np.ascontiguousarray(shown.astype(np.uint8))
