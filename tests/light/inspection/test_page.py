"""HTML pages: histograms, escaped text, and the examples that a page shows."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, DataError, Task
from segkit.data.sources.source import Sample, Subset
from segkit.html.page import make_histogram
from segkit.inspection.examples import EXAMPLES, choose_examples, example_pair
from segkit.inspection.fingerprint import SampleFingerprint, facts_of, survey
from segkit.inspection.inspect import Inspection, unopened
from segkit.inspection.report import inspection_html, size_rows
from tests.helpers.problem_data import CRACK, Memory


def facts(task: Task, masks: list[np.ndarray]) -> list[SampleFingerprint]:
    """Return the fingerprints of masks on black images."""
    found = []
    for number, mask in enumerate(masks):
        sample = Sample(str(number), np.zeros((*mask.shape[:2], 1), np.uint8), mask)
        found.append(facts_of(task, "train", sample, task.encode(mask, "", VOID)))
    return found


@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=1, max_size=20))
def test_examples_show_every_class_that_occurs(classes_of_images: list[list[int]]) -> None:
    task = Task.multiclass([f"class {index}" for index in range(12)])
    masks = [np.array([[0, *classes]], np.uint8) for classes in classes_of_images]
    samples = facts(task, masks)
    chosen = choose_examples(task, samples)
    shown = {index for fact in chosen for index in task.foreground if fact.classes[index]}
    expected = {index for fact in samples for index in task.foreground if fact.classes[index]}
    assert shown == expected
    names = [fact.name for fact in chosen]
    assert names == sorted(set(names), key=int)
    with_objects = [mask for mask in masks if task.foreground and set(mask.ravel()) - {0}]
    assert len(chosen) >= min(EXAMPLES, len(with_objects) or len(masks))


def test_a_rare_class_has_an_example() -> None:
    task = Task.multiclass(["background", "common", "rare"])
    masks = [np.ones((2, 2), np.uint8) for _ in range(100)]
    masks[57][0, 0] = 2
    names = [fact.name for fact in choose_examples(task, facts(task, masks))]
    assert "57" in names
    assert len(names) == EXAMPLES


def test_no_sample_gives_no_example() -> None:
    assert choose_examples(CRACK, []) == []


@given(
    st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50),
    st.booleans(),
)
def test_the_bars_of_a_histogram_hold_all_values(values: list[float], logarithmic: bool) -> None:
    histogram = make_histogram("", values, "images", logarithmic)
    assert histogram is not None
    counts = [int(bar.label.split(": ")[1].split()[0]) for bar in histogram.bars]
    assert sum(counts) == len(values)
    assert max(bar.height for bar in histogram.bars) == 1
    for bar, count in zip(histogram.bars, counts, strict=True):
        assert bar.height == pytest.approx(count / max(counts), abs=1e-4)


def test_a_histogram_of_equal_values_has_one_bar() -> None:
    histogram = make_histogram("", [7.0, 7.0], "images")
    assert histogram is not None
    assert histogram.axis == ["7"]
    assert [bar.label for bar in histogram.bars] == ["7 to 7: 2 images"]


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_without_a_value_there_is_no_histogram(values: list[float]) -> None:
    assert make_histogram("", values, "images") is None


def test_the_logarithmic_axis_has_its_middle_at_the_geometric_mean() -> None:
    histogram = make_histogram("", [1, 100], "pieces", logarithmic=True)
    assert histogram is not None
    assert histogram.axis == ["1", "10", "100"]


def test_sizes_are_counted_and_the_rare_ones_summed_up() -> None:
    shapes = [(4, 6)] * 3 + [(1, width) for width in range(1, 13)]
    rows = size_rows(facts(CRACK, [np.zeros(shape, np.uint8) for shape in shapes]))
    assert rows[0] == ("6 x 4", "3")
    assert sum(int(count) for _, count in rows) == len(shapes)


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


def test_text_is_no_markup_and_has_no_control_characters() -> None:
    text = inspection_html(unopened(DataError("<script>\x1b{{ 7 * 7 }}", "empty"), "<b>&\x07"))
    tags = Tags()
    tags.feed(text)
    assert "script" not in tags.found
    assert "b" in tags.found  # the problem's level, and not the path
    assert "&lt;b&gt;&amp;\\x07" in text
    assert "{{ 7 * 7 }}" in text
    assert "\x1b" not in text


def test_a_page_has_a_light_and_a_dark_mode_and_fits_a_phone() -> None:
    text = inspection_html(unopened(DataError("nothing", "empty")))
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    assert "http:" not in text
    assert "https:" not in text


@pytest.mark.parametrize(("shape", "size"), [((40, 20), (640, 320)), ((5000, 20), (640, 3))])
def test_examples_have_a_limited_height(shape: tuple[int, int], size: tuple[int, int]) -> None:
    sample = Sample("a", np.zeros((*shape, 3), np.uint8), np.ones(shape, np.uint8))
    parts = {"train": Subset(Memory({"a": sample}), ["a"])}
    found = survey(CRACK, parts)
    inspection = Inspection("", CRACK, parts, found, [], None)
    for picture in example_pair(inspection, found.facts[0], 320):
        assert picture.shape == (*size, 3)


@pytest.mark.parametrize("rows", [1, 8])
def test_the_legend_names_what_strokes_leave_unlabelled(rows: int) -> None:
    target = np.full((10, 10), VOID, np.uint8)
    target[:rows] = 0
    target[0, :5] = 1
    sample = Sample("a", np.zeros((10, 10, 3), np.uint8), target)
    parts = {"train": Subset(Memory({"a": sample}), ["a"])}
    inspection = Inspection("", CRACK, parts, survey(CRACK, parts), [], None)
    html = inspection_html(inspection)
    assert ("unlabelled</span>" in html) == (rows == 1)
    assert ("background</span>" in html) == (rows == 1)
