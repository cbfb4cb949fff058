"""Masks on disk: the values that a file stores, never colours made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io import codecs, png
from segkit.io.atomic import together
from segkit.io.coding import Coding, segkit_coding
from segkit.io.colour_spaces import as_rgb, is_white_zero
from segkit.io.lossless import lossy
from segkit.io.pages import Pages, choose_frame, file_of, split_page
from segkit.io.pixels import Pixels, both, complete_pixels, holes, without_holes
from segkit.io.tiff import Layout, read_stored_tiff, seen, white_of, without_alpha_of_maps
from segkit.io.tiff_files import save_tiff
from segkit.io.turning import orientation_of, upright
from segkit.task import Task, values_of

SURELY_YES = 100
"""Grey value from which a pixel of a lossy yes/no mask is no noise beside dark pixels."""


def read_mask(path: Path, threshold: int | None = None) -> np.ndarray:
    """Return the values of `read_mask_pixels`."""
    return read_mask_pixels(path, threshold).values


def read_mask_pixels(
    path: Path, threshold: int | None = None, pages: Pages | None = None
) -> Pixels:
    """Return the values of a mask file as they are stored: (H, W) of whole numbers; palette indices, not colours.

    1-bit masks give 0/1. RGB is accepted only if its channels are equal, alpha only if it is
    opaque. Where a TIFF says that 0 is white, black is 0 in the result. Pixels of the nodata value
    of a GeoTIFF, and those that its internal mask hides, are not valid.

    Args:
        path: The file, or the address of a page.
        threshold: With it the result is 0/1, 1 where the value is `threshold` or more: the way to
            read JPEG and anti-aliased yes/no masks. Of a palette of greys it is the grey that
            counts.
        pages: What the pages of a file are (`data.pages`), if the user says so.

    Raises:
        DataError: With the file's name, if it cannot be read as a mask.
    """
    stored = _stored(path, threshold, pages)
    array = stored.values
    if array.ndim == 3:
        array = _one_channel(array, path)
    array = _whole(array, path, stored.valid)
    return stored._replace(
        values=array if threshold is None else (array >= threshold).astype(np.uint8)
    )


def read_layers(path: Path, threshold: int | None = None, pages: Pages | None = None) -> np.ndarray:
    """Return the values of `read_layer_pixels`."""
    return read_layer_pixels(path, threshold, pages).values


def read_layer_pixels(
    path: Path, threshold: int | None = None, pages: Pages | None = None
) -> Pixels:
    """Return the bands of a mask file, (H, W, C) of whole numbers: one band a class."""
    stored = _stored(path, threshold, pages)
    array = _whole(stored.values, path, stored.valid)
    array = array[..., None] if array.ndim == 2 else array
    return stored._replace(
        values=array if threshold is None else (array >= threshold).astype(np.uint8)
    )


def read_colours(path: Path, lossy_too: bool = False) -> np.ndarray:
    """Return the values of `read_colour_pixels`."""
    return read_colour_pixels(path, lossy_too=lossy_too).values


def read_colour_pixels(path: Path, pages: Pages | None = None, lossy_too: bool = False) -> Pixels:
    """Return the colours of a mask file, (H, W, 3) uint8; a palette's or grey ones become RGB, an opaque alpha is dropped.

    JPEG and the like are refused unless `lossy_too`. `Pixels.nodata` is the packed colour 0xrrggbb
    of the pixels that are missing.
    """
    with codecs.naming(path):
        if not lossy_too:
            _check_lossless_colours(path)
        stored = (
            _tiff_colours(path, pages)
            if codecs.is_tiff(path)
            else Pixels(_picture_colours(path, pages))
        )
        array = stored.values
        array = array.astype(np.uint8) * 255 if array.dtype == bool else array
        array = np.repeat(array[..., None], 3, axis=-1) if array.ndim == 2 else _opaque(array, path)
        array = np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array
    if array.dtype != np.uint8 or array.shape[-1] != 3:
        raise DataError(
            f"{path}: a colour mask is 8-bit RGB; found {array.dtype} {array.shape}",
            "mask-channels",
        )
    return stored._replace(values=array)


def _picture_colours(path: Path, pages: Pages | None) -> np.ndarray:
    file, page = split_page(path)
    plain = png.read_plain(file)
    if plain is not None:
        return plain
    with codecs.opened(file) as picture:
        choose_frame(picture, path, page, pages)
        if picture.mode.startswith(("I", "F")) or codecs.is_deep_png(file, picture):
            raise DataError(
                f"{path}: a colour mask is 8-bit RGB; this one is deeper, convert it",
                "mask-channels",
            )
        colours = np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
        return upright(colours, orientation_of(picture))


def _tiff_colours(path: Path, pages: Pages | None) -> Pixels:
    values, valid, layout = without_alpha_of_maps(read_stored_tiff(path, pages))
    values = values[..., None] if values.ndim == 2 else values
    missing = holes(values, layout.nodata)
    valid = both(valid, None if missing is None else complete_pixels(missing))
    nodata = None if missing is None else _packed(layout)
    return without_holes(Pixels(seen(values, layout), valid, nodata=nodata))


def _packed(layout: Layout) -> int:
    """Return the colour 0xrrggbb of the nodata value of 8 bits."""
    value = int(layout.nodata or 0)
    red, green, blue = (
        (value, value, value) if layout.palette is None else layout.palette[value].tolist()
    )
    return int(red << 16 | green << 8 | blue)


def _stored(path: Path, threshold: int | None, pages: Pages | None) -> Pixels:
    with codecs.naming(path):
        if threshold is None:
            _check_lossless(path)
        stored = (
            _tiff_values(path, pages) if codecs.is_tiff(path) else codecs.read_stored(path, pages)
        )
    if stored.white:
        stored = _from_white(stored, path, threshold is not None)
    return stored if threshold is None else _in_grey(stored)


def _tiff_values(path: Path, pages: Pages | None) -> Pixels:
    values, valid, layout = without_alpha_of_maps(read_stored_tiff(path, pages))
    missing = holes(values, layout.nodata)
    valid = both(valid, None if missing is None else complete_pixels(missing))
    nodata = None if missing is None else layout.nodata
    is_white = is_white_zero(layout.page)
    if is_white and values.dtype == bool:
        values = ~values
    elif not is_white:
        values = as_rgb(values, layout.page)
    white = None
    if is_white:
        white = white_of(layout.page) if values.dtype.kind == "u" else 0
    return without_holes(Pixels(values, valid, layout.palette, nodata, white))


def _from_white(stored: Pixels, path: Path, grey: bool) -> Pixels:
    """Return values of which 0 is white as they are seen: those of yes/no masks, and `grey` ones."""
    white = int(stored.white or 0)
    found = np.unique(stored.values if stored.valid is None else stored.values[stored.valid])
    if not grey and not set(found.tolist()) <= {0, white}:
        shown = ", ".join(map(str, found[:8].tolist())) + (", ..." if found.size > 8 else "")
        raise DataError(
            f"{path}: says that 0 is white (PhotometricInterpretation WhiteIsZero), so the stored values {shown} are seen as "
            f"{white} and less, and nothing says which of both are class ids. Save it with black as 0 (BlackIsZero)",
            "mask-white",
        )
    return stored._replace(values=(white - stored.values).astype(stored.values.dtype))


def _in_grey(stored: Pixels) -> Pixels:
    """Return the greys of indices whose colours are all grey; other values as they are."""
    if stored.palette is None:
        return stored
    used = stored.palette[values_of(stored.values)]
    if (used != used[:, :1]).any():
        return stored
    return stored._replace(values=stored.palette[stored.values][..., 0], palette=None)


def _check_lossless(path: Path) -> None:
    kind = lossy(path)
    if kind:
        raise DataError(
            f"{path}: {kind} changes mask values (60 becomes 49), so ids cannot be read from it. Save masks as PNG; "
            f"for a yes/no mask {_threshold_for(path)} reads it all the same",
            "mask-lossy",
        )


def _threshold_for(path: Path) -> str:
    """Return the setting that cuts a yes/no mask in the middle, if its brightest pixel is surely yes."""
    if codecs.is_tiff(path):
        return "data.mask_threshold"
    with codecs.opened(file_of(path)) as picture:
        brightest = int(np.asarray(picture.convert("L")).max())
    if brightest < SURELY_YES:
        return "data.mask_threshold (a value between no and yes)"
    return f"data.mask_threshold: {(brightest + 1) // 2}"


def _check_lossless_colours(path: Path) -> None:
    kind = lossy(path)
    if kind:
        raise DataError(
            f"{path}: {kind} changes colours near the edges, so they cannot be read exactly. Save masks as PNG, or take "
            f"the nearest colour that is named, by data.colour_tolerance",
            "mask-lossy",
        )


def _whole(array: np.ndarray, path: Path, valid: np.ndarray | None = None) -> np.ndarray:
    if array.dtype == bool:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if valid is not None:
            array = np.where(
                valid if array.ndim == 2 else valid[..., None], array, 0
            )  # nodata may be NaN
        if not (np.isfinite(array) & (array == np.floor(array))).all():
            raise DataError(
                f"{path}: a mask holds whole numbers; found fractions, NaN or infinite values, like those of a probability "
                f"map. Save class ids as PNG",
                "mask-values",
            )
        return array.astype(np.int64)
    return array


def _one_channel(array: np.ndarray, path: Path) -> np.ndarray:
    colours = _opaque(array, path)
    if (colours != colours[..., :1]).any():
        raise DataError(
            f"{path}: a colour picture of {array.shape[-1]} channels; a mask file holds one value a pixel. If colours "
            f"stand for classes, name them with data.mask_colours",
            "mask-colours",
        )
    return np.asarray(colours[..., 0])


def _opaque(array: np.ndarray, path: Path) -> np.ndarray:
    """Return the array without its alpha channel, which must be opaque."""
    if array.shape[-1] not in (2, 4):
        return array
    opaque = np.iinfo(array.dtype).max if np.issubdtype(array.dtype, np.integer) else 1
    if (array[..., -1] != opaque).any():
        raise DataError(
            f"{path}: a mask with a transparent part; save it without alpha channel", "mask-alpha"
        )
    return array[..., :-1]


def mask_paths(task: Task, folder: Path, name: str, suffix: str = ".png") -> list[Path]:
    """Return where the mask of the image `name` stands in segkit's own coding: FOLDER/NAME.png.

    In a multilabel task it is FOLDER/CLASS/NAME.png for each class. `suffix` may be ".tif", too.
    Raises `DataError` if the name or a class cannot be that of a file or folder;
    `names.check_class_folders` says so of classes before any image is predicted.
    """
    return segkit_coding(task).paths(folder, name, tiff=suffix == ".tif")


def write_mask(task: Task, mask: np.ndarray, folder: Path, name: str) -> list[Path]:
    """Write a decoded mask in segkit's own coding, as the folder source reads it without any setting."""
    coding = segkit_coding(task)
    paths = coding.paths(folder, name)
    with together(paths) as temporaries:
        save_mask(coding, mask, temporaries)
    return paths


def save_mask(
    coding: Coding, mask: np.ndarray, paths: Sequence[Path], tags: Sequence[Any] = ()
) -> None:
    """Write a decoded mask or target in a coding.

    Args:
        coding: How the mask is stored.
        mask: The mask of one image, (H, W) or (H, W, P); VOID is void.
        paths: The files, in the order of `coding.paths`: PNG or TIFF, as their suffixes say.
        tags: Further tags of TIFF files, as tifffile takes them.
    """
    for file, path in enumerate(paths):
        stored = coding.encode(mask, file)
        if codecs.is_tiff(path):
            save_tiff(path, stored, tags, coding.palette, coding.in_colours)
        else:
            _picture(stored, coding.palette).save(path)


def _picture(stored: np.ndarray, palette: np.ndarray | None) -> Image.Image:
    picture = Image.fromarray(stored)
    if palette is not None:
        picture.putpalette(palette.ravel().tolist())
    return picture
