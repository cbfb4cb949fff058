"""Find the images to predict in files and folders, name them, and divide them among machines."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.data.sources.scan_pairs import settings_of
from segkit.errors import ConfigError, DataError, SegkitError
from segkit.inference.load import config_together
from segkit.inference.outputs.prediction import beside
from segkit.io.films.ffmpeg import EXTRA, has_ffmpeg
from segkit.io.films.frames import frames_apart, is_film
from segkit.io.image_files import FILMS, SUFFIXES, UNUSABLE_NAME, Found, LeftOut, list_contents
from segkit.io.names import key_of, why_unsafe
from segkit.io.ome_zarr import is_ome_zarr
from segkit.io.pages import pages_apart
from segkit.io.planes import planes_apart
from segkit.io.scans.finding import (
    VOLUME_SUFFIXES,
    find_scan,
    find_scans,
    kind_of,
    name_of_file,
)
from segkit.io.scans.slices import slices_apart
from segkit.io.slides import at_level
from segkit.system.terminal import has_controls, shown

MAX_NOTES = 20
"""Lines in the error that there is no image."""
MAX_OTHERS = 5
"""Files that are no images which a note names."""

Problem = tuple[Path, str]
"""An image that is left out, and a message with the reason and with what to do."""


class Inputs(NamedTuple):
    """The images to predict, by name, and the images that are left out because of their names."""

    images: dict[str, Path]
    clashes: list[Problem]


class Shard(NamedTuple):
    """One share of all images: number `part`, from 1, of `of` shares."""

    part: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that a text such as "2/8" names. Raises `ConfigError`.

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
        """Return whether the image of a name is in this shard.

        A hash of the name decides, so the result is the same on every machine.
        """
        letters = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
        number = int.from_bytes(hashlib.sha256(letters).digest()[:8], "big")
        return number % self.of == self.part - 1


def share(inputs: Inputs, shard: Shard) -> Inputs:
    """Return the images and problems of one shard. Each is in exactly one shard."""
    images = {name: path for name, path in inputs.images.items() if shard.holds(name)}
    clashes = [(path, message) for path, message in inputs.clashes if shard.holds(path.stem)]
    return Inputs(images, clashes)


def find_images(
    inputs: Sequence[Path],
    masks: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
    scans: bool = False,
) -> Inputs:
    """Find the images in files and folders. A film is one image here.

    The name of an image is its path below the folder, or the name of the file, without suffix.
    Upper and lower case letters do not make different names.

    Args:
        inputs: Image files, and folders that are searched.
        masks: The folder of the masks. If it lies in one of the folders, images in it and in the
            folders that prediction writes beside it are the results of an earlier call, and left
            out.
        report: Receives a line for each other thing in the folders that is not predicted: other
            formats, broken links.
        scans: Whether volumes and DICOM series are images, too; each is one image here.

    Returns:
        The images. Images that share a name are all left out, since only one could have the mask of
        this name. Images whose name is not possible for a file on every system are left out, too.

    Raises:
        DataError: If there is no image at all, or an input is missing.
    """
    results = [] if masks is None else [folder.resolve() for folder in result_folders(masks)]
    contents = _merge([_search(path, results, scans) for path in inputs])
    found = _choose_images(contents)
    notes = _notes(contents)
    if not found.images and not found.clashes:
        reads = f"no image; segkit reads {', '.join((*SUFFIXES, *FILMS))}"
        if scans:
            reads += f", DICOM and {', '.join(VOLUME_SUFFIXES)}"
        lines = "".join(f"\n  {note}" for note in notes[:MAX_NOTES])
        raise DataError(f"{', '.join(map(str, inputs))}: {reads}{lines}", "empty")
    for note in notes:
        report(note)
    return found


def divide_images(
    config: RunConfig, images: Mapping[str, Path], every_frame: int = 1
) -> dict[str, Path]:
    """Divide files of several pages, planes, slices or frames into one image for each of them.

    Args:
        config: The config of the run, which says whether pages are images, and what axes mean.
        images: Image files by name.
        every_frame: The distance of the frames of films that are images.

    Returns:
        The files, or the addresses of their pages, planes, slices or frames, by name.

    Raises:
        ConfigError: If a volume does not show the direction of its slices, or a package is not
            installed.
        DataError: If two images have one name, or an axis of a file has no meaning.
    """
    frames = frames_apart(images, every_frame)
    at_levels = {
        name: at_level(path, config.data.microns_per_pixel) for name, path in frames.items()
    }
    pages = pages_apart(at_levels, config.data.pages)
    apart = planes_apart(pages, config.data.axes, keep_broken=True)
    if config.data.source == "scans":
        return slices_apart(apart, settings_of(config.data))
    return apart


def read_scans(runs: Sequence[Path], tta: str | None, formats: Sequence[str]) -> bool:
    """Return whether runs were trained on scans, so that scans are images to predict.

    Args:
        runs: Run folders or exports.
        tta: The views of each image.
        formats: The additional formats to write.

    Raises:
        ConfigError: If they were not, and a format is for scans only.
    """
    try:
        config, _ = config_together(runs, tta)
    except SegkitError:  # opening the runs raises it after the images are found
        return False
    if config.data.source == "scans":
        return True
    of_volumes = [name for name in formats if name in catalog.VOLUME_OUTPUTS]
    if of_volumes:
        raise ConfigError(
            f"{of_volumes[0]} holds the volumes of runs that were trained on scans (data.source: "
            f"scans); this run was trained on {config.data.source}",
            "contradiction",
            setting="--format",
        )
    return False


def result_folders(masks: Path) -> list[Path]:
    """Return all folders that prediction may write to: that of the masks, and those beside it."""
    endings = ["", "-overlays", "-probabilities", "-uncertainty"]
    endings += [f"-{name}" for name in sorted(catalog.ALL_OUTPUTS)]
    return [beside(masks, ending) for ending in endings]


def check_apart(images: Mapping[str, Path], folders: Sequence[Path]) -> None:
    """Check that no result is written into the folder of an image.

    It could replace an image, and a later call would take it for an image.

    Raises:
        ConfigError: If a folder of results holds images.
    """
    places = {(path.parent, PurePath(name).parent) for name, path in images.items()}
    for images_folder, below in sorted(places):
        for folder in folders:
            if (folder / below).resolve() == images_folder.resolve():
                raise ConfigError(
                    f"{images_folder} holds images to predict, and results would be written among "
                    f"them; choose another folder for the masks",
                    "contradiction",
                    setting="--out",
                )


def _search(path: Path, results: Sequence[Path], scans: bool) -> Found:
    """Return the contents of one input, without the results of earlier calls in it."""
    if not os.path.lexists(path):
        raise DataError(f"{path}: there is no such file or folder", "missing-file")
    if not path.is_dir() or is_ome_zarr(path):
        return Found([_name_file(path, scans)], [], [])
    root = path.resolve()
    # a folder of results that is an input itself, or holds it, was asked for by its name
    inside = [folder for folder in results if folder != root and folder not in root.parents]
    found = list_contents(path)
    if scans:
        found = _with_scans(found, path)
    found = _with_films(found, path)
    parents = {image.parent for _, image in found.images}
    parents.update(other.parent for other in found.others)
    written = {parent for parent in parents if _is_in(parent.resolve(), inside)}
    images = [(name, image) for name, image in found.images if image.parent not in written]
    others = [other for other in found.others if other.parent not in written]
    return Found(sorted(images), found.left_out, others)


def _name_file(path: Path, scans: bool) -> tuple[str, Path]:
    """Return the name of a file, or of the volume that it belongs to."""
    if scans and kind_of(path):
        try:
            return find_scan(path)
        except DataError:  # reading it raises the same error
            return name_of_file(path, path.parent), path
    return path.stem, path


def _with_scans(found: Found, folder: Path) -> Found:
    """Return the contents of a folder in which volumes and series are images."""
    scans = find_scans(folder)
    left_out = [entry for entry in found.left_out if entry.path not in scans.files]
    others = [path for path in found.others if path not in scans.files]
    return Found([*found.images, *scans.named], left_out, others)


def _with_films(found: Found, folder: Path) -> Found:
    """Return the contents of a folder in which films are images, if they can be read."""
    films = [entry.path for entry in found.left_out if is_film(entry.path)]
    if not films:
        return found
    images = list(found.images)
    left_out = [entry for entry in found.left_out if not is_film(entry.path)]
    for path in films:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not has_ffmpeg():
            why = f'is a film; `pip install "keras-segkit[{EXTRA}]"` to predict its frames'
            left_out.append(LeftOut(path, why))
        elif has_controls(name):
            left_out.append(LeftOut(path, UNUSABLE_NAME, unread=True))
        else:
            images.append((name, path))
    return Found(images, left_out, found.others)


def _is_in(folder: Path, results: Sequence[Path]) -> bool:
    return any(result == folder or result in folder.parents for result in results)


def _merge(contents: Sequence[Found]) -> Found:
    """Return the contents of all inputs together."""
    merged = Found([], [], [])
    for found in contents:
        merged.images.extend(found.images)
        merged.left_out.extend(found.left_out)
        merged.others.extend(found.others)
    return merged


def _choose_images(contents: Found) -> Inputs:
    """Return the images that can have a mask of their name, and the problems of the others."""
    chosen = Inputs({}, [])
    for entry in contents.left_out:
        if entry.unread:
            chosen.clashes.append((entry.path, _left_out(entry)))
    for same_name in _group_by_name(contents):
        if len(same_name) == 1:
            _add_image(chosen, *same_name[0])
        else:
            chosen.clashes.extend(_clashes(same_name))
    return chosen


def _group_by_name(contents: Found) -> list[list[tuple[str, Path]]]:
    """Return the images in groups that would have the same mask file. Each file appears once."""
    groups: dict[str, list[tuple[str, Path]]] = {}
    for name, path in contents.images:
        group = groups.setdefault(key_of(name), [])
        if not any(_is_same(path, other) for _, other in group):
            group.append((name, path))
    return list(groups.values())


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # a broken link
        return path == other


def _add_image(chosen: Inputs, name: str, path: Path) -> None:
    """Add an image, or the problem with its name."""
    reason = why_unsafe(f"{name}.png")
    if reason is None:
        chosen.images[name] = path
    else:
        message = f"not predicted, as its mask cannot have this name: {reason}; rename it"
        chosen.clashes.append((path, f"{shown(path)}: {message}"))


def _clashes(same_name: Sequence[tuple[str, Path]]) -> list[Problem]:
    """Return a problem for each of several images that would have the same mask file."""
    problems = []
    for name, path in same_name:
        other = next(other for _, other in same_name if other != path)
        message = (
            f"{shown(path)}: not predicted, because {shown(other)} would be written under the same "
            f"name, {shown(name)}; predict them in two calls with an --out each"
        )
        problems.append((path, message))
    return problems


def _left_out(entry: LeftOut) -> str:
    return f"{shown(entry.path)}: not predicted, {entry.why}"


def _notes(contents: Found) -> list[str]:
    """Return a line for each thing that is not predicted, and one for all other files."""
    notes = [_left_out(entry) for entry in contents.left_out if not entry.unread]
    others = contents.others
    if others:
        names = [shown(other.name) for other in others[:MAX_OTHERS]]
        if len(others) > MAX_OTHERS:
            names.append("...")
        notes.append(f"{len(others)} files are no images, and not predicted: {', '.join(names)}")
    return notes
