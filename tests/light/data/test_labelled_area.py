"""`data.labelled_area`: pixels outside the labelled part of an image are unlabelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task, inspect
from segkit.config import DataConfig
from segkit.config import read as read_config
from segkit.data.sources.source import open_source
from tests.helpers import coco_json
from tests.helpers.errors import fails
from tests.helpers.label_sets import labelme_file, labelme_shape, picture, write_json

SIZE = (6, 8)
CAT = Task.binary("cat")
INSIDE = (slice(1, 4), slice(2, 7))
"""The labelled area."""


def expected(mask: np.ndarray) -> np.ndarray:
    outside = np.full_like(mask, VOID)
    outside[INSIDE] = mask[INSIDE]
    return outside


def folder(root: Path, areas: dict[str, np.ndarray], **area: Any) -> DataConfig:
    for name in ("a", "b"):
        pixels = np.arange(48, dtype=np.uint8).reshape(SIZE) % 2
        for where, content in (("images", picture(*SIZE)), ("masks", pixels)):
            (root / where).mkdir(exist_ok=True)
            Image.fromarray(content).save(root / where / f"{name}.png")
    (root / "areas").mkdir()
    for name, content in areas.items():
        Image.fromarray(content).save(root / "areas" / f"{name}.png")
    return DataConfig.model_validate(
        {
            "images": root / "images",
            "masks": root / "masks",
            "labelled_area": {"masks": root / "areas", **area},
        }
    )


def area() -> np.ndarray:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[INSIDE] = 255
    return pixels


def test_a_folder_of_masks_is_the_labelled_area(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a": area(), "b": area() // 255}), CAT)
    pixels = np.arange(48, dtype=np.uint8).reshape(SIZE) % 2
    for name in source.names:
        np.testing.assert_array_equal(source.read(name).mask, expected(pixels))
    assert tmp_path / "areas" / "a.png" in source.files("a")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("missing", "void"), [("all", 0), ("nothing", 48)])
def test_an_image_without_an_area_is_a_question(tmp_path: Path, missing: str, void: int) -> None:
    data = folder(tmp_path, {"a": area()})
    with fails(DataError, "no-area", "b", "data.labelled_area.missing"):
        open_source(data, CAT)
    chosen = {"masks": tmp_path / "areas", "missing": missing}
    data = DataConfig.model_validate({**data.model_dump(), "labelled_area": chosen})
    mask = open_source(data, CAT).read("b").mask
    assert (mask == VOID).sum() == void


def test_an_area_of_another_size_is_refused(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, {"a": area().T.copy(), "b": area()}), CAT)
    with fails(DataError, "mask-size", 6, 8, str(tmp_path / "areas" / "a.png")):
        source.read("a")


def labelme(root: Path, missing: str, *shapes: Any) -> np.ndarray:
    Image.fromarray(picture(*SIZE)).save(root / "a.png")
    write_json(root / "a.json", labelme_file(shapes, "a.png", SIZE))
    settings = {
        "source": "labelme",
        "images": root,
        "labelled_area": {"label": "roi", "missing": missing},
    }
    return open_source(DataConfig.model_validate(settings), CAT).read("a").mask


def test_a_label_of_a_tool_is_the_labelled_area(tmp_path: Path) -> None:
    cat = labelme_shape("cat", [[0, 0], [4, 0], [4, 3], [0, 3]])
    roi = labelme_shape("roi", [[2, 1], [7, 4]], "rectangle")
    mask = np.zeros(SIZE, np.uint8)
    mask[:3, :4] = 1
    for shapes in ((cat, roi), (roi, cat)):
        np.testing.assert_array_equal(labelme(tmp_path, "error", *shapes), expected(mask))
    with fails(DataError, "no-area", "a.json", "data.labelled_area.missing"):
        labelme(tmp_path, "error", cat)
    np.testing.assert_array_equal(labelme(tmp_path, "all", cat), mask)
    assert (labelme(tmp_path, "nothing", cat) == VOID).all()


def test_a_category_of_a_coco_file_is_the_labelled_area(tmp_path: Path) -> None:
    person = coco_json.annotation(coco_json.PERSON_ID, [coco_json.box(0, 0, 3, 4)])
    kite = coco_json.annotation(coco_json.KITE_ID, [coco_json.box(1, 1, 5, 3)], 2)
    data = coco_json.save(tmp_path, coco_json.content(person, kite))
    section = {**data.model_dump(), "labelled_area": {"label": "kite"}}
    found = open_source(DataConfig.model_validate(section), coco_json.BOTH).read("a").mask
    inside = coco_json.filled((1, 1, 5, 3)) == 1
    drawn = coco_json.filled((0, 0, 3, 4))
    np.testing.assert_array_equal(found[..., 0], np.where(inside, drawn, VOID))
    np.testing.assert_array_equal(found[..., 1], np.where(inside, 0, VOID))
    section["labelled_area"] = {"label": "roi"}
    with fails(DataError, "coco-category", "roi"):
        open_source(DataConfig.model_validate(section), coco_json.BOTH)


@pytest.mark.parametrize("section", [{}, {"label": "roi", "masks": "areas"}])
def test_an_area_is_a_label_or_a_folder(section: dict[str, str]) -> None:
    with fails(ConfigError, "missing-setting", "label", "masks"):
        DataConfig.model_validate({"source": "labelme", "labelled_area": section})


def test_a_label_needs_a_source_of_shapes() -> None:
    with fails(ConfigError, "contradiction", "folder", setting="data.labelled_area.label"):
        open_source(DataConfig.model_validate({"labelled_area": {"label": "roi"}}), CAT)


def test_the_label_of_the_area_is_no_class(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(picture(*SIZE, number)).save(tmp_path / f"{number}.png")
        cat = labelme_shape("cat", [[1, 0], [4, 0], [4, 3], [1, 3]])
        roi = labelme_shape("roi", [[2, 1], [7, 4]], "rectangle")
        content = labelme_file([cat, roi], f"{number}.png", SIZE)
        write_json(tmp_path / f"{number}.json", content)
    found = inspect(tmp_path, settings=["data.labelled_area={label: roi}"])
    assert found.task.classes == ("cat",)
    assert found.summary().void_share == pytest.approx(1 - 15 / 48)


def test_a_tool_is_recognised_with_settings_of_shapes(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(picture(*SIZE, number)).save(tmp_path / f"{number}.png")
        shapes = [
            labelme_shape("cat", [[2, 2]], "point"),
            labelme_shape("background", [[6, 4]], "point"),
        ]
        content = labelme_file(shapes, f"{number}.png", SIZE)
        write_json(tmp_path / f"{number}.json", content)
    settings = ["data.point_radius=1", "data.outside_shapes=void"]
    found = inspect(tmp_path, settings=settings)
    summary = found.summary()
    assert (found.task.classes, summary.classes["cat"].pixels) == (("cat",), 15)
    assert summary.void_share == pytest.approx(1 - 10 / 48)


def test_the_folder_of_areas_starts_where_other_paths_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    folder(tmp_path / "data", {"a": area(), "b": area()})
    config = tmp_path / "config.yaml"
    config.write_text(
        "task: {kind: binary, classes: [cat]}\n"
        "data:\n  relative_to: config\n  images: data/images\n  masks: data/masks\n"
        "  labelled_area: {masks: data/areas}\n",
        encoding="utf-8",
    )
    data = read_config(config).data
    assert data.labelled_area is not None
    assert data.labelled_area.masks == tmp_path / "data" / "areas"
