"""Objects, their table and the summary, against plain counts and scipy; the files read back."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segkit import Task
from segkit.inference.outputs.instances import Instances, columns_of
from segkit.inference.outputs.objects import find_objects
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.probabilities import HalfTiff, Npy, Tiff
from segkit.inference.outputs.summary import header, row_of, write_summary
from segkit.io.coding import segkit_coding
from segkit.io.masks import mask_paths, write_mask
from tests.helpers.draws import KINDS, masks, task_of, tasks
from tests.helpers.masks_read import read_back
from tests.helpers.stand_in import answer_of, picture

pytestmark = pytest.mark.long


def layers_of(task: Task, mask: np.ndarray) -> dict[int, np.ndarray]:
    if task.exclusive:
        return {label: mask == label for label in task.foreground}
    return {label: (mask if mask.ndim == 2 else mask[..., label]) > 0 for label in task.foreground}


@given(st.data())
def test_objects_are_what_scipy_finds_class_by_class(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task, void=False))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    probabilities = rng.random((*mask.shape[:2], task.channels)).astype(np.float32)
    numbers, objects = find_objects(task, mask, probabilities)
    assert [found.number for found in objects] == list(range(1, len(objects) + 1))
    assert numbers.shape == mask.shape
    total = 0
    for label, layer in layers_of(task, mask).items():
        own = numbers if numbers.ndim == 2 else numbers[..., label]
        parts, count = ndimage.label(layer, np.ones((3, 3)))
        total += count
        for part in range(1, count + 1):
            rows, columns = np.nonzero(parts == part)
            (number,) = set(own[rows, columns].tolist())
            found = objects[number - 1]
            assert (found.label, found.area) == (label, len(rows)) == (label, (own == number).sum())
            assert found.centre == (round(columns.mean() + 0.5, 3), round(rows.mean() + 0.5, 3))
            assert found.box == (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
            np.testing.assert_allclose(
                found.score, probabilities[rows, columns, label].mean(), atol=1e-6
            )
    assert len(objects) == total
    assert set(np.unique(numbers).tolist()) - {0} == {found.number for found in objects}


def six_digits(value: float) -> float:
    return float(f"{value:.6g}")


@pytest.mark.parametrize("kind", KINDS)
def test_instances_are_a_tiff_of_numbers_and_a_table(tmp_path: Path, kind: str) -> None:
    task = task_of(kind)
    output, rows = Instances(task, tmp_path / "masks"), []
    for seed, name in enumerate(("b", "sub/a", "empty")):
        answer = answer_of(task, picture(seed, 20, 30) * (name != "empty"), Path(f"{name}.png"))
        answer = PredictedImage(
            task,
            name,
            *[getattr(answer, part) for part in ("path", "image", "probabilities", "mask")],
        )
        paths = output.paths(name)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        output.write(answer, paths)
        stored = [tifffile.imread(path) for path in paths[:-1]]
        numbers, objects = answer.objects
        np.testing.assert_array_equal(
            np.stack(stored, -1) if kind == "multilabel" else stored[0], numbers
        )
        assert {layer.dtype for layer in stored} == {np.dtype(np.uint16)}
        assert (
            paths[0]
            == tmp_path
            / "masks-instances"
            / ("liver" if kind == "multilabel" else "")
            / f"{name}.tif"
        )
        for found in objects:  # the two empty cells are the area in a unit, unknown here
            own = numbers if kind != "multilabel" else numbers[..., found.label]
            means = answer.image[own == found.number].mean(axis=0)
            row = [name, found.number, task.classes[found.label], *found.box, found.area]
            rows.append([*row, found.score, "", "", *found.centre, *map(six_digits, means)])
    output.merge()
    with (tmp_path / "masks-instances.csv").open(newline="") as stream:
        first, *found = csv.reader(stream)
    assert tuple(first) == columns_of(3)
    assert found == [
        [str(value) for value in row] for row in sorted(rows, key=lambda row: str(row[0]))
    ]
    assert {row[0] for row in found} >= {"b", "sub/a"}


def test_more_objects_than_16_bits_count(tmp_path: Path) -> None:
    task = Task.binary("dot")
    image = np.zeros((516, 516, 3), np.uint8)
    image[::2, ::2] = 255
    answer = answer_of(task, image)
    Instances(task, tmp_path).write(answer, [tmp_path / "a.tif", tmp_path / "a.csv"])
    numbers = tifffile.imread(tmp_path / "a.tif")
    assert (numbers.dtype, numbers.max(), len(answer.objects[1])) == (
        np.uint32,
        258 * 258,
        258 * 258,
    )


@pytest.mark.parametrize(("output", "error"), [(Tiff, 0), (HalfTiff, 2**-12), (Npy, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_read_back(
    tmp_path: Path, kind: str, output: type[Tiff | Npy], error: float
) -> None:
    task = task_of(kind)
    answer, writer = answer_of(task, picture(0, 9, 7)), output(task, tmp_path / "masks")
    (path,) = writer.paths("sub/a")
    path.parent.mkdir(parents=True)
    writer.write(answer, [path])
    found = np.load(path, allow_pickle=False) if output is Npy else tifffile.imread(path)
    assert found.dtype == (np.float16 if output is HalfTiff else np.float32)
    found = found.reshape(answer.probabilities.shape)  # one band has no axis of its own
    np.testing.assert_allclose(found, answer.probabilities, rtol=0, atol=error)
    assert path.parent == tmp_path / "masks-probabilities" / "sub"


@given(st.data())
def test_a_row_counts_the_pixels_of_each_class(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task, void=False))
    row = row_of(task, "x", mask)
    assert len(row) == len(header(task))
    columns = dict(zip(header(task)[3:], map(float, row[3:]), strict=True))
    for label, name in enumerate(task.classes):
        yes = label if task.exclusive else 1
        values = (mask[..., label] if mask.ndim == 3 else mask).ravel().tolist()
        assert columns[f"{name} area"] == values.count(yes)
        np.testing.assert_allclose(
            columns[f"{name} share"], values.count(yes) / len(values), atol=1e-6
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_is_completed_from_older_rows_and_from_masks(tmp_path: Path, kind: str) -> None:
    """A row is reused only if its mask is older than the table, and of the same task."""
    task, masks_folder, table = task_of(kind), tmp_path / "masks", tmp_path / "masks-summary.csv"
    expected = {}
    for seed, name in enumerate(("a", "b", "sub/c")):
        mask = answer_of(task, picture(seed, 12, 9)).mask
        write_mask(task, mask, masks_folder, name)
        np.testing.assert_array_equal(read_back(task, mask_paths(task, masks_folder, name)), mask)
        expected[name] = row_of(task, name, mask)

    def rows() -> list[tuple[str, ...]]:
        with table.open(newline="", encoding="utf-8") as stream:
            return [tuple(row) for row in csv.reader(stream)]

    table.write_text("something,else\n1,2\n")
    write_summary(
        segkit_coding(task), masks_folder, table, ["b", "a", "gone"], {"a": expected["a"]}
    )
    assert rows() == [header(task), expected["a"], expected["b"]]
    write_summary(segkit_coding(task), masks_folder, table, ["sub/c"], {})
    whole = [header(task), expected["a"], expected["b"], expected["sub/c"]]
    assert rows() == whole
    changed = answer_of(task, picture(9, 12, 9)).mask
    write_mask(task, changed, masks_folder, "b")
    write_summary(segkit_coding(task), masks_folder, table, [], {})
    assert rows() == [*whole[:2], row_of(task, "b", changed), whole[3]]
    mask_paths(task, masks_folder, "a")[-1].unlink()
    write_summary(segkit_coding(task), masks_folder, table, ["a"], {})
    assert [row[0] for row in rows()] == ["image", "b", "sub/c"]
