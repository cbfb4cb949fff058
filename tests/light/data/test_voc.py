"""The folders of Pascal VOC and of CVAT's masks (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segkit import VOID, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    filled,
    picture,
    voc,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
BOX = (1, 1, 7, 5)
EXPECTED = filled([BOX], SIZE)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(path)
    return path


MASK = np.array([[0, 15, 255, 12]] * 2, np.uint8)


def test_values_of_voc_are_its_classes(tmp_path: Path) -> None:
    made = voc(tmp_path, {"x": (2, 4), "y": (2, 4)}, {"x": MASK, "y": MASK})
    data = DataConfig.model_validate(made)
    task = Task.multiclass(["background", "dog", "person"])
    with fails(DataError, "label-name", "aeroplane", "data.labels"):
        open_source(data, task)
    data = data.model_copy(update={"labels": {"*": "background"}})
    source = open_source(data, task)
    assert source.parts == {"train": ["x"], "validation": ["y"]}
    assert source.read("x").mask.tolist() == [[0, 2, VOID, 1]] * 2
    assert open_source(data, Task.binary("dog")).read("y").mask.tolist() == [[0, 0, VOID, 1]] * 2


def test_colours_of_cvat_are_those_of_its_labelmap(tmp_path: Path) -> None:
    """CVAT's format "Segmentation mask 1.1" has the folders of VOC."""
    image(tmp_path / "JPEGImages" / "a.png")
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[EXPECTED] = (250, 50, 83)
    path = tmp_path / "SegmentationClass" / "a.png"
    path.parent.mkdir()
    Image.fromarray(rgb).save(path)
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\n"
    (tmp_path / "labelmap.txt").write_text(text)
    source = open_source(DataConfig(source="voc", images=tmp_path), CAT)
    np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)
    task = Task.multiclass(["background", "cat"])
    source = open_source(DataConfig(source="voc", images=tmp_path), task)
    np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)


def test_classes_of_labelmes_script_are_those_of_its_file(tmp_path: Path) -> None:
    made = voc(tmp_path, {"x": (2, 4), "y": (2, 4)}, {"x": MASK // 15, "y": MASK // 15})
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\npotted plant\ndog\n")
    task = Task.multiclass(["background", "dog", "potted plant"])
    data = DataConfig.model_validate(made | {"mask_values": None})
    with fails(DataError, "mask-values", 17):  # 255 // 15
        open_source(data, task).read("x")
    for name in "xy":
        path = tmp_path / "SegmentationClass" / f"{name}.png"
        Image.fromarray(np.array([[0, 1, 255, 2]] * 2, np.uint8)).save(path)
    assert open_source(data, task).read("x").mask.tolist() == [[0, 2, VOID, 1]] * 2


def test_masks_of_voc_without_an_image_are_named(tmp_path: Path) -> None:
    voc(tmp_path, {"x": (2, 4), "y": (2, 4)}, {"x": MASK, "y": MASK})
    (tmp_path / "JPEGImages" / "x.jpg").unlink()
    with fails(DataError, "unpaired", 1, "x"):
        open_source(DataConfig(source="voc", images=tmp_path), CAT)
    with fails(DataError, "empty"):
        open_source(DataConfig(source="voc", images=tmp_path / "JPEGImages"), CAT)
