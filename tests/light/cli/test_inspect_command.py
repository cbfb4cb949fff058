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
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import Task
from segkit.cli import main
from segkit.config import Config, read
from segkit.data.parts import open_parts
from segkit.errors import ConfigError
from segkit.inspection.examples import examples
from segkit.inspection.inspect import Inspection, as_json, inspect_parts
from segkit.io.overlay import overlay_palette
from tests.helpers.command_line import assert_fails, listed_problems, numbers
from tests.helpers.errors import holds

pytestmark = pytest.mark.long

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


def count_pixels() -> dict[str, Any]:
    """Count in the written files what the JSON says."""
    masks = [lobes(seed) for seed in range(6)]
    return {
        "pixels": [sum(int((mask == i).sum()) for mask in masks) for i in range(3)],
        "void": sum(int((mask == 255).sum()) for mask in masks) / (6 * SIZE[0] * SIZE[1]),
    }


def test_the_json_is_complete_and_true(data: Path) -> None:
    assert run("images", "masks", "--json", "out/report.json") == 0
    found = json.loads((data / "out" / "report.json").read_text(encoding="utf-8"))
    counted = count_pixels()
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
    pixels = np.median(
        [np.percentile(image(s).reshape(-1, 3), 50, axis=0) for s in range(6)], axis=0
    )
    assert found["images"]["percentiles"]["50.0"] == pytest.approx(pixels.tolist())
    assert {problem["code"] for problem in found["problems"]} == {"void-value", "few-images"}
    assert found["verdict"]["kind"] == "exclusive"
    assert found["verdict"]["head"] == "softmax"


class Page(HTMLParser):
    """Collects addresses, text, tags and classes of a page, and checks that every element ends."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.title = ""
        self.tags: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.classes[dict(attrs).get("class") or ""] += 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"
        if self.open and self.open[0] == "html" and self.open[-1] == "title":
            self.title += data


def test_the_page_stands_alone(data: Path) -> None:
    assert (
        run("images", "masks", "--html", "report.html", "--classes", "background,<b>a & b,[c]") == 0
    )
    text = (data / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "http" not in text.replace("http-equiv", "")
    assert len(page.addresses) == 6
    for address in page.addresses:
        assert address.startswith("data:image/png;base64,")
        picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert picture.width > 400
    for seed in range(6):
        assert holds(page.text, f"slice_{seed} (train)")
    assert "<b>a & b" in page.text
    assert "[c]" in page.text
    assert holds(page.text, "exclusive")
    assert holds(page.text, "softmax")
    assert "images" in page.title
    assert "masks" in page.title
    assert holds(page.text, "6 images")
    assert holds(page.text, "64 x 48")
    assert page.tags["svg"] == 4  # brightness, foreground, and the pieces of two classes


def test_the_page_says_that_there_is_no_problem(data: Path) -> None:
    for seed in range(6, 24):
        save(data / "images" / f"slice_{seed}.png", image(seed))
        save(data / "masks" / f"slice_{seed}.png", lobes(seed % 6) % 2)
    for seed in range(6):
        save(data / "masks" / f"slice_{seed}.png", lobes(seed) % 2)
    assert run("images", "masks", "--html", "report.html", "--json", "report.json") == 0
    assert report_of(data)["problems"] == []
    page = Page()
    page.feed((data / "report.html").read_text(encoding="utf-8"))
    assert page.classes["card good"] == 1
    assert page.classes["card warning"] == page.classes["card error"] == 0


def test_the_page_of_data_that_cannot_be_opened_has_the_problem(data: Path) -> None:
    assert run("images", "gone", "--html", "report.html") == 1
    page = Page()
    page.feed((data / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.classes["card error"] == 1
    assert holds(page.text, "unpaired")
    assert page.addresses == []


def test_names_of_classes_are_no_markup_on_the_screen(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("images", "masks", "--classes", "background,[red]a,[/b]") == 0
    out = capsys.readouterr().out
    assert "[red]a" in out
    assert "[/b]" in out


def report_of(folder: Path) -> dict[str, Any]:
    """Return what was written by `--json report.json`."""
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_status_1_and_the_file_if_training_would_be_wrong(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(data / "masks" / "slice_3.png", np.zeros((5, 6), np.uint8))
    assert run("images", "masks", "--json", "report.json", "--html", "report.html") == 1
    out = capsys.readouterr().out
    wrong, _, guessed = listed_problems(out)
    assert (wrong.level, wrong.code, guessed.level) == ("error", "mask-size", "warning")
    assert holds(wrong.message, data / "masks" / "slice_3.png")
    assert numbers(wrong.message) == [
        6,
        5,
        64,
        48,
    ]  # width and height of the mask, then of the image
    verdict = out.splitlines()[-1]
    assert holds(verdict, "verdict: exclusive")
    assert holds(verdict, "softmax")
    assert report_of(data)["unreadable"] == 1


def test_images_of_several_kinds_are_reported(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(data / "images" / "slice_3.png", np.full((*SIZE, 3), 9, np.uint8)[..., 0])
    assert run("images", "masks", "--json", "report.json") == 0
    assert report_of(data)["images"]["bands"] == [1, 3]
    capsys.readouterr()
    (data / "images" / "slice_3.png").unlink()
    from segkit.io.images import write_tiff

    write_tiff(data / "images" / "slice_3.tif", np.zeros((*SIZE, 5), np.uint16))
    assert run("images", "masks", "--html", "report.html", "--json", "report.json") == 1
    errors = [
        problem.code
        for problem in listed_problems(capsys.readouterr().out)
        if problem.level == "error"
    ]
    assert errors == ["depth", "channels"]
    assert report_of(data)["images"]["bands"] == [3, 5]


def test_nothing_readable_gives_no_verdict(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (data / "images").iterdir():
        path.write_bytes(b"")
    assert run("images", "masks", "--html", "report.html", "--json", "report.json") == 1
    out = capsys.readouterr().out
    problem, _, guessed = listed_problems(out)
    assert (problem.level, problem.code, guessed.level) == ("error", "unreadable", "warning")
    assert problem.message.endswith("[6: slice_0, slice_1, slice_2, slice_3, slice_4, ...]")
    assert holds(out.splitlines()[-1], "verdict: none")
    assert report_of(data)["verdict"] is None


def test_a_config_says_how_to_read(data: Path) -> None:
    task = {"kind": "multiclass", "classes": ["background", "left lobe", "right lobe"]}
    values = {
        "task": task,
        "data": {"images": "images", "masks": "masks"},
        "augment": {"flip_horizontal": False},
    }
    (data / "config.yaml").write_text(yaml.safe_dump(values))
    assert run("config.yaml", "--json", "report.json") == 0
    found = report_of(data)
    assert list(found["classes"]) == task["classes"]
    assert found["samples"] == {
        part: len(subset) for part, subset in open_parts(read(data / "config.yaml")).items()
    }
    flipped = ["inspect", "config.yaml", "--set", "augment.flip_horizontal=true"]
    assert_fails(flipped, ConfigError, "not-for-task", "left lobe, right lobe", setting="augment")
    assert_fails(
        ["inspect", "config.yaml", "--classes", "a,b,c"],
        ConfigError,
        "contradiction",
        setting="--classes",
    )


def test_settings_change_how_masks_are_read(data: Path) -> None:
    meant = "{0: background, 1: class_1, 2: void, 255: void}"
    assert (
        run("images", "masks", "--set", f"data.mask_values={meant}", "--json", "report.json") == 0
    )
    found = report_of(data)
    masks = np.stack([lobes(seed) for seed in range(6)])
    pixels = {name: facts["pixels"] for name, facts in found["classes"].items()}
    assert pixels == {"background": (masks == 0).sum(), "class_1": (masks == 1).sum()}
    assert found["void_share"] == pytest.approx((masks > 1).mean(), abs=1e-6)
    mistyped = ["inspect", "images", "masks", "--set", "data.mask_valus={}"]
    assert_fails(
        mistyped, ConfigError, "unknown-setting", "'mask_values'", setting="data.mask_valus"
    )


WRONG: dict[str, tuple[list[str], str, tuple[object, ...]]] = {
    "a folder without images": (["empty", "masks"], "empty", ("empty", ".png")),
    "masks that are missing": (["images", "some"], "unpaired", (5, "some", "slice_0, slice_2")),
    "no such folder": (["gone", "masks"], "unpaired", ("gone",)),
    "masks not named": (["images"], "list", ("images",)),
    "too few names": (
        ["images", "masks", "--classes", "a,b"],
        "list",
        ("--classes", 2, 3, "[0, 1, 2]"),
    ),
}
"""Arguments, the code of the problem, and values in its message."""


@pytest.mark.parametrize("way", WRONG)
def test_what_cannot_be_opened_is_a_problem_with_a_code(
    data: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    (data / "empty").mkdir()
    save(data / "some" / "slice_1.png", lobes(1))
    arguments, code, values = WRONG[way]
    assert run(*arguments, "--json", "report.json", "--html", "report.html") == 1
    out = capsys.readouterr().out
    [problem] = listed_problems(out)
    assert (problem.level, problem.code) == ("error", code)
    assert [value for value in values if not holds(problem.message, value)] == []
    assert holds(out.splitlines()[-1], "verdict: none")
    report = report_of(data)
    assert (report["verdict"], report["images"], len(report["problems"])) == (None, {}, 1)


def test_a_wrong_command_ends_with_status_2(data: Path) -> None:
    assert_fails(["inspect", "gone.yaml"], ConfigError, "missing-file", "gone.yaml")
    incomplete = ["inspect", "images", "masks", "--set", "data"]
    assert_fails(
        incomplete, ConfigError, "wrong-value", "data", "section.setting=value", setting="--set"
    )


@pytest.mark.parametrize(
    ("arguments", "named"), [([], "IMAGES"), (["images", "masks", "--clases", "a"], "--clases")]
)
def test_a_wrong_argument_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert run(*arguments) == 2
    assert holds(capsys.readouterr().err.splitlines()[-1], named)


def test_keras_is_never_imported(data: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from segkit.cli import main\n"
        "try: main(['inspect', '--help'])\n"
        "except SystemExit: pass\n"
        "status = main(['inspect', 'images', 'masks', '--json', 'a.json', '--html', 'a.html'])\n"
        "slow = {'keras', 'tensorflow', 'jax', 'albumentations'} & set(sys.modules)\n"
        "print('SLOW', sorted(slow), status)"
    )
    command = [sys.executable, "-c", code, str(ROOT)]
    done = subprocess.run(command, cwd=data, capture_output=True, text=True, timeout=60)
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
    palette = overlay_palette(task)
    assert palette[1] in found
    assert palette[2] in found
    none = seen._replace(survey=seen.survey._replace(facts=[]))
    assert examples(none) is None
    assert as_json(none)["images"] == {}
