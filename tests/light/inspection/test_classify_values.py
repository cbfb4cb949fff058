"""The meaning of the values of masks, guessed from the masks alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, Task
from segkit.inspection.mask_format.detect import detect_format
from tests.helpers.mask_sets import (
    BINARY,
    NAMES,
    SIZE,
    codes,
    ids,
    look,
    regions,
    same,
    save,
    with_images,
)


@pytest.mark.parametrize("way", BINARY)
def test_yes_no_masks(tmp_path: Path, way: str) -> None:
    stored, meant = zip(*(BINARY[way](regions(2, seed)) for seed in range(3)), strict=True)
    kept = [
        array if array.dtype in (bool, np.uint16) else array.astype(np.uint8) for array in stored
    ]
    found = look(tmp_path, kept, ["crack"])
    assert found.task == Task.binary("crack")
    assert same(found, [array[..., None] for array in meant])
    assert codes(found) == (["void-value"] if VOID in meant[0] else [])


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("top", [2, 5, 20])
def test_consecutive_ids_are_read_as_they_are(tmp_path: Path, top: int, void: bool) -> None:
    stored = ids([*range(top + 1), *([255] if void else [])])
    found = look(tmp_path, stored)
    assert found.task == Task.multiclass(["background", *(f"class_{i}" for i in range(1, top + 1))])
    assert found.data.mask_values is None
    assert same(found, stored)
    assert codes(found) == (["void-value"] if void else [])


def test_rare_gaps_keep_the_ids(tmp_path: Path) -> None:
    stored = ids([0, 1, 2, 4, 5, 255])
    found = look(tmp_path, stored)
    assert found.task.channels == 6
    assert found.data.mask_values is None
    assert same(found, stored)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((0, 38, 75, 113), np.uint8),
        ((1, 2, 3), np.uint8),
        ((7, 8, 11), np.uint8),
        ((0, 85, 170, 255), np.uint8),
        ((0, 127, 255), np.uint8),
        ((0, 1000, 2000), np.uint16),
    ],
)
def test_other_values_each_become_a_class(
    tmp_path: Path, values: tuple[int, ...], dtype: type
) -> None:
    found = look(tmp_path, ids(values, dtype))
    assert found.task.channels == len(values)
    assert found.task.background == ("background" if values[0] == 0 else None)
    assert list(found.data.mask_values or {}) == list(values)
    assert same(found, [regions(len(values) - 1, seed) for seed in range(3)])
    assert codes(found) == ["mask-values"]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_negative_values_are_unlabelled(tmp_path: Path, task: str) -> None:
    images, folder = with_images(tmp_path)
    values = [-9999, 0, 1] if task == "binary" else [-1, 0, 1, 2]
    target = [VOID, 0, 1, 2]
    blocks = [regions(len(values) - 1, seed) for seed in range(3)]
    for name, block in zip(NAMES, blocks, strict=True):
        save(folder / f"{name}.tif", np.array(values, np.int16)[block])
    found = detect_format(images, folder)
    assert (found.task.kind, codes(found)) == (task, ["void-value"])
    meant = [np.array(target)[block] for block in blocks]
    assert same(found, [mask[..., None] if task == "binary" else mask for mask in meant])


def test_other_values_with_void(tmp_path: Path) -> None:
    found = look(tmp_path, ids([7, 8, 11, 255]))
    assert (found.data.mask_values or {})[255] == "void"
    assert same(found, [np.array([0, 1, 2, VOID])[regions(3, seed)] for seed in range(3)])
    assert codes(found) == ["void-value", "mask-values"]


def test_16_bit_ids_and_tiff_ids(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    stored = ids([0, 1, 2, 3], np.uint16)
    for name, pixels in zip(NAMES, stored, strict=True):
        save(folder / f"{name}.tif", pixels)
    found = detect_format(images, folder)
    assert "uint16 TIFF" in found.read_as
    assert same(found, stored)


def test_palette_masks_give_indices(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    stored = ids([0, 1, 2])
    for name, pixels in zip(NAMES, stored, strict=True):
        picture = Image.fromarray(pixels)
        picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        picture.save(folder / f"{name}.png")
    found = detect_format(images, folder, ["none", "cat", "dog"])
    assert "palette PNG" in found.read_as
    assert found.task.classes == ("none", "cat", "dog")
    assert same(found, stored)


def test_150_ids_of_which_an_image_shows_few_are_ids(tmp_path: Path) -> None:
    stored = [
        (regions(9, seed) + offset).astype(np.uint8) for seed, offset in enumerate((0, 9, 18))
    ]
    images, folder = with_images(tmp_path)
    for i in range(3, 17):
        save(images / f"{i}.jpg", np.zeros((*SIZE, 3), np.uint8))
        stored.append((regions(9, i) + 9 * i).astype(np.uint8))
    names = [*NAMES, *(str(i) for i in range(3, 17))]
    for name, pixels in zip(names, stored, strict=True):
        save(folder / f"{name}.png", pixels)
    found = detect_format(images, folder)
    assert found.task.channels == 154
    by_name = dict(zip(names, stored, strict=True))
    assert same(found, [by_name[name] for name in sorted(names)])
