"""The report of an evaluation: pooled scores, means per image, losses, ceiling, worst images."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit.config import DataConfig, DecodeConfig, RunConfig
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError
from segkit.evaluation import counts
from segkit.evaluation.evaluate import (
    ScoreOptions,
    check_tolerance,
    predict_samples,
    score_part,
)
from segkit.evaluation.intervals import PROMISED
from segkit.inference.decoding import decode
from segkit.io.geometry import Geometry
from segkit.task import Task
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.stand_in import config_of, network, picture

pytestmark = pytest.mark.long

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
    alike = {"band": 0.02, "varies": False}
    pixels = {"spacing": (1.0, 1.0), "tolerance": 2.0, "unit": "pixels"}
    assert in_pixels["boundary"] == alike | pixels
    assert halved["boundary"] == alike | {"spacing": (0.5, 0.5), "tolerance": 1, "unit": None}
    before = in_pixels["per_image"]["mean"]
    after = halved["per_image"]["mean"]
    assert after["hd95"]["value"] == pytest.approx(before["hd95"]["value"] / 2)
    assert after["surface_dice"]["value"] == pytest.approx(before["surface_dice"]["value"])


def with_sizes(source: Memory, sizes: list[Geometry | None]) -> Memory:
    """Return the samples, each with the next of the sizes, from the first again after the last."""
    for number, (name, sample) in enumerate(source.samples.items()):
        geometry = sizes[number % len(sizes)]
        source.samples[name] = sample._replace(geometry=geometry)
    return source


def distances_of(task: Task, source: Memory, config: RunConfig | None = None) -> dict[str, Any]:
    part = Subset(source, source.names)
    network_of_task = partial(network, task=task)
    options = ScoreOptions(boundary=True)
    return score_part(network_of_task, config or config_of(task), part, options=options)


def test_each_image_is_measured_by_its_own_pixel_size(tmp_path: Path) -> None:
    """Every second image has pixels of twice the size, in another unit."""
    task = task_of("binary")
    sizes: list[Geometry | None] = [Geometry((0.5, 0.5), "mm"), Geometry((1000, 1000), "µm")]
    source = with_sizes(source_of(task, 6), sizes)
    options = ScoreOptions(boundary=True, table=tmp_path / "scores.csv")
    found = score_part(
        partial(network, task=task), config_of(task), Subset(source, source.names), options=options
    )
    assert found["boundary"]["unit"] == "mm"
    assert found["boundary"]["varies"]
    assert found["boundary"]["tolerance"] == pytest.approx(2 * 0.75)  # of the median pixel
    plain = ScoreOptions(boundary=True, table=tmp_path / "pixels.csv")
    scored(task, plain, images=6)
    in_pixels = {}
    for row in csv.DictReader((tmp_path / "pixels.csv").open(encoding="utf-8")):
        in_pixels[row["image"]] = float(row["mean hd95"])
    for row in csv.DictReader((tmp_path / "scores.csv").open(encoding="utf-8")):
        number = int(row["image"].split()[1])
        side = 0.5 if number % 2 == 0 else 1.0
        assert float(row["mean hd95"]) == pytest.approx(in_pixels[row["image"]] * side)


def test_distances_are_in_pixels_unless_every_image_has_a_size() -> None:
    task = task_of("binary")
    some = with_sizes(source_of(task, 6), [Geometry((0.5, 0.5), "mm"), None])
    assert distances_of(task, some)["boundary"]["unit"] == "pixels"
    data = DataConfig(pixel_size=(0.25, 0.25), pixel_unit="um")
    config = config_of(task).model_copy(update={"data": data})
    setting = distances_of(task, some, config)["boundary"]
    assert (setting["unit"], setting["spacing"]) == ("µm", (0.25, 0.25))


def test_small_objects_are_removed_by_the_area_of_their_own_pixels() -> None:
    """Nine square pixels of 1 mm are 9 mm2, and of 2 mm they are 36 mm2."""
    task = Task.binary("a")
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:5, 2:5] = 255
    mask = (image[..., 0] > 0).astype(np.uint8)
    samples = []
    for side in (1.0, 2.0):
        samples.append(Sample(f"{side:g} mm", image, mask, None, Geometry((side, side), "mm")))
    config = config_of(task).model_copy(update={"decode": DecodeConfig(smallest="10 mm2")})
    source = Memory(samples)
    part = Subset(source, source.names)
    predicted = {}
    for found in predict_samples(partial(network, task=task), config, part):
        predicted[found.name] = int(decode(found.config, found.probabilities).sum())
    assert predicted == {"1 mm": 0, "2 mm": 9}


def test_an_area_needs_the_size_of_the_pixels() -> None:
    task = task_of("binary")
    config = config_of(task).model_copy(update={"decode": DecodeConfig(smallest="10 mm2")})
    for data in (DataConfig(), DataConfig(pixel_size=(1, 1))):
        without = config.model_copy(update={"data": data})
        with fails(ConfigError, "missing-setting", "image 00", setting="decode.smallest"):
            scored(task, config=without)
    data = DataConfig(pixel_size=(1, 1), pixel_unit="mm")
    scored(task, config=config.model_copy(update={"data": data}))


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
