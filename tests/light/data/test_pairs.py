"""Images and masks paired by name in folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.data.sources.pair_names import find_suffixes
from tests.helpers.errors import fails
from tests.helpers.listings import LABELS, STEMS, pairs, shown, touch

pytestmark = pytest.mark.long


def test_files_of_one_name_pair_in_nested_folders_too(tmp_path: Path) -> None:
    touch(
        tmp_path / "images",
        "b.jpg",
        "monday/a.TIF",
        "monday/deep/a.png",
        ".hidden.png",
        "notes.txt",
    )
    touch(tmp_path / "masks", "b.png", "monday/a.png", "monday/deep/a.png")
    found = pairs(tmp_path)
    assert found.parts == {}
    assert shown(found, tmp_path) == {
        "b": ("images/b.jpg", {"": "masks/b.png"}),
        "monday/a": ("images/monday/a.TIF", {"": "masks/monday/a.png"}),
        "monday/deep/a": ("images/monday/deep/a.png", {"": "masks/monday/deep/a.png"}),
    }


LAYOUTS = {
    "two folders": ("images", "masks"),
    "one folder": ("all", "all"),
    "masks inside": ("all", "all/masks"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_suffix_of_the_masks_pairs_in_every_layout(tmp_path: Path, layout: str) -> None:
    images, masks = LAYOUTS[layout]
    touch(tmp_path / images, "a.jpg", "monday/b.jpg")
    touch(tmp_path / masks, "a_mask.png", "monday/b_mask.png")
    assert shown(pairs(tmp_path, masks, images, mask_suffix="_mask"), tmp_path) == {
        "a": (f"{images}/a.jpg", {"": f"{masks}/a_mask.png"}),
        "monday/b": (f"{images}/monday/b.jpg", {"": f"{masks}/monday/b_mask.png"}),
    }


NAMED = {
    "DeepGlobe": ("{}_sat", "{}_mask", "_sat", "_mask"),
    "nnU-Net": ("case_{}_0000", "case_{}", "_0000", ""),
    "Cityscapes": (
        "aachen/{}_leftImg8bit",
        "aachen/{}_gtFine_labelIds",
        "_leftImg8bit",
        "_gtFine_labelIds",
    ),
    "DRIVE": ("{}_training", "{}_manual1", "_training", "_manual1"),
    "ISIC": ("ISIC_{}", "ISIC_{}_segmentation", "", "_segmentation"),
    "CamVid": ("0016E5_{}", "0016E5_{}_L", "", "_L"),
    "the same": ("a.b.{}.v1", "a.b.{}.v1", "", ""),
}


@pytest.mark.parametrize("way", NAMED)
@pytest.mark.parametrize("numbers", [("21", "22", "23"), ("1", "10", "100"), ("7",)], ids=len)
def test_trap_33_usual_names_pair_by_the_suffixes_that_are_found(
    tmp_path: Path, way: str, numbers: tuple[str, ...]
) -> None:
    image, mask, *suffixes = NAMED[way]
    found = find_suffixes([image.format(n) for n in numbers], [mask.format(n) for n in numbers])
    assert found is not None
    touch(tmp_path / "images", *(f"{image.format(n)}.jpg" for n in numbers))
    touch(tmp_path / "masks", *(f"{mask.format(n)}.png" for n in numbers))
    if any(suffixes):
        with fails(
            DataError, "unpaired", "data.list_file", *(suffix for suffix in suffixes if suffix)
        ):
            pairs(tmp_path)
    assert shown(pairs(tmp_path, image_suffix=found.image, mask_suffix=found.mask), tmp_path) == {
        image.format(n): (f"images/{image.format(n)}.jpg", {"": f"masks/{mask.format(n)}.png"})
        for n in numbers
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}", "task-{}-roof-0"),
        ("IMG_{}", "img_{}"),
        ("image_{}", "other_{}"),
        ("label_{}", "mask_{}"),
        ("image_{}", "mask_0{}"),
    ],
)
def test_trap_33_names_that_no_suffix_pairs_need_a_list(
    tmp_path: Path, image: str, mask: str
) -> None:
    numbers = ("21", "22", "23")
    assert (
        find_suffixes([image.format(n) for n in numbers], [mask.format(n) for n in numbers]) is None
    )
    touch(tmp_path / "images", *(f"{image.format(n)}.jpg" for n in numbers))
    touch(tmp_path / "masks", *(f"{mask.format(n)}.png" for n in numbers))
    with fails(DataError, "unpaired", 3, "data.list_file"):
        pairs(tmp_path)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image_{}", "mask_{}"),
        ("img{}", "mask{}"),
        ("monday/image_{}", "monday/mask_{}"),
        ("{}", "mask_{}"),
        ("image_a_{}", "gt-a_{}"),
        ("scan {}", "Label {}"),
    ],
)
@pytest.mark.parametrize("numbers", [("21", "22", "23"), ("1", "10", "100"), ("7",)], ids=len)
def test_trap_33_names_that_differ_in_their_prefix_pair(
    tmp_path: Path, image: str, mask: str, numbers: tuple[str, ...]
) -> None:
    touch(tmp_path / "images", *(f"{image.format(n)}.jpg" for n in numbers))
    touch(tmp_path / "masks", *(f"{mask.format(n)}.png" for n in numbers))
    assert shown(pairs(tmp_path), tmp_path) == {
        image.format(n): (f"images/{image.format(n)}.jpg", {"": f"masks/{mask.format(n)}.png"})
        for n in numbers
    }


def test_an_image_without_a_mask_of_another_prefix_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "images", *(f"image_{n}.png" for n in range(4)))
    touch(tmp_path / "masks", *(f"mask_{n}.png" for n in range(3)))
    with fails(DataError, "unpaired", 1, tmp_path / "masks", "image_3"):
        pairs(tmp_path)
    touch(tmp_path / "masks", "mask_3.png", "mask_4.png")
    with fails(DataError, "unpaired", 1, tmp_path / "images", "mask_4"):
        pairs(tmp_path)


def test_trap_33_masks_of_two_prefixes_are_ambiguous(tmp_path: Path) -> None:
    touch(tmp_path / "images", "image_1.png", "image_2.png")
    touch(tmp_path / "masks", *(f"{kind}_{n}.png" for kind in ("mask", "label") for n in (1, 2)))
    with fails(DataError, "unpaired", 2, "image_1", "data.list_file"):
        pairs(tmp_path)


@pytest.mark.parametrize("masks", ["train", "other"])
def test_a_folder_per_image_is_recognised(tmp_path: Path, masks: str) -> None:
    touch(tmp_path / "train" / "0a1", "images/0a1.png", "masks/ff.png", "masks/ee.png")
    touch(tmp_path / "train" / "0b2", "images/0b2.png", "masks/dd.png")
    touch(tmp_path / "other", "0a1.png", "0b2.png")
    place = tmp_path / "train" / "0a1" / "masks"
    with fails(DataError, "unpaired", place, "folder.md", "data.mask_ids: instances"):
        pairs(tmp_path, masks, "train")
    with fails(DataError, "unpaired", "0a1/masks", "folder.md", "data.mask_ids: instances"):
        find_suffixes(["0a1/images/0a1", "0a1/masks/ff"], [], together=True)


def test_several_kinds_of_masks_are_ambiguous() -> None:
    images = ["a1", "a2"]
    assert find_suffixes(images, ["a1_x", "a1_y", "a2_x", "a2_y"]) is None
    cityscapes = [
        f"{name}_gtFine_{kind}" for name in images for kind in ("color", "instanceIds", "labelIds")
    ]
    assert find_suffixes(images, cityscapes) == ("", "_gtFine_labelIds")


def test_suffixes_distinguish_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    names = [f"{n}_{kind}" for n in ("21", "22", "23") for kind in ("sat", "mask")]
    assert find_suffixes(names, names, together=True) == ("_sat", "_mask")
    both = ["a", "b", "a_mask", "b_mask"]
    assert find_suffixes(both, both, together=True) == ("", "_mask")
    assert find_suffixes(["a", "b", "c"], ["a", "b", "c"], together=True) is None
    touch(tmp_path / "all", *(f"{name}.png" for name in names))
    found = pairs(tmp_path, "all", "all", image_suffix="_sat", mask_suffix="_mask")
    assert list(found.by_name) == ["21_sat", "22_sat", "23_sat"]
    touch(tmp_path / "all", "24.png")
    with fails(DataError, "unpaired", 1, "24", "_sat"):
        pairs(tmp_path, "all", "all", image_suffix="_sat", mask_suffix="_mask")


@given(
    st.sets(st.from_regex(r"[a-c]{1,3}_[0-9]{1,3}", fullmatch=True), min_size=1, max_size=8),
    st.data(),
)
def test_suffixes_that_are_found_pair_each_image_with_its_mask(
    stems: set[str], data: st.DataObject
) -> None:
    suffixes = [
        data.draw(st.sampled_from(["", "_sat", "_0000", "x"])),
        data.draw(st.sampled_from(["", "_mask", "y"])),
    ]
    images, masks = [stem + suffixes[0] for stem in stems], [stem + suffixes[1] for stem in stems]
    found = find_suffixes(images, masks)
    if found is not None and not any(found):
        assert set(images) & set(masks)
    elif found is not None:
        paired = {name.removesuffix(found.image): name for name in masks}
        assert len(paired) == len(stems)
        assert all(name.endswith(found.image) for name in images) or 2 * len(stems) > len(images)


FOLDERS = {
    "train": "train",
    "Val": "validation",
    "valid": "validation",
    "TEST": "test",
    "training": "train",
}


@pytest.mark.parametrize(
    "folders", [("train", "Val", "TEST"), ("training", "valid"), ("train", "TEST")]
)
def test_trap_45_folders_called_train_val_and_test_are_parts(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    for folder in folders:
        for place in ("images", "masks"):
            touch(tmp_path / place / folder, "a.png", "deep/b.png")
    found = pairs(tmp_path).parts
    assert found == {FOLDERS[folder]: [f"{folder}/a", f"{folder}/deep/b"] for folder in folders}


@pytest.mark.parametrize(
    "folders", [("monday", "test"), ("train",), ("val", "test"), ("train", "test", "extra")]
)
def test_other_folders_are_one_pool(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        for place in ("images", "masks"):
            touch(tmp_path / place / folder, "a.png")
    assert pairs(tmp_path).parts == {}


def test_a_test_folder_without_masks_is_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"images/{part}/a.png" for part in ("train", "val", "test")))
    touch(tmp_path, *(f"masks/{part}/a.png" for part in ("train", "val")))
    with fails(DataError, "unpaired", 1, "test/a", tmp_path / "images" / "train"):
        pairs(tmp_path)


@pytest.mark.parametrize("tool", ["labelme", "CVAT"])
def test_folders_of_labelling_tools_are_recognised(tmp_path: Path, tool: str) -> None:
    touch(tmp_path, "images/a.jpg", "masks/b.png")
    if tool == "CVAT":
        touch(tmp_path, "labelmap.txt")
    else:
        (tmp_path / "images" / "a.json").write_text(
            '{"version": "5", "shapes": [], "imagePath": "a.jpg"}'
        )
    with fails(DataError, "unpaired", 1, tool):
        pairs(tmp_path)


def test_masks_inside_the_images_folder_need_no_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "masks/a.png")
    assert shown(pairs(tmp_path, "masks", "."), tmp_path) == {"a": ("a.jpg", {"": "masks/a.png"})}


def test_one_folder_for_both_needs_a_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "all", "a.jpg", "a_mask.png")
    with fails(ConfigError, "missing-setting", setting="data.mask_suffix"):
        pairs(tmp_path, "all", "all")


@given(
    st.sets(STEMS), st.sets(STEMS), st.sampled_from(["", "_m"]), st.sampled_from(sorted(LAYOUTS))
)
@settings(max_examples=100)
def test_pairing_equals_a_loop_over_the_names(
    images: set[str], masks: set[str], suffix: str, layout: str
) -> None:
    """An image pairs with the file of its name and the suffix; a file alone is an error."""
    one, other = LAYOUTS[layout]
    if one == other and not suffix:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        touch(root / one, *(f"{name}.jpg" for name in images), ".x")
        touch(root / other, *(f"{name}{suffix}.png" for name in masks), ".x")
        wanted = [name for name in images if not (one == other and name.endswith(suffix))]
        there = [f"{name}{suffix}" for name in masks]
        if one == other:
            there += [name for name in images if name.endswith(suffix)]
        partners = [name.removesuffix(suffix) for name in there]
        if not wanted or sorted(wanted) != sorted(partners):
            with pytest.raises(DataError):
                pairs(root, other, one, mask_suffix=suffix)
            return
        found = pairs(root, other, one, mask_suffix=suffix)
        assert list(found.by_name) == sorted(wanted)
        for name, pair in found.by_name.items():
            assert pair.image == root / one / f"{name}.jpg"
            assert pair.masks[""].with_suffix("") == root / other / f"{name}{suffix}"


@pytest.mark.parametrize("suffix", ["", "_mask"])
def test_missing_partners_are_named_either_way(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / "images", "a.jpg", *(f"x{i}.jpg" for i in range(7)))
    touch(tmp_path / "masks", f"a{suffix}.png")
    with fails(
        DataError, "unpaired", 7, tmp_path / "masks", "x0, x1, x2, x3, x4, ...", "data.mask_suffix"
    ):
        pairs(tmp_path, mask_suffix=suffix)
    for i in range(7):
        (tmp_path / "images" / f"x{i}.jpg").unlink()
    touch(tmp_path / "masks", f"b{suffix}.png")
    with fails(DataError, "unpaired", 1, tmp_path / "images", "b"):
        pairs(tmp_path, mask_suffix=suffix)


@pytest.mark.parametrize(
    "task",
    [
        Task.multilabel(list(LABELS)),
        Task.multiclass(["background", *LABELS]),
        Task.multiclass(list(LABELS)),
    ],
    ids=lambda task: f"{task.kind} {len(task.classes)}",
)
def test_a_mask_can_be_a_file_in_each_class_folder(tmp_path: Path, task: Task) -> None:
    touch(tmp_path, "images/a.jpg", "images/monday/b.jpg")
    touch(
        tmp_path / "masks",
        *(f"{label}/{name}.png" for label in LABELS for name in ("a", "monday/b")),
    )
    found = pairs(tmp_path, labels=tuple(task.classes[i] for i in task.foreground))
    assert shown(found, tmp_path) == {
        name: (f"images/{name}.jpg", {label: f"masks/{label}/{name}.png" for label in LABELS})
        for name in ("a", "monday/b")
    }


def test_a_binary_mask_can_lie_in_the_folder_of_its_class(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/crack/a.png")
    assert shown(pairs(tmp_path, labels=("crack",)), tmp_path) == {
        "a": ("images/a.jpg", {"crack": "masks/crack/a.png"})
    }


def test_a_class_name_with_a_slash_is_a_folder_in_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/organ/liver/a.png", "masks/organ/lung/a.png")
    found = pairs(tmp_path, labels=("organ/liver", "organ/lung"))
    assert set(found.by_name["a"].masks) == {"organ/liver", "organ/lung"}


def test_folders_that_images_have_too_are_not_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "images/vessel/a.jpg", "masks/vessel/a.png")
    assert shown(pairs(tmp_path, labels=LABELS), tmp_path) == {
        "vessel/a": ("images/vessel/a.jpg", {"": "masks/vessel/a.png"})
    }


def test_missing_and_incomplete_class_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/vessel/a.png", "masks/Tumour/a.png")
    with fails(DataError, "unpaired", tmp_path / "masks", "tumour", "Tumour, vessel"):
        pairs(tmp_path, labels=LABELS)
    (tmp_path / "masks" / "Tumour").rename(tmp_path / "masks" / "tumour")
    (tmp_path / "masks" / "tumour" / "a.png").rename(tmp_path / "masks" / "tumour" / "b.png")
    with fails(DataError, "unpaired", 1, tmp_path / "masks" / "tumour", "a"):
        pairs(tmp_path, labels=LABELS)
