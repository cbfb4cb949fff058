"""Strokes drawn in a paint program: what is not painted is unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segkit import VOID, ConfigError, DataError, Task, inspect
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from segkit.inspection.inspect import Inspection
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


def codes(found: Inspection) -> list[str]:
    """Return the codes of the problems."""
    return [problem.code for problem in found.problems]


def repaint(masks: Path, colour: tuple[int, int, int], other: tuple[int, int, int, int]) -> None:
    """Replace an opaque colour in each mask."""
    for path in masks.iterdir():
        pixels = np.array(Image.open(path))
        pixels[(pixels == (*colour, 255)).all(-1)] = other
        Image.fromarray(pixels).save(path)


def blend(masks: Path) -> int:
    """Give some pixels of each mask a colour between red and blue, and return their number."""
    count = 0
    for path in masks.iterdir():
        picture = Image.open(path)
        for step in range(1, 8):
            colour = (32 * step, 0, 255 - 32 * step)
            picture.putpixel((step, 0), (*colour, 255) if picture.mode == "RGBA" else colour)
            count += 1
        picture.save(path)
    return count


@pytest.mark.parametrize(
    ("classes", "expected"), [(["a", "b"], True), (["background", "a"], False)]
)
def test_strokes_without_a_class_of_the_background_get_a_warning(
    tmp_path: Path, classes: list[str], expected: bool
) -> None:
    images, masks = strokes(tmp_path, "transparent")
    colours = f"{{'#0000ff': {classes[0]}, '#ff0000': {classes[1]}}}"
    extra = ["data.transparent=void", f"data.mask_colours={colours}"]
    assert ("no-background" in codes(inspect(images, masks, settings=extra))) == expected


@pytest.mark.parametrize("share", ["strokes", "complete"])
def test_a_background_without_strokes_gets_a_warning_if_the_labels_are_sparse(
    tmp_path: Path, share: str
) -> None:
    images, masks = strokes(tmp_path, "transparent" if share == "strokes" else "red")
    colours = "{'#00ff00': background, '#ff0000': a, '#0000ff': b}"
    extra = ["data.transparent=void", f"data.mask_colours={colours}"]
    found = codes(inspect(images, masks, settings=extra))
    assert ("no-background" in found) == (share == "strokes")


def test_strokes_of_one_colour_are_inspected(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent")
    repaint(masks, BLUE, (0, 0, 0, 0))
    found = inspect(images, masks, classes=["disc"])
    assert found.task.kind == "binary"
    assert found.task.classes == ("disc",)
    assert found.summary().classes["disc"].share == 1
    assert "never-absent" in codes(found)


def test_blended_colours_are_void_if_a_setting_says_so(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent", count=12)
    blends = blend(masks)
    assert "mask-soft-edges" in codes(inspect(images, masks))
    classes = ["background", "disc"]
    found = inspect(images, masks, classes=classes, settings=["data.other_values=void"])
    assert not found.wrong
    opaque = sum(
        int((np.asarray(Image.open(path))[..., 3] == 255).sum()) for path in masks.iterdir()
    )
    assert found.summary().void_share == pytest.approx(1 - (opaque - blends) / (12 * 1600))
    assert f"{100 * blends / opaque:.3g} %" in found.read_as


def test_other_colours_and_values_are_an_error_without_the_setting(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    section = {"images": images, "masks": masks, "mask_colours": {"#ff0000": "disc"}}
    task = Task.binary("disc")
    with fails(DataError, "mask-colours", "data.other_values"):
        open_source(DataConfig.model_validate(section), task).read("0")
    section["other_values"] = "void"
    found = open_source(DataConfig.model_validate(section), task).read("0").mask
    is_red = (np.asarray(Image.open(masks / "0.png")) == RED).all(-1)
    np.testing.assert_array_equal(found, np.where(is_red, 1, VOID))


@pytest.mark.parametrize("task", [Task.binary("a"), Task.multiclass(["a", "b"])])
def test_other_values_are_void_if_a_setting_says_so(tmp_path: Path, task: Task) -> None:
    images, masks = strokes(tmp_path, "grey")
    section = {"images": images, "masks": masks, "mask_values": {1: "a"}}
    with fails(DataError, "mask-values", "data.other_values"):
        open_source(DataConfig.model_validate(section), task).read("0")
    section["other_values"] = "void"
    found = open_source(DataConfig.model_validate(section), task).read("0").mask
    value = 1 if task.kind == "binary" else 0
    stored = np.asarray(Image.open(masks / "0.png"))
    np.testing.assert_array_equal(found, np.where(stored == 1, value, VOID))
    del section["mask_values"]
    with fails(ConfigError, "missing-setting", setting="data.other_values"):
        open_source(DataConfig.model_validate(section), task)


@pytest.mark.parametrize("transparent", ["error", "void"])
def test_strokes_without_an_opaque_pixel_are_refused(tmp_path: Path, transparent: str) -> None:
    images, masks = strokes(tmp_path, "transparent")
    repaint(masks, RED, (*RED, 204))
    repaint(masks, BLUE, (*BLUE, 100))
    found = inspect(images, masks, settings=[f"data.transparent={transparent}"])
    assert found.wrong
    messages = {problem.code: problem.message for problem in found.problems}
    assert "204" in messages["mask-opacity"]


def test_a_canvas_among_transparent_layers_is_asked_about(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent", count=4)
    for name in ("0.png", "1.png"):
        layer = Image.open(masks / name)
        canvas = Image.new("RGB", layer.size, "white")
        canvas.paste(layer, mask=layer)
        canvas.save(masks / name)
    assert "strokes" in codes(inspect(images, masks, settings=["data.transparent=void"]))
    colours = "{'#ff0000': disc, '#0000ff': background, '#ffffff': rest}"
    extra = ["data.transparent=void", f"data.mask_colours={colours}"]
    assert "strokes" in codes(inspect(images, masks, settings=extra))


def test_a_guess_about_a_canvas_of_ids_names_the_values(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    for path in masks.iterdir():
        pixels = np.asarray(Image.open(path))
        ids = np.zeros(pixels.shape[:2], np.uint8)
        ids[(pixels == RED).all(-1)] = 1
        ids[(pixels == BLUE).all(-1)] = 2
        Image.fromarray(ids).save(path)
    found = inspect(images, masks)
    assert codes(found).count("strokes") == 1
    assert found.config is not None
    meanings = {0: "background", 1: "class_1", 2: "class_2", 255: "void"}
    assert found.config.data.mask_values == meanings


def test_classes_contradict_the_names_of_other_settings(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent")
    colours = "{'#ff0000': a, '#0000ff': b}"
    extra = ["data.transparent=void", f"data.mask_colours={colours}"]
    assert inspect(images, masks, classes=["b", "a"], settings=extra).task.classes == ("b", "a")
    with fails(ConfigError, "contradiction", setting="data.mask_colours"):
        inspect(images, masks, classes=["x", "y"], settings=extra)


def test_void_among_the_classes_is_no_class(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    found = inspect(images, masks, classes=["background", "disc", "void"])
    assert found.task == Task.binary("disc")
    assert found.summary().void_share > 0.9
    assert "absent-class" not in codes(found)


@pytest.mark.parametrize("ids", [(0, 1, 2), (0, 3, 9)])
@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["void", "a", "b"], Task.multiclass(["a", "b"])),
        (["background", "a", "void"], Task.binary("a")),
    ],
)
def test_void_among_the_names_of_ids_is_no_class(
    tmp_path: Path, ids: tuple[int, ...], classes: list[str], expected: Task
) -> None:
    images, masks = strokes(tmp_path, "white")
    stored = np.zeros((40, 40), np.uint8)
    for value, row in zip(ids, (0, 10, 20), strict=True):
        stored[row : row + 5] = value
    for path in masks.iterdir():
        Image.fromarray(stored).save(path)
    found = inspect(images, masks, classes=classes)
    assert found.task == expected
    assert found.config is not None
    assert found.config.data.mask_values == dict(zip(ids, classes, strict=True))
    unnamed = stored == ids[classes.index("void")]
    assert found.summary().void_share == pytest.approx(unnamed.mean())
    assert codes(inspect(images, masks, classes=[*classes[:2], "c", "void"])) == ["list"]


def test_a_picture_that_is_dim_everywhere_is_no_layer(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "transparent")
    section = {"images": images, "masks": masks}
    Image.new("RGBA", (40, 40), (255, 0, 0, 128)).save(masks / "0.png")
    data = DataConfig.model_validate({**section, "mask_colours": {"#ff0000": "disc"}})
    with fails(DataError, "mask-alpha"):
        open_source(data, Task.binary("disc")).read("0")


@pytest.mark.parametrize("transparency", [0, b"\x00\xff\xff", b"\x10"])
def test_indices_that_a_palette_hides_are_void_if_a_setting_says_so(
    tmp_path: Path, transparency: int | bytes
) -> None:
    images, masks = strokes(tmp_path, "transparent")
    for path in masks.iterdir():
        pixels = np.asarray(Image.open(path))
        ids = np.where(pixels[..., 3] == 0, 0, np.where(pixels[..., 0] == 255, 1, 2))
        picture = Image.fromarray(ids.astype(np.uint8), "P")
        picture.putpalette([0, 0, 0, *RED, *BLUE])
        picture.save(path, transparency=transparency)
    values = "data.mask_values={1: disc, 2: background}"
    task = Task.binary("disc")
    section = {"images": images, "masks": masks, "mask_values": {1: "disc", 2: "background"}}
    data = DataConfig.model_validate({**section, "transparent": "void"})
    expected = np.array([VOID, 1, 0], np.uint8)[np.asarray(Image.open(masks / "0.png"))]
    np.testing.assert_array_equal(open_source(data, task).read("0").mask, expected)
    with fails(DataError, "mask-values"):
        open_source(DataConfig.model_validate(section), task).read("0")
    found = inspect(images, masks, settings=["data.transparent=void", values])
    assert found.summary().void_share == pytest.approx((expected == VOID).mean(), abs=0.01)
    found = inspect(images, masks, classes=["disc", "ground"], settings=["data.transparent=void"])
    assert found.task.classes == ("disc", "ground")


def test_a_grey_that_the_file_hides_is_void_if_a_setting_says_so(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "grey")
    for path in masks.iterdir():
        values = np.asarray(Image.open(path))
        Image.fromarray(np.where(values == VOID, 7, values)).save(path, transparency=7)
    stored = np.asarray(Image.open(masks / "0.png"))
    section = {"images": images, "masks": masks, "transparent": "void"}
    found = open_source(DataConfig.model_validate(section), Task.binary("disc")).read("0").mask
    np.testing.assert_array_equal(found, np.where(stored == 7, VOID, stored))
    inspected = inspect(images, masks, settings=["data.transparent=void"])
    assert inspected.task.kind == "binary"
    assert inspected.summary().void_share > 0.9


@pytest.mark.parametrize("yes", [1, 255])
@pytest.mark.parametrize("classes", [["void", "disc"], ["disc", "void"]])
def test_void_among_two_names_is_no_class(tmp_path: Path, yes: int, classes: list[str]) -> None:
    images, masks = strokes(tmp_path, "white")
    stored = np.zeros((40, 40), np.uint8)
    stored[:10] = yes
    for path in masks.iterdir():
        Image.fromarray(stored).save(path)
    found = inspect(images, masks, classes=classes)
    assert found.task == Task.binary("disc")
    share = (stored == [0, yes][classes.index("void")]).mean()
    assert found.summary().void_share == pytest.approx(share)
    assert "never-absent" in codes(found)
    assert codes(inspect(images, masks, classes=["void"])) == ["list"]


def test_255_is_void_with_a_name_and_without(tmp_path: Path) -> None:
    images, masks = strokes(tmp_path, "white")
    stored = np.full((40, 40), VOID, np.uint8)
    stored[:5] = 1
    stored[5:9] = 2
    for path in masks.iterdir():
        Image.fromarray(stored).save(path)
    for classes in (["a", "b", "void"], ["a", "b"]):
        found = inspect(images, masks, classes=classes)
        assert found.task == Task.multiclass(["a", "b"])
        assert found.summary().void_share == pytest.approx((stored == VOID).mean())
    stored[20:25] = 3
    for path in masks.iterdir():
        Image.fromarray(stored).save(path)
    found = inspect(images, masks, classes=["a", "void", "b"])
    assert found.task == Task.multiclass(["a", "b"])
    assert found.config is not None
    assert found.config.data.mask_values == {1: "a", 2: "void", 3: "b", VOID: "void"}
