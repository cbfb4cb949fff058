"""The page "Which head do I need?": its pictures, code, links and quoted verdicts."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit import Task
from segkit.cli import main

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "which-head.md"
SCRIPT = ROOT / "docs" / "which-head" / "make_pictures.py"
TEXT = PAGE.read_text(encoding="utf-8")
PICTURES = sorted(path.name for path in SCRIPT.parent.glob("*.png"))
SAID = re.findall(r"`(?:segkit\.)?(Task\.[^`\n]+\))`", TEXT)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    runpy.run_path(str(SCRIPT))["main"](folder)
    return folder


def test_the_script_draws_all_pictures_and_the_page_shows_them_all(
    drawn: Path,
) -> None:
    shown = re.findall(r"!\[[^]]+\]\(which-head/([^)]+)\)", TEXT)
    assert sorted(path.name for path in drawn.iterdir()) == PICTURES == sorted(shown)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_script_draws(name: str, drawn: Path) -> None:
    with Image.open(SCRIPT.parent / name) as committed, Image.open(drawn / name) as new:
        np.testing.assert_array_equal(np.asarray(committed), np.asarray(new))
    assert (SCRIPT.parent / name).stat().st_size < 100_000


@pytest.mark.parametrize(
    "block", re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
)
def test_python_block_runs_and_what_it_asserts_holds(block: str) -> None:
    assert "assert" in block
    exec(compile(block, str(PAGE), "exec"), {})


@pytest.mark.parametrize(
    "page", [PAGE, ROOT / "docs" / "how-to" / "inspect-and-plan.md"], ids=lambda page: page.name
)
def test_links_have_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert links
    assert [
        link for link in links if not link.startswith("http") and not (page.parent / link).exists()
    ] == []


@pytest.mark.parametrize("said", sorted(set(SAID)))
def test_tasks_on_the_page_can_be_made(said: str) -> None:
    assert eval(said, {"Task": Task})


def test_each_row_of_the_table_names_the_head_and_the_loss_of_its_task() -> None:
    rows = [
        line.split("|")[1:-1]
        for line in TEXT.splitlines()
        if line.startswith("|") and "Task." in line
    ]
    assert len(rows) == 5
    for _, head, loss, _, decoding, said in rows:
        task = eval(said.strip(" `"), {"Task": Task})
        assert task.activation in head
        assert task.cross_entropy.partition("_")[0] in loss
        assert ("highest" if task.exclusive else "threshold") in decoding


@pytest.mark.parametrize(
    ("config", "kind"),
    [("shapes_binary", "binary"), ("shapes", "exclusive"), ("shapes_multilabel", "overlapping")],
)
def test_inspect_finds_the_verdict_and_the_numbers_on_the_page(
    config: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = re.findall(rf"^\|[^|]+\| {kind}, hence (\w+) \| ([^|]+) \|", TEXT, re.MULTILINE)
    out = str(tmp_path / "shapes")
    path = str(ROOT / "configs" / f"{config}.yaml")
    assert main(["convert", path, "--out", out, "--set", "data.count=40"]) == 0
    assert main(["inspect", f"{out}/images", f"{out}/masks"]) == 0
    verdict = capsys.readouterr().out.splitlines()[-1]
    head, reason = row
    assert verdict.startswith(f"verdict: {kind}")
    assert head in verdict
    numbers = re.findall(r"\d[\d,.]*\d|\d", reason)
    assert [number for number in numbers if number not in verdict] == []
