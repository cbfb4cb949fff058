"""The content of mask files, read before it is known what their values mean."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from segkit.data.sources.csv_list import COLUMNS, read_list
from segkit.data.sources.palettes import used_colours
from segkit.errors import DataError
from segkit.inspection.intensities import intensity_histogram
from segkit.inspection.mask_format.instances import Objects, numbered_objects
from segkit.io import codecs, lossless, png
from segkit.io.colour_spaces import IN_COLOUR
from segkit.io.images import read_image
from segkit.io.masks import read_colour_pixels, read_layer_pixels, read_mask_pixels
from segkit.io.pages import Pages, file_of
from segkit.io.pictures import open_tiff
from segkit.io.pixels import Pixels
from segkit.io.stack_files import is_stack_file, name_of_format

PICTURE_BANDS = (1, 3)
MODE_NAMES = {"1": "1-bit", "P": "palette", "L": "grey"}
"""Descriptions of Pillow's modes."""
CACHED = 2**28
"""Bytes of decoded masks that `scan_masks` returns, so that small data sets are decoded once."""


class Stored(NamedTuple):
    """The content of a mask file.

    It has ids (one value per pixel), colours (packed 0xrrggbb), or bands (one per class).
    """

    form: Literal["ids", "colours", "bands", "broken"]
    description: str
    """Kind of the file for the user; the error message of a broken file."""
    dtype: np.dtype[Any]
    pixels: Mapping[int, int]
    """Number of pixels of each value or colour; empty for bands."""
    bands: int = 1
    lossy: bool = False
    array: np.ndarray | None = None
    """The values (H, W), if the file was decoded as `segkit.io.masks` decodes it."""
    palette: Mapping[int, int] | None = None
    """The packed colour of each used index, for a file of indices."""
    nodata: float | None = None
    """The file's own nodata value, if it occurs; these pixels are not counted."""
    white: bool = False
    """Whether the file says that 0 is white; `pixels` are the displayed values."""
    code: str = ""
    """Error code of a broken file."""
    transparent: bool = False
    """Whether pixels are transparent, which are not counted."""


def scan_masks(
    paths: Sequence[Path],
    progress: Callable[[], None] = lambda: None,
    pages: Pages | None = None,
    opaque_only: bool = False,
) -> list[Stored]:
    """Return the content of each mask file, read in as many threads as there are cores.

    Args:
        paths: The mask files.
        progress: Called after each file.
        pages: `data.pages`.
        opaque_only: Whether values that the file shows as transparent are not counted.

    Returns:
        The contents in the order of `paths`, with decoded masks of up to `CACHED` bytes.
    """
    cached = 0

    def scan(path: Path) -> Stored:
        nonlocal cached
        stored = scan_mask(path, pages, opaque_only)
        progress()
        if stored.array is not None:
            cached += stored.array.nbytes
        if cached > CACHED:
            return stored._replace(array=None)
        return stored

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(scan, paths))


def describe_kinds(scanned: Sequence[Stored]) -> str:
    """Return the most common kinds of the files that can be read, such as "3 grey PNG"."""
    kinds = Counter(stored.description for stored in scanned if stored.form != "broken")
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))


def scan_mask(path: Path, pages: Pages | None = None, opaque_only: bool = False) -> Stored:
    """Return the content of a mask file; its form is "broken" if it cannot be read."""
    try:
        found = _scan(path, pages)
        if opaque_only and found.form == "ids" and not found.lossy:
            shown = read_mask_pixels(path, pages=pages, opaque_only=True)
            return _scan_ids(shown, found.description)
        return found
    except DataError as problem:
        if problem.code == "mask-alpha":
            return _scan_opaque(path, pages)
        return Stored("broken", str(problem), np.dtype(np.uint8), {}, code=problem.code)


def _scan(path: Path, pages: Pages | None) -> Stored:
    is_tiff = False
    with codecs.naming(path):
        is_tiff = codecs.is_tiff(path)
        if is_stack_file(path):
            return _scan_layers(read_layer_pixels(path), name_of_format(path))
        if not is_tiff:
            plain = png.read_plain(path)
            if plain is not None and plain.ndim == 2:
                return Stored("ids", "grey PNG", plain.dtype, _count_values(plain), array=plain)
        lossy = lossless.lossy(path)
        kind, is_colour = _tiff_kind(path) if is_tiff else _picture_kind(path)
    if lossy:
        values = _lossy_values(path, pages)
        return Stored("ids", lossy, np.dtype(np.uint8), _count_values(values), lossy=True)
    if is_colour:
        return _scan_colours(path, kind, pages)
    read = read_layer_pixels if is_tiff else read_mask_pixels
    return _scan_layers(read(path, pages=pages), kind)


def _scan_layers(stored: Pixels, kind: str) -> Stored:
    """Return the content of ids (H, W), or of bands (H, W, C)."""
    if stored.values.ndim == 2:
        return _scan_ids(stored, kind)
    bands = stored.values.shape[-1]
    if bands == 1:
        return _scan_ids(stored._replace(values=stored.values[..., 0]), kind)
    return Stored("bands", f"{kind} of {bands} bands", stored.values.dtype, {}, bands)


def _scan_opaque(path: Path, pages: Pages | None) -> Stored:
    """Return the content of the opaque pixels of a mask with a transparent part."""
    try:
        kind, _ = _tiff_kind(path) if codecs.is_tiff(path) else _picture_kind(path)
        stored = read_colour_pixels(path, pages, opaque_only=True)
        rgb = stored.values
        if stored.valid is not None:
            rgb = rgb[stored.valid]
        if (rgb != rgb[..., :1]).any():
            found = _of_colours(stored, kind)
        else:
            found = _scan_ids(read_mask_pixels(path, pages=pages, opaque_only=True), kind)
    except DataError as problem:
        return Stored("broken", str(problem), np.dtype(np.uint8), {}, code=problem.code)
    return found._replace(transparent=True)


def _scan_ids(stored: Pixels, kind: str) -> Stored:
    values = stored.values
    if stored.valid is not None:
        values = values[stored.valid][:, None]
    palette = None
    if stored.palette is not None:
        palette = used_colours(values, stored.palette)
    return Stored(
        "ids",
        kind,
        values.dtype,
        _count_values(values) if values.size else {},
        palette=palette,
        nodata=stored.nodata,
        white=stored.white is not None,
    )


def _scan_colours(path: Path, kind: str, pages: Pages | None) -> Stored:
    return _of_colours(read_colour_pixels(path, pages), kind)


def _of_colours(stored: Pixels, kind: str) -> Stored:
    rgb = stored.values.astype(np.int32)
    packed = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    if stored.valid is not None:
        packed = packed[stored.valid]
    counts = _count_values(packed)
    return Stored("colours", kind, np.dtype(np.uint8), counts, nodata=stored.nodata)


def objects_in(
    paths: Sequence[Path], scanned: Sequence[Stored], pages: Pages | None = None
) -> Objects | None:
    """Return a description of the numbers in masks of ids, if they may be single objects.

    Args:
        paths: The mask files.
        scanned: Their contents.
        pages: `data.pages`.

    Returns:
        The objects; None if the numbers are classes, or yes and no.
    """
    files = []
    for path, stored in zip(paths, scanned, strict=True):
        if stored.form == "ids":
            files.append((path, stored))

    def read(place: int) -> np.ndarray | None:
        path, stored = files[place]
        if stored.array is not None:
            return stored.array
        try:
            found = read_mask_pixels(path, pages=pages)
        except DataError:
            return None
        if found.valid is None:
            return found.values
        return np.where(found.valid, found.values, 0)

    return numbered_objects([stored.pixels for _, stored in files], read)


def masks_in_list(path: Path) -> tuple[list[Path], list[str]]:
    """Return the mask files in a CSV list, and the class columns if it has one per class."""
    rows, names = read_list(path)
    class_columns = []
    columns = ["mask"]
    if "mask" not in names:
        class_columns = [name for name in names if name and name not in COLUMNS]
        columns = class_columns
    files = []
    for _, row in rows:
        files += [path.parent / row[column] for column in columns if row.get(column)]
    return files, class_columns


def _picture_kind(path: Path) -> tuple[str, bool]:
    """Return the description of a picture, and whether it has colours."""
    with codecs.opened(file_of(path)) as picture:
        if picture.mode in ("RGB", "RGBA"):
            pixels = np.asarray(picture)[..., :3]
            has_colours = bool((pixels != pixels[..., :1]).any())
            return f"{picture.mode} {picture.format}", has_colours
        if picture.mode.startswith("I"):
            return f"16-bit {picture.format}", False
        return f"{MODE_NAMES.get(picture.mode, picture.mode)} {picture.format}", False


def _tiff_kind(path: Path) -> tuple[str, bool]:
    """Return the description of a TIFF, and whether it has colours."""
    with open_tiff(file_of(path)) as tiff:
        page = tiff.pages[0]
        has_colours = int(page.photometric) in IN_COLOUR and page.dtype == np.uint8
        return f"{page.dtype} TIFF", has_colours


def _lossy_values(path: Path, pages: Pages | None) -> np.ndarray:
    """Return the grey values of a JPEG or the like, (H, W)."""
    image = read_image(path, pages)
    if image.dtype != np.uint8 or image.shape[-1] not in PICTURE_BANDS:
        return image[..., 0]
    if image.shape[-1] == 1:
        return image[..., 0]
    return np.asarray(Image.fromarray(image).convert("L"))


def _count_values(array: np.ndarray) -> dict[int, int]:
    if array.dtype == np.uint8:
        counts = intensity_histogram(array[..., None])[0]
        return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()}
    values, numbers = np.unique(array, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))
