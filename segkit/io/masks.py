"""Masks on disk: the values that a file stores, never colours made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from segkit.errors import DataError
from segkit.io import codecs, png
from segkit.io.atomic import together
from segkit.io.coding import Coding, segkit_coding
from segkit.io.pictures import open_picture
from segkit.io.tiff_files import save_tiff
from segkit.task import Task

SURELY_YES = 100
"""Grey value from which a pixel of a lossy yes/no mask is no noise beside dark pixels."""


def read_mask(path: Path, threshold: int | None = None) -> np.ndarray:
    """Return the values of a mask file as they are stored: (H, W) of whole numbers; palette indices, not colours.

    1-bit masks give 0/1. RGB is accepted only if its channels are equal, alpha only if it is opaque. With `threshold`
    the result is 0/1, 1 where the value is `threshold` or more: the way to read JPEG and anti-aliased yes/no masks.
    """
    array = _stored(path, lossy_too=threshold is not None)
    if array.ndim == 3:
        array = _one_channel(array, path)
    array = _whole(array, path)
    return array if threshold is None else (array >= threshold).astype(np.uint8)


def read_layers(path: Path, threshold: int | None = None) -> np.ndarray:
    """Return the bands of a mask file, (H, W, C) of whole numbers: one band a class."""
    array = _whole(_stored(path, lossy_too=threshold is not None), path)
    array = array[..., None] if array.ndim == 2 else array
    return array if threshold is None else (array >= threshold).astype(np.uint8)


def read_colours(path: Path, lossy_too: bool = False) -> np.ndarray:
    """Return the colours of a mask file, (H, W, 3) uint8; a palette's or grey ones become RGB, an opaque alpha is dropped.

    JPEG and the like are refused unless `lossy_too`.
    """
    with codecs.naming(path):
        if not lossy_too:
            _check_lossless_colours(path)
        if codecs.is_tiff(path):
            array = codecs.read_tiff(path, alpha=True, colours=True)
        elif (plain := png.read_plain(path)) is not None:
            array = plain
        else:
            with open_picture(path) as picture:
                if picture.mode.startswith(("I", "F")) or codecs.is_deep_png(path, picture):
                    raise DataError(
                        f"{path}: a colour mask is 8-bit RGB; this one is deeper, convert it", "mask-channels"
                    )
                turned = ImageOps.exif_transpose(picture)
                array = np.asarray(turned.convert("RGBA" if turned.has_transparency_data else "RGB"))
        array = array.astype(np.uint8) * 255 if array.dtype == bool else array
        array = np.repeat(array[..., None], 3, axis=-1) if array.ndim == 2 else _opaque(array, path)
    if array.dtype != np.uint8 or array.shape[-1] != 3:
        raise DataError(f"{path}: a colour mask is 8-bit RGB; found {array.dtype} {array.shape}", "mask-channels")
    return array


def _stored(path: Path, lossy_too: bool) -> np.ndarray:
    with codecs.naming(path):
        if not lossy_too:
            _check_lossless(path)
        return codecs.read_tiff(path, alpha=True) if codecs.is_tiff(path) else codecs.read_stored(path)


def _check_lossless(path: Path) -> None:
    lossy = codecs.lossy(path)
    if lossy:
        raise DataError(
            f"{path}: {lossy} changes mask values (60 becomes 49), so ids cannot be read from it. Save masks as PNG; "
            f"for a yes/no mask {_threshold_for(path)} reads it all the same",
            "mask-lossy",
        )


def _threshold_for(path: Path) -> str:
    """Return the setting that cuts a yes/no mask in the middle, if its brightest pixel is surely yes."""
    if codecs.is_tiff(path):
        return "data.mask_threshold"
    with open_picture(path) as picture:
        brightest = int(np.asarray(picture.convert("L")).max())
    if brightest < SURELY_YES:
        return "data.mask_threshold (a value between no and yes)"
    return f"data.mask_threshold: {(brightest + 1) // 2}"


def _check_lossless_colours(path: Path) -> None:
    lossy = codecs.lossy(path)
    if lossy:
        raise DataError(
            f"{path}: {lossy} changes colours near the edges, so they cannot be read exactly. Save masks as PNG, or take "
            f"the nearest colour that is named, by data.colour_tolerance",
            "mask-lossy",
        )


def _whole(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == bool:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
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
        raise DataError(f"{path}: a mask with a transparent part; save it without alpha channel", "mask-alpha")
    return array[..., :-1]


def mask_paths(task: Task, folder: Path, name: str, suffix: str = ".png") -> list[Path]:
    """Return where the mask of the image `name` stands in segkit's own coding: FOLDER/NAME.png.

    In a multilabel task it is FOLDER/CLASS/NAME.png for each class. `suffix` may be ".tif", too. Raises `DataError` if the
    name or a class cannot be that of a file or folder; `names.check_class_folders` says so of classes before any image is
    predicted.
    """
    return segkit_coding(task).paths(folder, name, tiff=suffix == ".tif")


def write_mask(task: Task, mask: np.ndarray, folder: Path, name: str) -> list[Path]:
    """Write a decoded mask in segkit's own coding, as the folder source reads it without any setting."""
    coding = segkit_coding(task)
    paths = coding.paths(folder, name)
    with together(paths) as temporaries:
        save_mask(coding, mask, temporaries)
    return paths


def save_mask(coding: Coding, mask: np.ndarray, paths: Sequence[Path], tags: Sequence[Any] = ()) -> None:
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
