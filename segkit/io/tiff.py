"""TIFF files as their tags say: which page, which bands, what is transparent or missing, how it is turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs, colour_spaces
from segkit.io.nodata import nodata_of
from segkit.io.pages import Chosen, Pages, choose_page, file_of, split_page
from segkit.io.pictures import open_tiff
from segkit.io.pixels import Pixels, both, complete_pixels, fill, holes, lowest, without_holes
from segkit.io.turning import orientation_of, upright

ON_MAP = (33550, 34264)
"""Tags of which a GeoTIFF has one: the size of its pixels, or the matrix to the map."""
ALPHA = (1, 2)
"""Values of ExtraSamples that mean alpha: associated and unassociated."""
LOOKED_AT = 2**16
"""Pixels by which it is decided whether a band is an alpha channel."""
MOSTLY = 0.9


class Layout(NamedTuple):
    """How the samples of a TIFF become bands."""

    page: Any
    """tifffile's page that has the tags."""
    palette: np.ndarray | None
    """(N, 3) uint8."""
    nodata: float | None
    alpha: int | None
    """The band that the file calls alpha."""


def layout_of(keyframe: Any) -> Layout:
    """Return how the samples of a page become bands."""
    kinds = [int(kind) for kind in keyframe.extrasamples]
    usual = keyframe.samplesperpixel - len(kinds)
    alpha = next((usual + i for i, kind in enumerate(kinds) if kind in ALPHA), None)
    return Layout(keyframe, _palette(keyframe), nodata_of(keyframe), alpha)


def _palette(keyframe: Any) -> np.ndarray | None:
    colours = keyframe.colormap
    if (
        colours is None
        or int(keyframe.photometric) != colour_spaces.PALETTE
        or keyframe.dtype.kind not in ("b", "u")
    ):
        return None
    if colours.max() > 255:  # a TIFF palette has 16 bits, but old writers use 8
        colours = colours >> 8
    palette = np.zeros(
        (2 ** (8 * min(2, keyframe.dtype.itemsize)), 3), np.uint8
    )  # a damaged one has too few
    palette[: colours.shape[1]] = np.moveaxis(colours, 0, -1)[: len(palette)]
    return palette


def is_alpha(bands: np.ndarray, alpha: np.ndarray) -> bool:
    """Return whether a band (N,) that a file calls alpha is one, beside other bands (N, C).

    GDAL writes the fourth band of 8 bits as alpha, although it is near infrared. Alpha is nearly
    always 0 or opaque. Where it is 0 everywhere nothing is to be seen, so the other bands have one
    value.
    """
    opaque = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    if not alpha.any():
        return bool((bands == bands[:1]).all())
    return bool(np.mean((alpha == 0) | (alpha == opaque)) >= MOSTLY)


def some(values: np.ndarray) -> np.ndarray:
    """Return the bands of pixels on a regular grid, (N, C)."""
    step = max(1, int(np.sqrt(values.shape[0] * values.shape[1] / LOOKED_AT)))
    return values[::step, ::step].reshape(-1, values.shape[-1])


def alpha_of(layout: Layout, channels: int | None, looked: np.ndarray) -> int | None:
    """Return the band of an image that is alpha and no data; None if there is none.

    A model that takes one band fewer was trained without it. Otherwise the pixels (N, C) `looked`
    at decide.
    """
    alpha = layout.alpha
    count = looked.shape[-1]
    if alpha is None or alpha >= count:
        return None
    if channels == count - 1 or is_alpha(np.delete(looked, alpha, axis=1), looked[:, alpha]):
        return alpha
    return None


def read_tiff(path: Path, pages: Pages | None = None, channels: int | None = None) -> Pixels:
    """Return a TIFF image upright, (H, W, C), without its alpha channel, in colours, with what is missing filled.

    Args:
        path: The file, or the address of one of its pages.
        pages: What the pages of a stack are, if the user says so.
        channels: How many bands a model takes, which decides what the file leaves open.

    Raises:
        DataError: If it is damaged, too large, has colours that cannot be read, or pages of which
            nothing says what they are.
    """
    stored = read_stored_tiff(path, pages, channels)
    layout = stored.layout
    values = stored.values
    values = values[..., None] if values.ndim == 2 else values
    valid = stored.valid
    alpha = alpha_of(layout, channels, some(values))
    if alpha is not None:
        valid = both(valid, np.asarray(values[..., alpha] != 0))
        values = np.delete(values, alpha, axis=-1)
    missing = holes(values, layout.nodata)
    if missing is not None:
        values = fill(values, missing, lowest(values, missing))
        valid = both(valid, complete_pixels(missing))
    return without_holes(Pixels(seen(values, layout), valid))


def may_have_holes(path: Path) -> bool:
    """Return whether a TIFF says that some pixels hold no data: by a value, an alpha channel, or an internal mask.

    The answer is False for other files. A band that is called alpha may still be a measurement, see
    `is_alpha`.
    """
    if not codecs.is_tiff(path):
        return False
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        layout = layout_of(tiff.series[0].keyframe)
        if layout.nodata is not None or layout.alpha is not None:
            return True
        return any(getattr(page, "is_mask", False) for page in tiff.pages)


class StoredTiff(NamedTuple):
    """The samples of a TIFF upright, (H, W) or (H, W, C), and how they become bands."""

    values: np.ndarray
    valid: np.ndarray | None
    """(H, W) bool, by the page of transparency; None if there is none."""
    layout: Layout


def read_stored_tiff(
    path: Path, pages: Pages | None = None, channels: int | None = None
) -> StoredTiff:
    """Return the samples of a TIFF as they are stored; the arguments are those of `read_tiff`."""
    file, page = split_page(path)
    with open_tiff(file) as tiff:
        chosen = choose_page(tiff, path, page, pages, channels)
        keyframe = chosen.series.keyframe
        colour_spaces.check_colour_space(keyframe, path)
        array = _array(chosen, path)
        cover = cover_of(tiff, chosen)
        covered = None if cover is None else cover.asarray() != 0
        orientation = orientation_of(keyframe)
        layout = layout_of(keyframe)
    valid = None if covered is None else upright(covered.reshape(array.shape[:2]), orientation)
    if layout.palette is not None and array.dtype == bool:
        array = array.astype(np.uint8)
    return StoredTiff(upright(array, orientation), valid, layout)


def without_alpha_of_maps(stored: StoredTiff) -> StoredTiff:
    """Return the samples of a mask on a map without its alpha channel, whose transparent pixels are not valid.

    Programs for maps write alpha 0 beyond the edge of what is known. Elsewhere a transparent pixel
    may be background.
    """
    values, valid, layout = stored
    on_map = any(code in layout.page.tags for code in ON_MAP)
    if layout.alpha is None or not on_map or values.ndim != 3 or layout.alpha >= values.shape[-1]:
        return stored
    alpha = values[..., layout.alpha]
    if not np.isin(alpha, (0, white_of(layout.page))).all():
        return stored
    return StoredTiff(
        np.delete(values, layout.alpha, axis=-1), both(valid, np.asarray(alpha != 0)), layout
    )


def seen(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return bands (H, W, C) of an image as they are seen: palettes, CMYK and the like as RGB, 0 as black."""
    if layout.palette is not None and values.shape[-1] == 1:
        indices = values[..., 0].astype(np.uint8) if values.dtype == bool else values[..., 0]
        return np.asarray(layout.palette[np.minimum(indices, len(layout.palette) - 1)])
    if colour_spaces.is_white_zero(layout.page):
        return inverted(values, layout.page)
    return colour_spaces.as_rgb(values, layout.page)


def inverted(values: np.ndarray, page: Any) -> np.ndarray:
    """Return whole numbers without a sign, or bits, with black and white exchanged; others as they are."""
    if values.dtype == bool:
        return ~values
    if values.dtype.kind != "u":
        return values
    return (white_of(page) - values).astype(values.dtype)


def white_of(page: Any) -> int:
    """Return the largest value that the bits of a page can hold."""
    return int(2 ** min(int(page.bitspersample), 8 * page.dtype.itemsize) - 1)


def cover_of(tiff: Any, chosen: Chosen) -> Any | None:
    """Return the page that says where the chosen image is not transparent (NewSubfileType 4)."""
    wanted = (chosen.series.keyframe.imagelength, chosen.series.keyframe.imagewidth)
    whole = [
        page for page in tiff.pages if hasattr(page, "subfiletype")
    ]  # others are frames of a stack
    covers = [page for page in whole if page.is_mask and not page.is_reduced]
    covers = [page for page in covers if (page.imagelength, page.imagewidth) == wanted]
    if not covers or chosen.series.keyframe.is_mask:
        return None
    return covers[min(chosen.page, len(covers) - 1)]


def _array(chosen: Chosen, path: Path) -> np.ndarray:
    """Return the samples of the chosen image, (H, W) or (H, W, C)."""
    series = chosen.series
    keyframe = series.keyframe
    wanted = [n for i, n in enumerate(series.shape) if i not in chosen.fixed]
    if np.prod(wanted, dtype=float) > codecs.most_pixels() * max(1, keyframe.samplesperpixel):
        raise DataError(codecs.too_large(path), "too-large")
    array = _stored_array(chosen)
    if (
        list(array.shape) != wanted or not array.size
    ):  # tifffile only logs that there are too few values
        raise DataError(
            f"{path}: cannot be read (a damaged or cut off TIFF: it holds other than {tuple(wanted)} values); copy or "
            f"export it again"
        )
    if chosen.bands is None:
        return array
    before = sum(axis < chosen.bands for axis in chosen.fixed)
    return np.moveaxis(array, chosen.bands - before, -1)


def _stored_array(chosen: Chosen) -> np.ndarray:
    """Return the samples with the axes of the series that are not fixed; of one page of a stack alone, if it stands apart."""
    series = chosen.series
    if not chosen.fixed:
        return np.asarray(series.asarray())
    if len(series.pages) == _count(chosen) and series.pages[chosen.page] is not None:
        return np.asarray(series.pages[chosen.page].asarray())
    return np.asarray(series.asarray()[index_of(chosen, {})])


def _count(chosen: Chosen) -> int:
    return int(np.prod([chosen.series.shape[axis] for axis in chosen.fixed]))


def index_of(chosen: Chosen, window: dict[str, slice]) -> tuple[int | slice, ...]:
    """Return the index into the array of the series for rows "Y" and columns "X"."""
    whole = [window.get(axis, slice(None)) for axis in chosen.places]
    return tuple(chosen.fixed.get(place, span) for place, span in enumerate(whole))
