from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig, as_config
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.labels import check_mapped_names
from segkit.data.sources.mask_colours import from_colours
from segkit.io.masks import read_colours
from tests.helpers.errors import fails

CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])
NAMES = {"#000000": "background", "#ff0000": "liver", "#00ff00": "tumour", "#ffffff": "void"}
RGB = np.array([[[0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 255, 255]]], np.uint8)
IDS = [[0, 1, 2, VOID]]


def source(root: Path, task: Task, name: str = "a.png", **data: object) -> FolderSource:
    """Return the source of an image and of the mask file ROOT/masks/NAME."""
    (root / "images").mkdir(exist_ok=True)
    Image.fromarray(np.zeros((1, 4, 3), np.uint8)).save(root / "images" / "a.png")
    (root / "masks").mkdir(exist_ok=True)
    (root / "masks" / name).touch()
    folders = {"images": root / "images", "masks": root / "masks"}
    return FolderSource(DataConfig.model_validate({"mask_colours": NAMES, **folders, **data}), task)


def test_trap_25_colours_are_classes_where_the_user_names_them(tmp_path: Path) -> None:
    opened = source(tmp_path, ORGANS)
    Image.fromarray(RGB).save(tmp_path / "masks" / "a.png")
    assert opened.read("a").mask.tolist() == IDS


def test_colours_may_be_upper_or_lower_case_and_several_may_mean_one_class() -> None:
    names = DataConfig(
        mask_colours={"#FF0000": "liver", "#AAbb01": "liver", "#000000": "background"}
    ).mask_colours
    assert names is not None
    rgb = np.array([[[0xAA, 0xBB, 1], [255, 0, 0], [0, 0, 0]]], np.uint8)
    assert from_colours(rgb, ORGANS, names, 0, "a.png").tolist() == [[1, 1, 0]]


def test_a_palette_mask_is_read_by_its_colours_not_by_its_indices(tmp_path: Path) -> None:
    opened = source(tmp_path, ORGANS)
    picture = Image.fromarray(np.array([[7, 2, 0, 1]], np.uint8))
    colours = {7: (0, 0, 0), 2: (255, 0, 0), 0: (0, 255, 0), 1: (255, 255, 255)}
    picture.putpalette([v for i in range(256) for v in colours.get(i, (9, 9, 9))])
    picture.save(tmp_path / "masks" / "a.png")
    assert opened.read("a").mask.tolist() == IDS


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_palette_tiffs_are_read_by_their_colours_too(
    tmp_path: Path, compression: str | None
) -> None:
    opened = source(tmp_path, ORGANS, "a.tif")
    picture = Image.fromarray(np.array([[3, 2, 1, 0]], np.uint8))
    picture.putpalette([255, 255, 255, 0, 255, 0, 255, 0, 0] + [0] * 759)
    picture.save(tmp_path / "masks" / "a.tif", compression=compression)
    assert opened.read("a").mask.tolist() == IDS


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_an_opaque_alpha_channel_is_dropped_and_another_refused(tmp_path: Path, name: str) -> None:
    opened, path = source(tmp_path, ORGANS, name), tmp_path / "masks" / name
    for alpha in (255, 254):
        rgba = np.concatenate([RGB, np.full((1, 4, 1), 255, np.uint8)], axis=-1)
        rgba[0, 3, 3] = alpha
        if name == "a.tif":
            tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
        else:
            Image.fromarray(rgba).save(path)
        if alpha == 255:
            assert opened.read("a").mask.tolist() == IDS
        else:
            with fails(DataError, "mask-alpha", path):
                opened.read("a")


def test_a_transparent_palette_entry_is_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1, 0, 1]], np.uint8))
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "a.png", transparency=1)
    with fails(DataError, "mask-alpha", tmp_path / "a.png"):
        read_colours(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_grey_and_1_bit_masks_are_colours_too(tmp_path: Path, name: str) -> None:
    for pixels in (np.array([[0, 255]], np.uint8), np.array([[False, True]])):
        Image.fromarray(pixels).save(tmp_path / name)
        assert read_colours(tmp_path / name).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_trap_26_colours_of_16_bits_are_refused_not_halved(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "rgb.png"), RGB.astype(np.uint16) * 257)
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / "grey.png")
    tifffile.imwrite(tmp_path / "rgb.tif", RGB.astype(np.uint16) * 257, photometric="rgb")
    for name in ("rgb.png", "grey.png", "rgb.tif"):
        with fails(DataError, "mask-channels", tmp_path / name):
            read_colours(tmp_path / name)


def test_colours_are_turned_as_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_colours(tmp_path / "a.png"), np.rot90(RGB, -1))


def test_trap_27_jpeg_colours_are_read_where_a_tolerance_says_so(tmp_path: Path) -> None:
    named = {"#000000": "background", "#ff0000": "car", "#00ff00": "tree"}
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    ids = np.repeat(np.arange(3), 16)[None].repeat(16, axis=0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.fromarray(table[ids]).save(tmp_path / folder / "a.jpg", quality=90, subsampling=0)
    task = Task.multiclass(["background", "car", "tree"])
    data = {"images": tmp_path / "images", "masks": tmp_path / "masks", "mask_colours": named}
    with fails(DataError, "mask-lossy", "data.colour_tolerance") as problem:
        FolderSource(DataConfig.model_validate(data), task).read("a")
    assert "mask_threshold" not in str(problem.value)
    read = (
        FolderSource(DataConfig.model_validate(data | {"colour_tolerance": 127}), task)
        .read("a")
        .mask
    )
    np.testing.assert_array_equal(read, ids)


def test_trap_27_jpeg_colours_are_refused_even_under_another_name(tmp_path: Path) -> None:
    opened = source(tmp_path, ORGANS, "a.jpg")
    Image.fromarray(RGB).save(tmp_path / "masks" / "a.jpg")
    with fails(DataError, "mask-lossy", tmp_path / "masks" / "a.jpg", "JPEG"):
        opened.read("a")
    Image.fromarray(RGB).save(tmp_path / "b.png", format="JPEG")
    with fails(DataError, "mask-lossy", tmp_path / "b.png", "JPEG"):
        read_colours(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("no", "yes"), [("background", "crack"), ("absent", "present"), ("background", "present")]
)
def test_a_binary_mask_names_its_colours_by_class_or_by_presence(
    tmp_path: Path, no: str, yes: str
) -> None:
    opened = source(
        tmp_path,
        CRACK,
        mask_colours={"#000000": no, "#ff0000": yes, "#00ff00": no, "#ffffff": "void"},
    )
    Image.fromarray(RGB).save(tmp_path / "masks" / "a.png")
    assert opened.read("a").mask.tolist() == [[0, 1, 0, VOID]]


def test_multilabel_masks_have_no_colours(tmp_path: Path) -> None:
    with fails(ConfigError, "not-for-task", "multilabel", setting="data.mask_colours"):
        source(tmp_path, Task.multilabel(["liver", "tumour"]), mask_colours={"#ff0000": "present"})


def test_unknown_names_and_an_empty_mapping_are_refused(tmp_path: Path) -> None:
    known = "background, liver, tumour, void"
    with fails(ConfigError, "unknown-name", known, "livr", setting="data.mask_colours"):
        source(tmp_path, ORGANS, mask_colours={"#ff0000": "livr"})
    with fails(ConfigError, "missing-setting", setting="data.mask_colours"):
        source(tmp_path, ORGANS, mask_colours={})
    with fails(ConfigError, "unknown-name", "absent, present, background, crack, void", "liver"):
        check_mapped_names({"#ff0000": "liver"}, CRACK, "mask_colours")


@pytest.mark.parametrize("colour", ["red", "#f00", "#ff00000", "#gg0000", "ff0000", "#ff0000\n"])
def test_a_colour_is_written_in_six_digits(colour: str) -> None:
    with fails(ConfigError, "wrong-value", "data.mask_colours", repr(colour)):
        as_config({"task": ORGANS.model_dump(), "data": {"mask_colours": {colour: "liver"}}})


COLOURS = st.tuples(*[st.sampled_from([0, 1, 3, 100, 103, 252, 255])] * 3)
PICTURES = arrays.arrays(
    np.uint8,
    st.tuples(*[st.integers(1, 5)] * 2, st.just(3)),
    elements=st.sampled_from([0, 1, 100, 255]),
)


LISTED = re.compile(r"(#[0-9a-f]{6}) \((\d+) ")
"""A colour in a message, with the number of its pixels."""


def as_hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{int(v):02x}" for v in colour)


@given(
    st.dictionaries(COLOURS, st.sampled_from([*ORGANS.classes, "void"]), min_size=1, max_size=6),
    PICTURES,
    st.sampled_from([0, 1, 3, 60]),
)
def test_reading_colours_equals_a_loop_over_the_pixels(
    names: dict[tuple[int, ...], str], rgb: np.ndarray, tolerance: int
) -> None:
    """A colour counts as the nearest named one, by the channel that differs most."""
    meant = {**{name: i for i, name in enumerate(ORGANS.classes)}, "void": VOID}
    allowed: list[set[int]] = []
    unknown: Counter[str] = Counter()
    for pixel in rgb.reshape(-1, 3).tolist():
        far = {
            colour: max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) for colour in names
        }
        nearest = min(far.values())
        allowed.append({meant[names[colour]] for colour in names if far[colour] == nearest})
        if nearest > tolerance:
            unknown[as_hex(tuple(pixel))] += 1
    mapping = {as_hex(colour): name for colour, name in names.items()}
    if not unknown:
        mask = from_colours(rgb, ORGANS, mapping, tolerance, "a.png")
        assert (mask.shape, mask.dtype) == (rgb.shape[:2], np.uint8)
        assert all(int(value) in which for value, which in zip(mask.ravel(), allowed, strict=True))
        return
    with fails(DataError, "mask-colours", "a.png") as problem:
        from_colours(rgb, ORGANS, mapping, tolerance, "a.png")
    listed = [(colour, int(count)) for colour, count in LISTED.findall(str(problem.value))]
    assert [count for _, count in listed] == sorted(unknown.values(), reverse=True)[:8]
    assert set(listed) <= set(unknown.items())


def test_unknown_colours_are_listed_with_their_pixels_most_frequent_first() -> None:
    rgb = np.repeat(
        np.array([[0, 0, 0], [1, 2, 3], [9, 9, 9], [4, 5, 6]], np.uint8), [5, 2, 7, 1], axis=0
    )[None]
    with fails(
        DataError, "mask-colours", "a.png", "#000000, #ff0000", "data.mask_colours", "void"
    ) as problem:
        from_colours(rgb, ORGANS, NAMES, 0, "a.png")
    assert LISTED.findall(str(problem.value)) == [
        ("#090909", "7"),
        ("#010203", "2"),
        ("#040506", "1"),
    ]


def test_trap_28_an_error_about_many_colours_names_the_tolerance() -> None:
    rgb = np.arange(300, dtype=np.uint16).astype(np.uint8)[None, :, None].repeat(3, axis=-1)
    with fails(DataError, "mask-colours", 2, 250, "JPEG", "data.colour_tolerance"):
        from_colours(rgb, ORGANS, NAMES, 2, "a.png")


def test_a_tolerance_takes_the_nearest_colour_and_no_more(tmp_path: Path) -> None:
    names = {"#000000": "background", "#0a0a0a": "liver"}
    for grey, expected in ((4, 0), (6, 1), (10, 1), (14, 1)):
        assert from_colours(
            np.full((1, 1, 3), grey, np.uint8), ORGANS, names, 4, "a.png"
        ).tolist() == [[expected]]
    with fails(DataError, "mask-colours", 4) as problem:
        from_colours(np.full((1, 1, 3), 15, np.uint8), ORGANS, names, 4, "a.png")
    assert LISTED.findall(str(problem.value)) == [("#0f0f0f", "1")]
    opened = source(tmp_path, ORGANS, colour_tolerance=3)
    Image.fromarray(np.abs(RGB.astype(int) - 3).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    assert opened.read("a").mask.tolist() == IDS


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_masks_in_class_folders_may_use_colours_for_yes_and_no(tmp_path: Path, kind: str) -> None:
    for label, columns in (("liver", [1, 0, 0]), ("tumour", [0, 0, 1])):
        path = tmp_path / "masks" / label / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(
            np.array([[[255, 0, 9] if yes else [0, 0, 0] for yes in columns]], np.uint8)
        ).save(path)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((1, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    named = {"#ff0009": "present", "#000000": "absent"}
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks", mask_colours=named)
    if kind == "multiclass":
        task = Task.multiclass(["background", "liver", "tumour"])
        assert FolderSource(data, task).read("a").mask.tolist() == [[1, 0, 2]]
    else:
        mask = FolderSource(data, Task.multilabel(["liver", "tumour"])).read("a").mask
        assert mask.tolist() == [[[1, 0], [0, 0], [0, 1]]]
