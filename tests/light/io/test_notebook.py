"""Notebooks show tasks, masks and inspections."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segkit
from segkit import VOID, DataError, Task
from segkit.io.overlay import overlay_palette
from tests.helpers.errors import fails

SOFTMAX = Task.multiclass(["background", "<b>liver</b>", "tumour"])


def test_a_task_is_a_table_of_its_classes_and_colours() -> None:
    page = SOFTMAX._repr_html_()
    assert page.count("<tr>") == 4
    assert "&lt;b&gt;liver&lt;/b&gt;" in page
    for red, green, blue in SOFTMAX.palette:
        assert f"rgb({red},{green},{blue})" in page


@pytest.mark.parametrize(
    ("task", "mask"),
    [
        (SOFTMAX, [[0, 1], [2, VOID]]),
        (Task.binary("crack"), [[0, 1], [1, VOID]]),
        (Task.binary("crack"), [[[0], [1]], [[1], [0]]]),
        (Task.multilabel(["a", "b"]), [[[0, 1], [1, 1]], [[0, 0], [VOID, 0]]]),
    ],
)
def test_a_mask_is_a_picture_in_the_colours_of_its_classes(task: Task, mask: list[object]) -> None:
    values = np.array(mask, np.uint8)
    picture = segkit.show(values, task)
    drawn = np.asarray(Image.open(io.BytesIO(picture._repr_png_())))
    np.testing.assert_array_equal(drawn, picture.pixels)
    assert drawn.shape == (2, 2, 3)
    colours = [list(colour) for colour in overlay_palette(task)]
    if task.layered:
        assert drawn[0, 0].tolist() == colours[1]
        assert drawn[0, 1].tolist() in colours  # both classes hold there
    else:
        assert drawn[0, 0].tolist() == [0, 0, 0]
        assert drawn[0, 1].tolist() == colours[1 if task.stores_ids else 0]
    assert "data:image/png;base64," in picture._repr_html_()


def test_a_mask_over_an_image_leaves_the_background_as_it_is() -> None:
    image = np.full((3, 4), 77, np.uint8)
    mask = np.zeros((3, 4), np.uint8)
    mask[1, 1] = 1
    picture = segkit.show(mask, SOFTMAX, image)
    assert picture.pixels[0, 0].tolist() == [77] * 3
    assert "8.3%" in picture._repr_html_()  # one pixel of twelve


def test_a_mask_of_another_task_is_refused() -> None:
    with fails(DataError, "mask-values", 3):
        segkit.show(np.array([[3]]), SOFTMAX)


def test_an_inspection_is_the_report_without_the_page_around_it(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for i in range(3):
            pixels = (
                np.random.default_rng(i)
                .integers(0, 2 if folder == "masks" else 256, (8, 8))
                .astype(np.uint8)
            )
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    page = segkit.inspect(tmp_path / "images", tmp_path / "masks")._repr_html_()
    assert "<html" not in page
    assert "</body>" not in page
    assert "<table" in page
