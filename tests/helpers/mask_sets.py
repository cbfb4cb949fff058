"""Sets of masks in files, and what is asked of a guess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from segkit import VOID
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from segkit.inspection.mask_format.detect import detect_format
from segkit.inspection.mask_format.guess import Guess

SIZE = (24, 32)


NAMES = ("a", "b", "c")


def regions(top: int, seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return blocks of whole numbers 0 to `top`, each of which occurs."""
    blocks = np.random.default_rng(seed).permutation(np.arange(size[0] * size[1] // 16) % (top + 1))
    return np.kron(blocks.reshape(size[0] // 4, size[1] // 4), np.ones((4, 4), int)).astype(
        np.uint8
    )


def save(path: Path, pixels: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, **options)
    else:
        Image.fromarray(pixels).save(path, **options)


def with_images(root: Path, size: tuple[int, int] = SIZE) -> tuple[Path, Path]:
    for i, name in enumerate(NAMES):
        save(
            root / "images" / f"{name}.jpg",
            np.random.default_rng(i).integers(0, 256, (*size, 3)).astype(np.uint8),
        )
    (root / "masks").mkdir()
    return root / "images", root / "masks"


def look(root: Path, masks: Sequence[np.ndarray], classes: Sequence[str] = ()) -> Guess:
    """Save a PNG mask for each image, and guess."""
    images, folder = with_images(root, masks[0].shape[:2])
    for name, pixels in zip(NAMES, masks, strict=True):
        save(folder / f"{name}.png", pixels)
    return detect_format(images, folder, classes)


def read(found: Guess) -> list[np.ndarray]:
    """Read all masks with the settings that were guessed, after their way through a config file."""
    source = open_source(DataConfig.model_validate(found.data.model_dump(mode="json")), found.task)
    return [found.task.encode(source.read(name).mask, name, void=VOID) for name in source.names]


def same(found: Guess, masks: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(read(found), masks, strict=True))


def codes(found: Guess) -> list[str]:
    return [code for code, _ in found.doubts]


# What is stored, as (values in the file, what the target holds), from regions of 0 to 2.
BINARY: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "0/1": lambda r: (r % 2, r % 2),
    "0/255": lambda r: (r % 2 * 255, r % 2),
    "true/false": lambda r: (r % 2 == 1, r % 2),
    "0/1/255": lambda r: (np.choose(r, (0, 1, 255)), np.choose(r, (0, 1, VOID))),
    "0/128/255": lambda r: (np.choose(r, (0, 255, 128)), np.choose(r, (0, 1, VOID))),
    "0/255 in 16 bits": lambda r: ((r % 2).astype(np.uint16) * 255, r % 2),
    "0/65535": lambda r: ((r % 2).astype(np.uint16) * 65535, r % 2),
    "equal channels": lambda r: (np.repeat((r % 2 * 255)[..., None], 3, axis=-1), r % 2),
}


def ids(values: Sequence[int], dtype: type = np.uint8) -> list[np.ndarray]:
    return [np.array(values, dtype)[regions(len(values) - 1, seed)] for seed in range(3)]
