"""Reads TIFF files as their tags say: pages, bands, transparency, missing data, orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs, colour_spaces
from segkit.io.bands import Bands, choose_bands
from segkit.io.nodata import nodata_of
from segkit.io.pages import Chosen, Pages, choose_page, file_of, split_page
from segkit.io.pictures import open_tiff
from segkit.io.pixels import Pixels, both, complete_pixels, fill, holes, lowest, without_holes
from segkit.io.tiff_cover import mask_beside, opened_cover
from segkit.io.tiff_stacks import stored_array
from segkit.io.turning import orientation_of, upright

ON_MAP = (33550, 34264)
"""Tags of which a GeoTIFF has one: the size of its pixels, or the matrix to the map."""
ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean alpha: associated and unassociated."""
ALPHA_SAMPLE = 2**16
"""The number of pixels by which an alpha channel is recognised."""
MOSTLY = 0.9
"""The least share of pixels that are 0 or opaque in an alpha channel."""


class Layout(NamedTuple):
    """The properties of a TIFF page that turn samples into bands."""

    page: Any
    """The page of tifffile that has the tags."""
    palette: np.ndarray | None
    """(N, 3) uint8; None without a palette."""
    nodata: float | None
    """The value of pixels without data; None if there is none."""
    alpha: int | None
    """The index of the band that the file calls alpha; None if there is none."""


def layout_of(keyframe: Any) -> Layout:
    """Return the layout of a page of tifffile."""
    kinds = [int(kind) for kind in keyframe.extrasamples]
    usual_bands = keyframe.samplesperpixel - len(kinds)
    alpha = None
    for extra, kind in enumerate(kinds):
        if kind in ALPHA:
            alpha = usual_bands + extra
            break
    return Layout(keyframe, _palette(keyframe), nodata_of(keyframe), alpha)


def _palette(keyframe: Any) -> np.ndarray | None:
    colours = keyframe.colormap
    has_indices = keyframe.dtype is not None and keyframe.dtype.kind in ("b", "u")
    if colours is None or int(keyframe.photometric) != colour_spaces.PALETTE or not has_indices:
        return None
    if colours.max() > 255:  # a palette has 16 bits, but old writers use 8
        colours = colours >> 8
    indices = 2 ** (8 * min(2, keyframe.dtype.itemsize))
    palette = np.zeros((indices, 3), np.uint8)  # a damaged palette has too few colours
    palette[: colours.shape[1]] = np.moveaxis(colours, 0, -1)[:indices]
    return palette


def is_alpha(bands: np.ndarray, alpha: np.ndarray) -> bool:
    """Return whether a band that a file calls alpha is an alpha channel.

    GDAL writes the fourth band of 8 bits as alpha, even if it is near infrared. An alpha channel is
    nearly always 0 or opaque. If it is 0 everywhere, the image shows nothing, so the other bands
    have one value each.

    Args:
        bands: The other bands of some pixels, (N, C).
        alpha: The band, (N,).
    """
    opaque = 1
    if alpha.dtype.kind != "f":
        opaque = np.iinfo(alpha.dtype).max
    if not alpha.any():
        return bool((bands == bands[:1]).all())
    return bool(np.mean((alpha == 0) | (alpha == opaque)) >= MOSTLY)


def sample_pixels(values: np.ndarray) -> np.ndarray:
    """Return the bands of about `ALPHA_SAMPLE` pixels on a regular grid.

    Args:
        values: (H, W, C).

    Returns:
        (N, C).
    """
    step = max(1, int(np.sqrt(values.shape[0] * values.shape[1] / ALPHA_SAMPLE)))
    return values[::step, ::step].reshape(-1, values.shape[-1])


def alpha_of(
    alpha: int | None, channels: int | None, samples: np.ndarray, bands: Bands | None = None
) -> int | None:
    """Return the band that is an alpha channel and not a measurement.

    Args:
        alpha: The index of the band that the file calls alpha; None if there is none.
        channels: The number of bands that a model takes. A model that takes one band less than the
            image was trained without the alpha channel. Otherwise `is_alpha` decides.
        samples: The bands of some pixels, (N, C).
        bands: The bands that the user chose (`data.bands`); a chosen band is a measurement.

    Returns:
        The index of the band; None if there is none.
    """
    count = samples.shape[-1]
    if alpha is None or alpha >= count:
        return None
    if bands is not None:
        if alpha + 1 in bands:
            return None
        channels = None
    if channels == count - 1 or is_alpha(np.delete(samples, alpha, axis=1), samples[:, alpha]):
        return alpha
    return None


def read_tiff(
    path: Path,
    pages: Pages | None = None,
    channels: int | None = None,
    bands: Bands | None = None,
) -> Pixels:
    """Return a TIFF image upright, without its alpha channel.

    Palettes and colour spaces become RGB. Missing values are replaced by the lowest value of their
    band.

    Args:
        path: The file, or the address of a page in it.
        pages: The meaning of the pages of a stack (`data.pages`); None if the user names none.
        channels: The number of bands that a model takes. It decides whether a band is alpha, and
            whether pages are bands.
        bands: The bands to return (`data.bands`); None for all.

    Returns:
        (H, W, C).

    Raises:
        DataError: If the file is damaged or too large, has colours that cannot be read, or pages
            whose meaning is unknown.
    """
    stored = read_stored_tiff(path, pages, without_choice(channels, bands))
    layout = stored.layout
    values = stored.values
    if values.ndim == 2:
        values = values[..., None]
    valid = stored.valid
    alpha = alpha_of(layout.alpha, channels, sample_pixels(values), bands)
    if alpha is not None:
        valid = both(valid, np.asarray(values[..., alpha] != 0))
        values = np.delete(values, alpha, axis=-1)
    missing = holes(values, layout.nodata)
    if missing is not None:
        values = fill(values, missing, lowest(values, missing))
        valid = both(valid, complete_pixels(of_chosen_bands(missing, layout, bands, path, alpha)))
    chosen = choose_bands(as_displayed(values, layout), bands, path, alpha)
    return without_holes(Pixels(chosen, valid))


def of_chosen_bands(
    missing: np.ndarray, layout: Layout, bands: Bands | None, path: Path, alpha: int | None
) -> np.ndarray:
    """Return where values of the chosen bands are missing, from the result of `holes`.

    The index of a palette is missing in all of its colours.
    """
    if layout.palette is not None:
        return missing
    return choose_bands(missing, bands, path, alpha)


def without_choice(channels: int | None, bands: Bands | None) -> int | None:
    """Return the number of bands in a file that a model takes; None if bands are chosen of it."""
    if bands is None:
        return channels
    return None


def tiff_may_have_holes(path: Path) -> bool:
    """Return whether a TIFF states that pixels may have no data.

    It states so by a nodata value, an alpha channel or an internal mask. A band that is called
    alpha may still be a measurement, see `is_alpha`.

    Args:
        path: The file, or the address of a page in it. Other files than TIFFs state nothing.

    Raises:
        DataError: If the file cannot be read.
    """
    if not codecs.is_tiff(path):
        return False
    with codecs.naming(path), open_tiff(file_of(path)) as tiff:
        layout = layout_of(tiff.series[0].keyframe)
        if layout.nodata is not None or layout.alpha is not None:
            return True
        if mask_beside(file_of(path)) is not None:
            return True
        return any(getattr(page, "is_mask", False) for page in tiff.pages)


class StoredTiff(NamedTuple):
    """The samples of a TIFF image, upright, and its layout."""

    values: np.ndarray
    """(H, W) or (H, W, C)."""
    valid: np.ndarray | None
    """(H, W) bool, by the internal mask; None if there is none."""
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
        orientation = orientation_of(keyframe)
        valid = None
        with opened_cover(tiff, chosen, file) as cover:
            if cover is not None:
                visible = cover.asarray() != 0
                valid = upright(visible.reshape(array.shape[:2]), orientation)
        layout = layout_of(keyframe)
    if layout.palette is not None and array.dtype == bool:
        array = array.astype(np.uint8)
    return StoredTiff(upright(array, orientation), valid, layout)


def without_alpha_of_maps(stored: StoredTiff) -> StoredTiff:
    """Return a mask on a map without its alpha channel; its transparent pixels are not valid.

    Programs for maps write alpha 0 beyond the edge of the known area. In other masks a transparent
    pixel may be background, so their alpha channel stays.
    """
    values, valid, layout = stored
    is_on_map = any(code in layout.page.tags for code in ON_MAP)
    if layout.alpha is None or not is_on_map:
        return stored
    if values.ndim != 3 or layout.alpha >= values.shape[-1]:
        return stored
    alpha = values[..., layout.alpha]
    if not np.isin(alpha, (0, white_of(layout.page))).all():
        return stored
    without_alpha = np.delete(values, layout.alpha, axis=-1)
    return StoredTiff(without_alpha, both(valid, np.asarray(alpha != 0)), layout)


def as_displayed(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return bands as a viewer shows them.

    Args:
        values: (H, W, C).
        layout: The layout of the image.

    Returns:
        (H, W, C): palettes, CMYK, YCbCr and CIELAB as RGB, and 0 as black.
    """
    if layout.palette is not None and values.shape[-1] == 1:
        indices = values[..., 0]
        if indices.dtype == bool:
            indices = indices.astype(np.uint8)
        return np.asarray(layout.palette[np.minimum(indices, len(layout.palette) - 1)])
    if colour_spaces.is_white_zero(layout.page):
        return inverted(values, layout.page)
    return colour_spaces.as_rgb(values, layout.page)


def inverted(values: np.ndarray, page: Any) -> np.ndarray:
    """Return bits and unsigned integers with black and white exchanged; other values unchanged."""
    if values.dtype == bool:
        return ~values
    if values.dtype.kind != "u":
        return values
    return (white_of(page) - values).astype(values.dtype)


def white_of(page: Any) -> int:
    """Return the largest value that the samples of a page can hold."""
    return int(2 ** min(int(page.bitspersample), 8 * page.dtype.itemsize) - 1)


def check_complete(series: Any, path: Path, size: int) -> None:
    """Check that a file holds all strips or tiles of a series; missing ones would be read as zeros.

    Args:
        series: The series of tifffile.
        path: The name of the image in errors.
        size: The size of the file, bytes.

    Raises:
        DataError: If the file ends before its last pixels, or lists fewer strips or tiles than the
            image has.
    """
    pieces = int(np.prod(series.keyframe.chunked))
    for page in series.pages:
        if page is None:
            continue
        is_complete = min(len(page.dataoffsets), len(page.databytecounts)) >= pieces
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            is_complete &= offset + count <= size
        if not is_complete:
            raise DataError(
                f"{path}: cannot be read (a damaged or cut off TIFF: some of its strips or tiles "
                f"are missing); copy or export it again"
            )


def _array(chosen: Chosen, path: Path) -> np.ndarray:
    """Return the samples of the chosen image, (H, W) or (H, W, C)."""
    series = chosen.series
    samples_per_pixel = max(1, series.keyframe.samplesperpixel)
    wanted = [n for i, n in enumerate(series.shape) if i not in chosen.fixed]
    if np.prod(wanted, dtype=float) > codecs.most_pixels() * samples_per_pixel:
        raise DataError(codecs.too_large(path), "too-large")
    check_complete(series, path, file_of(path).stat().st_size)
    array = stored_array(chosen, path)
    is_complete = list(array.shape) == wanted and array.size > 0  # tifffile only logs an error
    if not is_complete:
        raise DataError(
            f"{path}: cannot be read (a damaged or cut off TIFF: it does not hold {tuple(wanted)} "
            f"values); copy or export it again"
        )
    return chosen.as_image(array)
