from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit import VOID, ConfigError, DataError, Task, catalog
from segkit.cli import main
from segkit.config import read
from segkit.data.convert import convert, image_kind, require_empty, to_folder, to_tfds, to_tool
from segkit.data.hole_cuts import one_ring
from segkit.data.parts import open_parts
from segkit.data.polygons import outlines
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Sample, Subset
from segkit.errors import RunError
from tests.helpers.errors import fails
from tests.helpers.label_sets import filled, labelme
from tests.helpers.samples import InMemory, in_memory

CRACK = Task.binary("crack")


def made(*kinds: tuple[str, int]) -> Subset:
    """Return samples whose images have the given depths and channels."""
    samples = [
        Sample(
            f"{dtype} {bands}",
            np.full((2, 3, bands), 7, dtype),
            np.array([[0, 1, 1]] * 2, np.uint8),
        )
        for dtype, bands in kinds
    ]
    return in_memory(samples)


def test_a_folder_reads_back_as_the_same_samples(tmp_path: Path) -> None:
    part, counted = (
        made(("uint8", 1), ("uint8", 3), ("uint8", 5), ("uint16", 1), ("float32", 2)),
        [],
    )
    to_folder(
        CRACK,
        {"train": part, "test": Subset(part.source, [])},
        tmp_path / "out",
        lambda: counted.append(1),
    )
    assert len(counted) == 5
    source = in_folders(tmp_path / "out" / "images", tmp_path / "out" / "masks", CRACK)
    assert sorted(source.names) == sorted(part.names)
    for sample in part:
        np.testing.assert_array_equal(source.read(sample.name).image, sample.image)
        np.testing.assert_array_equal(source.read(sample.name).mask, sample.mask)


def test_samples_of_one_name_in_two_parts_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    part = made(("uint8", 1), ("uint8", 3))
    with fails(ConfigError, "given-twice", 2, "uint8 1, uint8 3", "--part"):
        to_folder(CRACK, {"train": part, "test": part}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_are_converted_without_a_config(tmp_path: Path) -> None:
    part = made(("uint8", 1), ("uint8", 3))
    to_folder(CRACK, {"train": part}, tmp_path / "one")
    folders = [str(tmp_path / "one" / name) for name in ("images", "masks")]
    assert main(["convert", *folders, "--classes", "crack", "--out", str(tmp_path / "two")]) == 0
    source = in_folders(tmp_path / "two" / "images", tmp_path / "two" / "masks", CRACK)
    for sample in part:
        np.testing.assert_array_equal(source.read(sample.name).image, sample.image)
        np.testing.assert_array_equal(source.read(sample.name).mask, sample.mask)


@pytest.mark.parametrize("write", [to_folder, to_tfds])
def test_only_a_new_or_empty_folder_is_written_into(tmp_path: Path, write: object) -> None:
    require_empty(tmp_path)
    require_empty(tmp_path / "new")
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file"):
        with fails(RunError, "exists-already", out):
            write(CRACK, {"train": made(("uint8", 3))}, out)  # type: ignore[operator]


def test_depth_and_channels_are_those_of_all_images() -> None:
    assert image_kind(iter(made(("uint8", 3), ("uint8", 3)))) == (np.uint8, 3)
    assert image_kind(iter(made(("uint16", 3), ("uint16", 1)))) == (np.uint16, None)
    with fails(DataError, "depth", "uint8 3 is uint8", "uint16 3 is uint16"):
        image_kind(iter(made(("uint8", 3), ("uint16", 3))))


def test_a_data_set_without_samples_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "empty"):
        to_tfds(CRACK, {"train": Subset(InMemory([]), [])}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_the_new_folder_is_followed(tmp_path: Path, there: bool) -> None:
    config = {
        "task": {"kind": "multilabel", "classes": ["disc", "square", "triangle"]},
        "data": {"source": "shapes", "count": 3, "size": [8, 8]},
    }
    (tmp_path / "link").symlink_to(tmp_path / "store" / "out")
    if there:
        (tmp_path / "store" / "out").mkdir(parents=True)
    convert(config, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "store" / "out" / "images").iterdir())) == 3


every_tool = pytest.mark.parametrize("to", sorted(catalog.WRITERS))
TASKS = [
    CRACK,
    Task.multiclass(["background", "liver", "tumour"]),
    Task.multiclass(["liver", "tumour"]),
    Task.multilabel(["liver", "tumour of it"]),
]


def random_sample(task: Task, name: str, seed: int, void: bool) -> Sample:
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 30, 2).tolist())
    highest = task.channels if task.stores_ids else 2
    shape = (*size, task.channels) if task.layered else size
    mask = rng.integers(0, highest, shape, np.uint8)
    if void:
        mask[rng.random(size) > 0.8] = VOID
    return Sample(name, rng.integers(0, 255, (*size, 3), np.uint8), mask)


def in_parts(task: Task, void: bool) -> dict[str, Subset]:
    return {
        "train": in_memory([random_sample(task, name, len(name), void) for name in ("x/ä", "y")]),
        "validation": in_memory([random_sample(task, "z", 7, void)]),
        "test": in_memory([]),
    }


@every_tool
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_the_files_of_a_tool_are_read_back_to_the_pixel(
    tmp_path: Path, to: str, task: Task
) -> None:
    parts = in_parts(task, void=to != "yolo")
    to_tool(task, parts, tmp_path / "out", to)
    config = read(tmp_path / "out" / "config.yaml")
    assert config.task == task
    again = open_parts(config)
    for part, subset in parts.items():
        assert len(again[part]) == len(subset)
        for sample in subset:
            [name] = [name for name in again[part].names if name.endswith(sample.name)]
            found = again[part].read(name)
            np.testing.assert_array_equal(found.image, sample.image)
            np.testing.assert_array_equal(found.mask, sample.mask)


@every_tool
def test_one_part_is_read_back_without_the_others(tmp_path: Path, to: str) -> None:
    parts = {"validation": in_parts(CRACK, void=False)["train"]}
    to_tool(CRACK, parts, tmp_path / "out", to)
    again = open_parts(read(tmp_path / "out" / "config.yaml"))
    assert sorted(len(part) for part in again.values()) == [0, 0, 2]


def test_yolo_says_how_many_holes_and_unlabelled_pixels_it_cannot_store(tmp_path: Path) -> None:
    mask = np.ones((7, 9), np.uint8)
    mask[2:4, 2:4] = 0
    mask[2:4, 5:7] = 0
    mask[6] = VOID
    part = in_memory([Sample("a", np.zeros((7, 9, 3), np.uint8), mask)])
    [holes, unlabelled] = to_tool(CRACK, {"train": part}, tmp_path / "out", "yolo")
    assert holes.startswith("2 ")
    assert unlabelled.startswith("9 ")
    [line] = (tmp_path / "out" / "labels" / "train" / "a.txt").read_text().splitlines()
    assert line.startswith("0 ")
    again = open_parts(read(tmp_path / "out" / "config.yaml"))["train"]
    expected = np.where(mask == VOID, 0, mask)
    np.testing.assert_array_equal(again.read("train/a").mask, expected)


@settings(deadline=None)
@given(arrays.arrays(np.uint8, (11, 13), elements=st.integers(0, 1)))
def test_programs_that_draw_outlines_fill_cuts_and_edges_only(mask: np.ndarray) -> None:
    """OpenCV fills a polygon of pixel centres together with its outline, as YOLO's trainer does."""
    _, numbers = cv2.connectedComponents(mask, connectivity=4)
    for polygon in outlines(mask):
        ring = one_ring([polygon.outer, *polygon.holes])
        drawn = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.uint8)
        cv2.fillPoly(drawn, [ring.astype(np.int32)], 1)
        piece = numbers == numbers[polygon.pixel]
        assert drawn[:-1, :-1][piece].all()
        closed = np.concatenate([ring, ring[:1]])
        length = int(np.abs(np.diff(closed, axis=0)).max(axis=1).sum())
        assert drawn.sum() - piece.sum() <= length


def test_a_pixel_that_is_unlabelled_for_one_class_only_needs_a_format_with_layers(
    tmp_path: Path,
) -> None:
    task = TASKS[3]
    mask = np.zeros((4, 5, 2), np.uint8)
    mask[0, 0] = (VOID, 0)
    mask[1, 1] = (VOID, 1)
    mask[2, 2] = (VOID, VOID)
    part = in_memory([Sample("a", np.zeros((4, 5, 3), np.uint8), mask)])
    for to in ("labelme", "labelstudio", "rle"):
        with fails(DataError, "void-partly", "a", 1):
            to_tool(task, {"train": part}, tmp_path / to, to)
    to_tool(task, {"train": part}, tmp_path / "coco", "coco")
    again = open_parts(read(tmp_path / "coco" / "config.yaml"))["train"]
    np.testing.assert_array_equal(again.read("a").mask, mask)
    mask[0, 0] = 0
    for to in ("labelme", "labelstudio", "rle"):
        to_tool(task, {"train": part}, tmp_path / to, to)
        again = open_parts(read(tmp_path / to / "config.yaml"))["train"]
        np.testing.assert_array_equal(again.read("a").mask, mask)


@every_tool
def test_names_of_two_parts_and_empty_data_are_refused(tmp_path: Path, to: str) -> None:
    part = made(("uint8", 3))
    with fails(ConfigError, "given-twice", 1):
        to_tool(CRACK, {"train": part, "test": part}, tmp_path / "out", to)
    with fails(DataError, "empty"):
        to_tool(CRACK, {"train": Subset(part.source, [])}, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


@every_tool
def test_a_folder_of_one_tool_is_converted_to_another(tmp_path: Path, to: str) -> None:
    sizes = {"a": (8, 12), "b": (7, 5)}
    boxes = {"a": [("car", (1, 1, 7, 5)), ("truck", (5, 3, 11, 7))], "b": []}
    labelme(tmp_path / "one", sizes, boxes)  # type: ignore[arg-type]
    assert main(["convert", str(tmp_path / "one"), "--to", to, "--out", str(tmp_path / "two")]) == 0
    [train, *_] = open_parts(read(tmp_path / "two" / "config.yaml")).values()
    masks = {name[-1]: train.read(name).mask for name in train.names}
    np.testing.assert_array_equal(masks["a"][..., 0] == 1, filled([(1, 1, 7, 5)], (8, 12)))
    np.testing.assert_array_equal(masks["a"][..., 1] == 1, filled([(5, 3, 11, 7)], (8, 12)))
    assert not masks["b"].any()


@pytest.mark.parametrize(
    ("to", "label"), [("labelme", "__ignore__"), ("labelstudio", "void"), ("rle", "void")]
)
def test_no_class_has_the_label_of_unlabelled_pixels(tmp_path: Path, to: str, label: str) -> None:
    task = Task.multilabel([label, "liver"])
    part = in_memory([random_sample(task, "a", 0, False)])
    with fails(ConfigError, "duplicate-name", label, "liver", setting="task.classes"):
        to_tool(task, {"train": part}, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_names_with_signs_of_addresses_are_found_again(tmp_path: Path) -> None:
    names = ["a%41", "b & c#d", "e+f", "g?h=i"]
    samples = [random_sample(CRACK, name, seed, False) for seed, name in enumerate(names)]
    to_tool(CRACK, {"train": in_memory(samples)}, tmp_path / "out", "labelstudio")
    again = open_parts(read(tmp_path / "out" / "config.yaml"))["train"]
    assert again.names == names
    for sample in samples:
        np.testing.assert_array_equal(again.read(sample.name).mask, sample.mask)
