"""Masks stored by the coding of a `data` section are read back unchanged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig, MaskFilesConfig
from segkit.data.sources.coding import coding_of, data_coding
from segkit.data.sources.folder import FolderSource, in_folders
from segkit.inference.outputs.mask_counts import counts_in_files
from segkit.inference.outputs.writer import Outputs, Results
from segkit.io.coding import Coding, segkit_coding
from segkit.io.coding_record import read_record, record_of, record_path, write_record
from segkit.io.images import write_picture
from segkit.io.masks import save_mask, write_mask
from tests.helpers.draws import masks, task_of, tasks
from tests.helpers.errors import fails
from tests.helpers.every_source import in_folders as made_in_folders
from tests.helpers.stand_in import config_of

pytestmark = pytest.mark.long

ROADS = Task.multiclass(["land", "road", "tree"])
NUMBERS = {0: "void", 1: "land", 2: "road", 3: "tree"}
COLOURS = {"#c8c8c8": "land", "#ff0000": "road", "#005aff": "tree"}


class Way(NamedTuple):
    """A way of storing masks: their task, how they are read, and the layout of their files."""

    task: Task
    data: DataConfig
    files: MaskFilesConfig
    has_void: bool


@st.composite
def ways(draw: st.DrawFn) -> Way:
    task = draw(tasks())
    layout = draw(st.sampled_from(["folders", "bands"] if task.layered else ["file", "folders"]))
    ids = layout == "file" and task.stores_ids
    names = [*task.classes] if ids else ["absent", "present"]
    known = {"mask_values", "none"}
    if layout != "bands":
        known.add("mask_colours")
    if len(names) == 2:
        known.add("mask_threshold")
    way = draw(st.sampled_from(sorted(known)))
    has_void = way in ("mask_values", "mask_colours") and draw(st.booleans())
    meant = [
        *names,
        *(["void"] if has_void else []),
        *draw(st.lists(st.sampled_from(names), max_size=2)),
    ]
    meant = draw(st.permutations(meant))
    setting: dict[str, object] = {}
    if way == "mask_values":
        low, high = draw(st.sampled_from([(0, 9), (0, 255), (0, 65535), (-1, 300), (-5, 10**6)]))
        numbers = st.lists(
            st.integers(low, high), min_size=len(meant), max_size=len(meant), unique=True
        )
        setting[way] = dict(zip(draw(numbers), meant, strict=True))
    if way == "mask_colours":
        colours = st.lists(
            st.integers(0, 2**24 - 1), min_size=len(meant), max_size=len(meant), unique=True
        )
        setting[way] = {
            f"#{colour:06x}": name for colour, name in zip(draw(colours), meant, strict=True)
        }
        setting["colour_tolerance"] = draw(st.sampled_from([0, 20]))
    if way == "mask_threshold":
        setting[way] = draw(st.sampled_from([1, 2, 128, 255, 256, 40_000]))
    suffix = draw(st.sampled_from(["", "_mask"]))
    files = MaskFilesConfig(layout=layout, yes=draw(st.sampled_from([None, 1, 255, 65535])))
    return Way(task, DataConfig.model_validate({**setting, "mask_suffix": suffix}), files, has_void)


def read_back(
    coding: Coding, data: DataConfig, mask: np.ndarray, folder: Path, tiff: bool = False
) -> np.ndarray:
    """Store the mask of one image, and read it as a config says."""
    write_picture(folder / "images" / "a.png", np.zeros((*mask.shape[:2], 3), np.uint8))
    paths = coding.paths(folder / "masks", "a", tiff)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    save_mask(coding, mask, paths)
    counts = counts_in_files(coding, paths)
    assert (counts.size, counts.areas) == (mask.shape[:2], areas(coding.task, mask))
    return in_folders(folder / "images", folder / "masks", coding.task, data).read("a").mask


def areas(task: Task, mask: np.ndarray) -> list[int]:
    if task.layered:
        return [int((mask[..., label] == 1).sum()) for label in range(task.channels)]
    return [
        int((mask == value).sum()) for value in (range(task.channels) if task.stores_ids else [1])
    ]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_trap_38_a_mask_stored_as_the_data_set_s_is_read_back_by_its_own_settings(
    data: st.DataObject,
) -> None:
    way = data.draw(ways())
    mask = data.draw(masks(way.task, void=way.has_void))
    coding = data_coding(way.data, way.task, way.files)
    with tempfile.TemporaryDirectory() as folder:
        found = read_back(coding, way.data, mask, Path(folder), tiff=data.draw(st.booleans()))
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("tiff", [False, True])
def test_a_mask_that_is_read_by_a_threshold_has_no_palette(tmp_path: Path, tiff: bool) -> None:
    """The threshold would be compared with the palette: here with black, the colour of class 1."""
    task = Task.multiclass(["liver", "background"])
    data = DataConfig(mask_threshold=1)
    mask = np.ones((2, 3), np.uint8)
    found = read_back(data_coding(data, task), data, mask, tmp_path, tiff)
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_without_settings_masks_are_stored_as_segkit_does(
    tmp_path: Path, kind: str, tiff: bool
) -> None:
    coding = data_coding(DataConfig(), task_of(kind))
    assert record_of(coding) == record_of(segkit_coding(task_of(kind)))
    endings = {path.suffix for path in coding.paths(tmp_path, "a", tiff)}
    assert endings == {".tif" if tiff else ".png"}


IDS_16 = {300: "land", 7: "road", 8: "road", 9: "tree"}
IDS_WITH_VOID = {-1: "void", 0: "land", 1: "road", 2: "tree"}
INVERTED = {0: "present", 255: "absent"}
CELL = Task.binary("cell")
STORED = {
    "ids": (ROADS, {"mask_values": NUMBERS}, "file", [[1, 2, 3, 0]], "uint8"),
    "16 bits": (ROADS, {"mask_values": IDS_16}, "file", [[300, 7, 9, 255]], "uint16"),
    "minus one": (ROADS, {"mask_values": IDS_WITH_VOID}, "file", [[0, 1, 2, -1]], "int16"),
    "inverted": (CELL, {"mask_values": INVERTED}, "file", [[255, 0, 128]], "uint8"),
    "threshold": (CELL, {"mask_threshold": 100}, "file", [[0, 255, 50]], "uint8"),
    "high threshold": (CELL, {"mask_threshold": 300}, "file", [[0, 65535, 150]], "uint16"),
    "colours": (
        ROADS,
        {"mask_colours": COLOURS},
        "file",
        [[[200] * 3, [255, 0, 0], [0, 90, 255], [128] * 3]],
        "uint8",
    ),
}
"""Task, settings, layout, what is stored for the values of a mask and void, and its depth."""


@pytest.mark.parametrize("name", STORED)
def test_the_values_stored_in_a_file(tmp_path: Path, name: str) -> None:
    task, setting, layout, expected, depth = STORED[name]
    files = MaskFilesConfig.model_validate({"layout": layout})
    coding = data_coding(DataConfig.model_validate(setting), task, files)
    values = [*range(task.channels)] if task.stores_ids else [0, 1]
    (path,) = coding.paths(tmp_path, "a")
    save_mask(coding, np.array([[*values, VOID]], np.uint8), [path])
    stored = tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))
    assert stored.tolist() == expected
    assert stored.dtype == depth


@pytest.mark.parametrize(
    ("setting", "nodata"),
    [
        ({"mask_threshold": 128}, 64),
        ({"mask_threshold": 1}, None),  # nothing is below it but 0, which means no
        ({"mask_values": {255: "absent", 128: "present", 4: "present"}}, 254),
        ({"mask_values": {0: "void", 1: "absent", 2: "present"}}, 0),
        ({"mask_colours": {"#000000": "absent", "#ff0000": "present"}}, 128),
        (
            {"mask_colours": {"#000000": "absent", "#ff0000": "present", "#ffffff": "void"}},
            None,
        ),  # in red, it is present
        ({"mask_colours": {"#000000": "absent", "#ff0000": "present", "#40ff40": "void"}}, None),
        ({"mask_colours": {"#000000": "absent", "#ff0000": "present", "#404040": "void"}}, 64),
    ],
)
def test_the_number_for_no_data_means_nothing_else(
    setting: dict[str, object], nodata: int | None
) -> None:
    assert data_coding(DataConfig.model_validate(setting), Task.binary("cell")).nodata == nodata


def test_renumbered_ids_have_the_colours_of_their_classes(tmp_path: Path) -> None:
    coding = data_coding(DataConfig(mask_values=NUMBERS), ROADS)
    (path,) = coding.paths(tmp_path, "a")
    save_mask(coding, np.array([[0, 1, 2]], np.uint8), [path])
    assert np.asarray(Image.open(path).convert("RGB"))[0].tolist() == [
        list(colour) for colour in ROADS.palette
    ]


def test_the_layout_and_the_value_for_yes_are_those_of_the_files(tmp_path: Path) -> None:
    organs, labels = task_of("multiclass"), task_of("multilabel")
    one = made_in_folders(
        tmp_path / "1",
        Task.binary("crack"),
        lambda name: {f"{name}.png": np.eye(8, dtype=np.uint8)},
    )
    assert FolderSource(one.data, one.task).stored == MaskFilesConfig(layout="file", yes=None)
    for label, task, layout in (("/liver", organs, "folders"), ("", labels, "bands")):
        masks_of = {
            "folders": lambda name: {
                f"{part}/{name}.png": ones(name) for part in ("liver", "tumour")
            },
            "bands": lambda name: {f"{name}.tif": np.stack([ones(name)] * 2, axis=-1)},
        }[layout]
        made = made_in_folders(tmp_path / layout, task, masks_of, on_top=["liver"])
        source = FolderSource(made.data, task)
        source.read("a")
        assert source.stored == MaskFilesConfig(layout=layout, yes=1), label


def ones(name: str) -> np.ndarray:
    return np.ones({"a": (6, 8), "b": (5, 5)}.get(name, (1, 3)), np.uint8)


YES_IS_9 = {0: "absent", 9: "present"}
YES_IS_RED = {"#000000": "absent", "#ff0000": "present"}
OLD = {
    "ids": (ROADS, {"mask_values": NUMBERS}, "file"),
    "a folder per class": (task_of("multiclass"), {"mask_values": YES_IS_9}, "folders"),
    "colours of layers": (task_of("multiclass"), {"mask_colours": YES_IS_RED}, "folders"),
    "yes and no": (CELL, {"mask_values": YES_IS_9}, "file"),
    "several classes": (task_of("multilabel"), {"mask_values": YES_IS_9}, "folders"),
}


@pytest.mark.parametrize("name", OLD)
def test_a_run_without_mask_files_stores_masks_that_its_settings_read(
    tmp_path: Path, name: str
) -> None:
    task, setting, layout = OLD[name]
    data = DataConfig.model_validate(setting)
    coding = coding_of(config_of(task).model_copy(update={"data": data}))
    assert coding.layout == layout
    mask = np.array([[[1, 0], [1, 1]]], np.uint8) if task.layered else np.array([[0, 1]], np.uint8)
    np.testing.assert_array_equal(read_back(coding, data, mask, tmp_path), mask)


def test_a_class_without_a_value_is_refused_and_the_error_names_another_coding() -> None:
    data = DataConfig(mask_values={1: "land", 2: "road"})
    with fails(ConfigError, "contradiction", "tree", "--coding segkit", setting="data.mask_values"):
        data_coding(data, ROADS)
    with fails(ConfigError, "contradiction", "tree", setting="data.mask_threshold"):
        data_coding(DataConfig(mask_threshold=128), ROADS)
    with fails(ConfigError, "unknown-name", "data", "segkit", "own", setting="--coding"):
        coding_of(config_of(ROADS), "own")
    config = config_of(ROADS).model_copy(update={"data": data})
    assert record_of(coding_of(config, "segkit")) == record_of(segkit_coding(ROADS))


def test_trap_38_a_config_that_contradicts_the_record_of_a_mask_folder_is_refused(
    tmp_path: Path,
) -> None:
    folders = tmp_path / "images", tmp_path / "masks"
    write_picture(folders[0] / "a.png", np.zeros((1, 3, 3), np.uint8))
    mask = np.array([[0, 1, 2]], np.uint8)
    write_mask(ROADS, mask, folders[1], "a")
    write_record(segkit_coding(ROADS), "segkit", folders[1])
    np.testing.assert_array_equal(in_folders(*folders, ROADS).read("a").mask, mask)
    with fails(
        DataError, "mask-values", record_path(folders[1]), "0 is land", "1 is road", "2 is tree"
    ):
        in_folders(*folders, ROADS, DataConfig(mask_values=NUMBERS))
    record = read_record(folders[1])
    assert record is not None
    read = DataConfig.model_validate({record.way: record.meanings})  # the advice, followed
    np.testing.assert_array_equal(in_folders(*folders, ROADS, read).read("a").mask, mask)
    for damaged in ("{", "[]", '{"layout": 1, "mask_suffix": "", "mask_values": 5}', "[" * 10**5):
        record_path(folders[1]).write_text(damaged)
        assert read_record(folders[1]) is None


def test_a_folder_has_masks_of_one_coding(tmp_path: Path) -> None:
    config = config_of(ROADS).model_copy(update={"data": DataConfig(mask_values=NUMBERS)})
    own, usual = (
        Results(config, Outputs(tmp_path / "masks", coding=coding)) for coding in ("data", "segkit")
    )
    own.check_coding(["a"])
    write_mask(
        ROADS, np.array([[0, 1, 2]], np.uint8), tmp_path / "masks", "a"
    )  # an older version's, without a record
    usual.check_coding(["a"])
    own.check_coding(["b"])
    with fails(
        ConfigError,
        "mismatch",
        tmp_path / "masks",
        record_path(tmp_path / "masks"),
        setting="--out",
    ):
        own.check_coding(["a"])
    (tmp_path / "masks" / "a.png").unlink()
    own.prepare()
    own.check_coding(["a"])
    with fails(ConfigError, "mismatch", "1: land", "0: land", setting="--out"):
        usual.check_coding(["a"])
