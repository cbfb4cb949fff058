"""The page of a report: what it contains, for every kind of task and for old and missing scores."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import Task
from segkit.data.sources.source import Sample
from segkit.reporting.album import Album
from segkit.reporting.content import MOST_ROWS, Reported, interval_rows, page_values
from segkit.reporting.loss_bars import loss_bars
from segkit.reporting.report import report_html
from segkit.reporting.sentences import verdict_sentences
from tests.helpers.draws import KINDS, task_of
from tests.helpers.reported import HISTORY, report_of, samples_of

pytestmark = pytest.mark.long

HOSTILE = '<img src=x onerror="alert(1)">{{ 7 * 7 }}$x_1$'
LIMIT = 10_000_000


class Page(HTMLParser):
    """Collects headings, the tags with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def anchors(self) -> set[str]:
        return {found["id"] or "" for tag, found in self.tags if tag == "h2" and "id" in found}


@pytest.fixture(scope="module", params=KINDS)
def reported(request: pytest.FixtureRequest) -> Reported:
    task = task_of(request.param)
    return report_of(task, samples_of(task, 30))


@pytest.fixture(scope="module")
def html(reported: Reported) -> str:
    return report_html(reported)


def test_every_section_is_there(reported: Reported, html: str) -> None:
    page = Page(html)
    expected = {
        "scores",
        "training",
        "classes",
        "pictures",
        "images",
        "loss",
        "confusion",
        "reliability",
        "config",
        "environment",
        "again",
    }
    if reported.config.task.thresholds is not None:
        expected.add("thresholds")
    assert page.anchors() == expected
    targets = {found["href"] for tag, found in page.tags if tag == "a"}
    assert targets == {f"#{anchor}" for anchor in expected}
    for name in reported.config.task.classes:
        assert name in page.text


def test_the_page_shows_the_scores_with_intervals(reported: Reported, html: str) -> None:
    text = Page(html).text
    assert reported.scores is not None
    dice = reported.scores["mean"]["dice_foreground"]
    ends = reported.scores["intervals"]["mean"]["dice_foreground"]
    assert f"{dice:.3f}" in verdict_sentences(reported.scores, "the test part", HISTORY)[0]
    assert f"{ends['low']:.3f} to {ends['high']:.3f}" in text
    assert reported.scores["stands_out"] in text
    rows = interval_rows(reported.scores)
    assert rows[0][2] == f"{dice:.3f}"
    assert len(rows) == 2 + 2 * len(reported.config.task.foreground)


def test_pictures_have_descriptions_and_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    pictures = [found for tag, found in page.tags if tag == "img" and "src" in found]
    assert len(pictures) == 4 * 21
    assert all(found["alt"] for found in pictures)
    for tag, found in page.tags:
        for name in ("src", "href", "xlink:href", "action"):
            if name in found:
                assert str(found[name]).startswith(("data:image/", "#")), (tag, name)
    assert not re.search(r"https?:|url\((?!#)|@import", html)
    identifiers = [found["id"] for _, found in page.tags if "id" in found]
    assert len(identifiers) == len(set(identifiers))
    policy = next(found["content"] for tag, found in page.tags if found.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_light_dark_phone_and_print_are_styled(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert 'name="viewport"' in html


def hostile_report(tmp_path: Path) -> Reported:
    task = Task.multiclass(["background", HOSTILE, "b" * 80])
    samples = {}
    for number, sample in enumerate(samples_of(task, 22).values()):
        name = f"{HOSTILE} \x1b[2J {number}"
        samples[name] = sample._replace(name=name)
    found = report_of(task, samples, runs=(tmp_path / "<b>run",))
    return replace(
        found,
        config_text=f"# {HOSTILE}\n</pre><script>alert(2)</script>",
        environment={"command": HOSTILE, "packages": {HOSTILE: HOSTILE}},
        histories={HOSTILE: HISTORY, "other": HISTORY},
    )


def test_names_are_no_markup(tmp_path: Path) -> None:
    html = report_html(hostile_report(tmp_path))
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(name.startswith("on") for _, found in page.tags for name in found)
    assert not any(found.get("src") == "x" for _, found in page.tags)
    assert HOSTILE in page.text
    assert "\x1b" not in html


OLD = {
    "aggregation": "dataset",
    "images": 25,
    "mean": {"dice_foreground": 0.8, "iou_foreground": None, "iou_with_background": 0.7},
    "classes": {
        "liver": {
            "iou": None,
            "dice": 0.8,
            "precision": 0.9,
            "recall": None,
            "pixels_true": 1000,
            "pixels_predicted": 2,
        }
    },
    "absent": [],
}


@pytest.mark.parametrize("missing", [(), ("reliability", "thresholds"), ("intervals", "lost")])
def test_scores_of_older_versions_are_shown(missing: tuple[str, ...]) -> None:
    task = task_of("binary")
    found = report_of(task, samples_of(task, 4))
    scores: dict[str, Any] = dict(OLD)
    if missing:
        scores = dict(found.scores or {})
        for key in missing:
            del scores[key]
    old = replace(found, scores=scores, images=(), chapters=(), histories={}, environment={})
    page = Page(report_html(old))
    assert {"scores", "classes"} <= page.anchors()
    assert not {"pictures", "images", "training"} & page.anchors()
    for key in missing:
        assert key not in page.anchors()


def test_a_run_without_a_test_part_says_that_its_quality_is_unknown() -> None:
    task = task_of("multiclass")
    found = replace(report_of(task, samples_of(task, 2)), scores=None, images=(), chapters=())
    page = Page(report_html(found))
    assert page.anchors() == {"training", "config", "environment", "again"}
    sentences = verdict_sentences(None, "", HISTORY)
    assert len(sentences) == 3
    assert "not known" in sentences[0]
    assert len(verdict_sentences(None, "", [])) == 3


@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_verdict_has_three_sentences(count: int, part: str) -> None:
    task = task_of("multilabel")
    found = report_of(task, samples_of(task, count), part=part)
    assert found.scores is not None
    sentences = verdict_sentences(found.scores, "the part", HISTORY)
    assert len(sentences) == 3
    assert ("optimistic" in sentences[0]) == (part == "validation")
    assert ("95 %" in sentences[0]) == (count >= 20)


def test_the_verdict_names_the_weakest_class_and_its_main_loss() -> None:
    scores = {
        **OLD,
        "classes": {name: {"dice": dice} for name, dice in (("a", 0.9), ("b", 0.5), ("c", None))},
        "lost": {
            "a": {"boundary": 0.1},
            "b": {"boundary": 0.1, "missed": 0.0, "confused with a": 0.4, "rest": 0.0},
            "c": {},
        },
    }
    sentence = verdict_sentences(scores, "the test part", [])[1]
    assert "b with a Dice of 0.500" in sentence
    assert "80 %" in sentence
    assert "confused with a" in sentence


def test_bars_add_up_to_the_loss() -> None:
    losses = {"boundary": 0.1, "missed": 0.0, "confused with a": 0.3, "rest": 0.1}
    bar, small = loss_bars({"b": losses, "c": {"missed": 0.05}, "d": {}}, {})
    assert sum(piece.width for piece in bar.pieces) == pytest.approx(100)
    assert sum(piece.loss for piece in bar.pieces) == pytest.approx(bar.total)
    assert bar.confusions == [("a", 0.3)]
    assert sum(piece.width for piece in small.pieces) == pytest.approx(10)


@pytest.mark.parametrize(
    ("size", "dtype"), [((1, 1), np.uint8), ((33, 31), np.uint16), ((1, 50), np.uint8)]
)
def test_images_of_one_pixel_and_of_16_bits_are_shown(size: tuple[int, int], dtype: type) -> None:
    task = task_of("multilabel")
    samples = {}
    for name, sample in samples_of(task, 3, size).items():
        image = sample.image.astype(dtype)
        if dtype == np.uint16:
            image = image * np.uint16(257)
        samples[name] = Sample(name, image, sample.mask)
    page = Page(report_html(report_of(task, samples)))
    assert len([tag for tag, found in page.tags if tag == "img" and "src" in found]) == 12


def test_a_page_of_noise_stays_below_10_megabytes() -> None:
    task = task_of("binary")
    random = np.random.default_rng(0)
    samples = {}
    for number in range(2):
        image = random.integers(0, 256, (390, 400, 3), np.uint8)
        mask = random.integers(0, 2, (390, 400), np.uint8)
        samples[str(number)] = Sample(str(number), image, mask)
    found = report_of(task, samples)
    html = report_html(found)
    pictures = sum(len(part) for part in re.findall(r"data:image/[^\"]*", html))
    assert pictures / 2 * 21 + len(html) - pictures < LIMIT


def test_a_long_table_shows_the_worst_images() -> None:
    task = task_of("binary")
    album = Album(task, pictures=0)
    found = report_of(task, samples_of(task, 4), album)
    many = [
        image._replace(name=f"{image.name} {number}", group=f"group {number}")
        for number in range(MOST_ROWS // 2)
        for image in found.images
    ]
    values = page_values(replace(found, images=many))
    assert len(values["images"]) == MOST_ROWS
    assert values["more_images"] == MOST_ROWS
    assert values["image_headings"][:3] == ["image", "group", "Dice"]
    dice = [float(row[2]) for row in values["images"]]
    assert dice == sorted(dice)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_the_table_promises_an_interval_only_for_many_images(count: int) -> None:
    task = task_of("multilabel")
    values = page_values(report_of(task, samples_of(task, count)))
    assert any("95 %" in heading for heading in values["interval_headings"]) == (count >= 20)
    assert values["about"].startswith("1 image of" if count == 1 else f"{count} images of")
