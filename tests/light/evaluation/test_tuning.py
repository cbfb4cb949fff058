"""segkit tune with simulated networks, for which the best choice is known."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy import special

from segkit import VOID, Task
from segkit.config import Config, DecodeConfig, InputConfig
from segkit.config.decode import Rule
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation import counts
from segkit.evaluation.evaluate import score_part
from segkit.evaluation.thresholds import Goal
from segkit.evaluation.tuning import choose_decoding, choose_thresholds
from segkit.evaluation.tuning_rules import (
    Candidate,
    candidates,
    choose_step,
    combine,
    compare_decodes,
)
from segkit.evaluation.tuning_tables import tuned_tables
from segkit.inference.decoding import decode
from segkit.inference.ensemble import joint, with_temperature
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.run.tuned import Tuned, apply
from tests.helpers.draws import KINDS, task_of
from tests.helpers.samples import in_memory

pytestmark = pytest.mark.long

SIZE = (48, 56)
SHARPNESS = 2.5


def config_of(task: Task, **sections: Any) -> Config:
    given = InputConfig(channels=task.channels, dtype="float32", mean=(0,), std=(1,), low=0, high=1)
    return Config.model_validate({"task": task, "input": given, **sections})


def network(task: Task) -> Predict:
    """Return an overconfident network, whose images are logits."""

    def predict(images: np.ndarray) -> np.ndarray:
        logits = images * SHARPNESS
        return (
            special.softmax(logits, -1) if task.activation == "softmax" else special.expit(logits)
        )

    return predict


def samples(task: Task, count: int = 6) -> Subset:
    """Images with one large object per class, noise in small objects, and calibrated logits."""
    made = []
    for i in range(count):
        rng = np.random.default_rng(i)
        truth = np.zeros((*SIZE, task.channels), bool)
        for j, channel in enumerate(task.foreground):
            top, left = 4 + 20 * (j % 2), 3 + 2 * i + 17 * j
            truth[top : top + 16, left : left + 16, channel] = True
        seen = truth.copy()
        for _ in range(12):
            y, x = rng.integers(0, SIZE[0] - 2), rng.integers(0, SIZE[1] - 2)
            seen[y : y + 2, x : x + 2, rng.choice(task.foreground)] ^= True
        logits = np.where(seen, 1.8, -1.8) + rng.normal(0, 0.3, seen.shape)
        ids = truth.argmax(-1)
        if task.exclusive:
            logits[..., 0] = np.where(seen[..., 1:].any(-1), 0.0, 1.8)  # the second guess
        mask = (
            ids if task.exclusive else truth[..., 0] if task.kind == "binary" else truth
        ).astype(np.uint8)
        mask[:2] = VOID
        made.append(Sample(str(i), logits.astype(np.float32), mask))
    return in_memory(made)


@contextmanager
def quietly(words: str) -> Iterator[Any]:
    yield lambda *_: None


def tuned_for(kind: str, goal: str = "dice", **sections: Any) -> tuple[Config, Subset, Tuned]:
    task = task_of(kind)
    config, part = config_of(task, **sections), samples(task)
    return (
        config,
        part,
        choose_decoding(network(task), config, part, "validation", Goal.parse(goal), quietly),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_scores_rise_no_class_falls_and_are_those_that_evaluate_gives(kind: str) -> None:
    config, part, found = tuned_for(kind)
    before, after = found.before, found.after
    assert after["mean"]["dice_foreground"] > before["mean"]["dice_foreground"] + 0.01
    for label in config.task.classes:
        assert after["classes"][label]["dice"] >= before["classes"][label]["dice"]
    assert after["reliability"]["nll"] < before["reliability"]["nll"]
    assert any(rule.smallest >= 8 or rule.keep_largest for rule in found.decode.rules(config.task))
    assert score_part(network(config.task), config, part)["classes"] == before["classes"]
    merged = apply(config, found)
    calm = with_temperature(network(config.task), config.task, merged.decode.temperature)
    assert score_part(calm, joint([merged], ["run"]), part)["classes"] == after["classes"]
    assert score_part(network(config.task), merged, part)["mean"] == pytest.approx(after["mean"])
    assert (found.part, found.images, found.goal) == ("validation", 6, "dice")


@pytest.mark.parametrize("kind", KINDS)
def test_batches_and_windows_do_not_change_what_is_found(kind: str) -> None:
    _, _, one = tuned_for(kind)
    _, _, other = tuned_for(kind, predict={"batch_size": 1})
    assert other.model_dump(exclude={"made"}) == one.model_dump(exclude={"made"})


@pytest.mark.parametrize(
    ("goal", "score", "least"),
    [("recall=0.99", "recall", 0.99), ("precision=0.97", "precision", 0.97)],
)
def test_the_goal_is_reached_after_rules_too(goal: str, score: str, least: float) -> None:
    _, _, found = tuned_for("multilabel", goal)
    assert found.thresholds is not None
    for values in found.after["classes"].values():
        assert values[score] >= least


def test_a_class_that_no_image_shows_keeps_its_threshold_and_is_named() -> None:
    task = Task.multilabel(["liver", "tumour", "absent"], thresholds=[0.5, 0.5, 0.123])
    config, part = config_of(task), samples(task)
    for sample in part.source.samples.values():  # type: ignore[attr-defined]
        sample.mask[2:, :, 2] = 0
    found = choose_decoding(network(task), config, part, "validation", Goal("dice"), quietly)
    assert found.thresholds is not None
    assert found.thresholds[2] == pytest.approx(
        float(tempered(Task.binary(), np.array([0.123]), found.decode.temperature)[0])
    )
    assert found.thresholds[2] != pytest.approx(0.123, rel=0.01)
    assert "absent" in found.notes[0]
    assert found.after["classes"]["absent"]["dice"] == 0


def test_a_temperature_in_the_config_is_undone_before_another_is_found() -> None:
    one, _, plain = tuned_for("multilabel")
    task = one.task.model_copy(
        update={"thresholds": tuple(map(float, tempered(one.task, np.array([0.5, 0.3]), 3.0)))}
    )
    raw = one.task.model_copy(update={"thresholds": (0.5, 0.3)})
    given = config_of(task, decode={"temperature": 3.0})
    histograms = np.zeros(
        (2, 2, 1000), int
    )  # nothing to choose by: all thresholds take the same pixels as before
    for config in (given, config_of(raw)):
        thresholds, notes = choose_thresholds(config, histograms, 1.0, Goal("dice"))
        assert thresholds == pytest.approx((0.5, 0.3), rel=1e-4)
        assert len(notes) == 2
    found = choose_decoding(
        network(task), given, samples(task), "validation", Goal("dice"), quietly
    )
    assert found.decode == plain.decode
    assert found.thresholds == plain.thresholds
    assert found.before["reliability"] != plain.before["reliability"]


def cracks(images: int, showing: int, area: tuple[int, int] = (4, 30)) -> Subset:
    """Images with similar blobs; the first `showing` also have a faint crack of `area`."""
    made = []
    for i in range(images):
        rng = np.random.default_rng(i)
        logits = rng.normal(-4, 0.5, (*SIZE, 1)).astype(np.float32)
        for _ in range(4):
            y, x = rng.integers(0, SIZE[0] - 12), rng.integers(0, SIZE[1] - 12)
            logits[y : y + 12, x : x + 12] = -1.0
        mask = np.zeros(SIZE, np.uint8)
        if i < showing:
            mask[20 : 20 + area[0], 10 : 10 + area[1]] = 1
            logits[mask == 1] = np.where(np.arange(mask.sum()) % 20 == 0, -2.0, 0.5)[:, None]
        made.append(Sample(str(i), logits, mask))
    return in_memory(made)


def tuned_cracks(part: Subset, goal: str) -> Tuned:
    task = Task.binary("crack")
    return choose_decoding(
        network(task), config_of(task), part, "validation", Goal.parse(goal), quietly
    )


def codes_of(found: Tuned) -> list[str]:
    return [note.split(":")[0] for note in found.notes]


@pytest.mark.parametrize("showing", [0, 1, 4])
def test_trap_50_nothing_is_chosen_from_a_few_images(showing: int) -> None:
    found = tuned_cracks(cracks(12, showing), "recall=0.95")
    assert codes_of(found) == ["few-objects"]
    assert str(showing) in found.notes[0]
    assert found.after["classes"] == found.before["classes"]
    assert found.decode.rules(Task.binary("crack")) == (Rule(),)


@pytest.mark.parametrize(("area", "largest_size"), [((4, 30), 32), ((2, 4), 8), ((1, 7), 0)])
def test_trap_50_no_size_is_above_the_smallest_true_object(
    area: tuple[int, int], largest_size: int
) -> None:
    part = cracks(12, 8, area)
    found = tuned_cracks(part, "dice")
    assert found.decode.rules(Task.binary("crack"))[0].smallest <= largest_size
    smallest = np.array([area[0] * area[1]])
    sizes = [
        candidate.value
        for candidate in candidates(config_of(Task.binary("crack")), smallest)
        if candidate.setting == "smallest"
    ]
    assert max(sizes, default=0) == largest_size


def test_a_warning_names_the_class_whose_dice_falls_for_the_goal() -> None:
    found = tuned_cracks(cracks(12, 6), "recall=0.999")
    before, after = found.before, found.after
    assert after["classes"]["crack"]["recall"] >= 0.999
    assert after["classes"]["crack"]["dice"] < before["classes"]["crack"]["dice"]
    assert codes_of(found) == ["worse"]
    for value in (before["classes"]["crack"]["dice"], after["classes"]["crack"]["dice"]):
        assert f"{value:.4f}" in found.notes[0]
    assert [scores["images_with_prediction"]["crack"] for scores in (before, after)] == [6, 12]


def test_perfect_masks_get_no_rules() -> None:
    task = task_of("multiclass")
    logits = np.eye(3, dtype=np.float32)[np.arange(36).reshape(6, 6) % 3] * 9
    part = in_memory([Sample("a", logits, logits.argmax(-1).astype(np.uint8))])
    found = choose_decoding(
        network(task), config_of(task), part, "validation", Goal("dice"), quietly
    )
    assert found.decode.with_rules(task, [Rule()] * 3) == found.decode
    assert found.after["mean"]["dice_foreground"] == 1.0


def test_a_part_that_nobody_labelled_changes_nothing() -> None:
    task = Task.binary("liver", threshold=0.4)
    part = in_memory([Sample("a", np.ones((4, 4, 1), np.float32), np.full((4, 4), VOID, np.uint8))])
    found = choose_decoding(
        network(task), config_of(task), part, "validation", Goal("dice"), quietly
    )
    assert (found.thresholds, found.decode) == (pytest.approx((0.4,)), DecodeConfig())
    assert found.after["reliability"] == {"ece": None, "brier": None, "nll": None}


def test_rules_of_the_config_are_kept_where_nothing_is_better() -> None:
    config, _, found = tuned_for("binary", decode={"smallest": 8, "temperature": 1.0})
    assert found.decode.rules(config.task)[0].smallest >= 8
    tried = candidates(config, np.full(1, np.inf))
    assert tried
    for candidate in tried:
        changed = candidate.add_to(config.decode, config.task)
        assert changed.rules(config.task) != config.decode.rules(config.task)


def test_a_step_in_which_a_class_falls_is_not_taken() -> None:
    config = config_of(Task.multilabel(["a", "b"]))
    plain = np.array([[80, 80], [20, 20], [20, 20], [0, 0]])
    better, worse = (
        plain + np.array(d)
        for d in ([[5, 0], [0, 0], [-5, 0], [0, 0]], [[19, -1], [0, 0], [-19, 1], [0, 0]])
    )
    assert choose_step(config, np.stack([plain, better, worse]), Goal("dice")) == 1
    assert choose_step(config, np.stack([plain, worse]), Goal("dice")) == 0


def test_the_score_of_the_goal_must_not_fall_either() -> None:
    config = config_of(Task.binary("a"))
    plain = np.array([[80], [40], [10], [0]])
    stricter = np.array([[75], [5], [15], [0]])  # more Dice, less recall
    totals = np.stack([plain, stricter])
    tried = [Candidate(0, "smallest", 32)]
    section = config.decode.with_rules(config.task, [Rule(smallest=32)])
    assert choose_step(config, totals, Goal("dice")) == 1
    assert combine(config, tried, totals, Goal("dice")) == [section]
    assert choose_step(config, totals, Goal("recall", 0.85)) == 0
    assert combine(config, tried, totals, Goal("recall", 0.85)) == []


@pytest.mark.long
def test_counting_only_changed_pixels_gives_the_whole_count() -> None:
    for kind in KINDS:
        config, part, _ = tuned_for(kind)
        tried = candidates(config, np.full(config.task.channels, np.inf))
        sections = [candidate.add_to(config.decode, config.task) for candidate in tried]
        found = compare_decodes(network(config.task), config, part, sections, lambda *_: None)
        for total, section in zip(found.counts[1:], sections, strict=True):
            other = config.model_copy(update={"decode": section})
            whole = np.zeros((4, config.task.channels), np.int64)
            for sample in part:
                mask = decode(other, network(config.task)(sample.image[None])[0])
                whole += counts.count(config.task, config.task.encode(sample.mask, void=VOID), mask)
            np.testing.assert_array_equal(total, whole)


def test_the_tables_name_every_class_and_show_scores_before_and_after() -> None:
    from rich.console import Console

    config, _, found = tuned_for("multilabel")
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(tuned_tables(config.task, found))
    cells = console.export_text().split()
    assert f"{found.decode.temperature:g}" in cells
    for label in config.task.classes:
        assert label in cells
    for scores in (found.before, found.after):
        assert f"{scores['mean']['dice_foreground']:.4f}" in cells
        assert f"{scores['reliability']['brier']:.4f}" in cells


def tuned_samples(images: int, groups: list[str] | None = None) -> Tuned:
    task = task_of("binary")
    part = samples(task, images)
    return choose_decoding(
        network(task), config_of(task), part, "validation", Goal("dice"), quietly, groups
    )


def test_the_change_of_dice_has_an_interval_that_pairs_the_images() -> None:
    found = tuned_samples(24)
    before, after, change = found.before, found.after, found.change
    of_mean = change["mean"]["dice_foreground"]
    difference = after["mean"]["dice_foreground"] - before["mean"]["dice_foreground"]
    assert of_mean["value"] == pytest.approx(difference)
    assert 0 < of_mean["low"] < difference < of_mean["high"]
    assert of_mean["groups"] == 24
    ends = before["intervals"]["mean"]["dice_foreground"]
    assert ends["low"] < before["mean"]["dice_foreground"] < ends["high"]
    assert of_mean == change["classes"][task_of("binary").classes[0]]["dice"]


def test_groups_and_few_images_decide_whether_the_change_has_an_interval() -> None:
    few = tuned_samples(6)
    assert few.change["mean"]["dice_foreground"]["low"] is None
    assert few.groups is None
    grouped = tuned_samples(24, [str(i // 2) for i in range(24)])
    ends = grouped.change["mean"]["dice_foreground"]
    assert (ends["low"], ends["groups"], grouped.groups) == (None, 12, 12)


def test_images_are_those_of_the_part_and_not_those_that_show_a_class() -> None:
    found = tuned_cracks(cracks(12, 6), "recall=0.999")
    assert found.images == 12
    assert found.before["images_with_prediction"] == {"crack": 6}
    assert "images" not in found.before
