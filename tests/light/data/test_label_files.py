"""What all sources that draw shapes of labelling tools have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.parts import open_parts
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import assert_is, fails
from tests.helpers.label_sets import (
    MAKERS,
    PREFIXES,
    Box,
    Labelled,
    filled,
    labelme,
    labelme_file,
    labelme_shape,
    picture,
    write_json,
)

pytestmark = pytest.mark.long

SIZES = {"a": (8, 12), "b": (7, 5), "c": (6, 6)}
CAR: Box = (1, 1, 7, 5)
TRUCK: Box = (5, 3, 11, 7)
APART: Labelled = {
    "a": [("car", CAR), ("truck", (8, 1, 11, 6))],
    "b": [("car", (0, 0, 5, 7))],
    "c": [],
}
OVERLAPPING: Labelled = {"a": [("truck", TRUCK), ("car", CAR)], "b": [], "c": []}
VEHICLES = Task.multiclass(["background", "car", "truck"])
LAYERS = Task.multilabel(["car", "truck"])
OUTSIDE = {"cityscapes": VOID}
"""The value of pixels outside all shapes, if it is not background."""
every_tool = pytest.mark.parametrize("tool", MAKERS)
IN_ORDER = ("cityscapes", "cvat", "labelme", "supervisely")


def opened(tool: str, root: Path, task: Task, labelled: Labelled = APART, **more: Any) -> Source:
    made = MAKERS[tool](root, SIZES, labelled)
    return open_source(DataConfig.model_validate({**made, **more}), task)


def mask_of(source: Source, tool: str, name: str) -> np.ndarray:
    return source.read(PREFIXES.get(tool, "") + name).mask


@every_tool
def test_shapes_become_class_ids(tmp_path: Path, tool: str) -> None:
    source = opened(tool, tmp_path, VEHICLES)
    for name, boxes in APART.items():
        expected = np.full(SIZES[name], OUTSIDE.get(tool, 0), np.uint8)
        for label, box in boxes:
            expected[filled([box], SIZES[name])] = VEHICLES.classes.index(label)
        np.testing.assert_array_equal(mask_of(source, tool, name), expected)


@every_tool
def test_overlapping_shapes_stay_in_a_multilabel_task(tmp_path: Path, tool: str) -> None:
    mask = mask_of(opened(tool, tmp_path, LAYERS, OVERLAPPING), tool, "a")
    for index, box in enumerate((CAR, TRUCK)):
        np.testing.assert_array_equal(mask[..., index] == 1, filled([box], SIZES["a"]))
    outside = ~filled([CAR, TRUCK], SIZES["a"])
    assert set(mask[outside].ravel().tolist()) == {OUTSIDE.get(tool, 0)}
    assert set(mask[~outside].ravel().tolist()) == {0, 1}


@every_tool
def test_where_exclusive_classes_overlap_the_order_of_drawing_decides_or_it_is_an_error(
    tmp_path: Path, tool: str
) -> None:
    source = opened(tool, tmp_path, VEHICLES, OVERLAPPING)
    later = np.full(SIZES["a"], OUTSIDE.get(tool, 0), np.uint8)
    later[filled([TRUCK], SIZES["a"])] = 2
    later[filled([CAR], SIZES["a"])] = 1
    if tool in IN_ORDER:
        np.testing.assert_array_equal(mask_of(source, tool, "a"), later)
    else:
        with fails(DataError, "overlap", 4, "car, truck"):
            mask_of(source, tool, "a")
    changed = {"overlaps": "last"}
    source = open_source(source.data.model_copy(update=changed), VEHICLES)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(mask_of(source, tool, "a"), later)
    changed = {"overlaps": "error"}
    source = open_source(source.data.model_copy(update=changed), VEHICLES)  # type: ignore[attr-defined]
    with fails(DataError, "overlap", 4):
        mask_of(source, tool, "a")


@every_tool
@pytest.mark.parametrize("top", ["car", "truck"])
def test_on_top_decides_before_the_order_of_drawing(tmp_path: Path, tool: str, top: str) -> None:
    source = opened(tool, tmp_path, VEHICLES, OVERLAPPING, on_top=[top])
    both = filled([CAR], SIZES["a"]) & filled([TRUCK], SIZES["a"])
    mask = mask_of(source, tool, "a")
    assert set(mask[both].tolist()) == {VEHICLES.classes.index(top)}


@every_tool
def test_an_unknown_label_is_an_error_with_the_nearest_class(tmp_path: Path, tool: str) -> None:
    source = opened(tool, tmp_path, Task.multiclass(["background", "cars", "truck"]))
    with fails(DataError, "label-name", "car", "cars", "data.labels"):
        mask_of(source, tool, "a")


@every_tool
@pytest.mark.parametrize(
    ("meaning", "values"), [("car", (1,)), ("void", (VOID,)), ("background", (0,)), ("skip", ())]
)
def test_labels_mean_what_the_setting_says(
    tmp_path: Path, tool: str, meaning: str, values: tuple[int, ...]
) -> None:
    task = Task.binary("car")
    for labels in ({"truck": meaning}, {"*": meaning}):
        source = opened(tool, tmp_path / str(labels)[2:4].strip("*'"), task, labels=labels)
        mask = mask_of(source, tool, "a")
        truck = filled([APART["a"][1][1]], SIZES["a"])
        expected = values or (OUTSIDE.get(tool, 0),)
        assert tuple(set(mask[truck].tolist())) == expected
        assert (mask[filled([CAR], SIZES["a"])] == 1).all()


def test_a_meaning_that_is_no_class_is_refused(tmp_path: Path) -> None:
    with fails(ConfigError, "unknown-name", "lorry", "skip", setting="data.labels"):
        opened("labelme", tmp_path, VEHICLES, labels={"truck": "lorry"})


def test_a_task_without_background_needs_a_class_at_every_pixel(tmp_path: Path) -> None:
    task = Task.multiclass(["car", "truck"])
    with fails(DataError, "mask-values", "background"):
        mask_of(opened("labelme", tmp_path / "1", task), "labelme", "a")
    assert (
        mask_of(opened("labelme", tmp_path / "2", task), "labelme", "b").tolist() == [[0] * 5] * 7
    )
    with fails(ConfigError, "unknown-name", setting="data.labels"):
        opened("labelme", tmp_path / "3", task, labels={"x": "background"})


@every_tool
def test_images_without_labels_are_left_out_and_named(tmp_path: Path, tool: str) -> None:
    labelled = {name: boxes for name, boxes in APART.items() if name != "c"}
    source = opened(tool, tmp_path, VEHICLES, labelled)
    last = PREFIXES.get(tool, "") + "c"
    [(code, sentence)] = source.decisions  # type: ignore[attr-defined]
    assert code == "not-labelled"
    assert last in sentence
    assert "data.without_labels" in sentence
    if tool == "yolo":  # in which it is background
        assert not mask_of(source, tool, "c").any()
    else:
        assert last not in source.names
    data = source.data  # type: ignore[attr-defined]
    source = open_source(data.model_copy(update={"without_labels": "leave_out"}), VEHICLES)
    assert last not in source.names
    source = open_source(data.model_copy(update={"without_labels": "background"}), VEHICLES)
    assert (mask_of(source, tool, "c") == OUTSIDE.get(tool, 0)).all()
    assert source.decisions == []  # type: ignore[attr-defined]
    with fails(DataError, "unpaired", 1, last):
        open_source(data.model_copy(update={"without_labels": "error"}), VEHICLES)


@every_tool
def test_labels_of_missing_images_are_counted_and_named(tmp_path: Path, tool: str) -> None:
    made = MAKERS[tool](tmp_path, SIZES, APART)
    for path in tmp_path.rglob("b*.png"):
        path.unlink()
    data = DataConfig.model_validate(made)
    with fails(DataError, "unpaired", 1, "data.skip_broken: true") as problem:
        open_source(data, VEHICLES)
    assert "b" in str(problem.value)
    source = open_source(data.model_copy(update={"skip_broken": True}), VEHICLES)
    assert source.skipped == {"unpaired": 1}  # type: ignore[attr-defined]
    assert len(source.names) == 2


@pytest.mark.parametrize("tool", sorted(set(MAKERS) - {"qupath", "rle", "via", "yolo"}))
def test_an_image_of_another_size_than_its_labels_is_refused(tmp_path: Path, tool: str) -> None:
    """Files of the other tools do not state the size."""
    source = opened(tool, tmp_path, VEHICLES)
    [path] = [path for path in tmp_path.rglob("a*.png") if "images" in str(path) or path.is_file()]
    Image.fromarray(picture(9, 12)).save(path)
    with fails(DataError, "mask-size", path, 8, 9):
        mask_of(source, tool, "a")
    turned = Image.fromarray(picture(8, 12))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(path, exif=exif)
    with fails(DataError, "mask-size", path, "EXIF"):
        mask_of(source, tool, "a")


def test_shapes_are_drawn_on_the_upright_image(tmp_path: Path) -> None:
    """Labelme turns an image by its EXIF orientation before anybody draws on it."""
    stored = Image.fromarray(picture(12, 8))
    exif = stored.getexif()
    exif[0x0112] = 6
    stored.save(tmp_path / "a.jpg", exif=exif)
    shapes = [labelme_shape("car", [[1, 1], [7, 5]], "rectangle")]
    write_json(tmp_path / "a.json", labelme_file(shapes, "a.jpg", (8, 12)))
    source = open_source(DataConfig(source="labelme", images=tmp_path), VEHICLES)
    sample = source.read("a")
    assert sample.image.shape == (8, 12, 3)
    np.testing.assert_array_equal(sample.mask == 1, filled([CAR], (8, 12)))


def test_what_lies_outside_the_image_is_clipped(tmp_path: Path) -> None:
    labelled: Labelled = {"a": [("car", (-3, -2, 4, 14))], "b": [], "c": []}
    for tool in MAKERS:
        if tool == "rle":
            continue
        mask = mask_of(opened(tool, tmp_path / tool, VEHICLES, labelled), tool, "a")
        np.testing.assert_array_equal(mask == 1, filled([(0, 0, 4, 8)], SIZES["a"]))


@every_tool
def test_a_shape_outside_the_image_is_an_error_with_the_file(tmp_path: Path, tool: str) -> None:
    if tool == "rle":
        return
    labelled: Labelled = {"a": [("car", (13, 0, 20, 5))], "b": [], "c": []}
    source = opened(tool, tmp_path, VEHICLES, labelled)
    code = "label-shape" if tool == "yolo" else "label-outside"
    if tool == "yolo":
        labelled = {"a": [("car", (26, 0, 40, 5))], "b": [], "c": []}
        source = opened(tool, tmp_path / "far", VEHICLES, labelled)
    with fails(DataError, code) as problem:
        mask_of(source, tool, "a")
    assert str(source.labels.images[PREFIXES.get(tool, "") + "a"].file) in str(problem.value)  # type: ignore[attr-defined]


def test_parts_are_those_of_the_folders(tmp_path: Path) -> None:
    sizes = {f"{part}/{name}": (4, 4) for part in ("train", "val") for name in "ab"}
    labelled: Labelled = {name: [("car", (0, 0, 2, 2))] for name in sizes}
    for tool in ("labelme", "labelstudio", "cvat", "via", "qupath", "rle"):
        made = MAKERS[tool](tmp_path / tool, sizes, labelled)
        source = open_source(DataConfig.model_validate(made), VEHICLES)
        assert {part: list(names) for part, names in source.parts.items()} == {
            "train": ["train/a", "train/b"],
            "validation": ["val/a", "val/b"],
        }


def test_pages_cannot_be_samples(tmp_path: Path) -> None:
    with fails(ConfigError, "contradiction", setting="data.pages"):
        opened("labelme", tmp_path, VEHICLES, pages="samples")


@pytest.mark.parametrize("tool", ["labelme", "qupath"])
def test_the_folder_of_the_images_is_required(tool: str) -> None:
    with fails(ConfigError, "missing-setting", setting="data.images"):
        open_source(DataConfig(source=tool), VEHICLES)


@pytest.mark.parametrize("tool", ["labelstudio", "cvat", "via", "rle"])
def test_the_file_of_labels_is_required(tmp_path: Path, tool: str) -> None:
    labelme(tmp_path, SIZES, APART)
    with fails(ConfigError, "missing-setting", setting="data.annotations"):
        open_source(DataConfig(source=tool, images=tmp_path), VEHICLES)


def label_file(root: Path, tool: str) -> Path:
    """Return the label file of the image a, or that of all images."""
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".png"]
    own = [path for path in found if path.name.startswith("a") and path.name != "data.yaml"]
    return own[0] if own and tool not in ("labelstudio", "via", "rle") else found[0]


@pytest.mark.parametrize("tool", sorted(set(MAKERS) - {"rle", "yolo"}))
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"<a/>"]
)
def test_a_file_of_another_kind_is_an_error_with_its_name(
    tmp_path: Path, tool: str, content: bytes
) -> None:
    made = MAKERS[tool](tmp_path, SIZES, APART)
    path = label_file(tmp_path, tool)
    path.write_bytes(content)
    if (tool, content) == ("qupath", b"[]"):  # a list of no object
        return
    with pytest.raises(DataError) as problem:
        mask_of(open_source(DataConfig.model_validate(made), VEHICLES), tool, "a")
    assert str(path) in str(problem.value)


WRONG = st.sampled_from(
    [None, True, -1, 1e308, 10**400, float("nan"), "x", "", [], {}, [[]], "\ud800"]
)


def replaced(value: Any, wrong: Any, place: list[int]) -> Any:
    """Return a JSON value in which the place-th value inside is replaced."""
    place[0] -= 1
    if place[0] == 0:
        return wrong
    if isinstance(value, dict):
        return {key: replaced(inner, wrong, place) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, wrong, place) for inner in value]
    return value


@pytest.mark.parametrize(
    "tool", ["cityscapes", "labelme", "labelstudio", "qupath", "supervisely", "via"]
)
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wrong=WRONG, place=st.integers(1, 60))
def test_a_wrong_value_anywhere_is_read_or_refused_with_the_file(
    tmp_path: Path, tool: str, wrong: Any, place: int
) -> None:
    folder = tmp_path / tool
    if not folder.exists():
        MAKERS[tool](folder, SIZES, APART)
    made = {"source": tool, "images": folder}
    path = label_file(folder, tool)
    if tool in ("labelstudio", "via"):
        made |= {"images": folder / "images", "annotations": path}
    original = path.read_text(encoding="utf-8")
    try:
        changed = replaced(json.loads(original), wrong, [place])
        path.write_text(json.dumps(changed), encoding="utf-8")
        data = DataConfig.model_validate(made)
        source = open_source(data, VEHICLES)
        for name in source.names:
            mask = source.read(name).mask
            assert mask.shape == SIZES[name.rpartition("/")[2]]
    except (DataError, ConfigError) as problem:
        check_names_file(problem, path)
    finally:
        path.write_text(original, encoding="utf-8")


def check_names_file(problem: DataError | ConfigError, path: Path) -> None:
    """Assert that an error names a file, or that images are missing."""
    assert str(path) in str(problem) or problem.code in ("unpaired", "empty"), problem


def test_a_file_name_never_leads_out_of_the_folder_of_images(tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    Image.fromarray(picture(4, 4)).save(outside)
    folder = tmp_path / "data"
    for reference in (str(outside), "../secret.png", "..\\secret.png", "file:///secret.png"):
        labelme(folder, {"a": (4, 4)}, {"a": []})
        write_json(folder / "b.json", labelme_file([], reference, (4, 4)))
        with pytest.raises(DataError) as problem:
            open_source(DataConfig(source="labelme", images=folder), VEHICLES)
        assert_is(problem.value, DataError, "unpaired", folder / "b.json")


def test_blocks_of_a_large_image_are_samples(tmp_path: Path) -> None:
    labelme(tmp_path, {"a": (70, 80)}, {"a": [("car", (10, 10, 50, 60))]})
    data = DataConfig(source="labelme", images=tmp_path, blocks=32)
    blocks = open_source(data, Task.binary("car"))
    assert len(blocks.names) > 2
    whole = filled([(10, 10, 50, 60)], (70, 80))
    first = blocks.read("a@0-0").mask
    np.testing.assert_array_equal(first == 1, whole[: first.shape[0], : first.shape[1]])


def test_parts_may_have_files_of_their_own(tmp_path: Path) -> None:
    for part in ("one", "two"):
        MAKERS["cvat"](tmp_path / part, SIZES, APART)
    values = {
        "task": VEHICLES.model_dump(),
        "data": {
            "source": "cvat",
            "images": tmp_path / "one" / "images",
            "annotations": tmp_path / "one" / "annotations.xml",
            "validation": {
                "images": tmp_path / "two" / "images",
                "annotations": tmp_path / "two" / "annotations.xml",
            },
            "test": 0,
        },
    }
    parts = open_parts(Config.model_validate(values))
    assert [len(part) for part in parts.values()] == [3, 3, 0]


def test_samples_have_the_physical_size_of_their_images(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    physical = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(
        path, np.zeros((8, 12), np.uint8), metadata={"axes": "YX", **physical, **units}
    )
    write_json(tmp_path / "a.ome.json", labelme_file([], path.name, (8, 12)))
    source = open_source(DataConfig(source="labelme", images=tmp_path), Task.binary("car"))
    geometry = source.read("a.ome").geometry
    assert geometry is not None
    assert geometry.pixel_size == (0.25, 0.5)
    assert geometry == source.geometry("a.ome")  # type: ignore[attr-defined]
