"""`segkit inspect` as a user calls it: text, JSON, page, exit status. It never imports Keras.

`SEGKIT_REWRITE_GOLDEN=1 pytest tests/light/cli/test_inspect_command.py` writes the text anew.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import Task
from segkit.cli import main
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.inspection.inspect import Inspection, as_json, inspect_parts
from segkit.inspection.report import examples

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "inspect_lobes.txt"
SIZE = (48, 64)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, (*SIZE, 3)).astype(np.uint8)


def lobes(seed: int) -> np.ndarray:
    """Return ids: two boxes side by side, and a rim of unlabelled pixels."""
    mask = np.zeros(SIZE, np.uint8)
    mask[8:30, 6 + seed : 26 + seed], mask[10:32, 36:56], mask[40:, :] = 1, 2, 255
    return mask


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `images` and `masks` of ids; the commands run in it."""
    for seed in range(6):
        save(tmp_path / "images" / f"slice_{seed}.png", image(seed))
        save(tmp_path / "masks" / f"slice_{seed}.png", lobes(seed))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    try:
        return main(["inspect", *arguments])
    except SystemExit as end:
        return int(end.code or 0)


def without_time(text: str) -> str:
    return re.sub(r"in \d+\.\d s", "in 0.0 s", text)


def test_the_text_is_the_golden_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(data / "images" / "slice_6.png", image(0))
    save(data / "masks" / "slice_6.png", lobes(0))
    assert run("images", "masks", "--classes", "background,left lobe,right lobe") == 0
    text = without_time(capsys.readouterr().out)
    if os.environ.get("SEGKIT_REWRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def numbers(found: dict[str, Any]) -> dict[str, Any]:
    """Count in the written files what the JSON says."""
    masks = [lobes(seed) for seed in range(6)]
    return {
        "pixels": [sum(int((mask == i).sum()) for mask in masks) for i in range(3)],
        "void": sum(int((mask == 255).sum()) for mask in masks) / (6 * SIZE[0] * SIZE[1]),
    }


def test_the_json_is_complete_and_true(data: Path) -> None:
    assert run("images", "masks", "--json", "out/report.json") == 0
    found = json.loads((data / "out" / "report.json").read_text(encoding="utf-8"))
    counted = numbers(found)
    assert found["samples"] == {"train": 6, "validation": 0, "test": 0}
    assert (found["unreadable"], found["overlap_pixels"], found["empty_masks"]) == (0, 0, 0)
    assert [facts["pixels"] for facts in found["classes"].values()] == counted["pixels"]
    assert found["void_share"] == pytest.approx(counted["void"], abs=1e-6)
    one = found["classes"]["class_1"]
    labelled = sum(counted["pixels"])
    assert one["share"] == pytest.approx(counted["pixels"][1] / labelled, abs=1e-6)
    assert (one["images"], one["pieces"], one["piece_area_10_50_90"]) == (6, 6, [440, 440, 440])
    assert found["images"]["height"] == {"smallest": 48, "median": 48.0, "largest": 48}
    assert (found["images"]["dtype"], found["images"]["bands"]) == (["uint8"], [3])
    pixels = np.median([np.percentile(image(s).reshape(-1, 3), 50, axis=0) for s in range(6)], axis=0)
    assert found["images"]["percentiles"]["50.0"] == pytest.approx(pixels.tolist())
    assert {problem["code"] for problem in found["problems"]} == {"void-value"}
    assert found["verdict"]["kind"] == "exclusive"
    assert found["verdict"]["head"] == "softmax"


class Page(HTMLParser):
    """Keeps the addresses that a page names, its text, and checks that every element ends."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone(data: Path) -> None:
    assert run("images", "masks", "--html", "report.html", "--classes", "background,<b>a & b,[c]") == 0
    text = (data / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "http" not in text
    assert len(page.addresses) == 1
    assert page.addresses[0].startswith("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(page.addresses[0].partition(",")[2])))
    assert picture.width > 400
    assert "<b>a & b" in page.text
    assert "[c]" in page.text
    assert "exclusive, hence softmax" in page.text


def test_names_of_classes_are_no_markup_on_the_screen(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("images", "masks", "--classes", "background,[red]a,[/b]") == 0
    out = capsys.readouterr().out
    assert "[red]a" in out
    assert "[/b]" in out


def test_status_1_and_the_file_if_training_would_be_wrong(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(data / "masks" / "slice_3.png", np.zeros((5, 6), np.uint8))
    assert run("images", "masks", "--json", "report.json", "--html", "report.html") == 1
    out = capsys.readouterr().out
    assert "error mask-size: " in out
    assert "slice_3.png: the mask is 6 wide and 5 high" in out
    assert "verdict: exclusive" in out
    assert json.loads((data / "report.json").read_text())["unreadable"] == 1


def test_images_of_several_kinds_are_told_of(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(data / "images" / "slice_3.png", np.full((*SIZE, 3), 9, np.uint8)[..., 0])
    assert run("images", "masks") == 0
    assert "1 or 3 band(s)" in capsys.readouterr().out
    (data / "images" / "slice_3.png").unlink()
    from segkit.io.images import write_tiff

    write_tiff(data / "images" / "slice_3.tif", np.zeros((*SIZE, 5), np.uint16))
    assert run("images", "masks", "--html", "report.html", "--json", "report.json") == 1
    out = capsys.readouterr().out
    assert "error depth: " in out
    assert "error channels: " in out
    assert "3 or 5 band(s)" in out


def test_nothing_readable_gives_no_verdict(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (data / "images").iterdir():
        path.write_bytes(b"")
    assert run("images", "masks", "--html", "report.html", "--json", "report.json") == 1
    out = capsys.readouterr().out
    assert "error unreadable: " in out
    assert "[6: slice_0, slice_1, slice_2, slice_3, slice_4, ...]" in out
    assert "verdict: none, because no sample could be read" in out
    assert json.loads((data / "report.json").read_text())["verdict"] is None


def test_a_config_says_how_to_read(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = {"kind": "multiclass", "classes": ["background", "left lobe", "right lobe"]}
    values = {"task": task, "data": {"images": "images", "masks": "masks"}, "augment": {"flip_horizontal": False}}
    (data / "config.yaml").write_text(yaml.safe_dump(values))
    assert run("config.yaml") == 0
    out = capsys.readouterr().out
    assert "masks read as: folder, as the config says" in out
    assert "train" in out
    assert run("config.yaml", "--set", "augment.flip_horizontal=true") == 2
    assert "would be learned wrong: left lobe, right lobe" in capsys.readouterr().err
    assert run("config.yaml", "--classes", "a,b,c") == 2


def test_settings_change_how_masks_are_read(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meant = "{0: background, 1: class_1, 2: void, 255: void}"
    assert run("images", "masks", "--set", f"data.mask_values={meant}") == 0
    out = capsys.readouterr().out
    assert "masks read as: values as told" in out
    assert "class_1" in out
    assert "class_2" not in out
    assert run("images", "masks", "--set", "data.mask_valus={}") == 2
    assert "did you mean 'mask_values'?" in capsys.readouterr().err


WRONG = {
    "a folder without images": (["empty", "masks"], "error empty: ", "empty: holds no image; segkit reads .png"),
    "masks that are missing": (["images", "some"], "error unpaired: ", "5 images without a mask of the same name in"),
    "no such folder": (["gone", "masks"], "error unpaired: ", "gone: there is no such folder"),
    "masks not named": (["images"], "error list: ", "give the masks as well"),
    "too few names": (["images", "masks", "--classes", "a,b"], "error list: ", "names 2; the masks hold 3 values"),
}


@pytest.mark.parametrize("way", WRONG)
def test_what_cannot_be_opened_is_a_problem_with_a_code(
    data: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    (data / "empty").mkdir()
    save(data / "some" / "slice_1.png", lobes(1))
    arguments, *words = WRONG[way]
    assert run(*arguments, "--json", "report.json", "--html", "report.html") == 1
    out = capsys.readouterr().out
    assert all(word in out for word in words)
    assert "verdict: none" in out
    report = json.loads((data / "report.json").read_text(encoding="utf-8"))
    assert (report["verdict"], report["images"], len(report["problems"])) == (None, None, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.yaml"], "gone.yaml: cannot be read"),
        ([], "IMAGES"),
        (["images", "masks", "--set", "data"], "is written section.setting=value"),
        (["images", "masks", "--clases", "a"], "--clases"),
    ],
)
def test_a_wrong_command_ends_with_status_2(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(*arguments) == 2
    assert words in capsys.readouterr().err


def test_keras_is_never_imported(data: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from segkit.cli import main\n"
        "try: main(['inspect', '--help'])\n"
        "except SystemExit: pass\n"
        "status = main(['inspect', 'images', 'masks', '--json', 'a.json', '--html', 'a.html'])\n"
        "print('SLOW', [n for n in ('keras', 'tensorflow', 'jax', 'albumentations') if n in sys.modules], status)"
    )
    asked = [sys.executable, "-c", code, str(ROOT)]
    done = subprocess.run(asked, cwd=data, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "SLOW [] 0", done.stderr
    assert "--html FILE" in done.stdout


def inspection(data: Path, task: Task) -> Inspection:
    folders = {"images": data / "images", "masks": data / "masks", "validation": 0.0, "test": 0.0}
    config = Config.model_validate({"task": task.model_dump(), "data": folders})
    return inspect_parts(config, open_parts(config), None)


def test_examples_show_samples_with_objects(data: Path) -> None:
    task = Task.multiclass(["background", "a", "b"])
    for seed in (0, 2, 4):
        save(data / "masks" / f"slice_{seed}.png", np.zeros(SIZE, np.uint8))
    seen = inspection(data, task)
    shown = examples(seen)
    assert shown is not None
    assert shown.dtype == np.uint8
    assert shown.ndim == 3
    found = {tuple(colour) for colour in shown.reshape(-1, 3).tolist()}
    assert task.palette[1] in found
    assert task.palette[2] in found
    none = seen._replace(survey=seen.survey._replace(facts=[]))
    assert examples(none) is None
    assert as_json(none)["images"] is None
