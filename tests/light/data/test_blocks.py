"""Regions of large images as samples: what they show, what lies between them, and their parts."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import Config, DataConfig, as_config
from segkit.data.parts import open_parts
from segkit.data.sources.blocks import BlockSource, spans
from segkit.data.sources.source import open_source
from segkit.inspection.duplicate_files import copied_files
from segkit.inspection.fingerprint import survey
from segkit.inspection.problems import few_images
from tests.helpers.errors import fails

CRACK = Task.binary("crack")


def folders(
    root: Path, sizes: dict[str, tuple[int, int]], suffix: str = ".png", **more: object
) -> DataConfig:
    """Write images whose pixels have different values, with masks of every seventh pixel."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(exist_ok=True)
    for name, (height, width) in sizes.items():
        place = np.arange(height * width, dtype=np.uint16).reshape(height, width)
        path = root / "images" / f"{name}{suffix}"
        if suffix == ".tif":
            tifffile.imwrite(path, place)
        else:
            Image.fromarray(place).save(path)
        Image.fromarray((place % 7 == 0).astype(np.uint8)).save(root / "masks" / f"{name}.png")
    return DataConfig.model_validate({"images": root / "images", "masks": root / "masks", **more})


@given(st.integers(1, 5000), st.integers(32, 600))
def test_blocks_of_one_axis_have_a_gap_between_them_and_no_rest(length: int, size: int) -> None:
    found = spans(length, size)
    assert found[0][0] == 0
    assert found[-1][1] == length
    for (_, end), (start, _) in itertools.pairwise(found):
        assert start - end == size // 8
    lengths = [last - first for first, last in found]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) > 0
    assert len(found) == 1 or size / 2 < max(lengths) < 1.6 * size


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_blocks_are_regions_of_the_image_and_its_mask(tmp_path: Path, suffix: str) -> None:
    data = folders(tmp_path, {"a": (100, 200), "small": (20, 30)}, suffix)
    whole, blocks = (
        open_source(data, CRACK),
        open_source(data.model_copy(update={"blocks": 64}), CRACK),
    )
    assert isinstance(blocks, BlockSource)
    assert list(blocks.names) == ["a@0-0", "a@0-1", "a@0-2", "a@1-0", "a@1-1", "a@1-2", "small"]
    with ThreadPoolExecutor(4) as pool:
        samples = list(pool.map(blocks.read, blocks.names))
    seen: list[int] = []
    for sample in samples[:-1]:
        expected = whole.read("a").image
        rows, columns = np.nonzero(np.isin(expected[..., 0], sample.image))
        top, left = rows.min(), columns.min()
        area = slice(top, top + sample.image.shape[0]), slice(left, left + sample.image.shape[1])
        np.testing.assert_array_equal(sample.image, expected[area])
        np.testing.assert_array_equal(sample.mask, whole.read("a").mask[area])
        seen += sample.image.ravel().tolist()
    assert len(seen) == len(set(seen))
    np.testing.assert_array_equal(samples[-1].image, whole.read("small").image)


def test_no_pixel_is_near_the_border_of_another_part(tmp_path: Path) -> None:
    data = folders(tmp_path, {"a": (250, 250)}, blocks=64, validation=0.3, test=0.2)
    parts = open_parts(Config(task=CRACK, data=data))
    assert all(len(subset) for subset in parts.values())
    shown = {part: np.zeros(250 * 250, np.uint8) for part in parts}
    for part, subset in parts.items():
        for sample in subset:
            shown[part][sample.image.ravel()] = 1
    around = np.ones((2 * (64 // 8) + 1, 2 * (64 // 8) + 1), np.uint8)
    for one, other in itertools.permutations(shown, 2):
        near = cv2.dilate(shown[one].reshape(250, 250), around)
        assert not (near & shown[other].reshape(250, 250)).any()
    assert copied_files(parts, 60) == []
    [problem] = few_images(parts, survey(CRACK, parts).facts)
    assert (problem.code, "1 image" in problem.message) == ("few-images", True)


def test_blocks_stay_in_the_part_of_their_image(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for folder in ("images", "masks"):
            (tmp_path / folder / part).mkdir(parents=True)
    data = folders(tmp_path, {"train/a": (100, 200), "val/b": (100, 100)}, blocks=64)
    parts = open_parts(Config(task=CRACK, data=data))
    assert {name.split("@")[0] for name in parts["train"].names} == {"train/a"}
    assert {name.split("@")[0] for name in parts["validation"].names} == {"val/b"}


def test_an_image_that_cannot_be_read_is_one_sample_with_its_error(tmp_path: Path) -> None:
    data = folders(tmp_path, {"a": (100, 100), "b": (100, 100)}, blocks=64)
    (tmp_path / "images" / "a.png").write_bytes(b"torn")
    source = open_source(data, CRACK)
    assert [name for name in source.names if name.startswith("a")] == ["a"]
    with fails(DataError, "unreadable", tmp_path / "images" / "a.png"):
        source.read("a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_turned_photograph_is_cut_as_it_is_seen(tmp_path: Path, kind: str) -> None:
    data = folders(tmp_path, {"a": (200, 90)}, blocks=64)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.zeros((90, 200, 3), np.uint8))
    stored.save(tmp_path / "images" / "a.png", kind, exif=exif)  # the suffix does not count
    source = open_source(data, CRACK)
    assert list(source.names) == ["a@0-0", "a@1-0", "a@2-0"]
    assert sum(source.read(name).image.shape[0] for name in source.names) == 200 - 2 * 8


def test_sources_without_files_are_cut_too(tmp_path: Path) -> None:
    data = DataConfig(source="shapes", count=3, size=(100, 100), blocks=50)
    source = open_source(data, Task.binary("disc"))
    assert len(source.names) == 3 * 4
    assert source.read(source.names[1]).image.shape == (47, 47, 3)


def test_blocks_smaller_than_a_network_needs_are_refused() -> None:
    with fails(ConfigError, "wrong-value", 32, 8, setting="data.blocks"):
        as_config({"task": {"kind": "binary", "classes": ["crack"]}, "data": {"blocks": 8}})
