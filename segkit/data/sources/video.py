"""Frames of films, with the masks of the frames that have one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from segkit.config import DataConfig
from segkit.config.sets import annotated
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.pair_names import parts_by_folder
from segkit.data.sources.pair_pages import Pair, Pairs
from segkit.errors import ConfigError, DataError
from segkit.io.films.frames import (
    film_name,
    find_films,
    frame_name,
    frame_path,
    open_film,
    read_frame,
    split_frame,
)
from segkit.io.geometry import Geometry
from segkit.io.image_files import FILMS, LeftOut, left_out_in, list_images
from segkit.io.pixels import Pixels
from segkit.io.unicode_names import nfc
from segkit.task import Task

FRAME = re.compile(r"(?P<film>.+)/frame_(?P<number>[0-9]{1,9})", re.DOTALL)
"""The name of a mask below the folder of masks."""
MOST_LISTED = 5
"""Names that a message lists at most."""


class Films(NamedTuple):
    """The films of a data set."""

    counts: dict[str, int]
    """The number of frames of each film by its name."""
    paths: dict[str, Path]
    broken: list[LeftOut]
    """Films that cannot be read, with `data.skip_broken`."""


class VideoSource(FolderSource):
    """The frames of IMAGES/film.mp4 that have a mask MASKS/film/frame_000123.png.

    Frames are counted from 1. The masks are those of the source "folder": in a file for each frame,
    or in one for each class, MASKS/CLASS/film/frame_000123.png. All frames of a film are a group.

    Args:
        data: The `data` section of a config.
        task: The task whose masks are read.

    Raises:
        ConfigError: If a setting is missing or does not fit, or imageio-ffmpeg is not installed.
        DataError: If a film cannot be read, or a mask belongs to no frame.
    """

    def __init__(self, data: DataConfig, task: Task) -> None:
        _check_settings(data)
        assert data.images is not None
        films = _open_films(data.images, data.skip_broken)
        labels = tuple(annotated([task.classes[index] for index in task.foreground], data))
        pairs = _find_pairs(data, labels, films)
        super().__init__(data, task, pairs)
        self.left_out = films.broken + _left_out(data, films, self.names)

    @property
    def read_as(self) -> str:
        """What the films are: their number, and how many frames have a mask."""
        films = {film_name(name) for name in self.names}
        return f"{len(films)} film(s), {len(self.names)} frames with a mask"

    def geometry(self, name: str) -> Geometry | None:
        """Return None: films state no size of their pixels."""
        return None

    def _read_image(self, path: Path) -> Pixels:
        address = split_frame(path)
        assert address is not None
        return Pixels(read_frame(address))


def open_video(data: DataConfig, task: Task) -> VideoSource:
    """Open the video source of a config's `data` section; see `VideoSource`."""
    return VideoSource(data, task)


def _check_settings(data: DataConfig) -> None:
    if data.images is None or data.masks is None:
        raise ConfigError(
            "the source video needs data.images, the folder of the films, and data.masks",
            "missing-setting",
            setting="data",
        )
    for name in ("list_file", "image_suffix"):
        if getattr(data, name):
            raise ConfigError(
                "is not for films: a mask is called like its film and the number of its frame, "
                "FILM/frame_000123.png",
                "contradiction",
                setting=f"data.{name}",
            )


def _open_films(folder: Path, skip_broken: bool) -> Films:
    """Return the films in a folder and the numbers of their frames."""
    paths = find_films(folder)
    if not paths:
        raise DataError(f"{folder}: contains no film; segkit reads {', '.join(FILMS)}", "empty")
    films = Films({}, {}, [])
    for name, path in paths.items():
        try:
            films.counts[name] = open_film(path).count
        except DataError as problem:
            if not skip_broken:
                raise
            films.broken.append(LeftOut(path, str(problem)))
        films.paths[name] = path
    return films


def _find_pairs(data: DataConfig, labels: tuple[str, ...], films: Films) -> Pairs:
    """Pair masks with the frames that their names mean."""
    assert data.masks is not None
    masks: dict[str, dict[str, Path]] = {}
    without: list[str] = []
    folders = folders_of_classes(data.masks, labels, data.missing_masks == "void")
    for label, folder in folders.items():
        for name, path in list_images(folder).items():
            if not nfc(name).endswith(nfc(data.mask_suffix)):
                continue
            frame = _frame_of(nfc(name).removesuffix(nfc(data.mask_suffix)), films)
            if frame is None:
                without.append(f"{label}/{name}" if label else name)
            elif label in masks.setdefault(frame, {}):
                raise DataError(
                    f"{path} and {masks[frame][label]}: two masks of one frame", "duplicate-name"
                )
            else:
                masks[frame][label] = path
    if without:
        raise _unpaired(f"{len(without)} masks belong to no frame in {data.images}", without)
    return _as_pairs(data, masks, labels, films)


def _frame_of(name: str, films: Films) -> str | None:
    """Return the name of the frame that the name of a mask means; None if there is none."""
    found = FRAME.fullmatch(name)
    if found is None or found["film"] not in films.paths:
        return None
    index = int(found["number"]) - 1
    count = films.counts.get(found["film"], index + 1)
    if not 0 <= index < count:
        return None
    return frame_name(found["film"], index)


def _as_pairs(
    data: DataConfig, masks: Mapping[str, Mapping[str, Path]], labels: tuple[str, ...], films: Films
) -> Pairs:
    """Return the pairs of frames that have masks, without those of broken films."""
    pairs: dict[str, Pair] = {}
    unlabelled: dict[str, tuple[str, ...]] = {}
    incomplete = []
    for name, of_frame in sorted(masks.items()):
        film = film_name(name)
        if film not in films.counts:
            continue
        missing = tuple(label for label in labels if "" not in of_frame and label not in of_frame)
        if missing and data.missing_masks == "void":
            unlabelled[name] = missing
        elif missing:
            incomplete += [f"{label}/{name}" for label in missing]
        index = int(name.rpartition("_")[2]) - 1
        pairs[name] = Pair(frame_path(films.paths[film], index), of_frame)
    if incomplete:
        raise _unpaired(
            f"{len(incomplete)} masks are missing in {data.masks}, where another class has one; if "
            f"these classes were not annotated, set data.missing_masks: void",
            incomplete,
        )
    if not pairs:
        raise _unpaired(f"{data.masks}: contains no mask of a frame", list(films.paths))
    return Pairs(pairs, parts_by_folder(pairs), unlabelled)


def folders_of_classes(masks: Path, labels: Collection[str], some: bool = False) -> dict[str, Path]:
    """Return the folder of each class, or the folder of the masks itself as "".

    Args:
        masks: The folder of the masks.
        labels: The classes.
        some: Whether classes may have no folder.

    Raises:
        DataError: If a folder is missing.
    """
    if not masks.is_dir():
        raise DataError(f"{masks}: there is no such folder", "unpaired")
    found = {label: masks / label for label in labels if (masks / label).is_dir()}
    if not found:
        return {"": masks}
    missing = [label for label in labels if label not in found]
    if missing and not some:
        raise DataError(
            f"{masks}: if masks have sub-folders of classes, each class needs one; missing: "
            f"{', '.join(missing)}",
            "unpaired",
        )
    return found


def _left_out(data: DataConfig, films: Films, names: Collection[str]) -> list[LeftOut]:
    """Return the films without a mask, and other files that are not read."""
    labelled = {film_name(name) for name in names}
    found = []
    for name in films.counts:
        if name not in labelled:
            found.append(LeftOut(films.paths[name], "has no mask of a frame"))
    known = set(films.paths.values())
    for entry in left_out_in([data.images, data.masks]):
        if entry.path not in known:
            found.append(entry)
    return found


def _unpaired(message: str, names: Collection[str]) -> DataError:
    listed = sorted(names)[:MOST_LISTED]
    if len(names) > MOST_LISTED:
        listed.append("...")
    return DataError(
        f"{message}: {', '.join(listed)}. The mask of the third frame of b.mp4 is "
        f"b/frame_000003.png; frames are counted from 1",
        "unpaired",
    )
