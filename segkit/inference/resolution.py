"""Compare the resolution of images with that of the training, and resample them to it.

The resolution of an image is the physical size of its pixels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from segkit.config import RunConfig
from segkit.data.pixel_size import PixelSize, pixel_size_of_new, size_in_words
from segkit.errors import ConfigError, DataError, SegkitWarning
from segkit.inference.decoding import at_pixel_size
from segkit.inference.reading import geometry_of_image
from segkit.io import codecs
from segkit.io.geometry import METRES, Geometry, as_unit
from segkit.system.terminal import shown

OPTION = "--resolution"
TRAINING = "training"
"""The resolution of the training images as a value of the option."""
OTHER = 1.25
"""The ratio of pixel sizes from which a network sees objects of another size."""
MAX_NAMES = 3
"""Images that a warning names."""
RESOLUTION = re.compile(r"(?P<value>[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?) *(?P<unit>[^\W\d_]*)")
"""A number and a unit, as in "0.5 mm"."""


def parse_resolution(text: str | None, config: RunConfig) -> PixelSize | None:
    """Return the size of the pixels that the network is to see.

    Args:
        text: "training"; or the side of a pixel as "0.5 mm", or as "0.5" in the unit of the
            training images. None resamples nothing.
        config: The config of the run.

    Raises:
        ConfigError: For another text, or if the run does not know the resolution of its training
            images.
    """
    if text is None:
        return None
    found = RESOLUTION.fullmatch(text.strip())
    if text != TRAINING and found is None:
        raise ConfigError(
            f"is {TRAINING}, or the side of a pixel such as 0.5 or '0.5 mm'; found {text}",
            setting=OPTION,
        )
    known = _of_training(config)
    if found is None:
        if known is None:
            raise ConfigError(
                "the run does not know the pixel size of its training images; write the size and "
                "its unit, such as '0.5 mm'",
                "missing-setting",
                setting=OPTION,
            )
        return known
    side = float(found["value"])
    unit = as_unit(found["unit"])
    if not found["unit"] and known is not None:
        unit = known.unit
    if unit is None or not 0 < side < math.inf:
        raise ConfigError(
            f"a size above 0 with one of the units {', '.join(METRES)}, such as '0.5 mm'; "
            f"found {text}",
            setting=OPTION,
        )
    return PixelSize((side, side), unit)


def _of_training(config: RunConfig) -> PixelSize | None:
    """Return the median pixel size of the training images; None if it has no known unit."""
    size = config.input.pixel_size
    if size is None or config.input.pixel_unit is None:
        return None
    return PixelSize(size, config.input.pixel_unit)


def at_resolution(
    image: np.ndarray, size: PixelSize | None, wanted: PixelSize, where: str
) -> np.ndarray:
    """Return an image resampled to other pixels.

    Args:
        image: (H, W, C) uint8, uint16 or float32.
        size: The size of its pixels.
        wanted: The size of the pixels of the result.
        where: The file, for the message.

    Returns:
        (H, W, C) of another height and width, in the dtype of the image.

    Raises:
        DataError: If the size of the pixels is unknown, or the result would be too large.
    """
    if size is None or size.unit is None or wanted.unit is None:
        raise DataError(
            f"{where}: the size of its pixels is unknown, so it cannot be resampled; leave out "
            f"{OPTION}",
            "pixel-size",
        )
    factor = METRES[size.unit] / METRES[wanted.unit]
    sides = []
    for length, own, other in zip(image.shape[:2], size.size, wanted.size, strict=True):
        sides.append(max(1, round(length * own * factor / other)))
    if math.prod(sides) > codecs.most_pixels():
        raise DataError(
            f"{where}: would have {sides[1]} x {sides[0]} pixels at "
            f"{size_in_words(wanted.size, wanted.unit)}; choose a larger {OPTION}",
            "too-large",
        )
    return resized(image, (sides[0], sides[1]))


def resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image or probabilities with another height and width.

    Smaller ones are means over areas, larger ones are interpolated linearly.

    Args:
        values: (H, W, C) uint8, uint16 or float32.
        shape: The new height and width.

    Returns:
        (height, width, C) in the dtype of `values`.
    """
    height, width = shape
    if values.shape[:2] == (height, width):
        return values
    shrinks = height <= values.shape[0] and width <= values.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    planes = []
    for channel in range(values.shape[-1]):
        plane = np.ascontiguousarray(values[..., channel])
        planes.append(cv2.resize(plane, (width, height), interpolation=how))
    return np.stack(planes, axis=-1)


def check_sizes(
    config: RunConfig, images: Mapping[str, Path], resolution: PixelSize | None
) -> SegkitWarning | None:
    """Check the pixel sizes of images before they are predicted; nothing is read if none matters.

    Args:
        config: The config of the run.
        images: Image files by name.
        resolution: The resolution to which images are resampled; None for none.

    Returns:
        A warning if images have another resolution than those of the training, unless they are
        resampled.

    Raises:
        ConfigError: If the size of an image's pixels is needed and unknown.
    """
    training = _of_training(config)
    if not config.decode.has_areas and resolution is None and training is None:
        return None
    geometries = {}
    for name, path in images.items():
        geometry = geometry_of_image(config, path)
        size = pixel_size_of_new(config.data, geometry)
        at_pixel_size(config, size, str(path))
        if resolution is not None:
            _check_known(size, path)
        geometries[name] = geometry
    if resolution is not None:
        return None
    return resolution_warning(config, geometries)


def resolution_warning(
    config: RunConfig, geometries: Mapping[str, Geometry | None]
) -> SegkitWarning | None:
    """Return a warning if images have another resolution than those of the training.

    Args:
        config: The config of the run.
        geometries: What the file of each image states, by name.
    """
    training = _of_training(config)
    if training is None:
        return None
    other = {}
    for name, geometry in geometries.items():
        if geometry is not None and _is_other(geometry, training):
            other[name] = geometry
    if not other:
        return None
    return _other_resolution(other, training)


def check_whole(large: Mapping[str, Path], resolution: PixelSize | None) -> None:
    """Raise `ConfigError` if images that are predicted in windows were to be resampled."""
    if resolution is None or not large:
        return
    path = next(iter(large.values()))
    raise ConfigError(
        f"{path}: is predicted in windows, which are not resampled; allow more --memory, or leave "
        f"out {OPTION}",
        "contradiction",
        setting=OPTION,
    )


def _check_known(size: PixelSize | None, path: Path) -> None:
    """Raise `ConfigError` if an image cannot be resampled."""
    if size is None or size.unit is None:
        raise ConfigError(
            f"{path}: the size of its pixels is unknown; set data.pixel_size and data.pixel_unit "
            f"in the run's config if all images have the same size",
            "missing-setting",
            setting=OPTION,
        )


def _is_other(geometry: Geometry, training: PixelSize) -> bool:
    """Return whether the pixels of an image are over 25 % larger or smaller than in training."""
    size = geometry.size_in(str(training.unit))
    if size is None:
        return False
    ratio = math.sqrt(math.prod(size) / math.prod(training.size))
    return not 1 / OTHER <= ratio <= OTHER


def _other_resolution(images: Mapping[str, Geometry], training: PixelSize) -> SegkitWarning:
    names = ", ".join(map(shown, list(images)[:MAX_NAMES]))
    if len(images) > MAX_NAMES:
        names += ", ..."
    first = next(iter(images.values()))
    found = size_in_words(first.pixel_size or (1, 1), first.unit)
    expected = size_in_words(training.size, training.unit)
    return SegkitWarning(
        f"{len(images)} images have another resolution than the training images ({names}): the "
        f"first has {found}, and the run was trained at {expected}, so objects look larger or "
        f"smaller than in training. `segkit predict {OPTION} {TRAINING}` resamples images",
        "other-resolution",
    )
