from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource, in_folders, open_folder
from tests.helpers.errors import fails

CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])


def save(path: Path, pixels: object, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, dtype)).save(path)
    return path


def folder(root: Path, masks: dict[str, object], task: Task, **data: object) -> FolderSource:
    """Save each mask with an image of its size, and open both folders."""
    for name, pixels in masks.items():
        save(root / "images" / f"{name}.png", np.zeros((*np.shape(pixels)[:2], 3)))
        save(root / "masks" / f"{name}.png", pixels)
    return in_folders(root / "images", root / "masks", task, DataConfig.model_validate(data))


def test_a_sample_is_image_and_mask_of_one_name(tmp_path: Path) -> None:
    save(tmp_path / "images" / "monday" / "a.tif", [[7, 8, 9]])
    save(tmp_path / "masks" / "monday" / "a.png", [[0, 1, 2]])
    sample = in_folders(tmp_path / "images", tmp_path / "masks", ORGANS).read("monday/a")
    assert sample.name == "monday/a"
    assert sample.image.tolist() == [[[7], [8], [9]]]
    assert sample.mask.tolist() == [[0, 1, 2]]


def test_trap_33_pairs_go_by_name_not_by_order(tmp_path: Path) -> None:
    ids = {"a9": 1, "a10": 2, "b": 0}
    for name, value in ids.items():
        save(tmp_path / "images" / f"{name}.jpg", np.full((2, 2), value))
        save(tmp_path / "masks" / f"{name}.png", np.full((2, 2), value))
    source = in_folders(tmp_path / "images", tmp_path / "masks", ORGANS)
    assert set(source.names) == set(ids)
    assert {name: int(source.read(name).mask.max()) for name in source.names} == ids


def test_trap_33_images_and_masks_without_a_partner_are_named(tmp_path: Path) -> None:
    for name in ("a9", "a11"):
        save(tmp_path / "images" / f"{name}.png", [[0]])
    for name in ("a10", "a9", "a11"):
        save(tmp_path / "masks" / f"{name}.png", [[0]])
    with fails(DataError, "unpaired", 1, tmp_path / "images", "a10"):
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK)
    (tmp_path / "masks" / "a9.png").unlink()
    with fails(DataError, "unpaired", 1, tmp_path / "masks", "a9"):
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK)


def test_trap_29_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", np.zeros((4, 6)))
    mask = save(tmp_path / "masks" / "a.png", np.zeros((2, 3)))
    with fails(DataError, "mask-size", mask, 3, 2, tmp_path / "images" / "a.png", 6, 4) as problem:
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK).read("a")
    assert "EXIF" not in str(problem.value)


def test_trap_29_an_image_turned_by_exif_alone_is_named_as_the_cause(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=exif)
    save(tmp_path / "masks" / "a.png", np.zeros((3, 4)))
    source = in_folders(tmp_path / "images", tmp_path / "masks", CRACK)
    with fails(DataError, "mask-size", "EXIF"):
        source.read("a")
    save(tmp_path / "masks" / "a.png", np.zeros((4, 3)))
    assert source.read("a").image.shape == (4, 3, 3)


def test_trap_06_masks_of_0_and_255_are_read_as_yes_and_no(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a": [[0, 255]], "b": [[0, 0]], "c": [[255, 255]]}, CRACK)
    assert [source.read(name).mask.tolist() for name in "abc"] == [[[0, 1]], [[0, 0]], [[1, 1]]]


def test_trap_06_yes_cannot_be_1_in_one_mask_and_255_in_the_next(tmp_path: Path) -> None:
    source = folder(tmp_path, {"a": [[0, 1]], "b": [[0, 255]]}, CRACK)
    source.read("a")
    names = (
        "{0: absent, 1: present, 255: void}",
        "{0: absent, 1: present, 255: present}",
        tmp_path / "masks" / "a.png",
    )
    with fails(DataError, "mask-values", tmp_path / "masks" / "b.png", 255, 1, *names):
        source.read("b")


def test_trap_06_255_means_unlabelled_where_the_user_says_so(tmp_path: Path) -> None:
    names = {0: "absent", 1: "present", 255: "void"}
    source = folder(tmp_path, {"a": [[0, 1]], "b": [[0, 255]]}, CRACK, mask_values=names)
    assert [source.read(name).mask.tolist() for name in "ab"] == [[[0, 1]], [[0, VOID]]]


def test_trap_27_jpeg_masks_are_read_with_an_explicit_threshold(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", np.zeros((8, 16)))
    save(tmp_path / "masks" / "a.jpg", np.repeat([[0, 255]], 8, axis=1).repeat(8, axis=0))
    with fails(
        DataError, "mask-lossy", tmp_path / "masks" / "a.jpg", "JPEG", "data.mask_threshold: 128"
    ):
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK).read("a")
    source = in_folders(
        tmp_path / "images", tmp_path / "masks", CRACK, DataConfig(mask_threshold=128)
    )
    assert source.read("a").mask.tolist() == [[0] * 8 + [1] * 8] * 8


def test_trap_25_palette_masks_give_ids(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", np.zeros((1, 3)))
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0] + [0] * 759)
    (tmp_path / "masks").mkdir()
    picture.save(tmp_path / "masks" / "a.png")
    assert in_folders(tmp_path / "images", tmp_path / "masks", ORGANS).read("a").mask.tolist() == [
        [0, 1, 2]
    ]


def test_other_ids_are_refused_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    with fails(
        DataError,
        "mask-values",
        tmp_path / "masks" / "a.png",
        "0 to 2",
        "38, 113",
        "data.mask_values",
    ):
        folder(tmp_path, {"a": [[0, 1, 38, 113]]}, ORGANS).read("a")


def test_a_multilabel_mask_has_one_file_per_class(tmp_path: Path) -> None:
    task = Task.multilabel(["vessel", "tumour"])
    save(tmp_path / "images" / "a.png", [[1, 2]])
    save(tmp_path / "masks" / "vessel" / "a.png", [[255, 255]])
    save(tmp_path / "masks" / "tumour" / "a.png", [[0, 255]])
    sample = in_folders(tmp_path / "images", tmp_path / "masks", task).read("a")
    assert sample.mask.tolist() == [[[1, 0], [1, 1]]]


def test_missing_class_folders_are_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", [[0]])
    save(tmp_path / "masks" / "Vessel" / "a.png", [[0]])
    with fails(DataError, "unpaired", tmp_path / "masks", "vessel, tumour", "Vessel"):
        in_folders(tmp_path / "images", tmp_path / "masks", Task.multilabel(["vessel", "tumour"]))


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with fails(DataError, "missing-file", tmp_path / "images"):
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK)
    (tmp_path / "images").mkdir()
    with fails(DataError, "empty", tmp_path / "images", ".png"):
        in_folders(tmp_path / "images", tmp_path / "masks", CRACK)
    with fails(ConfigError, "missing-setting", "data.images", "data.masks", setting="data"):
        open_folder(DataConfig(images=tmp_path), CRACK)


def test_wrong_names_in_mask_values_are_found_before_any_file_is_read(tmp_path: Path) -> None:
    with fails(ConfigError, "unknown-name", "crakc", setting="data.mask_values"):
        in_folders(
            tmp_path / "none", tmp_path / "none", CRACK, DataConfig(mask_values={1: "crakc"})
        )
