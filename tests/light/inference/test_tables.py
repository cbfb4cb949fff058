"""The tables of objects and of images, compared with scikit-image, scipy and plain counts."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.measure import label as label_objects
from skimage.measure import regionprops

from segkit import Task
from segkit.data.pixel_size import PixelSize
from segkit.inference.files import predict_files
from segkit.inference.outputs.instances import FIRST, PHYSICAL, Instances, columns_of, rows_of
from segkit.inference.outputs.object_counts import ObjectCounter, number_of_objects
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.summary import (
    header,
    older_header,
    read_summary,
    row_of,
    write_summary,
)
from segkit.inference.outputs.writer import Outputs
from segkit.io.coding import segkit_coding
from segkit.io.images import write_picture
from segkit.io.masks import write_mask
from segkit.task import VOID
from tests.helpers.draws import KINDS, masks, task_of, tasks
from tests.helpers.stand_in import answer_of, config_of, network, picture


def layer_of_class(task: Task, mask: np.ndarray, label: int) -> np.ndarray:
    if task.stores_ids:
        return mask == label
    return np.atleast_3d(mask)[..., label] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_the_objects_is_what_scikit_image_measures(kind: str) -> None:
    task = task_of(kind)
    image = picture(3, 40, 50)
    answer = replace(answer_of(task, image), pixel_size=PixelSize((0.5, 0.25), "µm"))
    rows = {}
    for cells in rows_of(answer):
        row = dict(zip(columns_of(3), cells, strict=True))
        box = tuple(row[side] for side in ("left", "top", "width", "height"))
        rows[row["class"], box, row["area"]] = row
    assert len(rows) == len(answer.objects[1]) > 10
    for label in task.foreground:
        numbers = label_objects(layer_of_class(task, answer.mask, label), connectivity=2)
        for region in regionprops(numbers, intensity_image=image.astype(np.float64)):
            top, left, bottom, right = region.bbox
            y, x = region.centroid
            box = (left, top, right - left, bottom - top)
            row = rows.pop((task.classes[label], box, region.area))
            assert (row["physical_area"], row["physical_unit"]) == (region.area / 8, "µm2")
            assert row["x"] == pytest.approx(x + 0.5, abs=6e-4)
            assert row["y"] == pytest.approx(y + 0.5, abs=6e-4)
            means = [row[f"mean_intensity_{band}"] for band in (1, 2, 3)]
            assert means == pytest.approx(region.intensity_mean, rel=1e-5)
    assert rows == {}


def test_negative_values_of_images_are_numbers_in_the_tables(tmp_path: Path) -> None:
    task = Task.binary("dot")
    answer = answer_of(task, picture(1, 12, 9))
    answer = replace(answer, image=np.full((12, 9, 1), -2.5, np.float32))
    output = Instances(task, tmp_path / "out")
    write(output, answer)
    output.merge()
    rows = rows_in(tmp_path / "out-instances.csv")
    assert {row["mean_intensity_1"] for row in rows} == {"-2.5"}


def write(output: Instances, answer: PredictedImage) -> None:
    paths = output.paths(answer.name)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    output.write(answer, paths)


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("columns", [FIRST, (*FIRST, *PHYSICAL)], ids=["first", "with areas"])
def test_tables_of_older_versions_are_merged_with_empty_cells(
    tmp_path: Path, columns: tuple[str, ...]
) -> None:
    task = Task.binary("dot")
    output = Instances(task, tmp_path / "out")
    write(output, answer_of(task, picture(1, 12, 9), Path("b.png")))
    older = ["a", "1", "dot", "0", "0", "2", "1", "2", "0.75", "8.0", "m2"][: len(columns)]
    (output.folder / "a.csv").write_text(",".join(columns) + "\n" + ",".join(older) + "\n")
    output.merge()
    first, *others = rows_in(tmp_path / "out-instances.csv")
    assert [first[column] for column in columns] == older
    assert {first[column] for column in columns_of(3) if column not in columns} == {""}
    assert others
    assert all(row["x"] for row in others)


@settings(deadline=None)
@given(
    arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_objects_are_counted_tile_by_tile(layer: np.ndarray, rows: int, columns: int) -> None:
    _, expected = ndimage.label(layer, np.ones((3, 3)))
    assert number_of_objects(layer) == expected
    counter = ObjectCounter(layer.shape[1])
    for top in range(0, layer.shape[0], rows):
        for left in range(0, layer.shape[1], columns):
            tile = layer[top : top + rows, left : left + columns]
            counter.add(top, left, np.ascontiguousarray(tile))
    assert counter.count == expected


@given(st.data())
def test_a_row_of_an_image_counts_objects_and_labelled_pixels(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task, void=False))
    is_void = data.draw(arrays.arrays(bool, mask.shape[:2]))
    mask[is_void] = VOID
    row = dict(zip(header(task), row_of(task, "x", mask), strict=True))
    labelled = int((~is_void).sum())
    assert row["labelled"] == str(labelled)
    for label, name in enumerate(task.classes):
        layer = layer_of_class(task, mask, label)
        share = row[f"{name} labelled_share"]
        if labelled:
            assert float(share) == pytest.approx(layer.sum() / labelled, abs=1e-6)
        else:
            assert share == ""
        if label not in task.foreground:
            assert f"{name} present" not in row
            continue
        assert row[f"{name} present"] == str(int(layer.any()))
        _, objects = ndimage.label(layer, np.ones((3, 3)))
        assert row[f"{name} objects"] == str(objects)


def test_a_table_of_an_older_version_keeps_its_images(tmp_path: Path) -> None:
    task = task_of("multiclass")
    table = tmp_path / "masks-summary.csv"
    expected = {}
    for seed, name in enumerate(("a", "b")):
        mask = answer_of(task, picture(seed, 12, 9)).mask
        write_mask(task, mask, tmp_path / "masks", name)
        expected[name] = row_of(task, name, mask)
    older = expected["a"][: len(older_header(task))]
    table.write_text(f"{','.join(older_header(task))}\n{','.join(older)}\n", encoding="utf-8")
    write_summary(segkit_coding(task), tmp_path / "masks", table, ["b"], {"b": expected["b"]})
    assert read_summary(task, table) == expected
    assert header(task)[: len(older)] == older_header(task)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_counted_in_files_are_those_of_the_prediction(tmp_path: Path, kind: str) -> None:
    task = task_of(kind)
    image = picture(2, 40, 30)
    image[:12, :9] = 0
    nodata = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", extratags=nodata)
    write_picture(tmp_path / "b.png", picture(3, 20, 31))
    images = {"a": tmp_path / "a.tif", "b": tmp_path / "b.png"}

    def predict(skip_existing: bool = False) -> dict[str, tuple[str, ...]]:
        predict_files(
            lambda batch: network(batch, task),
            config_of(task),
            images,
            Outputs(tmp_path / "out"),
            skip_existing,
        )
        return read_summary(task, tmp_path / "out-summary.csv")

    rows = predict()
    assert set(rows) == {"a", "b"}
    assert dict(zip(header(task), rows["a"], strict=True))["labelled"] == str(40 * 30 - 12 * 9)
    (tmp_path / "out-summary.csv").unlink()
    assert predict(skip_existing=True) == rows
