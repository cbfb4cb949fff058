"""`segkit inspect` on files with tags: the right values, or a problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import segkit
from segkit.data.sources.source import Subset
from segkit.inspection.duplicate_files import copied_files
from segkit.inspection.inspect import Inspection, as_json
from segkit.io.images import write_picture

SIZE = (24, 30)


def discs(seed: int, ids: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros(SIZE, np.uint8)
    for value in range(1, ids):
        top, left = rng.integers(0, 16), rng.integers(0, 20)
        mask[top : top + 7, left : left + 8] = value
    return mask


MASKS = [discs(seed) for seed in range(4)]
CLASSES = [discs(seed, 4) for seed in range(6)]
SHARE = round(float(np.mean(MASKS)), 6)


def images(root: Path, count: int) -> Path:
    for i in range(count):
        noise = np.random.default_rng(i).integers(0, 256, (*SIZE, 3), np.uint8)
        write_picture(root / "images" / f"{i}.png", noise)
    (root / "masks").mkdir()
    return root / "masks"


def inspected(root: Path, *settings: str) -> tuple[Inspection, dict[str, Any], list[str]]:
    found = segkit.inspect(root / "images", root / "masks", settings=settings)
    codes = [problem.code for problem in found.problems]
    return found, as_json(found), [code for code in codes if not code.endswith("few-images")]


def indexed(path: Path, indices: np.ndarray, colours: list[tuple[int, int, int]]) -> None:
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(path)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_trap_39_white_is_the_object_and_there_is_a_warning(tmp_path: Path, dtype: type) -> None:
    folder = images(tmp_path, 4)
    for i, mask in enumerate(MASKS):
        seen = mask.astype(bool) if dtype is bool else mask * np.uint8(255)
        tifffile.imwrite(folder / f"{i}.tif", ~seen, photometric="miniswhite")
    _, report, codes = inspected(tmp_path)
    assert "mask-white" in codes
    assert report["classes"]["object"]["share"] == SHARE
    swapped = f"data.mask_values={{0: present, {1 if dtype is bool else 255}: absent}}"
    _, report, _ = inspected(tmp_path, swapped)
    assert report["classes"]["object"]["share"] == pytest.approx(1 - SHARE)


def test_trap_39_nodata_of_masks_is_not_a_class(tmp_path: Path) -> None:
    folder = images(tmp_path, 6)
    for i, mask in enumerate(CLASSES):
        values = mask.astype(np.uint16)
        values[:6] = 65535
        tifffile.imwrite(folder / f"{i}.tif", values, extratags=[(42113, "s", 0, "65535", True)])
    _, report, _ = inspected(tmp_path)
    assert list(report["classes"]) == ["background", "class_1", "class_2", "class_3"]
    assert report["void_share"] == 0.25


@pytest.mark.parametrize("offset", [0, 1])
def test_trap_39_0_as_nodata_is_a_warning_or_an_error(tmp_path: Path, offset: int) -> None:
    folder = images(tmp_path, 6)
    for i, mask in enumerate(CLASSES if offset else MASKS):
        values = mask + np.uint8(offset)
        values[:6] = 0
        tifffile.imwrite(folder / f"{i}.tif", values, extratags=[(42113, "s", 0, "0", True)])
    for i in range(4, 6) if not offset else ():
        (tmp_path / "images" / f"{i}.png").unlink()
    found, report, codes = inspected(tmp_path)
    assert "mask-nodata" in codes
    if offset:
        assert list(report["classes"]) == ["class_1", "class_2", "class_3", "class_4"]
        assert report["void_share"] == 0.25
    else:
        assert found.wrong
        _, report, codes = inspected(tmp_path, "data.mask_values={0: absent, 1: present}")
        assert "mask-nodata" not in codes
        assert report["void_share"] == 0


COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_trap_40_palettes_in_the_order_of_occurrence_are_read_by_their_colours(
    tmp_path: Path, suffix: str
) -> None:
    folder = images(tmp_path, 6)
    masks = [np.where(mask == 1 + i % 3, 0, mask) for i, mask in enumerate(CLASSES)]
    for i, mask in enumerate(masks):
        order = list(dict.fromkeys(mask.ravel().tolist()))
        indices = np.array([order.index(value) if value in order else 0 for value in range(4)])[
            mask
        ]
        indexed(
            folder / f"{i}{suffix}", indices, [tuple(colour) for colour in COLOURS[order].tolist()]
        )
    _, report, _ = inspected(tmp_path)
    shares = {name: facts["share"] for name, facts in report["classes"].items()}
    names = {"background": 0, "colour_0000ff": 3, "colour_00ff00": 2, "colour_ff0000": 1}
    assert shares == {
        name: round(float(np.mean(np.stack(masks) == value)), 6) for name, value in names.items()
    }


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
@pytest.mark.parametrize("half", [False, True])
def test_trap_40_white_objects_of_any_palette_are_the_object(
    tmp_path: Path, suffix: str, half: bool
) -> None:
    folder = images(tmp_path, 4)
    for i, mask in enumerate(MASKS):
        if half and i % 2:
            indexed(folder / f"{i}{suffix}", mask, [(0, 0, 0), (255, 255, 255)])
        else:
            indexed(folder / f"{i}{suffix}", 1 - mask, [(255, 255, 255), (0, 0, 0)])
    _, report, _ = inspected(tmp_path)
    assert report["classes"]["object"]["share"] == SHARE
    assert report["verdict"]["kind"] == "binary"


def test_trap_39_a_stack_is_refused_and_its_pages_can_be_samples(tmp_path: Path) -> None:
    for folder, values in (
        ("images", np.random.default_rng(0).integers(0, 9, (4, *SIZE))),
        ("masks", np.stack(MASKS)),
    ):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(
            tmp_path / folder / "s.tif", values.astype(np.uint8), photometric="minisblack"
        )
    found, report, codes = inspected(tmp_path)
    assert codes == ["pages"]
    assert "data.pages" in found.problems[0].message
    found, report, _ = inspected(tmp_path, "data.pages=samples")
    assert (sum(report["samples"].values()), report["images"]["bands"]) == (4, [1])
    apart = {
        part: Subset(found.parts["train"].source, [f"s#00{page}"])
        for part, page in (("train", 1), ("test", 2))
    }
    assert copied_files(apart, 9) == []
    assert report["classes"]["object"]["share"] == SHARE


def test_trap_36_nodata_is_in_no_statistic_and_unlabelled(tmp_path: Path) -> None:
    folder = images(tmp_path, 0)
    (tmp_path / "images").mkdir()
    heights = [
        np.random.default_rng(i).uniform(200, 260, SIZE).astype(np.float32) for i in range(4)
    ]
    for i, (height, mask) in enumerate(zip(heights, MASKS, strict=True)):
        stored = height.copy()
        stored[:6] = -9999
        if i == 3:
            stored[:] = -9999  # a tile beyond the edge of the map
        tifffile.imwrite(
            tmp_path / "images" / f"{i}.tif", stored, extratags=[(42113, "s", 0, "-9999", True)]
        )
        write_picture(folder / f"{i}.png", mask[..., None])
    found, report, _ = inspected(tmp_path)
    measured = np.concatenate([height[6:].ravel() for height in heights[:3]])
    assert report["images"]["low"] == measured.min()
    assert report["images"]["high"] == measured.max()
    assert report["void_share"] == pytest.approx((3 * 0.25 + 1) / 4)
    facts = [fact for fact in found.survey.facts if fact.measured]
    assert sum(fact.measured for fact in facts) == measured.size
    assert sum(fact.sums[0, 0] for fact in facts) == pytest.approx(measured.sum(), rel=1e-6)


def test_trap_39_near_infrared_that_gdal_calls_alpha_is_a_band(tmp_path: Path) -> None:
    folder = images(tmp_path, 0)
    (tmp_path / "images").mkdir()
    for i, mask in enumerate(MASKS):
        bands = np.random.default_rng(i).integers(0, 256, (*SIZE, 4), np.uint8)
        tifffile.imwrite(
            tmp_path / "images" / f"{i}.tif", bands, photometric="rgb", extrasamples=["unassalpha"]
        )
        write_picture(folder / f"{i}.png", mask[..., None])
    assert inspected(tmp_path)[1]["images"]["bands"] == [4]
