"""Images and masks on disk. Masks are read by Pillow and tifffile alone: other readers change the values of ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segkit.errors import DataError
from segkit.task import Task

TIFF = (".tif", ".tiff")
JPEG = (".jpg", ".jpeg")
SUFFIXES = (".png", *JPEG, *TIFF, ".bmp", ".gif", ".webp")
"""Image files that segkit reads, by suffix, in any case."""
YES_NO_VOID = (0, 255, 128)
"""What no, yes and unlabelled become in a yes/no mask file; 128 is read only with data.mask_values."""


def list_images(folder: Path) -> dict[str, Path]:
    """Return the image files under `folder` by name: the path below it, without suffix ("a", "monday/b"), sorted.

    Hidden files and other suffixes are passed over. Raises `DataError` if the folder is missing or two files share
    a name (a.png and a.jpg).
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in SUFFIXES or name.startswith("."):
                continue
            path = Path(parent, name)
            key = path.relative_to(folder).with_suffix("").as_posix() if parent != str(folder) else stem
            if key in found:
                raise DataError(f"{path} and {found[key]}: two files of one name; a name stands for one image")
            found[key] = path
    return dict(sorted(found.items()))


def read_image(path: Path) -> np.ndarray:
    """Return an image as (H, W, C) uint8, uint16 or float32, turned as its EXIF orientation says.

    Grey images have one channel; palette, CMYK and the like become RGB; an alpha channel is dropped; TIFF keeps all
    its bands. Raises `DataError`, naming the file, if it cannot be read or holds NaN or infinite values.
    """
    with _naming(path):
        array = _read_tiff(path, colours=True) if path.suffix.lower() in TIFF else _read_picture(path)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype not in (np.uint8, np.uint16):
        array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise DataError(f"{path}: holds NaN or infinite values; replace them by a number")
    return array


def fit_channels(image: np.ndarray, channels: int, where: str) -> np.ndarray:
    """Return the image with `channels` channels where that loses nothing (grey to RGB, RGB of three equal channels)."""
    found = image.shape[-1]
    if found == channels:
        return image
    if found == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if found == 3 and channels == 1 and (image == image[..., :1]).all():
        return image[..., :1]
    raise DataError(f"{where}: the model takes {channels} channel(s); this image has {found}")


def read_mask(path: Path, threshold: int | None = None) -> np.ndarray:
    """Return the values of a mask file as they are stored: (H, W) of whole numbers; palette indices, not colours.

    1-bit masks give 0/1. RGB is accepted only if its channels are equal, alpha only if it is opaque. With `threshold`
    the result is 0/1, 1 where the value is `threshold` or more: the way to read JPEG and anti-aliased yes/no masks.
    """
    with _naming(path):
        lossy = _lossy(path)
        if lossy and threshold is None:
            raise DataError(
                f"{path}: {lossy} changes mask values (60 becomes 49), so ids cannot be read from it. Save masks as PNG; "
                f"for a yes/no mask data.mask_threshold: 128 reads it all the same"
            )
        array = _read_tiff(path, alpha=True) if path.suffix.lower() in TIFF else _read_stored(path)
        if array.ndim == 3:
            array = _one_channel(array, path)
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (array == np.floor(array)).all():
            raise DataError(f"{path}: a mask holds whole numbers; found fractions, like those of a probability map")
        array = array.astype(np.int64)
    return array if threshold is None else (array >= threshold).astype(np.uint8)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end; after an error nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def mask_paths(task: Task, folder: Path, name: str) -> list[Path]:
    """Return where the mask of the image `name` stands: FOLDER/NAME.png, or FOLDER/CLASS/NAME.png in a multilabel task."""
    if task.kind == "multilabel":
        return [folder / label / f"{name}.png" for label in task.classes]
    return [folder / f"{name}.png"]


def write_mask(task: Task, mask: np.ndarray, folder: Path, name: str) -> list[Path]:
    """Write a decoded mask as the folder source reads it: indexed PNG with the task's palette, or 0/255 PNG."""
    paths = mask_paths(task, folder, name)
    layers = np.moveaxis(mask, -1, 0) if task.kind == "multilabel" else [mask]
    for path, layer in zip(paths, layers, strict=True):
        stored = layer.astype(np.uint8)
        picture = Image.fromarray(
            stored if task.exclusive else np.choose(np.minimum(stored, 2), YES_NO_VOID).astype(np.uint8)
        )
        if task.exclusive:
            picture = _indexed(picture, task)
        with atomic(path) as temporary:
            picture.save(temporary)
    return paths


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W, 1) uint8 as a picture."""
    with atomic(path) as temporary:
        Image.fromarray(rgb[..., 0] if rgb.shape[-1] == 1 else rgb).save(temporary)


def write_image(folder: Path, name: str, image: np.ndarray) -> None:
    """Write an image (H, W, C) without loss: PNG where 8 bits of grey or RGB hold it, else TIFF."""
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        write_picture(folder / f"{name}.png", image)
    else:
        write_tiff(folder / f"{name}.tif", image)


def write_tiff(path: Path, array: np.ndarray) -> None:
    """Write an image or probabilities (H, W, C) as a compressed TIFF with all its bands."""
    import tifffile

    with atomic(path) as temporary:
        layout = "contig" if array.shape[-1] > 1 else None
        tifffile.imwrite(temporary, array, compression="zlib", photometric="minisblack", planarconfig=layout)


def _indexed(picture: Image.Image, task: Task) -> Image.Image:
    colours = [value for colour in task.palette for value in colour]
    picture.putpalette(colours + [255, 255, 255] * (256 - len(task.palette)))
    return picture


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file") from problem
    except UnidentifiedImageError as problem:
        raise DataError(f"{path}: not an image, or a damaged one") from problem
    except Exception as problem:  # decoders raise of every kind; the user needs the file's name
        raise DataError(f"{path}: cannot be read ({problem})") from problem


def _read_picture(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.format == "PNG" and picture.mode in ("RGB", "RGBA", "LA") and _png_depth(path) == 16:
            return _read_deep_png(path)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("L", "1", "F", "I") or upright.mode.startswith("I;16"):
            return np.asarray(upright)
        return np.asarray(upright.convert("L" if upright.mode == "LA" else "RGB"))


def _read_stored(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.format == "PNG" and picture.mode in ("RGB", "RGBA", "LA") and _png_depth(path) == 16:
            raise DataError(f"{path}: a 16-bit mask of several channels; a mask has one")
        return np.asarray(ImageOps.exif_transpose(picture))


def _lossy(path: Path) -> str | None:
    """Return the name of the lossy compression of a picture file, whatever its suffix says."""
    if path.suffix.lower() in TIFF:
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            name = tiff.pages[0].compression.name
        return name if "JP" in name or name in ("WEBP", "JPEGXL", "LERC") else None
    with Image.open(path) as picture:
        if picture.format == "WEBP" and b"VP8 " in path.read_bytes():
            return "lossy WebP"
        return "JPEG" if picture.format in ("JPEG", "MPO", "JPEG2000", "AVIF") else None


def _png_depth(path: Path) -> int:
    with path.open("rb") as stream:
        return stream.read(25)[24]


def _read_deep_png(path: Path) -> np.ndarray:
    import cv2  # Pillow reads 16-bit RGB as 8 bits without a word

    array = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(array)[..., 2::-1]


def _read_tiff(path: Path, alpha: bool = False, colours: bool = False) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        palette = getattr(series.keyframe, "colormap", None)
        axes, samples = series.axes, getattr(series.keyframe, "extrasamples", ())
        try:
            array = series.asarray()
        except ValueError as problem:
            if "imagecodecs" not in str(problem):
                raise
            return _read_compressed_tiff(path)
    extra = [i for i, axis in enumerate(axes) if axis not in "YX"]
    if len(extra) > 1:
        raise DataError(f"{path}: has axes {axes} {array.shape}; segkit reads flat images with or without bands")
    array = np.moveaxis(array, extra[0], -1) if extra else array
    if colours and palette is not None and array.ndim == 2:
        return np.moveaxis((palette >> 8).astype(np.uint8), 0, -1)[array]  # a TIFF palette has 16 bits
    has_alpha = (
        not alpha and array.ndim == 3 and array.shape[-1] in (2, 4) and any(int(kind) in (1, 2) for kind in samples)
    )
    return array[..., :-1] if has_alpha else array


def _read_compressed_tiff(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.mode in ("L", "1", "P", "RGB", "I;16", "F"):
            return np.asarray(picture)
    raise DataError(f"{path}: a compressed TIFF that needs another decoder; run `pip install imagecodecs`")


def _one_channel(array: np.ndarray, path: Path) -> np.ndarray:
    colours, alpha = (array[..., :-1], array[..., -1]) if array.shape[-1] in (2, 4) else (array, None)
    opaque = np.iinfo(array.dtype).max if np.issubdtype(array.dtype, np.integer) else 1
    if alpha is not None and (alpha != opaque).any():
        raise DataError(f"{path}: a mask with a transparent part; save it without alpha channel")
    if (colours != colours[..., :1]).any():
        raise DataError(f"{path}: a colour picture of {array.shape[-1]} channels; a mask file holds one value a pixel")
    return np.asarray(colours[..., 0])


def as_display(image: np.ndarray) -> np.ndarray:
    """Return any image as (H, W, 3) uint8 to look at: other depths between their 1st and 99th percentile, three bands."""
    shown: Any = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if shown.dtype != np.uint8:
        low, high = np.percentile(shown, (1, 99))
        shown = np.clip((shown.astype(np.float32) - low) / max(float(high - low), 1e-6), 0, 1) * 255
    return np.ascontiguousarray(shown.astype(np.uint8))
