"""Files of labelling tools contain the predicted masks, by segkit's sources and plain readers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import tifffile

from segkit import ConfigError, DataError, Task
from segkit.cli import main
from segkit.config import DataConfig
from segkit.data.sources.source import Source, open_source
from segkit.inference.files import Summary, predict_files
from segkit.inference.inputs import find_images
from segkit.inference.outputs.labelstudio import LabelStudio
from segkit.inference.outputs.object_polygons import object_polygons
from segkit.inference.outputs.rle import Rle
from segkit.inference.outputs.shape_options import ALL_SHAPES, ShapeOptions
from segkit.inference.outputs.writer import Outputs
from segkit.task import VOID
from tests.helpers import plain_labels
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.extras import NO_GEO
from tests.helpers.stand_in import answer_of, config_of, network, picture, write_pictures

SIZES = {"a": (20, 33), "sub/b & c%41": (31, 9), "sub/d.1": (1, 1), "ö": (24, 20)}
TOOLS = ("labelme", "labelstudio", "qupath", "rle", "yolo")
SETTINGS: dict[str, dict[str, Any]] = {
    "labelme": {"annotations": "out-labelme"},
    "labelstudio": {"annotations": "out-labelstudio/tasks.json", "use_predictions": True},
    "qupath": {"annotations": "out-qupath"},
    "rle": {"annotations": "out-rle/masks.csv", "run_lengths": {"order": "column"}},
    "yolo": {"annotations": "out-yolo/labels"},
}
PLAIN_KEYS = {
    "labelme": "{name}",
    "labelstudio": "/data/local-files/?d={quoted}.png",
    "qupath": "{name}",
    "rle": "{name}.png",
    "yolo": "{name}",
}


def predicted(root: Path, task: Task, tool: str, shapes: ShapeOptions = ALL_SHAPES) -> Summary:
    """Predict the images below ROOT/in."""
    return predict_files(
        lambda batch: network(batch, task),
        config_of(task),
        find_images([root / "in"]).images,
        Outputs(root / "out", formats=(tool,), shapes=shapes),
    )


def source_of(root: Path, task: Task, tool: str) -> Source:
    settings = dict(SETTINGS[tool])
    settings["annotations"] = root / settings["annotations"]
    return open_source(DataConfig(source=tool, images=root / "in", **settings), task)


def plain_layers(root: Path, tool: str, name: str, size: tuple[int, int]) -> plain_labels.Layers:
    quoted = ("in/" + name).replace("%", "%25").replace(" ", "%20").replace("&", "%26")
    quoted = quoted.replace("ö", "%C3%B6")
    key = PLAIN_KEYS[tool].format(name=name, quoted=quoted)
    return getattr(plain_labels, tool)(root / f"out-{tool}", key, size)


def layers_of(task: Task, mask: np.ndarray) -> plain_labels.Layers:
    """Return the layers of the foreground classes that occur in a mask."""
    layers = {}
    for label in task.foreground:
        layer = mask == label if task.exclusive else np.atleast_3d(mask)[..., label] == 1
        if layer.any():
            layers[task.classes[label]] = layer
    return layers


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_masks_are_read_back_to_the_pixel(tmp_path: Path, kind: str, tool: str) -> None:
    task = task_of(kind)
    write_pictures(tmp_path / "in", SIZES)
    summary = predicted(tmp_path, task, tool)
    assert (summary.written, summary.failed, summary.stopped) == (len(SIZES), [], None)
    source = source_of(tmp_path, task, tool)
    assert list(source.names) == sorted(SIZES)
    with_holes = 0
    for seed, (name, size) in enumerate(SIZES.items()):
        answer = answer_of(task, picture(seed, *size))
        np.testing.assert_array_equal(source.read(name).mask, answer.mask)
        found = plain_layers(tmp_path, tool, name, size)
        expected = layers_of(task, answer.mask)
        assert set(found) == set(expected)
        for label, layer in expected.items():
            np.testing.assert_array_equal(found[label], layer)
        for parts in object_polygons(answer).values():
            with_holes += any(len(rings) > 1 for rings in parts)
    assert with_holes > 0


@pytest.mark.parametrize("tool", TOOLS)
def test_classes_of_a_multilabel_task_may_overlap(tmp_path: Path, tool: str) -> None:
    task = task_of("multilabel")
    write_pictures(tmp_path / "in", {"a": (20, 33)})
    predicted(tmp_path, task, tool)
    mask = source_of(tmp_path, task, tool).read("a").mask
    assert (mask.sum(axis=-1) == 2).any()
    found = plain_layers(tmp_path, tool, "a", (20, 33))
    assert (found["liver"] & found["tumour"]).any()


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_small_objects_are_left_out(tmp_path: Path, kind: str, tool: str) -> None:
    task = task_of(kind)
    write_pictures(tmp_path / "in", {"a": (40, 50)})
    assert predicted(tmp_path, task, tool, ShapeOptions(6)).failed == []
    answer = answer_of(task, picture(0, 40, 50))
    numbers, objects = answer.objects
    large = [found.number for found in objects if found.area >= 6]
    assert 0 < len(large) < len(objects)
    expected = np.where(np.isin(numbers, large), answer.mask, 0)
    np.testing.assert_array_equal(source_of(tmp_path, task, tool).read("a").mask, expected)


@pytest.mark.parametrize("tool", ["labelme", "labelstudio", "rle"])
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_without_data_are_unlabelled(tmp_path: Path, kind: str, tool: str) -> None:
    task = task_of(kind)
    image = picture(1, 20, 30)
    image[:8, :12] = 0
    (tmp_path / "in").mkdir()
    nodata = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(tmp_path / "in" / "a.tif", image, photometric="rgb", extratags=nodata)
    assert predicted(tmp_path, task, tool).failed == []
    mask = source_of(tmp_path, task, tool).read("a").mask
    assert (mask[:8, :12] == VOID).all()
    np.testing.assert_array_equal(mask[8:], answer_of(task, image).mask[8:])


@pytest.mark.parametrize(
    ("tool", "label"), [("labelme", "__ignore__"), ("labelstudio", "void"), ("rle", "void")]
)
def test_no_class_has_the_label_of_unlabelled_pixels(tmp_path: Path, tool: str, label: str) -> None:
    write_pictures(tmp_path / "in", {"a": (9, 9)})
    with fails(ConfigError, "duplicate-name", label, setting="task.classes"):
        predicted(tmp_path, Task.multiclass(["background", label]), tool)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("tool", ["labelme", "qupath", "yolo"])
def test_thin_polygons_have_fewer_points_and_stay_close(tmp_path: Path, tool: str) -> None:
    pytest.importorskip("shapely", reason=NO_GEO)
    task = task_of("multilabel")
    write_pictures(tmp_path / "in", {"a": (40, 50)})
    predicted(tmp_path, task, tool)
    exact = points_of(tmp_path, tool)
    assert predicted(tmp_path, task, tool, ShapeOptions(6, 2)).failed == []
    assert points_of(tmp_path, tool) < exact / 2
    mask = source_of(tmp_path, task, tool).read("a").mask
    answer = answer_of(task, picture(0, 40, 50))
    agree = np.mean(mask == answer.mask)
    assert 0.8 < agree < 1


def points_of(root: Path, tool: str) -> float:
    """Return the number of points of all polygons; infinite if objects are masks."""
    if tool == "yolo":
        return len((root / "out-yolo" / "labels" / "a.txt").read_text().split()) / 2
    if tool == "qupath":
        return (root / "out-qupath" / "a.geojson").read_text().count(",")
    content = json.loads((root / "out-labelme" / "a.json").read_text())
    kinds = {shape["shape_type"] for shape in content["shapes"]}
    if kinds == {"mask"}:
        return float("inf")
    assert kinds == {"polygon"}
    return sum(len(shape["points"]) for shape in content["shapes"])


def test_labelme_groups_the_polygons_of_one_object(tmp_path: Path) -> None:
    pytest.importorskip("shapely", reason=NO_GEO)
    task = Task.binary("dot")
    image = np.zeros((30, 30, 3), np.uint8)
    image[0:10, 0:10] = 255
    image[10:20, 10:20] = 255  # touches the first square at a corner only
    image[25:29, 2:9] = 255
    answer = answer_of(task, image)
    assert len(answer.objects[1]) == 2
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", image, photometric="rgb")
    assert predicted(tmp_path, task, "labelme", ShapeOptions(0, 0.5)).failed == []
    content = json.loads((tmp_path / "out-labelme" / "a.json").read_text())
    assert [shape["group_id"] for shape in content["shapes"]] == [1, 1, None]


def test_label_studio_gets_predictions_with_a_score_and_no_annotations(tmp_path: Path) -> None:
    task = task_of("multiclass")
    write_pictures(tmp_path / "in", {"a": (20, 33)})
    predicted(tmp_path, task, "labelstudio")
    [found] = json.loads((tmp_path / "out-labelstudio" / "tasks.json").read_text())
    assert found["annotations"] == []
    assert unquote(found["data"]["image"]).endswith("?d=in/a.png")
    answer = answer_of(task, picture(0, 20, 33))
    own = answer.mask > 0
    probability = np.take_along_axis(answer.probabilities, answer.mask[..., None], -1)[..., 0]
    np.testing.assert_allclose(found["predictions"][0]["score"], probability[own].mean(), atol=1e-5)


def test_predictions_are_labels_only_if_the_config_says_so(tmp_path: Path) -> None:
    task = task_of("multiclass")
    write_pictures(tmp_path / "in", {"a": (20, 33)})
    predicted(tmp_path, task, "labelstudio")
    tasks = tmp_path / "out-labelstudio" / "tasks.json"
    with fails(DataError, "empty", tasks, 1, "data.use_predictions: true"):
        open_source(
            DataConfig(source="labelstudio", images=tmp_path / "in", annotations=tasks), task
        )
    folders = [str(tmp_path / "in"), str(tasks)]
    out = tmp_path / "converted"
    assert main(["convert", *folders, "--to", "rle", "--out", str(out)]) == 2
    wanted = ["--set", "data.use_predictions=true"]
    assert main(["convert", *folders, *wanted, "--to", "rle", "--out", str(out)]) == 0
    rows = plain_labels.rle(out, "a.png", (20, 33))
    for label, layer in layers_of(task, answer_of(task, picture(0, 20, 33)).mask).items():
        np.testing.assert_array_equal(rows[label], layer)


def test_an_annotation_counts_instead_of_the_prediction(tmp_path: Path) -> None:
    task = task_of("multiclass")
    write_pictures(tmp_path / "in", {"a": (20, 33), "b": (9, 8)})
    predicted(tmp_path, task, "labelstudio")
    path = tmp_path / "out-labelstudio" / "tasks.json"
    first, second = json.loads(path.read_text())
    first["annotations"] = [{"result": []}]
    path.write_text(json.dumps([first, second]))
    source = source_of(tmp_path, task, "labelstudio")
    assert not source.read("a").mask.any()
    assert source.read("b").mask.any()
    second["predictions"] *= 2
    path.write_text(json.dumps([first, second]))
    with fails(DataError, "label-entry", path, 2):
        source_of(tmp_path, task, "labelstudio")


def test_a_qupath_annotation_has_the_colour_of_its_class_and_pixels_on_a_map(
    tmp_path: Path,
) -> None:
    task = task_of("multiclass")
    image = picture(0, 20, 33)
    keys = (1, 1, 0, 1, 3072, 0, 1, 32632)
    place = [
        (34735, "H", len(keys), keys, True),
        (33550, "d", 3, (0.5, 0.5, 0), True),
        (33922, "d", 6, (0, 0, 0, 5e5, 5e6, 0), True),
    ]
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", image, photometric="rgb", extratags=place)
    assert predicted(tmp_path, task, "qupath").failed == []
    content = json.loads((tmp_path / "out-qupath" / "a.geojson").read_text())
    for feature in content["features"]:
        classification = feature["properties"]["classification"]
        label = task.classes.index(classification["name"])
        assert classification["color"] == list(task.palette[label])
    np.testing.assert_array_equal(
        source_of(tmp_path, task, "qupath").read("a").mask, answer_of(task, image).mask
    )


def test_text_files_of_yolo_with_other_classes_are_not_mixed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", {"a": (9, 8)})
    predicted(tmp_path, Task.binary("crack"), "yolo")
    assert predicted(tmp_path, Task.binary("crack"), "yolo").written == 1
    before = (tmp_path / "out-yolo" / "labels" / "a.txt").read_bytes()
    with fails(ConfigError, "mismatch", "crack", "rust", setting="--out"):
        predicted(tmp_path, Task.binary("rust"), "yolo")
    assert (tmp_path / "out-yolo" / "labels" / "a.txt").read_bytes() == before


def test_a_data_set_of_yolo_with_its_images_is_read_by_data_yaml(tmp_path: Path) -> None:
    task = task_of("multiclass")
    write_pictures(tmp_path / "in", SIZES)
    predicted(tmp_path, task, "yolo")
    (tmp_path / "in").rename(tmp_path / "out-yolo" / "images")
    source = open_source(DataConfig(source="yolo", images=tmp_path / "out-yolo"), task)
    assert list(source.names) == sorted(SIZES)
    for seed, (name, size) in enumerate(SIZES.items()):
        expected = answer_of(task, picture(seed, *size)).mask
        np.testing.assert_array_equal(source.read(name).mask, expected)


@pytest.mark.parametrize("tool", ["labelstudio", "rle"])
def test_shards_in_any_order_make_the_same_file(tmp_path: Path, tool: str) -> None:
    task = task_of("multiclass")
    write_pictures(tmp_path / "in", SIZES)
    images = find_images([tmp_path / "in"]).images
    calls = {"whole": [list(SIZES)], "shards": [["ö", "a"], ["sub/d.1", "sub/b & c%41"]]}
    contents = []
    for folder, shards in calls.items():
        for names in shards:
            predict_files(
                lambda batch: network(batch, task),
                config_of(task),
                {name: images[name] for name in names},
                Outputs(tmp_path / folder, formats=(tool,)),
                others=images,
            )
        [merged] = [p for p in (tmp_path / f"{folder}-{tool}").iterdir() if p.is_file()]
        contents.append(merged.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("output", [LabelStudio, Rle])
@pytest.mark.parametrize("text", ["{", "7", '"a"', "\xff", "[[1, 2, 3]]", '[["a", "b"]]'])
def test_a_file_that_is_not_that_of_an_image_is_named(
    tmp_path: Path, output: type[LabelStudio | Rle], text: str
) -> None:
    writer = output(Task.binary("a"), tmp_path / "out")
    (path,) = writer.paths("x")
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    with fails(DataError, "failed", path):
        writer.merge()
    assert [each for each in writer.folder.iterdir() if each.is_file()] == []


@pytest.mark.parametrize("tool", TOOLS)
def test_a_folder_without_images_has_readable_files(tmp_path: Path, tool: str) -> None:
    task = Task.binary("a")
    predict_files(
        lambda batch: network(batch, task),
        config_of(task),
        {},
        Outputs(tmp_path / "out", formats=(tool,)),
    )
    if tool == "labelstudio":
        assert json.loads((tmp_path / "out-labelstudio" / "tasks.json").read_text()) == []
    if tool == "rle":
        text = (tmp_path / "out-rle" / "masks.csv").read_text()
        assert text == "ImageId,ClassId,EncodedPixels\n"


WITHOUT_PACKAGES = """
import sys
from pathlib import Path
for name in ("scipy", "pycocotools", "shapely", "rasterio", "pyogrio"):
    sys.modules[name] = None
from segkit import Task, catalog
from segkit.io.images import write_picture
from segkit.inference.files import predict_files
from segkit.inference.outputs.writer import Outputs
from tests.helpers.stand_in import config_of, network, picture
task = Task.multilabel(["liver", "tumour"])
root = Path(sys.argv[1])
write_picture(root / "a.png", picture(0, 20, 33))
outputs = Outputs(root / "out", formats=tuple(sys.argv[2:]))
run = lambda batch: network(batch, task)
summary = predict_files(run, config_of(task), {"a": root / "a.png"}, outputs)
assert (summary.written, summary.failed) == (1, []), summary
"""


@pytest.mark.long
def test_the_packages_of_the_light_distribution_are_enough(tmp_path: Path) -> None:
    """keras-segkit-runtime installs neither scipy nor pycocotools."""
    command = [sys.executable, "-c", WITHOUT_PACKAGES, str(tmp_path), *TOOLS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
