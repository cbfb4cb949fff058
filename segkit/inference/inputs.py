"""Which images a command is about: those of files and folders, by name, or one machine's share of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from segkit import catalog
from segkit.errors import ConfigError, DataError
from segkit.inference.outputs.prediction import beside
from segkit.io.images import SUFFIXES, walk_images


class Inputs(NamedTuple):
    """Images by name, and the files left out because several have one name, each with what to do."""

    images: dict[str, Path]
    clashes: list[tuple[Path, str]]


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
        return int.from_bytes(hashlib.sha256(letters).digest()[:8], "big") % self.of == self.part - 1


def find_images(inputs: Sequence[Path], masks: Path | None = None) -> Inputs:
    """Return the images of files and folders by name: the path below the folder, or the file's name, without suffix.

    Args:
        inputs: Image files, and folders that are searched.
        masks: The folder that masks are written to. If it lies in one of the folders, then what is in it and in the
            folders beside it that prediction writes is no input: it comes from an earlier call.

    Returns:
        The images. Those that share a name are all left out, since only one of them could have the mask of that name.

    Raises:
        DataError: If there is no image at all, or an input is missing.
    """
    results = [] if masks is None else [folder.resolve() for folder in result_folders(masks)]
    found: dict[str, list[Path]] = {}
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder", "missing-file")
        for name, image in _images_of(path, results):
            others = found.setdefault(name, [])
            if not any(image.samefile(other) for other in others):
                others.append(image)
    if not found:
        raise DataError(
            f"{', '.join(map(str, inputs))}: no image; segkit reads {', '.join(SUFFIXES)}",
            "empty",
        )
    images = {name: paths[0] for name, paths in found.items() if len(paths) == 1}
    return Inputs(images, [clash for name, paths in found.items() if len(paths) > 1 for clash in _clash(name, paths)])


def result_folders(masks: Path) -> list[Path]:
    """Return the folders that prediction may write to: the one of the masks, and those beside it."""
    endings = ("", "-overlays", "-probabilities", "-uncertainty", *(f"-{name}" for name in sorted(catalog.OUTPUTS)))
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


def _images_of(path: Path, results: Sequence[Path]) -> list[tuple[str, Path]]:
    """Return the images of one input by name, without those in the results below it."""
    if not path.is_dir():
        return [(path.stem, path)]
    below = [folder for folder in results if path.resolve() in folder.parents]
    found = sorted(walk_images(path))
    if not below:
        return found
    return [(name, image) for name, image in found if not any(folder in image.resolve().parents for folder in below)]


def share(inputs: Inputs, shard: Shard) -> Inputs:
    """Return the images, and the clashes, of one shard: each image is in exactly one."""
    images = {name: path for name, path in inputs.images.items() if shard.holds(name)}
    return Inputs(images, [clash for clash in inputs.clashes if shard.holds(clash[0].stem)])


def _clash(name: str, paths: list[Path]) -> list[tuple[Path, str]]:
    told = (
        f"{path}: not predicted, because {paths[0] if path != paths[0] else paths[1]} would be written under the same "
        f"name, {name}; predict them in two calls with an --out each"
        for path in paths
    )
    return list(zip(paths, told, strict=True))
