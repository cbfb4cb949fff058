"""Strokes drawn in a paint program: what is not painted is unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segkit import VOID, DataError, Task, inspect
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from tests.helpers.errors import fails

RED = (255, 0, 0)
BLUE = (0, 0, 255)


def strokes(root: Path, kind: str, count: int = 3) -> tuple[Path, Path]:
    """Draw a red and a blue stroke for each image, on the canvas of a paint program."""
    for folder in ("images", "strokes"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        if kind == "transparent":
            canvas = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
        elif kind == "grey":
            canvas = Image.new("L", (40, 40), VOID)
        else:
            canvas = Image.new("RGB", (40, 40), kind)
        pen = ImageDraw.Draw(canvas)
        red, blue = (1, 0) if kind == "grey" else (RED, BLUE)
        pen.line([5, 5, 20, 9], fill=red, width=2)
        pen.line([5, 30, 30, 35 - number], fill=blue, width=2)
        canvas.save(root / "strokes" / f"{number}.png")
    return root / "images", root / "strokes"


@pytest.mark.parametrize("kind", ["transparent", "grey"])
def test_strokes_on_a_layer_or_a_canvas_of_255_are_read_without_a_setting(
    tmp_path: Path, kind: str
) -> None:
    images, masks = strokes(tmp_path, kind)
    found = inspect(images, masks, classes=["background", "disc"])
    assert not found.wrong
    summary = found.summary()
    painted = 0
    for path in masks.iterdir():
        pixels = np.asarray(Image.open(path))
        painted += int((pixels != VOID).sum() if kind == "grey" else (pixels[..., 3] == 255).sum())
    assert summary.void_share == pytest.approx(1 - painted / (3 * 1600))
    assert "void-value" in [problem.code for problem in found.problems]
    assert 0 < summary.classes["disc"].share < 1


@pytest.mark.parametrize("canvas", ["white", "black"])
def test_inspect_asks_whether_a_canvas_was_not_painted(tmp_path: Path, canvas: str) -> None:
    images, masks = strokes(tmp_path, canvas)
    code = {"white": "#ffffff", "black": "#000000"}[canvas]
    problems = {problem.code: problem.message for problem in inspect(images, masks).problems}
    assert f"'{code}': void" in problems["strokes"]
    colours = f"{{'#ff0000': disc, '#0000ff': background, '{code}': void}}"
    found = inspect(images, masks, settings=[f"data.mask_colours={colours}"])
    assert "strokes" not in [problem.code for problem in found.problems]
    assert found.summary().void_share > 0.9


def test_ordinary_masks_are_no_strokes(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    for path in masks.iterdir():
        mask = np.zeros((40, 40), np.uint8)
        mask[:10] = 1
        mask[20:30, :20] = 2
        Image.fromarray(mask).save(path)
    assert "strokes" not in [problem.code for problem in inspect(images, masks).problems]


def test_transparent_pixels_are_void_only_if_a_setting_says_so(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent")
    picture = Image.open(masks / "0.png")
    picture.putpixel((5, 5), (255, 0, 0, 128))  # the smoothed edge of a brush
    picture.save(masks / "0.png")
    colours = {"#ff0000": "disc", "#0000ff": "background"}
    section = {"images": images, "masks": masks, "mask_colours": colours}
    task = Task.binary("disc")
    with fails(DataError, "mask-alpha", "data.transparent"):
        open_source(DataConfig.model_validate(section), task).read("0")
    section["transparent"] = "void"
    found = open_source(DataConfig.model_validate(section), task).read("0").mask
    pixels = np.asarray(picture)
    expected = np.where(pixels[..., 0] == 255, 1, 0)
    expected[pixels[..., 3] < 255] = VOID
    np.testing.assert_array_equal(found, expected)


def test_grey_strokes_on_a_layer_are_values(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "grey")
    for path in masks.iterdir():
        values = np.asarray(Image.open(path))
        alpha = np.where(values == VOID, 0, 255).astype(np.uint8)
        hidden = np.where(values == VOID, 77, values).astype(np.uint8)
        Image.fromarray(np.dstack([hidden, alpha]), "LA").save(path)
    section = {"images": images, "masks": masks, "transparent": "void"}
    found = open_source(DataConfig.model_validate(section), Task.binary("disc")).read("1").mask
    assert set(np.unique(found).tolist()) == {0, 1, VOID}


def test_some_transparent_masks_among_others_stay_an_error(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(masks / "0.png")
    found = inspect(images, masks)
    assert found.wrong
    assert "mask-alpha" in [problem.code for problem in found.problems]
