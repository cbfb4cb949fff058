"""Images and masks paired by name in folders."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from tests.helpers.errors import fails
from tests.helpers.listings import LABELS, STEMS, pairs, shown, touch


def test_files_of_one_name_pair_in_nested_folders_too(tmp_path: Path) -> None:
    touch(tmp_path / "images", "b.jpg", "monday/a.TIF", "monday/deep/a.png", ".hidden.png", "notes.txt")
    touch(tmp_path / "masks", "b.png", "monday/a.png", "monday/deep/a.png")
    found = pairs(tmp_path)
    assert found.parts == {}
    assert shown(found, tmp_path) == {
        "b": ("images/b.jpg", {"": "masks/b.png"}),
        "monday/a": ("images/monday/a.TIF", {"": "masks/monday/a.png"}),
        "monday/deep/a": ("images/monday/deep/a.png", {"": "masks/monday/deep/a.png"}),
    }


LAYOUTS = {"two folders": ("images", "masks"), "one folder": ("all", "all"), "masks inside": ("all", "all/masks")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_suffix_of_the_masks_pairs_in_every_layout(tmp_path: Path, layout: str) -> None:
    images, masks = LAYOUTS[layout]
    touch(tmp_path / images, "a.jpg", "monday/b.jpg")
    touch(tmp_path / masks, "a_mask.png", "monday/b_mask.png")
    assert shown(pairs(tmp_path, masks, images, mask_suffix="_mask"), tmp_path) == {
        "a": (f"{images}/a.jpg", {"": f"{masks}/a_mask.png"}),
        "monday/b": (f"{images}/monday/b.jpg", {"": f"{masks}/monday/b_mask.png"}),
    }


def test_masks_inside_the_images_folder_need_no_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "masks/a.png")
    assert shown(pairs(tmp_path, "masks", "."), tmp_path) == {"a": ("a.jpg", {"": "masks/a.png"})}


def test_one_folder_for_both_needs_a_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "all", "a.jpg", "a_mask.png")
    with fails(ConfigError, "missing-setting", setting="data.mask_suffix"):
        pairs(tmp_path, "all", "all")


@given(st.sets(STEMS), st.sets(STEMS), st.sampled_from(["", "_m"]), st.sampled_from(sorted(LAYOUTS)))
@settings(max_examples=100)
def test_pairing_equals_a_loop_over_the_names(images: set[str], masks: set[str], suffix: str, layout: str) -> None:
    """An image pairs with the file that is called like it and the suffix; whoever is left alone is an error."""
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
    with fails(DataError, "unpaired", 7, tmp_path / "masks", "x0, x1, x2, x3, x4, ...", "data.mask_suffix"):
        pairs(tmp_path, mask_suffix=suffix)
    for i in range(7):
        (tmp_path / "images" / f"x{i}.jpg").unlink()
    touch(tmp_path / "masks", f"b{suffix}.png")
    with fails(DataError, "unpaired", 1, tmp_path / "images", "b"):
        pairs(tmp_path, mask_suffix=suffix)


@pytest.mark.parametrize(
    "task",
    [Task.multilabel(list(LABELS)), Task.multiclass(["background", *LABELS]), Task.multiclass(list(LABELS))],
    ids=lambda task: f"{task.kind} {len(task.classes)}",
)
def test_a_mask_can_be_a_file_in_each_class_folder(tmp_path: Path, task: Task) -> None:
    touch(tmp_path, "images/a.jpg", "images/monday/b.jpg")
    touch(tmp_path / "masks", *(f"{label}/{name}.png" for label in LABELS for name in ("a", "monday/b")))
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


def test_folders_that_the_images_have_too_are_no_class_folders(tmp_path: Path) -> None:
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
