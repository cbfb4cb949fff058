"""The folders of classes in a folder of masks."""

from __future__ import annotations

from pathlib import Path

from segkit.config import DataConfig
from segkit.data.sources.pair_pages import stack_folders
from segkit.io.films.frames import find_films
from segkit.io.images import SUFFIXES
from segkit.io.ome_zarr import is_ome_zarr


def class_folders(data: DataConfig, images: Path, masks: Path) -> list[str]:
    """Return the folders of masks, if there are no mask files beside them.

    Folders that the images have, too, are not classes.
    """
    folders = set()
    for path in masks.iterdir():
        if path.suffix.lower() in SUFFIXES or is_ome_zarr(path):
            return []
        if path.is_dir() and not path.name.startswith("."):
            folders.add(path.name)
    of_images = {path.name for path in images.iterdir() if path.is_dir()}
    if data.axes is not None:
        of_images |= stack_folders(images)
    return sorted(folders - of_images)


def class_folders_of_films(images: Path, masks: Path) -> list[str]:
    """Return the folders of masks if each is that of a class, and not of a film."""
    of_films = {name.partition("/")[0] for name in find_films(images)}
    folders = []
    for path in masks.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            folders.append(path.name)
    if not of_films.isdisjoint(folders):
        return []
    return sorted(folders)
