"""The page of a report in headless Chromium: views, zoom, sorting, filtering, hostile names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segkit import Task
from segkit.reporting.report import report_html
from tests.helpers.browser import needs_chromium, run_in_page
from tests.helpers.reported import report_of, samples_of

pytestmark = [needs_chromium, pytest.mark.long]
HOSTILE = '<img src=x onerror="document.title=1">'

USE_THE_PAGE = """
const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent);
const visible = (element) => element.checkVisibility();
const seen = () => [...document.querySelectorAll(".view")].filter(visible).length;
const column = (number) =>
  [...document.querySelectorAll("#images-table tbody tr")]
    .filter(visible).map((row) => row.cells[number].textContent);
const type = (selector, value) => {
  const input = document.querySelector(selector);
  input.value = value;
  input.dispatchEvent(new Event("input"));
};
found.all = seen();
document.querySelector('[data-show="errors"]').click();
found.errorsOnly = seen();
found.kinds = [...new Set([...document.querySelectorAll(".view")].filter(visible)
  .map((view) => view.dataset.view))];
document.querySelector('[data-show="all"]').click();
found.again = seen();

const dialog = document.querySelector("dialog");
document.querySelector(".view.truth").click();
await new Promise((resolve) => setTimeout(resolve, 300));
found.opened = dialog.open;
const enlarged = dialog.querySelector("img");
found.enlarged = enlarged.src === document.querySelector(".view.truth img").src;
const before = enlarged.getBoundingClientRect().width;
dialog.querySelector('[data-zoom="1.5"]').click();
found.zoom = enlarged.getBoundingClientRect().width / before;
dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
found.next = dialog.querySelector('[aria-pressed="true"]').dataset.kind;
dialog.querySelector("[data-close]").click();
found.closed = !dialog.open;

found.worstFirst = column(1).map(Number);
const headings = [...document.querySelectorAll("#images-table th")];
headings[1].querySelector("button").click();
found.descending = [headings[1].getAttribute("aria-sort"), column(1).map(Number)];
headings[0].querySelector("button").click();
found.byName = [headings[0].getAttribute("aria-sort"), column(0)];
type("#images-search", "IMAGE 1");
found.searched = column(0);
type("#images-search", "");
type("#images-below", "0.7");
found.below = column(1).map(Number);
found.count = texts("#images-count")[0];
type("#images-below", "");
found.unfiltered = column(1).length;
found.title = document.title;
found.wide = document.documentElement.scrollWidth <= window.innerWidth;
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reader finds who uses every control of a page."""
    task = Task.multilabel([HOSTILE, "tumour"])
    samples = samples_of(task, 25)
    name = f"{HOSTILE} 99"
    samples[name] = samples.pop("image 24")._replace(name=name)
    reported = report_of(task, samples)
    reported = replace(reported, config_text=f"# {HOSTILE}\n{HOSTILE}\n")
    return run_in_page(report_html(reported), USE_THE_PAGE, tmp_path_factory.mktemp("page"))


def test_the_console_is_empty_and_nothing_is_fetched(found: dict[str, Any]) -> None:
    assert found["errors"] == []
    assert found["console"] == []
    assert found["requests"] == []


def test_names_are_text(found: dict[str, Any]) -> None:
    assert found["title"].startswith("segkit report")


def test_one_view_of_each_image_or_all_are_shown(found: dict[str, Any]) -> None:
    assert (found["all"], found["errorsOnly"], found["again"]) == (84, 21, 84)
    assert found["kinds"] == ["errors"]


def test_a_picture_is_enlarged_and_switched(found: dict[str, Any]) -> None:
    assert found["opened"]
    assert found["enlarged"]
    assert found["zoom"] == pytest.approx(1.5, abs=0.05)
    assert found["next"] == "prediction"
    assert found["closed"]


def test_the_table_is_sorted(found: dict[str, Any]) -> None:
    assert found["worstFirst"] == sorted(found["worstFirst"])
    order, dice = found["descending"]
    assert order == "descending"
    assert dice == sorted(dice, reverse=True)
    order, names = found["byName"]
    assert order == "ascending"
    assert names[0] == f"{HOSTILE} 99"
    assert names[1:] == [f"image {number:02}" for number in range(24)]


def test_the_table_is_filtered(found: dict[str, Any]) -> None:
    assert found["searched"] == [f"image {number}" for number in range(10, 20)]
    below = found["below"]
    assert 0 < len(below) < 25
    assert max(below) < 0.7
    assert found["count"].startswith(f"{len(below)} of 25")
    assert found["unfiltered"] == 25


@pytest.mark.parametrize("scores", ["old", "none"])
def test_pages_with_less_content_have_no_error_either(tmp_path: Path, scores: str) -> None:
    task = Task.binary()
    reported = report_of(task, samples_of(task, 2))
    reported = replace(reported, images=(), chapters=())
    if scores == "none":
        reported = replace(reported, scores=None)
    found = run_in_page(
        report_html(reported), "found.js = document.documentElement.className;", tmp_path
    )
    assert found["errors"] == []
    assert found["console"] == []
    assert found["js"] == "js"
