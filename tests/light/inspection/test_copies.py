"""Equal image files in two parts are found before anything is decoded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit import DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.parts import open_parts
from segkit.data.sources.coco import open_coco
from segkit.data.sources.source import Subset
from segkit.inspection import duplicate_files as copies
from segkit.inspection import training_check as checking
from segkit.inspection.duplicate_files import copied_files
from segkit.inspection.fingerprint import survey
from segkit.inspection.training_check import check_training_data
from tests.helpers.errors import fails

CRACK = Task.binary("crack")


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def save(
    folder: Path, part: str, images: dict[str, np.ndarray], suffix: str = ".png", mask: int = 1
) -> None:
    for kind in ("images", "masks"):
        (folder / part / kind).mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / part / "images" / f"{name}{suffix}")
        Image.fromarray(np.full(pixels.shape[:2], mask, np.uint8)).save(
            folder / part / "masks" / f"{name}.png"
        )


def parts(folder: Path) -> dict[str, Subset]:
    data = {"images": folder / "train/images", "masks": folder / "train/masks", "test": 0.0}
    data["validation"] = {"images": folder / "val/images", "masks": folder / "val/masks"}
    return open_parts(Config.model_validate({"task": CRACK.model_dump(), "data": data}))


def names(groups: list[list[copies.Placed]]) -> list[list[str]]:
    return [[f"{placed.name} ({placed.part})" for placed in group] for group in groups]


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as problem:
        check_training_data(CRACK, parts(folder))
    assert problem.value.code == "leak"
    return str(problem.value)


def test_equal_files_are_found_across_parts_only(tmp_path: Path) -> None:
    save(tmp_path, "train", {"a": image(1), "b": image(2), "c": image(3), "d": image(3)})
    save(
        tmp_path, "val", {"a": image(4), "e": image(2), "f": image(1), "g": image(5), "h": image(5)}
    )
    found = names(copied_files(parts(tmp_path), 60))
    assert found == [["a (train)", "f (validation)"], ["b (train)", "e (validation)"]]


def test_files_with_equal_size_and_end_but_other_content_are_not_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = image(1), image(1)
    other[0, 0] ^= 255  # a BMP is stored from the bottom up
    save(tmp_path, "train", {"a": one[::-1]}, ".bmp")
    save(tmp_path, "val", {"b": other[::-1]}, ".bmp")
    monkeypatch.setattr(copies, "END", 16)
    sizes = {path.stat().st_size for path in tmp_path.glob("*/images/*")}
    assert len(sizes) == 1
    assert copied_files(parts(tmp_path), 60) == []
    save(tmp_path, "val", {"b": one[::-1]}, ".bmp")
    assert len(copied_files(parts(tmp_path), 60)) == 1


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for part in ("train", "val"):
        save(tmp_path, part, {"endless": image(1), part: image(len(part))})
        endless = tmp_path / part / "images" / "endless.png"
        endless.unlink()
        endless.symlink_to("/dev/zero")
    assert copied_files(parts(tmp_path), 60) == []


def test_a_link_out_of_a_coco_folder_is_not_opened(tmp_path: Path) -> None:
    """A file in the folders of both parts is a copy; a link to a file outside is not read."""
    (tmp_path / "outside.png").write_bytes(b"the same")
    given: dict[str, Subset] = {}
    for part in ("train", "validation"):
        folder = tmp_path / part
        folder.mkdir()
        (folder / "a.png").symlink_to(tmp_path / "outside.png")
        picture = {"id": 1, "file_name": "a.png", "width": 2, "height": 2}
        content = {
            "images": [picture],
            "annotations": [],
            "categories": [{"id": 1, "name": "crack"}],
        }
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
        source = open_coco(
            DataConfig(source="coco", images=folder, annotations=tmp_path / f"{part}.json"), CRACK
        )
        given[part] = Subset(source, source.names)
    assert copied_files(given, 60) == []
    for part in given:
        (tmp_path / part / "a.png").unlink()
        (tmp_path / part / "a.png").write_bytes(b"the same")
    assert len(copied_files(given, 60)) == 1


def test_nothing_is_decoded_and_the_message_is_that_of_reading_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "train", {"a": image(1), "b": image(2)})
    save(tmp_path, "val", {"c": image(2)})
    with monkeypatch.context() as patch:
        patch.setattr(checking, "survey", lambda *_, **__: pytest.fail("all samples were read"))
        soon = refusal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(checking, "copied_files", lambda *_: [])
        late = refusal(tmp_path)
    assert "leak: " in soon
    assert "b (train) = c (validation)" in soon
    assert soon == late + "\n(stopped after 0 of 3 samples; `segkit inspect` reads them all)"


def test_copies_in_other_formats_are_found_by_reading(tmp_path: Path) -> None:
    save(tmp_path, "train", {"a": image(1)})
    save(tmp_path, "val", {"b": image(1)}, ".bmp")
    assert copied_files(parts(tmp_path), 60) == []
    assert "a (train) = b (validation)" in refusal(tmp_path)


def test_copies_of_unusable_files_are_reported_as_unusable(tmp_path: Path) -> None:
    save(tmp_path, "train", {"a": image(1), "b": image(2)})
    save(tmp_path, "val", {"c": image(3), "d": image(4)})
    for part, name in (("train", "a"), ("val", "c")):
        (tmp_path / part / "images" / f"{name}.png").write_bytes(b"torn")
    assert len(copied_files(parts(tmp_path), 60)) == 1
    with fails(DataError, "unreadable"):
        check_training_data(CRACK, parts(tmp_path))
    assert len(check_training_data(CRACK, parts(tmp_path), skip_broken=True).warnings) == 1


def test_trap_45_copies_of_blank_files_are_not_a_leak(tmp_path: Path) -> None:
    blank = np.full((20, 30, 3), 255, np.uint8)
    save(tmp_path, "train", {"a": image(1), "c": image(3)})
    save(tmp_path, "val", {"b": image(2)})
    for part in ("train", "val"):
        save(tmp_path, part, {f"blank {part}": blank}, mask=0)
    assert len(copied_files(parts(tmp_path), 60)) == 1
    assert [problem.code for problem in check_training_data(CRACK, parts(tmp_path)).warnings] == [
        "flat-image"
    ]
    save(tmp_path, "val", {"d": image(3)})
    assert "c (train) = d (validation)" in refusal(tmp_path)


def test_nothing_is_found_without_time_or_files(tmp_path: Path) -> None:
    save(tmp_path, "train", {"a": image(1)})
    save(tmp_path, "val", {"b": image(1)})
    opened = parts(tmp_path)
    assert copied_files(opened, -1) == []
    (tmp_path / "train/images/a.png").unlink()
    assert copied_files(opened, 60) == []
    shapes = open_parts(
        Config.model_validate(
            {"task": Task.multilabel(["disc"]), "data": {"source": "shapes", "count": 9}}
        )
    )
    assert copied_files(shapes, 60) == []
    assert len(survey(Task.multilabel(["disc"]), shapes).facts) == 9
