"""A first look at mask files, before it is known what they mean."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from segkit.data.sources.labels import used_colours
from segkit.data.sources.pairs import COLUMNS, read_list
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


class Stored(NamedTuple):
    """What a mask file holds: ids (one value a pixel), colours (packed 0xrrggbb), or bands (one a class)."""

    form: Literal["ids", "colours", "bands", "broken"]
    words: str
    dtype: np.dtype[Any]
    pixels: Mapping[int, int]
    """How many pixels have each value or colour; empty for bands."""
    bands: int = 1
    lossy: bool = False
    array: np.ndarray | None = None
    """The values (H, W), where `mask_files.read_mask` reads the same."""
    palette: Mapping[int, int] | None = None
    """The packed colour of each index, in a file of indices."""
    nodata: float | None = None
    """The value that the file calls no data, if it occurs; these pixels are not counted."""
    white: bool = False
    """Whether the file says that 0 is white; `pixels` are as they are seen."""
    code: str = ""
    """What is wrong with a broken file."""


PICTURE_BANDS = (1, 3)
KEPT = 2**28
"""Bytes of masks that `look_at_all` keeps in memory, so that those of small data sets are decoded once."""


def look_at_all(
    paths: Sequence[Path], done: Callable[[], None] = lambda: None, pages: Pages | None = None
) -> list[Stored]:
    """Return what each mask file holds, read in threads over the cores; `done` is called after each.

    `pages` is `data.pages`.
    """
    held = 0

    def look_at(path: Path) -> Stored:
        nonlocal held
        stored = scan_mask(path, pages)
        done()
        if stored.array is not None:
            held += stored.array.nbytes
        return stored if held <= KEPT else stored._replace(array=None)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(look_at, paths))


def describe_kinds(looked: Sequence[Stored]) -> str:
    """Return in words the kinds of the files that could be read, the most common ones."""
    kinds = Counter(stored.words for stored in looked if stored.form != "broken")
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))


def scan_mask(path: Path, pages: Pages | None = None) -> Stored:
    """Return what a mask file holds; "broken" if it cannot be read."""
    try:
        with codecs.naming(path):
            plain = None if codecs.is_tiff(path) else png.read_plain(path)
            if plain is not None and plain.ndim == 2:
                return Stored("ids", "grey PNG", plain.dtype, _counted(plain), array=plain)
            lossy = lossless.lossy(path)
            kind, is_colour = (_tiff_kind if codecs.is_tiff(path) else _picture_kind)(path)
        if is_colour and not lossy:
            return _look_at_colours(path, kind, pages)
        if lossy:
            return Stored(
                "ids", lossy, np.dtype(np.uint8), _counted(_lossy_values(path, pages)), lossy=True
            )
        read = read_layer_pixels if codecs.is_tiff(path) else read_mask_pixels
        stored = read(path, pages=pages)
    except DataError as problem:
        return Stored("broken", str(problem), np.dtype(np.uint8), {}, code=problem.code)
    layers = stored.values if stored.values.ndim == 3 else stored.values[..., None]
    if layers.shape[-1] > 1:
        return Stored(
            "bands", f"{kind} of {layers.shape[-1]} bands", layers.dtype, {}, layers.shape[-1]
        )
    return _look_at_ids(stored._replace(values=layers[..., 0]), kind)


def _look_at_ids(stored: Pixels, kind: str) -> Stored:
    values = stored.values if stored.valid is None else stored.values[stored.valid][:, None]
    palette = None if stored.palette is None else used_colours(values, stored.palette)
    pixels = _counted(values) if values.size else {}
    white = stored.white is not None
    return Stored(
        "ids", kind, values.dtype, pixels, palette=palette, nodata=stored.nodata, white=white
    )


def objects_in(
    paths: Sequence[Path], looked: Sequence[Stored], pages: Pages | None = None
) -> Objects | None:
    """Return what the numbers in mask files of ids seem to be; None if they are classes, or yes and no."""
    files = [
        (path, stored) for path, stored in zip(paths, looked, strict=True) if stored.form == "ids"
    ]

    def read(place: int) -> np.ndarray | None:
        path, stored = files[place]
        if stored.array is not None:
            return stored.array
        try:
            found = read_mask_pixels(path, pages=pages)
        except DataError:
            return None
        return found.values if found.valid is None else np.where(found.valid, found.values, 0)

    return numbered_objects([stored.pixels for _, stored in files], read)


def listed(path: Path) -> tuple[list[Path], list[str]]:
    """Return the mask files of a CSV list, and the names of its columns if it has one a class."""
    rows, names = read_list(path)
    others = [name for name in names if name and name not in COLUMNS]
    columns = ["mask"] if "mask" in names else others
    found = [path.parent / row[column] for _, row in rows for column in columns if row.get(column)]
    return found, [] if columns == ["mask"] else others


def _picture_kind(path: Path) -> tuple[str, bool]:
    """Return a picture's kind in words, and whether it is one of colours."""
    with codecs.opened(file_of(path)) as picture:
        name = {"1": "1-bit", "P": "palette", "L": "grey"}.get(picture.mode, picture.mode)
        deep = "16-bit " if picture.mode.startswith("I") else ""
        if picture.mode in ("RGB", "RGBA"):
            pixels = np.asarray(picture)[..., :3]
            return f"{picture.mode} {picture.format}", bool((pixels != pixels[..., :1]).any())
        return f"{deep or name + ' '}{picture.format}", False


def _tiff_kind(path: Path) -> tuple[str, bool]:
    with open_tiff(file_of(path)) as tiff:
        page = tiff.pages[0]
        rgb = int(page.photometric) in IN_COLOUR and page.dtype == np.uint8
        return f"{page.dtype} TIFF", rgb


def _look_at_colours(path: Path, kind: str, pages: Pages | None) -> Stored:
    stored = read_colour_pixels(path, pages)
    rgb = stored.values.astype(np.int32)
    packed = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    known = packed if stored.valid is None else packed[stored.valid]
    return Stored("colours", kind, np.dtype(np.uint8), _counted(known), nodata=stored.nodata)


def _lossy_values(path: Path, pages: Pages | None) -> np.ndarray:
    """Return the grey values of a JPEG or the like, (H, W)."""
    image = read_image(path, pages)
    if image.dtype != np.uint8 or image.shape[-1] not in PICTURE_BANDS:
        return image[..., 0]
    return np.asarray(
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).convert("L")
    )


def _counted(array: np.ndarray) -> dict[int, int]:
    if array.dtype == np.uint8:
        counts = intensity_histogram(array[..., None])[0]
        return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()}
    values, counts = np.unique(array, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
