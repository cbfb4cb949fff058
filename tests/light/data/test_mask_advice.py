"""Advice about mask values gives the right mask when followed, or has a blank to fill in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from segkit import VOID, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource, in_folders
from segkit.data.sources.mask_advice import KNOWN, advice_for_mixed, advice_for_values

CRACK = Task.binary("crack")
NO, YES = 0, 1
CODINGS: dict[str, dict[int, int]] = {
    "trimap": {0: NO, 128: VOID, 255: YES},
    "trimap without an object": {0: NO, 128: VOID},
    "pets": {1: YES, 2: NO, 3: VOID},
    "flood": {-1: VOID, 0: NO, 1: YES},
    "cells with borders": {0: NO, 1: YES, 2: NO},
    "void at the end": {0: NO, 1: YES, 255: VOID},
    "two": {0: NO, 2: YES},
    "two, of which one is unlabelled": {0: NO, 2: VOID},
    "grey edges": {0: NO, 40: NO, 200: YES, 255: YES},
    "dark grey edges": {0: NO, 10: NO, 40: YES, 50: YES, 60: YES},
    "numbers of objects": {0: NO, 1: YES, 2: YES, 3: YES, 4: YES},
    "numbers of objects with gaps": {0: NO, 3: YES, 9: YES, 12: YES, 40: YES},
    "many negative": {-3: VOID, -2: VOID, -1: VOID, 0: NO, 1: YES},
}


def opened(root: Path, values: list[int], data: DataConfig | None = None) -> FolderSource:
    """Open one image and its mask, which holds each of the values."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(exist_ok=True)
    tifffile.imwrite(root / "images" / "a.tif", np.zeros((1, len(values)), np.uint8))
    tifffile.imwrite(root / "masks" / "a.tif", np.array([values], np.int16))
    return in_folders(root / "images", root / "masks", CRACK, data)


def proposals(message: str) -> list[DataConfig]:
    """Return the settings that a message proposes and a config takes."""
    found = []
    for setting, value in re.findall(r"data\.(\w+): (\{[^}]*\}|\w+)", message):
        if "?" not in value:
            found.append(DataConfig.model_validate({setting: yaml.safe_load(value)}))
    return found


@pytest.mark.parametrize("coding", CODINGS)
def test_trap_44_advice_that_is_followed_gives_the_right_mask(tmp_path: Path, coding: str) -> None:
    """Of several ways that the values leave open, one is right."""
    values, meant = list(CODINGS[coding]), list(CODINGS[coding].values())
    with pytest.raises(DataError) as problem:
        opened(tmp_path, values).read("a")
    assert problem.value.code in ("mask-values", "mask-soft-edges")
    advised = proposals(str(problem.value))
    masks = [opened(tmp_path, values, data).read("a").mask.tolist() for data in advised]
    assert not masks or [meant] in masks
    assert coding not in ("trimap", "flood", "void at the end") or masks == [[meant]]


@pytest.mark.parametrize("meaning", [VOID, YES])
@pytest.mark.parametrize(("dark", "bright"), [(1, 255), (255, 32767)])
def test_trap_44_both_meanings_of_an_ambiguous_value_are_proposed(
    tmp_path: Path, meaning: int, dark: int, bright: int
) -> None:
    advised = proposals(advice_for_mixed(bright, dark))
    assert len(advised) == 2
    masks = [opened(tmp_path, [0, dark, bright], data).read("a").mask.tolist() for data in advised]
    assert [[NO, YES, meaning]] in masks


def test_trap_44_three_values_or_fewer_have_a_meaning_only_by_convention() -> None:
    for first in range(-2, 4):
        for values in ((first, 7), (first, 7, 9), (first, 128), (first, 255, 256)):
            assert proposals(advice_for_values(values)) == []
    assert set(KNOWN) == {(-1, 0, 1), (0, 1, 255), (0, 128, 255)}


@pytest.mark.parametrize(("yes", "advised"), [(255, 128), (160, 80), (1, None), (0, None)])
def test_trap_44_the_threshold_of_a_jpeg_mask_is_between_its_no_and_yes(
    tmp_path: Path, yes: int, advised: int | None
) -> None:
    mask = np.zeros((16, 32), np.uint8)
    mask[:, 16:] = yes
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(mask).save(tmp_path / folder / "a.jpg", quality=95)
    folders = tmp_path / "images", tmp_path / "masks", CRACK
    with pytest.raises(DataError) as problem:
        in_folders(*folders).read("a")
    assert problem.value.code == "mask-lossy"
    found = proposals(str(problem.value))
    assert [data.mask_threshold for data in found] == ([advised] if advised else [])
    for data in found:
        np.testing.assert_array_equal(in_folders(*folders, data).read("a").mask, mask > 0)
