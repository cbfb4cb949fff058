"""Reliability and scores over thresholds, against scikit-learn."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score, precision_recall_curve

from segkit.config import DecodeConfig
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation import counts
from segkit.evaluation.evaluate import score_part
from segkit.evaluation.probability_curves import BINS, ProbabilityCurves
from segkit.inference.temperature import tempered
from segkit.task import VOID, Task
from segkit.task.layers import class_layers, known_pixels
from tests.helpers.draws import KINDS, task_of
from tests.helpers.problem_data import Memory
from tests.helpers.stand_in import config_of, network, picture

YES_NO = ("binary", "multilabel")


def scenes(task: Task, number: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return targets with unlabelled pixels, and probabilities that have to do with them."""
    random = np.random.default_rng(4)
    made = []
    for seed in range(number):
        image = picture(seed, 30 + seed, 26)
        clean = network(image[None], task)[0]
        target = task.encode(task.decode(clean), void=VOID)
        target[:3] = VOID
        noisy = np.clip(clean + random.normal(0, 0.2, clean.shape), 0, 1)
        if task.classes_compete:
            noisy = (noisy + 1e-3) / (noisy + 1e-3).sum(-1, keepdims=True)
        made.append((target, noisy.astype(np.float32)))
    return made


def known(task: Task, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and probability of a class at all labelled pixels of the scenes."""
    truths = []
    values = []
    for target, probabilities in scenes(task):
        labelled = known_pixels(task, target)[..., label]
        truths.append(class_layers(task, target)[..., label][labelled])
        values.append(probabilities[..., label][labelled])
    return np.concatenate(truths), np.concatenate(values)


def curves_of(task: Task) -> ProbabilityCurves:
    curves = ProbabilityCurves(task)
    for target, probabilities in scenes(task):
        curves.add(target, probabilities)
    return curves


@pytest.mark.parametrize("kind", KINDS)
def test_reliability_is_that_of_scikit_learn(kind: str) -> None:
    task = task_of(kind)
    diagrams = curves_of(task).reliability()
    assert list(diagrams) == [task.classes[label] for label in task.foreground]
    for label in task.foreground:
        truth, values = known(task, label)
        diagram = diagrams[task.classes[label]]
        filled = [each for each in diagram["bins"] if each["count"]]
        true, probability = calibration_curve(truth, values, n_bins=BINS)
        assert [each["true"] for each in filled] == pytest.approx(true, abs=1e-6)
        assert [each["probability"] for each in filled] == pytest.approx(probability, abs=1e-5)
        assert sum(each["count"] for each in filled) == len(truth)
        sizes = np.array([each["count"] for each in filled])
        error = (sizes * np.abs(true - probability)).sum() / len(truth)
        assert diagram["error"] == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize("kind", YES_NO)
def test_scores_over_thresholds_are_those_of_scikit_learn(kind: str) -> None:
    task = task_of(kind)
    curves = curves_of(task).thresholds()
    assert curves is not None
    for label in task.foreground:
        truth, values = known(task, label)
        curve = curves[task.classes[label]]
        assert curve["chosen"] == task.thresholds[label]
        precision, recall, thresholds = precision_recall_curve(truth, values)
        for place in (0, 24, 49, 80, 98):
            edge = np.float32(curve["thresholds"][place])
            first = int(np.searchsorted(thresholds, edge))
            assert curve["precision"][place] == pytest.approx(precision[first], abs=1e-6)
            assert curve["recall"][place] == pytest.approx(recall[first], abs=1e-6)
            dice = f1_score(truth, values >= edge)
            assert curve["dice"][place] == pytest.approx(dice, abs=1e-6)


@pytest.mark.parametrize("kind", ["multiclass", "one against the rest"])
def test_exclusive_tasks_have_no_thresholds(kind: str) -> None:
    assert curves_of(task_of(kind)).thresholds() is None


def test_a_bin_holds_its_lower_end_and_an_empty_one_has_no_means() -> None:
    task = Task.binary()
    curves = ProbabilityCurves(task)
    values = np.array([[0.0, 0.1, 0.95, 1.0]], np.float32)[..., None]
    curves.add(np.array([[0, 1, 1, VOID]], np.uint8)[..., None], values)
    bins = curves.reliability()["object"]["bins"]
    assert [each["count"] for each in bins] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert bins[1] == {"count": 1, "probability": pytest.approx(0.1), "true": 1.0}
    assert bins[2] == {"count": 0, "probability": None, "true": None}
    scores = curves.thresholds()
    assert scores is not None
    assert scores["object"]["precision"][-1] is None  # 0.99: nothing is predicted


def test_without_labelled_pixels_nothing_is_defined() -> None:
    curves = ProbabilityCurves(Task.binary())
    curves.add(np.full((2, 2, 1), VOID, np.uint8), np.zeros((2, 2, 1), np.float32))
    assert curves.reliability()["object"]["error"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_reports_them_for_the_delivered_probabilities(kind: str) -> None:
    task = task_of(kind)
    samples = {}
    for number in range(3):
        image = picture(number, 24, 20)
        mask = np.roll(task.decode(network(image[None], task)[0]), number, axis=1)
        samples[str(number)] = Sample(str(number), image, mask)
    decode = DecodeConfig(temperature=2.0)
    config = config_of(task).model_copy(update={"decode": decode})
    part = Subset(Memory(samples), list(samples))
    report = score_part(partial(network, task=task), config, part)
    json.dumps(report, allow_nan=False)
    expected = ProbabilityCurves(task)
    for sample in samples.values():
        target = task.encode(sample.mask, void=VOID)
        expected.add(target, tempered(task, network(sample.image[None], task)[0], 2.0))
    assert report["reliability"] == expected.reliability()
    assert report.get("thresholds") == expected.thresholds()
    if task.thresholds is not None:
        place = 49
        for label in task.foreground:
            curve = report["thresholds"][task.classes[label]]
            assert curve["thresholds"][place] == curve["chosen"] == 0.5
            scores = report["classes"][task.classes[label]]
            for name in ("precision", "recall", "dice"):
                assert curve[name][place] == pytest.approx(scores[name], abs=1e-6)


def test_a_scene_without_probabilities_has_no_curves() -> None:
    from segkit.evaluation.measurements import Measurements, Scene
    from segkit.evaluation.summary import build_report

    task = Task.binary()
    measured = Measurements(task)
    target = np.ones((4, 4, 1), np.uint8)
    measured.add(Scene("a", np.zeros((4, 4, 3), np.uint8), target, target))
    report = build_report(measured, has_groups=False)
    assert "reliability" not in report
    assert "thresholds" not in report
    assert report["mean"] == counts.score_report(task, measured.counts().sum(0), 1)["mean"]
