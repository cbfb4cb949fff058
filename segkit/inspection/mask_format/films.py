"""Recognises folders of films and of masks of their frames."""

from __future__ import annotations

from pathlib import Path

from segkit.io.films.frames import find_films
from segkit.io.image_files import list_images


def holds_films(images: Path, masks: Path) -> bool:
    """Return whether a folder holds films and no pictures; those of a folder of masks are none."""
    if not images.is_dir() or not find_films(images):
        return False
    pictures = list_images(images).values()
    return all(masks in path.parents for path in pictures)
