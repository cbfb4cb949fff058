"""Pairs of images and masks, and their division into pages and planes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError
from segkit.io.image_files import list_images
from segkit.io.pages import pages_apart, pages_of
from segkit.io.plane_addresses import Axes
from segkit.io.planes import planes_in_file
from segkit.io.slides import at_level


class Pair(NamedTuple):
    """An image, and its mask files by class; "" is the class of a file with all classes."""

    image: Path
    masks: Mapping[str, Path]


class Pairs(NamedTuple):
    """Pairs by sample name, and the names of each part if folders or a list name the parts."""

    by_name: dict[str, Pair]
    parts: dict[str, list[str]]
    unlabelled: dict[str, tuple[str, ...]] = {}
    """The classes that were not annotated in a sample, for samples with such classes."""


def separate_pages(pairs: Pairs) -> Pairs:
    """Make a sample NAME#001 of each page of an image, with the page of its mask."""
    images = pages_apart({name: pair.image for name, pair in pairs.by_name.items()}, "samples")
    pages_by_name: dict[str, list[str]] = {}
    for page in images:
        name = page if page in pairs.by_name else page.rpartition("#")[0]
        pages_by_name.setdefault(name, []).append(page)
    by_name: dict[str, Pair] = {}
    for name, pages in pages_by_name.items():
        image, files = pairs.by_name[name]
        masks = {}
        for label, path in files.items():
            masks[label] = _pages_of_mask(path, image, len(pages))
        for number, page in enumerate(pages):
            by_name[page] = Pair(
                images[page], {label: paths[number] for label, paths in masks.items()}
            )
    parts: dict[str, list[str]] = {}
    for part, names in pairs.parts.items():
        parts[part] = []
        for name in names:
            parts[part] += pages_by_name[name]
    unlabelled = {}
    for name, classes in pairs.unlabelled.items():
        unlabelled.update(dict.fromkeys(pages_by_name[name], classes))
    return Pairs(by_name, parts, unlabelled)


def separate_planes(pairs: Pairs, axes: Axes) -> Pairs:
    """Make a sample NAME/T001_Z003 of each plane of an image, with the same plane of its mask."""
    by_name: dict[str, Pair] = {}
    names_of: dict[str, list[str]] = {}
    for name, (image, files) in pairs.by_name.items():
        planes = planes_in_file(image, axes)
        masks = {label: planes_in_file(path, axes) for label, path in files.items()}
        for label, found in masks.items():
            if set(found) != set(planes):
                raise DataError(
                    f"{files[label]}: has {len(found)} plane(s), its image {image} has "
                    f"{len(planes)}; both need the same positions along the axes that are samples",
                    "pages",
                )
        names_of[name] = [name + end for end in planes]
        for end, plane in planes.items():
            of_plane = {label: found[end] for label, found in masks.items()}
            by_name[name + end] = Pair(plane, of_plane)
    parts = {}
    for part, names in pairs.parts.items():
        parts[part] = [plane for name in names for plane in names_of[name]]
    unlabelled = {}
    for name, classes in pairs.unlabelled.items():
        unlabelled.update(dict.fromkeys(names_of[name], classes))
    return Pairs(by_name, parts, unlabelled)


def _pages_of_mask(path: Path, image: Path, count: int) -> list[Path]:
    pages = pages_of(path, "samples")
    if len(pages) != count:
        raise DataError(f"{path}: has {len(pages)} page(s), its image {image} has {count}", "pages")
    return pages


def planes_of_images(
    images: Mapping[str, Path], stems: Mapping[str, str], axes: Axes
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the planes of images by name, and the names of their masks."""
    planes: dict[str, Path] = {}
    names_of_masks: dict[str, str] = {}
    for name, path in images.items():
        for end, plane in planes_in_file(path, axes).items():
            planes[name + end] = plane
            names_of_masks[name + end] = stems[name] + end
    return planes, names_of_masks


def stack_folders(images: Path) -> set[str]:
    """Return the folders of masks that may hold the pictures of the planes of an image.

    They are called like the images of a folder: a/T001_Z003.png is a mask of a.ome.tif.
    """
    return {name.partition("/")[0] for name in list_images(images)}


def at_levels(pairs: Pairs, microns: float | None) -> Pairs:
    """Return pairs in which slides are at the level with pixels of a size (µm); masks stay."""
    if microns is None:
        return pairs
    by_name = {}
    for name, pair in pairs.by_name.items():
        by_name[name] = pair._replace(image=at_level(pair.image, microns))
    return pairs._replace(by_name=by_name)
