"""Lists the image files in a folder, and the other files there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.microscopes.suffixes import SUFFIXES as MICROSCOPES
from segkit.io.ome_zarr import is_ome_zarr
from segkit.io.slide_addresses import SUFFIXES as SLIDES
from segkit.io.vrt import sources_of
from segkit.system.terminal import has_controls

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SUFFIXES = (
    ".png",
    *JPEG,
    *codecs.TIFF,
    ".bmp",
    ".gif",
    ".webp",
    ".jp2",
    ".vrt",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    *SLIDES,
    *MICROSCOPES,
)
"""Suffixes of the image files that segkit reads, in upper or lower case."""
_OTHER_IMAGES = """
.heic .heif .avif .jxl .jxr .j2k .jpx .jpf .psd .psb .tga .pcx .ico .exr .hdr .pfm .eps .svg .pdf
.oib .vsi .mrxs .ims
.raw .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf
"""
OTHER_IMAGES = frozenset(_OTHER_IMAGES.split())
"""Suffixes of images that segkit does not read."""
SCANS = (".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
"""Suffixes of scans, which `segkit.io.scans` reads."""
FILMS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")
"""Suffixes of films, which `segkit.io.films` reads."""
UNUSABLE_NAME = "its name holds control characters, or bytes that are not UTF-8; rename it"
"""Why an image is skipped whose mask could not have its name."""


class LeftOut(NamedTuple):
    """A file or folder that is skipped although a user may expect it to be read."""

    path: Path
    why: str
    """The reason as a phrase: "is a link to nothing"."""
    unread: bool = False
    """Whether it is an image that segkit could read under another name."""


class Found(NamedTuple):
    """The content of a folder and of the folders below it."""

    images: list[tuple[str, Path]]
    """Names and paths. A name is the path below the folder without suffix ("monday/b").

    Two images may have one name.
    """
    left_out: list[LeftOut]
    others: list[Path]
    """Files that are not images, such as text."""


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files in a folder and below it by name, sorted.

    The folder of an OME-Zarr image is such a file. Hidden files and files with other suffixes are
    skipped.

    Args:
        folder: The folder.

    Returns:
        The path by name, which is the path below the folder without suffix: "a", "monday/b".

    Raises:
        DataError: If the folder is missing, or two files have one name (a.png and a.jpg).
    """
    found: dict[str, Path] = {}
    for name, path in walk_images(folder):
        if name in found:
            message = f"{path} and {found[name]}: two files of one name; each name is one image"
            raise DataError(message, "duplicate-name")
        found[name] = path
    return dict(sorted(found.items()))


def walk_images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of every image file as `list_images` does; names may repeat."""
    yield from list_contents(folder).images


def list_contents(folder: Path) -> Found:
    """Return the images in a folder and below it, and the files that are skipped.

    Links to folders are followed, and each folder is read once. Hidden files are ignored.

    Args:
        folder: The folder.

    Raises:
        DataError: If the folder is missing or cannot be read.
    """
    if folder.is_file():
        raise DataError(f"{folder}: is a file, not a folder", "missing-file")
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder", "missing-file")
    contents = Found([], [], [])
    seen: set[tuple[int, int]] = set()
    links = [folder]
    while links:
        links += _add_contents(links.pop(0), folder, contents, seen)
    return _without_mosaics(contents)


def _without_mosaics(contents: Found) -> Found:
    """Return the contents without VRTs that show other images of the folder once more."""
    vrts = [path for _, path in contents.images if path.suffix.lower() == ".vrt"]
    if not vrts:
        return contents
    others = {os.path.realpath(path) for _, path in contents.images}
    why = "shows images of this folder, which are read themselves; name the VRT itself to read it"
    mosaics = {path for path in vrts if _shows_one_of(path, others)}
    images = [(name, path) for name, path in contents.images if path not in mosaics]
    left_out = [LeftOut(path, why) for path in vrts if path in mosaics]
    return Found(images, contents.left_out + left_out, contents.others)


def _shows_one_of(vrt: Path, images: set[str]) -> bool:
    try:
        return any(os.path.realpath(source) in images for source in sources_of(vrt))
    except DataError:  # reading the VRT raises the same error
        return False


def _add_contents(
    start: Path, root: Path, contents: Found, seen: set[tuple[int, int]]
) -> list[Path]:
    """Add the files below a folder to the contents, and return the links to folders there."""
    links: list[Path] = []
    for parent, folders, files in os.walk(start, onerror=_refuse):
        place = os.stat(parent)  # noqa: PTH116 (a path for each folder would be slow)
        identity = (place.st_dev, place.st_ino)
        if identity in seen:
            why = "is a link to a folder that is read already"
            contents.left_out.append(LeftOut(Path(parent), why))
            folders.clear()
            continue
        seen.add(identity)
        visible = [name for name in sorted(folders) if not name.startswith(".")]
        for name in [name for name in visible if is_ome_zarr(Path(parent, name))]:
            _add_image(parent, name, root, contents)
            visible.remove(name)
        linked = [name for name in visible if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        links += [Path(parent, name) for name in linked]
        folders[:] = [name for name in visible if name not in linked]
        for name in files:
            if not name.startswith("."):
                _sort(parent, name, root, contents)
    return links


def _sort(parent: str, file: str, root: Path, contents: Found) -> None:
    """Add a file to the images, the skipped files or the others."""
    path = Path(parent, file)
    kind = path.suffix.lower()
    if kind in SUFFIXES:
        _add_image(parent, file, root, contents)
    elif file.lower().endswith(SCANS):
        why = "is a scan, which is read with data.source: scans; images are PNG, JPEG or TIFF"
        contents.left_out.append(LeftOut(path, why))
    elif kind in FILMS:
        why = "is a film, whose frames are read with data.source: video"
        contents.left_out.append(LeftOut(path, why))
    elif kind in OTHER_IMAGES:
        why = f"segkit does not read {kind}; save it as PNG or TIFF"
        contents.left_out.append(LeftOut(path, why))
    elif not path.exists():
        contents.left_out.append(LeftOut(path, "is a link to nothing"))
    else:
        contents.others.append(path)


def _add_image(parent: str, file: str, root: Path, contents: Found) -> None:
    """Add a file or the folder of an image to the images, unless its name cannot be shown."""
    path = Path(parent, file)
    name, _ = os.path.splitext(file)
    if parent != str(root):
        name = path.relative_to(root).with_suffix("").as_posix()
    if has_controls(name):
        contents.left_out.append(LeftOut(path, UNUSABLE_NAME, unread=True))
    else:
        contents.images.append((name, path))


def left_out_in(folders: Sequence[Path | None]) -> list[LeftOut]:
    """Return the skipped files of some folders, each once; None and missing folders are ignored."""
    found: list[LeftOut] = []
    for folder in folders:
        if folder is not None and folder.is_dir():
            found += list_contents(folder).left_out
    return list(dict.fromkeys(found))


def _refuse(problem: OSError) -> None:
    message = f"{problem.filename}: the folder cannot be read ({problem.strerror})"
    raise DataError(message) from problem
