"""The polygons of Cityscapes (https://github.com/mcordts/cityscapesScripts)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from segkit import VOID, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    corners,
    picture,
    write_json,
)

SIZE = (8, 12)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(path)
    return path


STREET = Task.multiclass(["road", "car", "sky"])


def cityscapes_source(root: Path, *objects: Any, task: Task = STREET, **more: Any) -> Source:
    image(root / "leftImg8bit" / "train" / "ulm" / "ulm_0_1_leftImg8bit.png")
    content = {"imgHeight": 8, "imgWidth": 12, "objects": objects}
    path = root / "gtFine" / "train" / "ulm" / "ulm_0_1_gtFine_polygons.json"
    write_json(path, content)
    return open_source(DataConfig(source="cityscapes", images=root, **more), task)


def drawn(label: str, *box: float, **more: Any) -> dict[str, Any]:
    return {"label": label, "polygon": corners(box), **more}  # type: ignore[arg-type]


def test_later_polygons_hide_earlier_ones_and_groups_are_their_class(tmp_path: Path) -> None:
    objects = [
        drawn("road", 0, 0, 8, 8),
        drawn("cargroup", 1, 0, 3, 8),
        drawn("ego vehicle", 4, 0, 5, 8),
        drawn("sky", 6, 0, 7, 8),
        drawn("sky", 0, 0, 12, 8, deleted=1),
    ]
    source = cityscapes_source(tmp_path, *objects)
    row = [0, 1, 1, 0, VOID, 0, 2, 0, VOID, VOID, VOID, VOID]
    assert source.read("train/ulm/ulm_0_1").mask.tolist() == [row] * 8
    task = Task.multilabel(["car", "sky"])
    source = cityscapes_source(tmp_path, *objects, task=task, labels={"road": "background"})
    mask = source.read("train/ulm/ulm_0_1").mask[0]
    void = [VOID, VOID]
    other = [0, 0]
    assert mask.tolist() == [
        *[other, [1, 0], [1, 0], other, void, other, [0, 1], other],
        *[void] * 4,
    ]


def test_the_test_part_of_cityscapes_has_no_public_polygons(tmp_path: Path) -> None:
    image(tmp_path / "leftImg8bit" / "test" / "bonn" / "bonn_0_1_leftImg8bit.png")
    path = tmp_path / "gtFine" / "test" / "bonn" / "bonn_0_1_gtFine_polygons.json"
    write_json(path, {"imgHeight": 8, "imgWidth": 12, "objects": [drawn("out of roi", 0, 0, 2, 2)]})
    assert list(cityscapes_source(tmp_path).names) == ["train/ulm/ulm_0_1"]


def test_the_folders_of_cityscapes_may_be_named(tmp_path: Path) -> None:
    cityscapes_source(tmp_path)
    for more in ({}, {"annotations": tmp_path / "gtFine"}):
        data = DataConfig(source="cityscapes", images=tmp_path / "leftImg8bit", **more)
        assert list(open_source(data, STREET).names) == ["train/ulm/ulm_0_1"]
    (tmp_path / "gtFine").rename(tmp_path / "other")
    with fails(DataError, "missing-file", "gtFine", "data.annotations"):
        open_source(DataConfig(source="cityscapes", images=tmp_path), STREET)
