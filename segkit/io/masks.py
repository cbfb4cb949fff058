"""Reads and writes masks: the values that a file stores, not the colours that a viewer shows."""

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
from segkit.io.mask_alpha import opaque_pixels, without_opaque_alpha
from segkit.io.pages import Pages, choose_frame, file_of, split_page
from segkit.io.physical_size import resolution_of_png
from segkit.io.pixels import Pixels, both, complete_pixels, holes, without_holes
from segkit.io.stack_files import is_stack_file, read_stack_file
from segkit.io.tiff import Layout, as_displayed, read_stored_tiff, white_of, without_alpha_of_maps
from segkit.io.tiff_files import save_tiff
from segkit.io.turning import orientation_of, upright
from segkit.task import Task, values_of

SURELY_YES = 100
"""A lossy yes/no mask has an object if its brightest pixel has this grey value or more."""


def read_mask(path: Path, threshold: int | None = None) -> np.ndarray:
    """Return the values of `read_mask_pixels`, (H, W)."""
    return read_mask_pixels(path, threshold).values


def read_mask_pixels(
    path: Path,
    threshold: int | None = None,
    pages: Pages | None = None,
    opaque_only: bool = False,
) -> Pixels:
    """Return the values of a mask file as they are stored, and where they are valid.

    Palettes are not applied. 1-bit masks have the values 0 and 1. If a TIFF says that 0 is white,
    black is 0 in the result. Pixels with the nodata value of a GeoTIFF, and pixels that its
    internal mask hides, are not valid.

    Args:
        path: The file, or the address of a page in it.
        threshold: With it the result is 1 where the value is `threshold` or more, else 0. It serves
            to read JPEG and anti-aliased yes/no masks. If a palette has only greys, the grey is
            compared, not the index.
        pages: The meaning of the pages of a file (`data.pages`); None if the user names none.
        opaque_only: Whether pixels that are not opaque are not valid, instead of an error.

    Returns:
        Whole numbers, (H, W).

    Raises:
        DataError: If the file cannot be read as a mask: it is damaged or lossy, has fractions,
            different channels, or a transparent part.
    """
    stored = _stored(path, threshold, pages, opaque_only)
    array = stored.values
    if array.ndim == 3:
        array = _one_channel(array, path)
    array = _whole_numbers(array, path, stored.valid)
    return stored._replace(values=_at_threshold(array, threshold))


def read_layers(path: Path, threshold: int | None = None, pages: Pages | None = None) -> np.ndarray:
    """Return the values of `read_layer_pixels`, (H, W, C)."""
    return read_layer_pixels(path, threshold, pages).values


def read_layer_pixels(
    path: Path, threshold: int | None = None, pages: Pages | None = None
) -> Pixels:
    """Return the bands of a mask file that has a band per class.

    The arguments and errors are those of `read_mask_pixels`.

    Returns:
        Whole numbers, (H, W, C).
    """
    stored = _stored(path, threshold, pages)
    array = _whole_numbers(stored.values, path, stored.valid)
    if array.ndim == 2:
        array = array[..., None]
    return stored._replace(values=_at_threshold(array, threshold))


def _at_threshold(array: np.ndarray, threshold: int | None) -> np.ndarray:
    if threshold is None:
        return array
    return (array >= threshold).astype(np.uint8)


def read_colours(path: Path, lossy_too: bool = False) -> np.ndarray:
    """Return the values of `read_colour_pixels`, (H, W, 3)."""
    return read_colour_pixels(path, lossy_too=lossy_too).values


def read_colour_pixels(
    path: Path, pages: Pages | None = None, lossy_too: bool = False, opaque_only: bool = False
) -> Pixels:
    """Return the colours of a mask file, and where they are valid.

    Palettes are applied, grey becomes RGB, and an opaque alpha channel is dropped.

    Args:
        path: The file, or the address of a page in it.
        pages: The meaning of the pages of a file (`data.pages`); None if the user names none.
        lossy_too: Whether JPEG and other lossy files are read.
        opaque_only: Whether pixels that are not opaque are not valid, instead of an error.

    Returns:
        (H, W, 3) uint8. `Pixels.nodata` is the colour of missing pixels as 0xrrggbb.

    Raises:
        DataError: If the file is damaged, lossy without `lossy_too`, deeper than 8 bits, or partly
            transparent.
    """
    with codecs.naming(path):
        if not lossy_too:
            _check_lossless_colours(path)
        if codecs.is_tiff(path):
            stored = _tiff_colours(path, pages)
        elif is_stack_file(path):
            stored = read_stack_file(path)
        else:
            stored = Pixels(_picture_colours(path, pages))
        if opaque_only:
            stored = opaque_pixels(stored, path)
        array = _three_channels(stored.values, path)
    if array.dtype != np.uint8 or array.shape[-1] != 3:
        message = f"{path}: a colour mask is 8-bit RGB; found {array.dtype} {array.shape}"
        raise DataError(message, "mask-channels")
    return stored._replace(values=array)


def _three_channels(array: np.ndarray, path: Path) -> np.ndarray:
    """Return bits and grey as three equal channels, and colours without an opaque alpha channel."""
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.ndim == 2:
        array = array[..., None]
    array = without_opaque_alpha(array, path)
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    return array


def _picture_colours(path: Path, pages: Pages | None) -> np.ndarray:
    file, page = split_page(path)
    plain = png.read_plain(file)
    if plain is not None:
        return plain
    with codecs.opened(file) as picture:
        choose_frame(picture, path, page, pages)
        if picture.mode.startswith(("I", "F")) or codecs.is_deep_png(file, picture):
            message = f"{path}: a colour mask is 8-bit RGB; this one is deeper, convert it"
            raise DataError(message, "mask-channels")
        mode = "RGB"
        if picture.has_transparency_data:
            mode = "RGBA"
        colours = np.asarray(picture.convert(mode))
        return upright(colours, orientation_of(picture))


def _tiff_colours(path: Path, pages: Pages | None) -> Pixels:
    values, valid, layout = without_alpha_of_maps(read_stored_tiff(path, pages))
    if values.ndim == 2:
        values = values[..., None]
    missing = holes(values, layout.nodata)
    nodata = None
    if missing is not None:
        valid = both(valid, complete_pixels(missing))
        nodata = _packed_nodata(layout)
    return without_holes(Pixels(as_displayed(values, layout), valid, nodata=nodata))


def _packed_nodata(layout: Layout) -> int:
    """Return the colour 0xrrggbb of the nodata value of 8 bits."""
    value = int(layout.nodata or 0)
    if layout.palette is None:
        return value << 16 | value << 8 | value
    red, green, blue = layout.palette[value].tolist()
    return int(red << 16 | green << 8 | blue)


def _stored(
    path: Path, threshold: int | None, pages: Pages | None, opaque_only: bool = False
) -> Pixels:
    with codecs.naming(path):
        if threshold is None:
            _check_lossless(path)
        if codecs.is_tiff(path):
            stored = _tiff_values(path, pages)
        elif is_stack_file(path):
            stored = read_stack_file(path)
        else:
            stored = codecs.read_stored(path, pages)
    if opaque_only:
        stored = opaque_pixels(stored, path)
    if stored.white:
        stored = _from_white(stored, path, threshold is not None)
    if threshold is None:
        return stored
    return _in_grey(stored)


def _tiff_values(path: Path, pages: Pages | None) -> Pixels:
    values, valid, layout = without_alpha_of_maps(read_stored_tiff(path, pages))
    missing = holes(values, layout.nodata)
    nodata = None
    if missing is not None:
        valid = both(valid, complete_pixels(missing))
        nodata = layout.nodata
    white = None
    if not is_white_zero(layout.page):
        values = as_rgb(values, layout.page)
    elif values.dtype == bool:
        values = ~values
        white = 0
    elif values.dtype.kind == "u":
        white = white_of(layout.page)
    else:
        white = 0
    return without_holes(Pixels(values, valid, layout.palette, nodata, white))


def _from_white(stored: Pixels, path: Path, is_grey: bool) -> Pixels:
    """Return values of which 0 is white as they are seen; refuse class ids, which are ambiguous."""
    white = int(stored.white or 0)
    known = stored.values
    if stored.valid is not None:
        known = known[stored.valid]
    found = np.unique(known).tolist()
    if not is_grey and not set(found) <= {0, white}:
        examples = ", ".join(map(str, found[:8]))
        if len(found) > 8:
            examples += ", ..."
        raise DataError(
            f"{path}: says that 0 is white (PhotometricInterpretation WhiteIsZero), so the stored "
            f"values {examples} are seen as {white} and less, and nothing says which of both are "
            f"class ids. Save it with black as 0 (BlackIsZero)",
            "mask-white",
        )
    return stored._replace(values=(white - stored.values).astype(stored.values.dtype))


def _in_grey(stored: Pixels) -> Pixels:
    """Return indices as greys if all their colours are grey; other values unchanged."""
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
            f"{path}: {kind} changes mask values (60 becomes 49), so ids cannot be read from it. "
            f"Save masks as PNG. A yes/no mask can still be read with {_advised_threshold(path)}",
            "mask-lossy",
        )


def _advised_threshold(path: Path) -> str:
    """Return the setting of the middle between no and yes, if the brightest pixel is surely yes."""
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
            f"{path}: {kind} changes colours near the edges, so they cannot be read exactly. Save "
            f"masks as PNG, or set data.colour_tolerance to read the nearest named colour",
            "mask-lossy",
        )


def _whole_numbers(array: np.ndarray, path: Path, valid: np.ndarray | None) -> np.ndarray:
    """Return bits as 0 and 1, floating-point numbers as int64, and integers unchanged."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        return array
    if valid is not None:
        if array.ndim == 3:
            valid = valid[..., None]
        array = np.where(valid, array, 0)  # the nodata value may be NaN
    is_whole = np.isfinite(array) & (array == np.floor(array))
    if not is_whole.all():
        raise DataError(
            f"{path}: a mask holds whole numbers; found fractions, NaN or infinite values, as in a "
            f"probability map. Save class ids as PNG",
            "mask-values",
        )
    return array.astype(np.int64)


def _one_channel(array: np.ndarray, path: Path) -> np.ndarray:
    colours = without_opaque_alpha(array, path)
    if (colours != colours[..., :1]).any():
        raise DataError(
            f"{path}: a colour picture of {array.shape[-1]} channels; a mask file holds one value "
            f"per pixel. If colours stand for classes, name them with data.mask_colours",
            "mask-colours",
        )
    return np.asarray(colours[..., 0])


def mask_paths(task: Task, folder: Path, name: str, suffix: str = ".png") -> list[Path]:
    """Return the files of a mask in segkit's own coding.

    Args:
        task: The task.
        folder: The folder of the masks.
        name: The name of the image.
        suffix: ".png" or ".tif".

    Returns:
        FOLDER/NAME.png; in a multilabel task FOLDER/CLASS/NAME.png for each class.

    Raises:
        DataError: If the name or a class cannot be the name of a file or folder.
            `names.check_class_folders` finds such classes before any image is predicted.
    """
    return segkit_coding(task).paths(folder, name, tiff=suffix == ".tif")


def write_mask(task: Task, mask: np.ndarray, folder: Path, name: str) -> list[Path]:
    """Write a decoded mask in segkit's own coding, which the folder source reads by default.

    Args:
        task: The task.
        mask: The mask of one image, (H, W) or (H, W, P).
        folder: The folder of the masks.
        name: The name of the image.

    Returns:
        The files, see `mask_paths`.
    """
    coding = segkit_coding(task)
    paths = coding.paths(folder, name)
    with together(paths) as temporaries:
        save_mask(coding, mask, temporaries)
    return paths


def save_mask(
    coding: Coding,
    mask: np.ndarray,
    paths: Sequence[Path],
    tags: Sequence[Any] = (),
    pixel_mm: tuple[float, float] | None = None,
) -> None:
    """Write a decoded mask or target in a coding.

    Args:
        coding: The coding.
        mask: The mask of one image, (H, W) or (H, W, P); VOID is stored as void.
        paths: The files in the order of `coding.paths`, PNG or TIFF by their suffixes.
        tags: Further tags of TIFF files, as tifffile takes them.
        pixel_mm: Height and width of a pixel in millimetres, which the files then state; None if
            they are unknown.
    """
    for file, path in enumerate(paths):
        stored = coding.encode(mask, file)
        if codecs.is_tiff(path):
            save_tiff(path, stored, tags, coding.palette, coding.in_colours, pixel_mm)
        else:
            _as_picture(stored, coding.palette).save(path, **resolution_of_png(pixel_mm))


def _as_picture(stored: np.ndarray, palette: np.ndarray | None) -> Image.Image:
    picture = Image.fromarray(stored)
    if palette is not None:
        picture.putpalette(palette.ravel().tolist())
    return picture
