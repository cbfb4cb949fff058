"""Settings of the command line change the guess, and left-out files are reported."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit.cli import main
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.errors import DataError
from segkit.inspection.copies_together import placed_in
from segkit.inspection.fingerprint import survey
from segkit.inspection.training_check import check_split
from tests.helpers.command_line import listed_problems, numbers
from tests.helpers.errors import fails, holds

SQUARE = [1.0, 1.0, 6.0, 1.0, 6.0, 6.0, 1.0, 6.0]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def coco(
    folder: Path, annotations: list[dict[str, object]], categories: object = None
) -> tuple[str, str]:
    """Write one image and its annotations; return the arguments of inspect."""
    save(folder / "images" / "a.png", np.random.default_rng(0).integers(0, 256, (8, 8)))
    images = [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}]
    named = (
        [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}] if categories is None else categories
    )
    content = {"images": images, "annotations": annotations, "categories": named}
    (folder / "coco.json").write_text(json.dumps(content))
    return str(folder / "images"), str(folder / "coco.json")


def region(number: int, category: int, polygon: list[float]) -> dict[str, object]:
    return {
        "id": number,
        "image_id": 1,
        "category_id": category,
        "segmentation": [polygon],
        "iscrowd": 0,
    }


def test_skipped_annotations_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = coco(tmp_path, [region(1, 1, SQUARE), region(2, 2, [1.0, 1.0, 2.0, 2.0])])
    assert main(["inspect", *data]) == 1
    assert ("error", "coco-polygon") in levels_and_codes(capsys.readouterr().out)
    assert main(["inspect", *data, "--set", "data.skip_broken=true"]) == 0
    [left_out] = [
        problem
        for problem in listed_problems(capsys.readouterr().out)
        if problem.code == "coco-polygon"
    ]
    assert left_out.level == "warning"
    assert numbers(left_out.message) == [1]


def levels_and_codes(out: str) -> list[tuple[str, str]]:
    """Return level and code of each problem that inspect lists."""
    return [(problem.level, problem.code) for problem in listed_problems(out)]


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "[]", "x", ""])
def test_hostile_json_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    data = coco(tmp_path, [])
    Path(data[1]).write_text(content)
    assert main(["inspect", *data]) == 1
    assert levels_and_codes(capsys.readouterr().out) == [("error", "coco-file")]


def test_categories_without_names_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", *coco(tmp_path, [], [])]) == 1
    assert levels_and_codes(capsys.readouterr().out) == [("error", "list")]


def test_unknown_classes_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *coco(tmp_path, [region(1, 1, SQUARE)]), "--classes", "cat,dgo"]) == 1
    [problem] = listed_problems(capsys.readouterr().out)
    assert (problem.level, problem.code) == ("error", "list")
    for value in ("--classes", "dgo", "cat, dog"):
        assert holds(problem.message, value)


def test_a_list_with_one_column_per_class_is_read(tmp_path: Path) -> None:
    rows = ["image,liver,tumour"]
    for name in "ab":
        save(tmp_path / f"{name}.png", np.random.default_rng(ord(name)).integers(0, 256, (8, 8)))
        for label, place in (("liver", 2), ("tumour", 4)):
            mask = np.zeros((8, 8))
            mask[:place] = 255
            save(tmp_path / f"{name}_{label}.png", mask)
        rows.append(f"{name}.png,{name}_liver.png,{name}_tumour.png")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    assert (
        main(["inspect", str(tmp_path / "list.csv"), "--json", str(tmp_path / "report.json")]) == 0
    )
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {name: facts["pixels"] for name, facts in found["classes"].items()} == {
        "liver": 32,
        "tumour": 64,
    }
    assert found["overlap_pixels"] == 32
    assert (found["verdict"]["kind"], found["verdict"]["head"]) == ("overlapping", "sigmoid")


def test_the_limit_of_pixels_is_raised_by_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    for folder in ("images", "masks"):
        save(tmp_path / folder / "a.png", np.eye(8) * 255)
    folders = [str(tmp_path / "images"), str(tmp_path / "masks")]
    assert main(["inspect", *folders]) == 1
    [problem] = listed_problems(capsys.readouterr().out)
    assert (problem.level, problem.code) == (
        "error",
        "empty",
    )  # the only mask is too large to be read
    assert holds(problem.message, "data.max_pixels")
    assert main(["inspect", *folders, "--set", "data.max_pixels=64"]) == 0


def test_copies_that_a_split_would_separate_are_found(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / "images" / f"{number}.png", np.arange(64).reshape(8, 8))
        save(tmp_path / "masks" / f"{number}.png", np.eye(8))
    data = {
        "images": tmp_path / "images",
        "masks": tmp_path / "masks",
        "validation": 0.0,
        "test": 0.0,
    }
    config = Config.model_validate({"task": {"kind": "binary", "classes": ["x"]}, "data": data})
    found = survey(config.task, open_parts(config))
    before = open_parts(config)
    check_split(config.task, placed_in(before, before, found))
    parted = config.model_copy(update={"data": config.data.model_copy(update={"validation": 0.3})})
    with fails(DataError, "leak"):
        check_split(parted.task, placed_in(open_parts(parted), before, found))


def test_settings_of_the_user_replace_the_guess(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        levels = (
            np.random.default_rng(number).integers(0, 256, (16, 16)).astype(np.uint8)
        )  # refused as it is
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(levels).save(tmp_path / folder / f"{number}.png")
    folders = [str(tmp_path / "images"), str(tmp_path / "masks")]
    assert main(["inspect", *folders]) == 1
    assert ("error", "mask-soft-edges") in levels_and_codes(capsys.readouterr().out)
    assert main(["inspect", *folders, "--set", "data.mask_threshold=128"]) == 0
    assert holds(capsys.readouterr().out, 128)


def test_parts_in_folders_of_their_own_may_use_the_same_names(tmp_path: Path) -> None:
    for part, seed in (("train", 0), ("validation", 9)):
        for number in range(3):
            noise = np.random.default_rng(seed + number).integers(0, 256, (8, 8))
            save(tmp_path / part / "images" / f"{number}.png", noise)
            save(tmp_path / part / "masks" / f"{number}.png", np.eye(8))
    own = {
        part: {kind: str(tmp_path / part / kind) for kind in ("images", "masks")}
        for part in ("train", "validation")
    }
    data = {**own["train"], "validation": own["validation"], "test": 0.0}
    config = Config.model_validate({"task": {"kind": "binary", "classes": ["x"]}, "data": data})
    parts = open_parts(config)
    found = placed_in(parts, parts, survey(config.task, parts))
    check_split(config.task, found)
    names = [(fact.part, fact.name) for fact in found.facts]
    assert sorted(names) == [(part, str(n)) for part in ("train", "validation") for n in range(3)]


def test_trap_46_linked_folders_are_read_and_unread_files_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(["a.png", "b.jfif", "c.ppm", "site/d.jpe"]):
        root = tmp_path / "store" if "/" in name else tmp_path
        stem = name.rpartition(".")[0]
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        suffix_kind = {"png": "PNG", "ppm": "PPM"}.get(name.rpartition(".")[2], "JPEG")
        Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(
            root / "images" / name, suffix_kind
        )
        save(root / "masks" / f"{stem}.png", np.eye(8, 9) * 255 * (number < 4))
    for part in ("images", "masks"):
        (tmp_path / part / "site").symlink_to(tmp_path / "store" / part / "site")
        (tmp_path / part / "round").symlink_to(tmp_path / part)
    (tmp_path / "images" / "e.heic").touch()
    (tmp_path / "images" / "gone").symlink_to("nowhere")
    bad = os.fsdecode(os.fsencode(tmp_path / "images") + b"/\xff.png")
    Path(bad).touch()
    (tmp_path / "images" / "notes.txt").touch()
    data = [str(tmp_path / "images"), str(tmp_path / "masks")]
    assert main(["inspect", *data, "--json", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["samples"]["train"] == 4
    messages = [
        problem["message"] for problem in report["problems"] if problem["code"] == "not-read"
    ]
    for name in (
        "images/e.heic",
        "images/gone",
        r"images/\udcff.png",
        "images/round",
        "masks/round",
    ):
        assert [line for line in messages if line.startswith(f"{tmp_path / name}: ")] != [], name
    assert len(messages) == 5
    shown = capsys.readouterr().out
    assert shown.count("warning not-read: ") == 5
    shown.encode("utf-8")


def test_a_thousand_unread_files_are_listed_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "images" / "a.png", np.random.default_rng(0).integers(0, 256, (8, 8)))
    save(tmp_path / "masks" / "a.png", np.eye(8) * 255)
    for number in range(1000):
        (tmp_path / "images" / f"{number}.dng").touch()
    assert main(["inspect", str(tmp_path / "images"), str(tmp_path / "masks")]) == 0
    lines = capsys.readouterr().out.count("not-read: ")
    assert 50 <= lines <= 60


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_a_pipe_among_images_or_masks_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("images", "masks"):
        for name in ("a", "b"):
            save(tmp_path / part / f"{name}.png", np.eye(8) * 255)
    for part in ("images", "masks"):
        (tmp_path / part / "b.png").unlink()
        os.mkfifo(tmp_path / part / "b.png")
        assert main(["inspect", str(tmp_path / "images"), str(tmp_path / "masks")]) == 1
        assert "error not-a-file: " in capsys.readouterr().out
        (tmp_path / part / "b.png").unlink()
        save(tmp_path / part / "b.png", np.eye(8) * 255)
