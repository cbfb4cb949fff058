"""Which images a command is about: those of files and folders, by name, or one machine's share of them."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from segkit import catalog
from segkit.errors import ConfigError, DataError
from segkit.inference.outputs.prediction import beside
from segkit.io.image_files import SUFFIXES, Found, list_contents
from segkit.io.names import key_of, why_unsafe
from segkit.system.terminal import shown

MOST_NOTES = 20
"""Lines in the error that there is no image."""


class Inputs(NamedTuple):
    """Images by name, and what is not predicted."""

    images: dict[str, Path]
    clashes: list[tuple[Path, str]]
    """Images that are left out because of their names, each with what to do."""


class Shard(NamedTuple):
    """One share of all names, from 1 to `of`."""

    part: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that "2/8" names. Raises `ConfigError`.

        >>> Shard.parse("2/8")
        Shard(part=2, of=8)
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.part <= shard.of:
            raise ConfigError(
                f"one of 1/N to N/N for N machines, as 2/8 is the second of eight; found {text!r}",
                setting="--shard",
            )
        return shard

    def holds(self, name: str) -> bool:
        """Return whether a name falls to this shard: by a hash of its letters, the same on every machine."""
        letters = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
        return (
            int.from_bytes(hashlib.sha256(letters).digest()[:8], "big") % self.of == self.part - 1
        )


def find_images(
    inputs: Sequence[Path],
    masks: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Inputs:
    """Return the images of files and folders by name: the path below the folder, or the file's name, without suffix.

    Args:
        inputs: Image files, and folders that are searched.
        masks: The folder that masks are written to. If it lies in one of the folders, then what is in it and in the
            folders beside it that prediction writes is no input: it comes from an earlier call.
        tell: Receives a line for each other thing in the folders that is not predicted: other formats, links to nothing.

    Returns:
        The images. Those that share a name are all left out, since only one of them could have the mask of that name;
        so are those whose name cannot be a file's on every system. Letter case makes no other name.

    Raises:
        DataError: If there is no image at all, or an input is missing.
    """
    results = [] if masks is None else [folder.resolve() for folder in result_folders(masks)]
    contents = [_look_at(path, results) for path in inputs]
    left_out = [entry for each in contents for entry in each.left_out]
    images: dict[str, Path] = {}
    refused = [
        (entry.path, f"{shown(entry.path)}: not predicted, {entry.why}")
        for entry in left_out
        if entry.unread
    ]
    for named in _by_name(contents):
        if len(named) > 1:
            refused += _clash(named)
            continue
        name, path = named[0]
        why = why_unsafe(f"{name}.png")
        if why:
            refused.append(
                (
                    path,
                    f"{shown(path)}: not predicted, as its mask cannot have this name: {why}; rename it",
                )
            )
        else:
            images[name] = path
    if not images and not refused:
        reads = f"no image; segkit reads {', '.join(SUFFIXES)}"
        notes = "".join(f"\n  {note}" for note in _notes(contents)[:MOST_NOTES])
        raise DataError(f"{', '.join(map(str, inputs))}: {reads}{notes}", "empty")
    for note in _notes(contents):
        tell(note)
    return Inputs(images, refused)


def result_folders(masks: Path) -> list[Path]:
    """Return the folders that prediction may write to: the one of the masks, and those beside it."""
    endings = (
        "",
        "-overlays",
        "-probabilities",
        "-uncertainty",
        *(f"-{name}" for name in sorted(catalog.OUTPUTS)),
    )
    return [beside(masks, ending) for ending in endings]


def check_apart(images: Mapping[str, Path], folders: Sequence[Path]) -> None:
    """Raise `ConfigError` if a result would be written into the folder of an image, where it could replace one.

    A later call would also take the results for images.
    """
    places = {(path.parent, PurePath(name).parent) for name, path in images.items()}
    for images_folder, below in sorted(places):
        for folder in folders:
            if (folder / below).resolve() == images_folder.resolve():
                raise ConfigError(
                    f"{images_folder} holds images to predict, and results would be written among them; choose another "
                    f"folder for the masks",
                    "contradiction",
                    setting="--out",
                )


def _look_at(path: Path, results: Sequence[Path]) -> Found:
    """Return what is in one input, without what is in the results below it, or in a folder that it links to."""
    if not os.path.lexists(path):
        raise DataError(f"{path}: there is no such file or folder", "missing-file")
    if not path.is_dir():
        return Found([(path.stem, path)], [], [])
    asked_for = path.resolve()
    below = [
        folder for folder in results if folder != asked_for and folder not in asked_for.parents
    ]
    found = list_contents(path)
    parents = {image.parent for _, image in found.images}
    parents.update(other.parent for other in found.others)
    made = {parent for parent in parents if _is_in(parent.resolve(), below)}
    return Found(
        sorted((name, image) for name, image in found.images if image.parent not in made),
        found.left_out,
        [other for other in found.others if other.parent not in made],
    )


def _is_in(folder: Path, results: Sequence[Path]) -> bool:
    return any(result == folder or result in folder.parents for result in results)


def _by_name(contents: Sequence[Found]) -> list[list[tuple[str, Path]]]:
    """Return the different images of all inputs with their names, those together whose masks would be one file."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for name, path in (image for each in contents for image in each.images):
        same_name = found.setdefault(key_of(name), [])
        if not any(_is_same(path, other) for _, other in same_name):
            same_name.append((name, path))
    return list(found.values())


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # a link to nothing
        return path == other


def _notes(contents: Sequence[Found]) -> list[str]:
    """Return a line for each thing that is not predicted, and one for all files that are no images."""
    left_out = [entry for each in contents for entry in each.left_out if not entry.unread]
    notes = [f"{shown(entry.path)}: not predicted, {entry.why}" for entry in left_out]
    others = [other for each in contents for other in each.others]
    if others:
        names = ", ".join(shown(other.name) for other in others[:5]) + (
            ", ..." if len(others) > 5 else ""
        )
        notes.append(f"{len(others)} files are no images, and not predicted: {names}")
    return notes


def share(inputs: Inputs, shard: Shard) -> Inputs:
    """Return the images, and the clashes, of one shard: each image is in exactly one."""
    images = {name: path for name, path in inputs.images.items() if shard.holds(name)}
    clashes = [clash for clash in inputs.clashes if shard.holds(clash[0].stem)]
    return Inputs(images, clashes)


def _clash(named: Sequence[tuple[str, Path]]) -> list[tuple[Path, str]]:
    """Return the images whose masks would be one file, with what to do."""
    clashes = []
    for name, path in named:
        other = next(other for _, other in named if other != path)
        why = f"not predicted, because {shown(other)} would be written under the same name, {shown(name)}"
        clashes.append(
            (path, f"{shown(path)}: {why}; predict them in two calls with an --out each")
        )
    return clashes
