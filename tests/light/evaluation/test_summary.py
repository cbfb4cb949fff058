"""The report of an evaluation: pooled scores, means per image, losses, ceiling, worst images."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit.config import DataConfig, RunConfig
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError
from segkit.evaluation import counts
from segkit.evaluation.evaluate import ScoreOptions, check_tolerance, score_part
from segkit.evaluation.intervals import PROMISED
from segkit.task import Task
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.stand_in import config_of, network, picture

IMAGES = 24


class Memory:
    """A source of samples in memory."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = {sample.name: sample for sample in samples}
        self.names = list(self.samples)

    def read(self, name: str) -> Sample:
        return self.samples[name]


def truth_of(task: Task, image: np.ndarray) -> np.ndarray:
    return task.decode(network(image[None], task)[0])


def source_of(task: Task, images: int = IMAGES) -> Memory:
    """Return images whose masks are moved by some pixels, further in the later ones."""
    samples = []
    for number in range(images):
        image = picture(number, 40, 36)
        mask = np.roll(truth_of(task, image), number // 4, axis=1)
        mask[:2] = 255
        samples.append(Sample(f"image {number:02}", image, mask))
    return Memory(samples)


def scored(
    task: Task,
    options: ScoreOptions | None = None,
    images: int = IMAGES,
    config: RunConfig | None = None,
) -> dict[str, Any]:
    source = source_of(task, images)
    part = Subset(source, source.names)
    chosen = config or config_of(task)
    return score_part(partial(network, task=task), chosen, part, options=options)


@pytest.mark.parametrize("kind", KINDS)
def test_the_report_agrees_with_the_table_of_images(kind: str, tmp_path: Path) -> None:
    task = task_of(kind)
    table = tmp_path / "scores.csv"
    report = scored(task, ScoreOptions(table=table, boundary=True))
    assert json.loads(json.dumps(report, allow_nan=False)) == json.loads(json.dumps(report))
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == report["images"] == IMAGES
    assert [row["image"] for row in rows[:10]] == [each["image"] for each in report["worst"]]
    assert float(rows[0]["mean dice"]) == pytest.approx(report["worst"][0]["dice"], abs=1e-6)
    for name, score in report["per_image"]["mean"].items():
        values = [float(row[f"mean {name}"]) for row in rows if row[f"mean {name}"]]
        assert score["value"] == pytest.approx(np.mean(values), abs=1e-6), name
        assert score["low"] < score["value"] < score["high"], name
        assert score["lowest"] == pytest.approx(min(values), abs=1e-6)
        assert score["highest"] == pytest.approx(max(values), abs=1e-6)
    for label, scores in report["per_image"]["classes"].items():
        pixels = sum(int(row[f"{label} pixels_true"]) for row in rows)
        assert pixels == report["classes"][label]["pixels_true"]
        values = [float(row[f"{label} dice"]) for row in rows if row[f"{label} dice"]]
        assert scores["dice"]["value"] == pytest.approx(np.mean(values), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_intervals_contain_the_pooled_scores(kind: str) -> None:
    report = scored(task_of(kind))
    assert report["groups"] is None
    assert set(report["intervals"]["mean"]) == set(report["mean"])
    for name, ends in report["intervals"]["mean"].items():
        assert 0 < ends["low"] < report["mean"][name] < ends["high"] < 1
        assert ends["groups"] == IMAGES
    for label, scores in report["intervals"]["classes"].items():
        for name, ends in scores.items():
            assert ends["low"] < report["classes"][label][name] < ends["high"]
            assert ends["lowest"] < report["classes"][label][name] < ends["highest"]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_add_up_and_the_confusion_holds_all_pixels(kind: str) -> None:
    task = task_of(kind)
    report = scored(task)
    assert list(report["lost"]) == [task.classes[label] for label in task.foreground]
    for label, losses in report["lost"].items():
        assert sum(losses.values()) == pytest.approx(1 - report["classes"][label]["dice"])
    pixels = np.array(report["confusion"]["pixels"])
    labels = report["confusion"]["classes"]
    for label in task.classes:
        number = labels.index(label)
        if not task.layered:
            assert pixels[number].sum() == report["classes"][label]["pixels_true"]
            assert pixels[:, number].sum() == report["classes"][label]["pixels_predicted"]
    if not task.layered:
        assert pixels.sum() == IMAGES * 38 * 36
    assert 0 < report["ceiling"]["moved"]["dice"] < 1
    assert "annotators" not in report["ceiling"]


def test_too_few_groups_have_a_spread_and_no_interval() -> None:
    task = task_of("binary")
    groups = [f"patient {number // 2}" for number in range(IMAGES)]
    report = scored(task, ScoreOptions(groups=groups))
    assert report["groups"] == IMAGES // 2 < PROMISED
    for ends in (
        report["intervals"]["mean"]["dice_foreground"],
        report["per_image"]["mean"]["iou"],
    ):
        assert ends["low"] is None
        assert ends["high"] is None
        assert 0 < ends["lowest"] < ends["highest"] <= 1
    assert scored(task)["mean"] == report["mean"]


def test_groups_are_in_the_table_and_must_be_as_many_as_images(tmp_path: Path) -> None:
    task = task_of("binary")
    table = tmp_path / "scores.csv"
    scored(task, ScoreOptions(groups=["a", "b", "a"], table=table), images=3)
    with table.open(newline="") as stream:
        assert sorted(row["group"] for row in csv.DictReader(stream)) == ["a", "a", "b"]
    with pytest.raises(ValueError, match="zip"):
        scored(task, ScoreOptions(groups=["a", "b"]), images=3)


def test_the_worst_images_have_the_planted_property() -> None:
    task = task_of("binary")
    source = source_of(task, 40)
    dark = ["image 05", "image 11", "image 17", "image 23"]
    for name in dark:
        sample = source.samples[name]
        source.samples[name] = sample._replace(image=sample.image // 8)
    report = score_part(partial(network, task=task), config_of(task), Subset(source, source.names))
    assert {each["image"] for each in report["worst"][:4]} == set(dark)
    assert any(fact in report["stands_out"] for fact in ("brightness", "contrast"))


def test_distances_have_the_unit_of_the_pixel_size() -> None:
    task = task_of("binary")
    in_pixels = scored(task, ScoreOptions(boundary=True))
    data = DataConfig(pixel_size=(0.5, 0.5))
    config = config_of(task).model_copy(update={"data": data})
    halved = scored(task, ScoreOptions(boundary=True, tolerance=1), config=config)
    assert in_pixels["boundary"] == {"spacing": (1.0, 1.0), "tolerance": 2.0, "band": 0.02}
    assert halved["boundary"] == {"spacing": (0.5, 0.5), "tolerance": 1, "band": 0.02}
    before = in_pixels["per_image"]["mean"]
    after = halved["per_image"]["mean"]
    assert after["hd95"]["value"] == pytest.approx(before["hd95"]["value"] / 2)
    assert after["surface_dice"]["value"] == pytest.approx(before["surface_dice"]["value"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_annotator_is_scored_against_the_first(kind: str) -> None:
    task = task_of(kind)
    first = source_of(task)
    second = source_of(task)
    for number, name in enumerate(second.names):
        sample = second.samples[name]
        second.samples[name] = sample._replace(mask=np.roll(sample.mask, number % 2, axis=1))
    expected = np.zeros((4, task.channels), np.int64)
    for name in first.names:
        target = task.encode(first.read(name).mask, name, void=255)
        mask = second.read(name).mask
        expected += counts.count(task, target, mask)
    report = scored(task, ScoreOptions(second=second))
    annotators = report["ceiling"]["annotators"]
    assert annotators["images"] == IMAGES
    assert annotators["dice"] == pytest.approx(counts.means(task, expected)["dice_foreground"])
    assert annotators["dice"] < 1


def test_no_image_gives_the_scores_without_intervals(tmp_path: Path) -> None:
    report = scored(task_of("binary"), ScoreOptions(table=tmp_path / "scores.csv"), images=0)
    assert report["images"] == 0
    assert "intervals" not in report
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_distance(tolerance: float) -> None:
    with fails(ConfigError, "wrong-value", f"{tolerance:g}", setting="--tolerance"):
        check_tolerance(tolerance)
