"""Addresses of slices, which stand for image files, and the volumes that are kept open for them."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit import catalog
from segkit.errors import DataError
from segkit.io.geometry import Geometry
from segkit.io.images import as_image
from segkit.io.pages import SLICE
from segkit.io.scans.finding import kind_of
from segkit.io.scans.views import View, choose_plane, view_of
from segkit.io.scans.volume import Volume, reading
from segkit.system.memory import free_memory

SLICE_NAME = re.compile(r"/slice_[0-9]+$")
"""The end of the name of a slice, after the name of its volume."""
MOST_OPEN = 256
"""Volumes that are kept open."""
SHARE = 0.25
"""Share of the free memory that decompressed volumes may use; the last one is kept in any case."""


class ScanSettings(NamedTuple):
    """How slices are cut from volumes, as the section `data` of a config says."""

    axis: str | None = None
    """The plane of the slices, a key of `views.PLANES`; None for that of the scanner."""
    neighbours: int = 0
    """Slices on each side of a slice that become further channels."""
    window: tuple[float, float] | None = None
    """Centre and width of the range that values are limited to; None for all values."""


class Slice(NamedTuple):
    """A slice of a volume, as an image."""

    values: np.ndarray
    """(H, W, C) float32, or uint8 or uint16 in RGB."""
    geometry: Geometry | None


class SlicePlace(NamedTuple):
    """Where a slice lies in its volume."""

    volume: Volume
    view: View
    number: int
    """The number of the slice in the view, from 0."""

    @property
    def stored_index(self) -> int:
        """The index along the axis of the file."""
        return self.view.stored_index(self.volume.grid, self.number)


def slice_path(path: Path, index: int) -> Path:
    """Return the address of a slice, which is counted from 0.

    >>> slice_path(Path("a/b.nii.gz"), 2).name
    'b.nii.gz#slice_003'
    """
    return path.with_name(f"{path.name}#slice_{index + 1:03d}")


def slice_name(volume: str, index: int, count: int) -> str:
    """Return the name of a slice; that of the volume, if it has only one.

    >>> slice_name("liver", 2, 40), slice_name("hand", 0, 1)
    ('liver/slice_003', 'hand')
    """
    if count == 1:
        return volume
    return f"{volume}/slice_{index + 1:03d}"


def volume_name(name: str) -> str:
    """Return the name of the volume of a slice.

    >>> volume_name("liver/slice_003"), volume_name("hand")
    ('liver', 'hand')
    """
    return SLICE_NAME.sub("", name, count=1)


def of_one_volume(one: str, other: str) -> bool:
    """Return whether two names are those of slices of one volume.

    >>> of_one_volume("liver/slice_003", "liver/slice_004"), of_one_volume("a", "a")
    (True, False)
    """
    volume = volume_name(one)
    return volume != one and volume == volume_name(other)


def split_slice(path: Path) -> tuple[Path, int | None]:
    """Return the file and the number (from 0) of an address; the number of a plain path is None."""
    found = SLICE.fullmatch(path.name)
    if found is None or int(found["number"]) < 1 or path.exists():
        return path, None
    return path.with_name(found["file"]), int(found["number"]) - 1


def is_slice(path: Path) -> bool:
    """Return whether a path is the address of a slice."""
    return split_slice(path)[1] is not None


class _Opened:
    """A volume that is kept open. The first thread that needs it opens it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.volume: Volume | None = None
        self.version: tuple[int, int] | None = None


_opened: OrderedDict[Path, _Opened] = OrderedDict()
_opened_lock = threading.Lock()


def open_volume(path: Path, anew: bool = False) -> Volume:
    """Return the volume in a file, or of the DICOM series that a file belongs to.

    Volumes are kept open, up to `MOST_OPEN` of them and a `SHARE` of the free memory. A file that
    has changed is opened again.

    Args:
        path: The file.
        anew: Whether it is opened again in any case.

    Raises:
        ConfigError: If the package of its format is not installed.
        DataError: If it is no volume, or cannot be read.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (links are not resolved)
    with reading(path):
        status = path.stat()
    version = (status.st_mtime_ns, status.st_size)
    with _opened_lock:
        opened = _opened.setdefault(path, _Opened())
        _opened.move_to_end(path)
    with opened.lock:
        if opened.volume is not None and opened.version == version and not anew:
            return opened.volume
        volume = _open(path)
        opened.volume = volume
        opened.version = version
    with _opened_lock:
        _close_others()
    return volume


def _open(path: Path) -> Volume:
    kind = kind_of(path)
    if kind is None:
        raise DataError(f"{path}: is no scan that segkit reads", "unreadable")
    with reading(path):
        volume: Volume = catalog.load_part(catalog.VOLUMES, kind)(path)
    return volume


def _close_others() -> None:
    """Close the volumes that were used least recently, until the others fit."""
    held = 0
    for opened in _opened.values():
        if opened.volume is not None:
            held += opened.volume.bytes_in_memory
    limit = SHARE * (free_memory() + held)
    while len(_opened) > 1 and (held > limit or len(_opened) > MOST_OPEN):
        _, oldest = _opened.popitem(last=False)
        if oldest.volume is not None:
            held -= oldest.volume.bytes_in_memory


def view_of_volume(volume: Volume, settings: ScanSettings) -> View:
    """Return how a volume is cut into slices.

    Raises:
        ConfigError: If neither the settings nor the volume name the plane.
        DataError: If the volume has an axis without a direction.
    """
    return view_of(volume.grid, settings.axis or choose_plane(volume), volume.path)


def place_of_slice(address: Path, settings: ScanSettings) -> SlicePlace:
    """Return the volume of an address, and the place of the slice in it.

    Raises:
        ConfigError: If neither the settings nor the volume name the plane.
        DataError: If the volume cannot be opened, or has no such slice.
    """
    path, index = split_slice(address)
    volume = open_volume(path)
    view = view_of_volume(volume, settings)
    number = index or 0
    if number >= view.count(volume.grid):
        message = f"{path}: has {view.count(volume.grid)} {view.plane} slice(s), not {number + 1}"
        raise DataError(message, "pages")
    return SlicePlace(volume, view, number)


def read_slice(address: Path, settings: ScanSettings) -> Slice:
    """Read a slice as an image.

    Args:
        address: Its address.
        settings: How slices are cut. Beyond the ends of a volume the last slice is repeated.

    Raises:
        ConfigError: If neither the settings nor the volume name the plane.
        DataError: If it cannot be read.
    """
    return slice_at(place_of_slice(address, settings), settings)


def slice_at(place: SlicePlace, settings: ScanSettings) -> Slice:
    """Read the slice at a place as an image; see `read_slice`.

    Raises:
        DataError: If it cannot be read.
    """
    volume, view, index = place
    last = view.count(volume.grid) - 1
    channels = []
    for offset in range(-settings.neighbours, settings.neighbours + 1):
        neighbour = min(max(index + offset, 0), last)
        stored = volume.plane(view.axes[2], view.stored_index(volume.grid, neighbour))
        channels.append(_as_image(view.upright(stored), volume.path))
    values = np.concatenate(channels, axis=-1)
    if settings.window is not None and values.dtype.kind == "f":
        centre, width = settings.window
        np.clip(values, centre - width / 2, centre + width / 2, out=values)
    return Slice(values, view.geometry(volume))


def _as_image(values: np.ndarray, path: Path) -> np.ndarray:
    """Return a copy of a plane as an image (H, W, C); grey values are float32."""
    if values.ndim == 2 and values.dtype.kind != "c":
        values = values.astype(np.float32)
    return np.array(as_image(values, path), order="C")


def slices_apart(volumes: Mapping[str, Path], settings: ScanSettings) -> dict[str, Path]:
    """Return the addresses of all slices of some volumes by name.

    A volume that cannot be opened stays one image, whose reading raises the error.

    Args:
        volumes: The files of the volumes by name; other images stay as they are.
        settings: How slices are cut.

    Raises:
        ConfigError: If a package is not installed, or neither the settings nor a volume name the
            plane.
    """
    apart: dict[str, Path] = {}
    for name, path in volumes.items():
        if kind_of(path) is None:
            apart[name] = path
            continue
        try:
            volume = open_volume(path, anew=True)
            count = view_of_volume(volume, settings).count(volume.grid)
        except DataError:
            apart[name] = slice_path(path, 0)
            continue
        for index in range(count):
            apart[slice_name(name, index, count)] = slice_path(path, index)
    return apart
