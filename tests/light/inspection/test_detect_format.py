"""How masks are stored is detected: colours, grey edges, bands, folders, lists and COCO."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segkit import DataError, Task
from segkit.inspection.mask_format.detect import detect_format
from tests.helpers.errors import fails
from tests.helpers.mask_sets import NAMES, SIZE, codes, ids, look, regions, same, save, with_images

COLOURS = {"two": ("#000000", "#ff0000"), "four": ("#000000", "#0000ff", "#00ff00", "#ff8000")}


@pytest.mark.parametrize("way", COLOURS)
def test_colours(tmp_path: Path, way: str) -> None:
    table = np.array(
        [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS[way]], np.uint8
    )
    meant = [regions(len(table) - 1, seed) for seed in range(3)]
    found = look(tmp_path, [table[array] for array in meant])
    assert tuple(found.data.mask_colours or {}) == COLOURS[way]
    assert f"; {len(COLOURS[way])} colours: {', '.join(COLOURS[way])}" in found.read_as
    assert found.task.kind == ("binary" if way == "two" else "multiclass")
    assert same(found, [array[..., None] if way == "two" else array for array in meant])


def test_colour_masks_of_which_most_are_black(tmp_path: Path) -> None:
    table = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    meant = [np.zeros(SIZE, np.uint8), regions(1, 1), np.zeros(SIZE, np.uint8)]
    found = look(tmp_path, [table[array] for array in meant])
    assert same(found, [array[..., None] for array in meant])


def smooth(seed: int, levels: int = 4) -> np.ndarray:
    """Return a disc with a grey edge, drawn `levels` times as large and reduced, (96, 96) uint8."""
    large = Image.new("L", (96 * levels, 96 * levels))
    ImageDraw.Draw(large).ellipse(
        [(20 + seed) * levels, 20 * levels, 70 * levels, 80 * levels], fill=255
    )
    return np.asarray(large.resize((96, 96), Image.Resampling.BOX))


def test_colours_with_smoothed_edges_are_refused_and_those_of_a_palette_are_not(
    tmp_path: Path,
) -> None:
    edges = [smooth(seed, 4)[..., None] / 255 for seed in range(3)]
    stored = [
        (edge * (200, 30, 60) + (1 - edge) * (10, 80, 0)).round().astype(np.uint8) for edge in edges
    ]
    with fails(DataError, "mask-soft-edges", "data.mask_colours", "data.colour_tolerance"):
        look(tmp_path / "smooth", stored)
    voc = np.array([[0, 0, 0], [64, 0, 0], [128, 0, 0], [192, 0, 0], [0, 64, 0]], np.uint8)
    few = [
        np.where(np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) < 20, 1 + seed, regions(1, seed) * 4)
        for seed in range(3)
    ]
    assert look(tmp_path / "voc", [voc[array] for array in few]).task.channels == 5


@pytest.mark.parametrize("levels", [2, 4, 12])
def test_grey_edges_are_cut_in_the_middle(tmp_path: Path, levels: int) -> None:
    stored = [smooth(seed, levels) for seed in range(3)]
    assert {len(np.unique(array)) > 64 for array in stored} == {levels == 12}
    found = look(tmp_path, stored)
    assert (found.task.kind, found.data.mask_threshold, codes(found)) == (
        "binary",
        128,
        ["mask-soft-edges"],
    )
    assert same(found, [(array >= 128).astype(np.uint8)[..., None] for array in stored])


def test_yes_no_masks_saved_as_jpeg(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path, (96, 96))
    for seed, name in enumerate(NAMES):
        save(folder / f"{name}.jpg", (smooth(seed) >= 128).astype(np.uint8) * 255, quality=85)
    found = detect_format(images, folder)
    assert (found.task.kind, codes(found)) == ("binary", ["mask-lossy"])
    assert same(found, [(smooth(seed) >= 128).astype(np.uint8)[..., None] for seed in range(3)])


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2, 3), (0, 60, 120, 180), (0, 85, 170, 255)])
@pytest.mark.parametrize("share", [1, 6])
def test_ids_saved_as_jpeg_are_refused(tmp_path: Path, values: tuple[int, ...], share: int) -> None:
    images, folder = with_images(tmp_path, (96, 96))
    for seed, name in enumerate(NAMES):
        blocks = regions(
            share * len(values) - 1, seed, (96, 96)
        )  # the background is the larger part if share > 1
        save(folder / f"{name}.jpg", np.array([*values, *[0] * 99], np.uint8)[blocks], quality=85)
    with fails(DataError, "mask-lossy", folder):
        detect_format(images, folder)


def test_numbers_of_single_objects_and_photographs_are_refused(tmp_path: Path) -> None:
    for name, make in {
        "objects": lambda i: (
            np.where(regions(9, i) < 8, 0, 1).astype(np.uint16)
            * np.arange(i, i + 24 * 32).reshape(SIZE)
        ),
        "photographs": lambda i: np.random.default_rng(i).integers(0, 256, SIZE),
    }.items():
        stored = [np.asarray(make(i)) for i in range(3)]
        dtype = np.uint16 if name == "objects" else np.uint8
        with fails(DataError, "mask-soft-edges", "data.mask_ids: instances"):
            look(tmp_path / name, [array.astype(dtype) for array in stored])


def test_black_masks_are_no_error_yet(tmp_path: Path) -> None:
    found = look(tmp_path, [np.zeros(SIZE, np.uint8)] * 3)
    assert found.task.kind == "binary"
    images, folder = with_images(tmp_path / "jpeg")
    for name in NAMES:
        save(folder / f"{name}.jpg", np.zeros(SIZE, np.uint8))
    with fails(DataError, "mask-lossy", folder, 1):
        detect_format(images, folder)


def test_probability_maps(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    for seed, name in enumerate(NAMES):
        save(folder / f"{name}.tif", np.random.default_rng(seed).random(SIZE).astype(np.float32))
    with fails(DataError, "empty", folder, folder / "a.tif"):
        detect_format(images, folder)


@pytest.mark.parametrize("bands", [2, 5])
def test_bands(tmp_path: Path, bands: int) -> None:
    images, folder = with_images(tmp_path)
    stored = [
        np.stack([regions(1, 10 * seed + band) for band in range(bands)], axis=-1)
        for seed in range(3)
    ]
    for name, pixels in zip(NAMES, stored, strict=True):
        save(folder / f"{name}.tif", pixels, photometric="minisblack", planarconfig="contig")
    found = detect_format(images, folder)
    assert found.task == Task.multilabel([f"class_{i + 1}" for i in range(bands)])
    assert same(found, stored)


@pytest.mark.parametrize("labels", [["crack"], ["liver", "tumour"]])
@pytest.mark.parametrize("yes", [1, 255])
def test_one_folder_per_class(tmp_path: Path, labels: list[str], yes: int) -> None:
    images, folder = with_images(tmp_path)
    stored = [
        np.stack([regions(1, 10 * seed + i) for i in range(len(labels))], axis=-1)
        for seed in range(3)
    ]
    for name, pixels in zip(NAMES, stored, strict=True):
        for i, label in enumerate(labels):
            save(folder / label / f"{name}.png", pixels[..., i] * np.uint8(yes))
    found = detect_format(images, folder)
    assert found.task == (Task.binary("crack") if len(labels) == 1 else Task.multilabel(labels))
    assert same(found, stored)
    assert detect_format(images, folder, [labels[-1]]).task == Task.binary(labels[-1])
    with fails(DataError, "list", "--classes", "lung"):
        detect_format(images, folder, ["lung"])


@pytest.mark.parametrize("together", [False, True])
def test_masks_with_a_suffix(tmp_path: Path, together: bool) -> None:
    images, folder = with_images(tmp_path)
    folder = images if together else folder
    stored = ids([0, 1, 2])
    for name, pixels in zip(NAMES, stored, strict=True):
        save(folder / f"{name}_mask.png", pixels)
    found = detect_format(images, folder)
    assert found.data.mask_suffix == "_mask"
    assert same(found, stored)


def test_a_list_file(tmp_path: Path) -> None:
    with_images(tmp_path)
    stored = ids([0, 1, 2])
    for name, pixels in zip(NAMES, stored, strict=True):
        save(tmp_path / "masks" / f"{name}.png", pixels)
    rows = [f"images/{name}.jpg,masks/{name}.png" for name in NAMES]
    (tmp_path / "list.csv").write_text("\n".join(["image,mask", *rows]), encoding="utf-8")
    assert same(detect_format(tmp_path / "list.csv", None), stored)


def test_coco_json(tmp_path: Path) -> None:
    images, _ = with_images(tmp_path)
    annotations, pictures = [], []
    for number, name in enumerate(NAMES):
        pictures.append({"id": number, "file_name": f"{name}.jpg", "width": 32, "height": 24})
        box = [number, 2, 20, 2, 20, 12, number, 12]
        annotations.append(
            {
                "id": number + 1,
                "image_id": number,
                "category_id": 7,
                "segmentation": [box],
                "iscrowd": 0,
            }
        )
    values = {
        "images": pictures,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "liver"}, {"id": 9, "name": "x"}],
    }
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    meant = []
    for number in range(3):
        mask = np.zeros((*SIZE, 2), np.uint8)
        mask[2:12, number:20, 0] = 1
        meant.append(mask)
    found = detect_format(images, file)
    assert found.task == Task.multilabel(["liver", "x"])
    assert same(found, meant)
    assert detect_format(images, file, ["liver"]).task == Task.binary("liver")
    file.write_text("[]")
    with fails(DataError, "coco-file", file):
        detect_format(images, file)


def test_names_of_classes(tmp_path: Path) -> None:
    assert look(tmp_path / "ids", ids([0, 1, 2]), ["sea", "land", "ice"]).task.classes == (
        "sea",
        "land",
        "ice",
    )
    with fails(DataError, "list", "--classes", 2, 3):
        look(tmp_path / "few", ids([0, 1, 2]), ["sea", "land"])
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    coloured = [table[regions(2, seed)] for seed in range(3)]
    assert look(tmp_path / "colours", coloured, ["a", "b", "c"]).task.classes == ("a", "b", "c")
    with fails(DataError, "list", "--classes", 1, 3, "#000000, #00ff00, #ff0000"):
        look(tmp_path / "one", coloured, ["a"])


CVAT = """# label:color_rgb:parts:actions
background:0,0,0::
road: wet:128,0,0::
tree:0,128,0::
car:0,0,250::
"""


@pytest.mark.parametrize("beside", [True, False])
def test_colours_and_names_of_cvats_export(tmp_path: Path, beside: bool) -> None:
    table = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
    meant = [regions(2, seed) for seed in range(3)]
    folder = tmp_path if beside else tmp_path / "masks"
    found = look(tmp_path, [table[array] for array in meant])
    (folder / "labelmap.txt").write_text(CVAT)
    found = detect_format(tmp_path / "images", tmp_path / "masks")
    assert found.task.classes == ("background", "road: wet", "tree", "car")
    assert "labelmap.txt" in found.read_as
    assert same(found, meant)
    assert detect_format(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"]).task.classes == (
        "a",
        "b",
        "c",
    )
    (folder / "labelmap.txt").write_text("\n".join(CVAT.splitlines()[:3]))
    assert "colour_008000" in detect_format(tmp_path / "images", tmp_path / "masks").task.classes
    two = [np.minimum(array, 1) for array in meant]
    for name, array in zip(NAMES, two, strict=True):
        save(tmp_path / "masks" / f"{name}.png", table[array])
    found = detect_format(tmp_path / "images", tmp_path / "masks")
    assert found.task == Task.binary("road: wet")
    assert same(found, [array[..., None] for array in two])


def test_names_of_labelmes_masks(tmp_path: Path) -> None:
    stored = ids([0, 1, 2, 255])
    look(tmp_path, stored)
    (tmp_path / "class_names.txt").write_text("_background_\nperson\ndog\nkite\n")
    found = detect_format(tmp_path / "images", tmp_path / "masks")
    assert found.task == Task.multiclass(["background", "person", "dog", "kite"])
    assert "class_names.txt" in found.read_as
    assert same(found, stored)
    for others in ("_background_\nperson\n", "person\ndog\nkite\n"):
        (tmp_path / "class_names.txt").write_text(others)
        assert detect_format(tmp_path / "images", tmp_path / "masks").task.classes == (
            "background",
            "class_1",
            "class_2",
        )


def test_no_readable_mask_is_an_error(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    with fails(DataError, "empty", folder):
        detect_format(images, folder)
    (folder / "a.png").write_bytes(b"")
    with fails(DataError, "empty", folder, folder / "a.png"):
        detect_format(images, folder)
    with fails(DataError, "unpaired", tmp_path / "gone"):
        detect_format(images, tmp_path / "gone")
    with fails(DataError, "list", images):
        detect_format(images, None)


def test_a_broken_mask_among_good_ones_is_no_error_yet(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    for name, pixels in zip(NAMES, ids([0, 1, 2]), strict=True):
        save(folder / f"{name}.png", pixels)
    (folder / "b.png").write_bytes(b"")
    assert detect_format(images, folder).task.channels == 3


def test_progress_is_called_after_every_mask(tmp_path: Path) -> None:
    images, folder = with_images(tmp_path)
    for name, pixels in zip(NAMES, ids([0, 1]), strict=True):
        save(folder / f"{name}.png", pixels)
    calls: list[int] = []
    detect_format(images, folder, (), lambda: calls.append(1))
    assert len(calls) == 3
