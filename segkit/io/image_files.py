"""The image files in a folder, and what else is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError
from segkit.io import codecs
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
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
)
"""Image files that segkit reads, by suffix, in any case."""
_OTHER_IMAGES = """
.heic .heif .avif .jxl .jxr .j2k .jpx .jpf .psd .psb .tga .pcx .ico .exr .hdr .pfm .eps .svg .pdf
.dcm .dicom .nii .nii.gz .mha .mhd .nrrd .czi .lif .nd2 .oib .vsi .svs .ndpi .mrxs .ims
.raw .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .mp4 .mov .avi .mkv
"""
OTHER_IMAGES = frozenset(_OTHER_IMAGES.split())
"""Images and films by suffix that segkit does not read."""


class LeftOut(NamedTuple):
    """A file or folder that is not read although somebody may think so, and why in words."""

    path: Path
    why: str
    unread: bool = False
    """Whether it is an image that segkit could read, were it not for its name."""


class Found(NamedTuple):
    """What is in a folder, and in those below it."""

    images: list[tuple[str, Path]]
    """With their names: the path below the folder, without suffix ("a", "monday/b"). Names may come twice."""
    left_out: list[LeftOut]
    others: list[Path]
    """Files that are no images, such as text."""


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files under `folder` by name: the path below it, without suffix ("a", "monday/b"), sorted.

    Hidden files and other suffixes are left out. Raises `DataError` if the folder is missing or two
    files share a name (a.png and a.jpg).
    """
    found: dict[str, Path] = {}
    for name, path in walk_images(folder):
        if name in found:
            raise DataError(
                f"{path} and {found[name]}: two files of one name; a name stands for one image",
                "duplicate-name",
            )
        found[name] = path
    return dict(sorted(found.items()))


def walk_images(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every image file under `folder` as `list_images` does, names may come twice."""
    yield from look_into(folder).images


def look_into(folder: Path) -> Found:
    """Return the images in a folder and below it, and what is left out.

    Links to folders are followed, each folder is read once. Hidden files are of no interest. Raises
    `DataError` if the folder is missing or cannot be read.
    """
    if not folder.is_dir():
        found = "is a file, not a folder" if folder.is_file() else "there is no such folder"
        raise DataError(f"{folder}: {found}", "missing-file")
    contents = Found([], [], [])
    seen: set[tuple[int, int]] = set()
    links = [folder]
    while links:
        links += _look_into(links.pop(0), folder, contents, seen)
    return contents


def _look_into(start: Path, root: Path, contents: Found, seen: set[tuple[int, int]]) -> list[Path]:
    """Add what is in a folder to the contents, and return the links to folders in it."""
    links: list[Path] = []
    for parent, folders, files in os.walk(start, onerror=_refuse):
        place = os.stat(parent)  # noqa: PTH116 (a path for each folder would be slow)
        identity = (place.st_dev, place.st_ino)
        if identity in seen:
            contents.left_out.append(
                LeftOut(Path(parent), "is a link to a folder that is read already")
            )
            folders.clear()
            continue
        seen.add(identity)
        visible = [name for name in sorted(folders) if not name.startswith(".")]
        linked = [name for name in visible if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        links += [Path(parent, name) for name in linked]
        folders[:] = [name for name in visible if name not in linked]
        for name in files:
            if not name.startswith("."):
                _sort(parent, name, root, contents)
    return links


def _sort(parent: str, file: str, root: Path, contents: Found) -> None:
    """Add a file to where it belongs."""
    stem, suffix = os.path.splitext(file)
    path = Path(parent, file)
    kind = suffix.lower()
    if kind in SUFFIXES:
        name = stem if parent == str(root) else path.relative_to(root).with_suffix("").as_posix()
        if has_controls(name):
            why = "its name holds control characters, or bytes that are not UTF-8; rename it"
            contents.left_out.append(LeftOut(path, why, unread=True))
        else:
            contents.images.append((name, path))
    elif kind in OTHER_IMAGES or file.lower().endswith(".nii.gz"):
        contents.left_out.append(
            LeftOut(path, f"segkit does not read {kind}; save it as PNG or TIFF")
        )
    elif not path.exists():
        contents.left_out.append(LeftOut(path, "is a link to nothing"))
    else:
        contents.others.append(path)


def left_out_in(folders: Sequence[Path | None]) -> list[LeftOut]:
    """Return what is left out of some folders, those that are there."""
    there = dict.fromkeys(folder for folder in folders if folder is not None and folder.is_dir())
    found = [entry for folder in there for entry in look_into(folder).left_out]
    return list(dict.fromkeys(found))


def _refuse(problem: OSError) -> None:
    raise DataError(
        f"{problem.filename}: the folder cannot be read ({problem.strerror})"
    ) from problem
