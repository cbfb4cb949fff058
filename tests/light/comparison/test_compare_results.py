"""The results of `segkit compare`: numbers, verdict, table and plot."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from segkit import Task
from segkit.comparison.plot import CLEAR, UNCLEAR, draw_comparison, plot
from segkit.comparison.report import markdown, verdict
from segkit.comparison.results import SettingRuns, results_of
from segkit.evaluation import counts
from segkit.evaluation.bootstrap import interval, resampled
from segkit.evaluation.calibration import reliability
from segkit.evaluation.counts import class_scores, mean_score
from segkit.evaluation.intervals import interval_of, interval_of_difference
from tests.helpers.command_line import numbers
from tests.helpers.compared import answers, scored

pytestmark = pytest.mark.long

SHOWN = {"part": "test", "minutes": 3.0}


def compared(*settings: SettingRuns) -> dict[str, Any]:
    return {**SHOWN, **results_of(settings, resamples=400)}


@pytest.mark.parametrize(
    "task",
    [Task.binary("a"), Task.multiclass(["x", "background", "y"]), Task.multilabel(["a", "b"])],
    ids=str,
)
def test_the_mean_score_is_that_of_counts(task: Task) -> None:
    each = scored(task, 0, images=6).counts
    each[:3, :3, -1] = 0  # a class that some images do not have
    for sums in (*each, each.sum(0), np.zeros_like(each[0])):
        for score in ("dice", "iou"):
            expected = counts.means(task, sums)[f"{score}_foreground"]
            np.testing.assert_allclose(mean_score(task, sums[None], score), [expected])
            np.testing.assert_allclose(
                mean_score(task, np.stack([sums, sums]), score), [expected] * 2
            )


def test_every_score_pools_the_seeds() -> None:
    one = answers("one")
    row = compared(one, answers("two", first=5))["settings"][0]
    total = sum(run.counts.sum(0) for run in one.runs.values())
    report = counts.score_report(one.task, total, 20)
    assert row["dice_foreground"]["value"] == pytest.approx(report["mean"]["dice_foreground"])
    assert row["iou_foreground"]["value"] == pytest.approx(report["mean"]["iou_foreground"])
    assert row["dice_of_class"]["a"]["value"] == pytest.approx(report["classes"]["a"]["dice"])
    assert list(row["dice_of_class"]) == ["a", "b"]
    by_seed = [
        counts.means(one.task, run.counts.sum(0))["dice_foreground"] for run in one.runs.values()
    ]
    assert row["dice_foreground"]["by_seed"] == pytest.approx(by_seed)
    tallies = sum(run.head_calibration.sum(0) for run in one.runs.values())
    assert row["calibration_error"]["value"] == pytest.approx(reliability(tallies)["ece"])
    for score in (
        "dice_foreground",
        "iou_foreground",
        "calibration_error",
        "calibration_error_of_mask",
    ):
        assert row[score]["low"] <= row[score]["value"] <= row[score]["high"]
        assert row[score]["low"] < row[score]["high"]
    assert (row["parameters"], row["images_per_second"], row["steps"]) == (
        1234,
        11.0,
        [100, 101, 102],
    )


def test_the_intervals_of_dice_are_those_of_an_evaluation() -> None:
    one = answers("one")
    row = compared(one, answers("two", first=5))["settings"][0]
    drawn = resampled(sum(run.counts for run in one.runs.values()), 400)
    for score in ("dice", "iou"):
        found = row[f"{score}_foreground"]
        expected = interval_of(found["value"], mean_score(one.task, drawn, score), 20)
        assert (found["low"], found["high"]) == pytest.approx(expected)
        assert expected != pytest.approx(interval(mean_score(one.task, drawn, score)), abs=1e-6)
    found = row["dice_of_class"]["a"]
    of_class = class_scores(drawn, "dice")[:, 1]
    expected = interval_of(found["value"], of_class, 20)
    assert (found["low"], found["high"]) == pytest.approx(expected)


def test_the_difference_is_paired_by_resampled_image() -> None:
    one, two = answers("one"), answers("two", errors=0.2)
    [pair] = compared(two, one)["comparisons"]
    drawn = [resampled(sum(run.counts for run in each.runs.values()), 400) for each in (one, two)]
    dice_of_one, dice_of_two = (mean_score(one.task, sums, "dice") for sums in drawn)
    ends = interval_of_difference(pair["difference"], dice_of_one - dice_of_two, groups=20)
    assert (pair["better"], pair["other"]) == ("one", "two")
    assert (pair["low"], pair["high"]) == pytest.approx(ends)
    assert pair["low"] < pair["difference"] < pair["high"]
    assert pair["more_than_chance"]
    assert (pair["ahead"], pair["of_seeds"]) == (3, 3)


def test_images_of_a_group_are_drawn_together() -> None:
    settings = [answers("one"), answers("two", errors=0.2)]
    alone = compared(*settings)
    groups = [str(i // 2) for i in range(20)]
    grouped = {**SHOWN, **results_of(settings, resamples=400, groups=groups)}
    assert (alone["groups"], grouped["groups"], grouped["images"]) == (None, 10, 20)
    assert (alone["few_images"], grouped["few_images"]) == (False, True)
    [pair] = grouped["comparisons"]
    sums = []
    for setting in settings:
        counted = sum(run.counts for run in setting.runs.values())
        drawn = resampled(counted[0::2] + counted[1::2], 400)
        sums.append(mean_score(setting.task, drawn, "dice"))
    ends = interval_of_difference(pair["difference"], sums[0] - sums[1], groups=10)
    # groups "0" to "9" are in the order of their names here
    assert (pair["low"], pair["high"]) == pytest.approx(ends)
    assert 10 in numbers(verdict(grouped))
    three = [str(i // 7) for i in range(20)]
    few = {**SHOWN, **results_of(settings, resamples=400, groups=three)}
    assert few["comparisons"][0]["more_than_chance"] is None
    assert {3, 6, 20} <= set(numbers(verdict(few)))
    assert plot(few).dtype == np.uint8


def test_equal_predictions_are_not_better() -> None:
    results = compared(answers("one"), answers("two"))
    [pair] = results["comparisons"]
    assert (pair["difference"], pair["low"], pair["high"]) == (0, 0, 0)
    assert not pair["more_than_chance"]
    assert pair["ahead"] == 0


def test_one_sigmoid_and_a_softmax_of_two_are_compared_by_their_foreground() -> None:
    two = answers("two", task=Task.multiclass(["background", "brain"]))
    only = {
        i: scored(Task.binary("brain"), 0, counts=run.counts[..., 1:])
        for i, run in two.runs.items()
    }
    results = compared(SettingRuns("one", Task.binary("brain"), only, {}), two)
    assert results["comparisons"][0]["difference"] == 0
    assert [list(row["dice_of_class"]) for row in results["settings"]] == [["brain"], ["brain"]]


def test_the_verdict_has_the_numbers_of_the_comparison() -> None:
    results = compared(answers("a=1", errors=0.2), answers("a=2"))
    [pair] = results["comparisons"]
    dice = [row["dice_foreground"]["value"] for row in results["settings"]]
    assert (pair["better"], pair["more_than_chance"]) == ("a=2", True)
    ends = [95, pair["low"], pair["high"]]
    expected = [
        dice[1],
        dice[0],
        pair["difference"],
        *ends,
        3,
        3,
        20,
    ]  # ahead in 3 of 3 seeds, over 20 images
    assert numbers(verdict(results).replace("a=1", "").replace("a=2", "")) == pytest.approx(
        expected, abs=6e-5
    )


def compared_over(images: int, errors: float = 0.3) -> dict[str, Any]:
    """Compare two settings over a number of images; the first makes more errors."""
    some = []
    for name, share in (("bad", errors), ("good", 0.0)):
        whole = answers(name, errors=share)
        runs = {seed: scored(whole.task, seed, images=images, errors=share) for seed in range(3)}
        some.append(whole._replace(runs=runs))
    return compared(*some)


@pytest.mark.parametrize(
    ("images", "chance"), [(1, None), (2, None), (5, None), (6, True), (19, True), (20, True)]
)
def test_trap_50_a_few_images_say_nothing_of_chance(images: int, chance: bool | None) -> None:
    results = compared_over(images)
    [pair] = results["comparisons"]
    assert (pair["better"], pair["more_than_chance"]) == ("good", chance)
    assert results["few_images"] is (images < 20)
    values = numbers(verdict(results))
    assert (95 in values) is (chance is not None)  # the interval of the difference
    assert (20 in values) is (images <= 20)  # where few images end, or the number of images
    assert (6 in values) is (images <= 6)
    assert plot(results).dtype == np.uint8
    json.dumps(results, allow_nan=False)


def test_the_best_of_several_is_compared_with_each_other() -> None:
    settings = [
        answers("bad", errors=0.3),
        answers("best", first=7),
        answers("good"),
        answers("worse", errors=0.2),
    ]
    results = compared(*settings)
    found = [
        (pair["better"], pair["other"], pair["more_than_chance"]) for pair in results["comparisons"]
    ]
    assert found == [("best", "good", False), ("best", "worse", True), ("best", "bad", True)]


def test_seeds_that_disagree_are_counted() -> None:
    mixed = answers("b", errors=0.3)
    runs = {**mixed.runs, 2: scored(mixed.task, 0, errors=0.0)}
    results = compared(answers("a"), mixed._replace(runs=runs))
    [pair] = results["comparisons"]
    assert (pair["ahead"], pair["of_seeds"], pair["more_than_chance"]) == (2, 3, True)


def test_failed_trainings_are_named_and_the_others_are_compared() -> None:
    some = answers("some", errors=0.2)._replace(failed={1: "the loss is not a number"})
    some = some._replace(runs={seed: run for seed, run in some.runs.items() if seed != 1})
    none = answers("none", seeds=0)._replace(failed={0: "a", 1: "b", 2: "c"})
    results = compared(some, none, answers("whole"))
    [pair] = results["comparisons"]
    assert (pair["better"], pair["other"], pair["of_seeds"]) == ("whole", "some", 2)
    page = markdown(results)
    assert "- some, seed 1: the loss is not a number" in page
    assert "- none, seed 2: c" in page
    assert plot(results).shape == plot(compared(some, answers("whole"))).shape


@pytest.mark.parametrize("finished", [0, 1])
def test_fewer_than_two_scored_settings_give_no_comparison(finished: int) -> None:
    settings = [answers("a", seeds=finished), answers("b", seeds=0)._replace(failed={0: "broken"})]
    results = compared(*settings)
    assert results["comparisons"] == []
    assert "broken" in markdown(results)
    assert plot(results).dtype == np.uint8


def test_images_without_any_foreground_have_no_score() -> None:
    empty = answers("a")
    runs = {i: scored(empty.task, 0, counts=np.zeros((20, 4, 3), np.int64)) for i in range(2)}
    results = compared(empty._replace(runs=runs), answers("b"))
    assert results["settings"][0]["dice_foreground"] == {
        "value": None,
        "low": None,
        "high": None,
        "by_seed": [None] * 2,
    }
    assert results["comparisons"] == []
    json.dumps(results, allow_nan=False)
    assert "| a | - [-, -] |" in markdown(results)
    plot(results)


def test_the_page_has_a_row_per_setting_and_per_class() -> None:
    page = markdown(compared(answers("x|y"), answers("b", first=4)))
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == [
        "| setting",
        "| x\\|y",
        "| b",
        "| Dice of",
        "| a",
        "| b",
    ]
    assert len({row.replace("\\|", "").count("|") for row in rows[:3]}) == 1


def colours(results: dict[str, Any]) -> set[tuple[int, ...]]:
    """Return the colours in the right half of the plot: those of the differences."""
    picture = plot(results)
    return set(map(tuple, picture[:, picture.shape[1] // 2 :].reshape(-1, 3).tolist()))


def test_the_plot_shows_which_differences_are_more_than_chance() -> None:
    clear = compared(answers("a"), answers("b", 0.2))
    unclear = compared(answers("a"), answers("b", first=9))
    assert clear["comparisons"][0]["more_than_chance"]
    assert not unclear["comparisons"][0]["more_than_chance"]
    assert CLEAR in colours(clear)
    assert UNCLEAR not in colours(clear)
    assert CLEAR not in colours(unclear)
    assert UNCLEAR in colours(unclear)


def test_a_long_name_makes_the_plot_wider() -> None:
    short = compared(answers("a"), answers("b"))
    long = compared(answers("a name that is much longer than the others"), answers("b"))
    assert plot(long).shape[1] > plot(short).shape[1]


def test_the_axes_of_the_plot_are_named_and_its_rows_are_ranked() -> None:
    results = compared(answers("bad", errors=0.3), answers("best"), answers("no $score$ yet", 0.1))
    scores, differences = draw_comparison(results).axes
    assert scores.get_xlabel()
    assert scores.get_ylabel()
    assert differences.get_xlabel()
    ranked = sorted(results["settings"], key=lambda row: -row["dice_foreground"]["value"])
    assert [label.get_text() for label in scores.get_yticklabels()] == [
        row["name"] for row in ranked
    ]
    assert scores.yaxis_inverted()
    lines = [tuple(line.get_xdata()) for line in scores.lines]
    for row in ranked:
        dice = row["dice_foreground"]
        assert (dice["low"], dice["high"]) in lines
        assert all((value,) in lines for value in [dice["value"], *dice["by_seed"]])
    ends = [tuple(line.get_xdata()) for line in differences.lines]
    for pair in results["comparisons"]:
        assert (pair["low"], pair["high"]) in ends


def test_a_dollar_sign_in_a_name_is_no_formula() -> None:
    results = compared(answers(r"data.images=$\nothing$"), answers("b"))
    assert plot(results).dtype == np.uint8


def test_drawing_changes_no_setting_of_matplotlib() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot(compared(answers("a"), answers("b")))
    assert dict(matplotlib.rcParams) == before
