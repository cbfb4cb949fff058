"""The verdict: which head, and the numbers that show it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, Task
from segkit.data.sources.source import Sample
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.inspection.verdict import judge
from tests.helpers.draws import masks, tasks
from tests.helpers.errors import holds

LABELS = Task.multilabel(["liver", "tumour"])


def facts(task: Task, given_masks: Sequence[np.ndarray]) -> list[SampleFingerprint]:
    return [
        facts_of(
            task,
            "train",
            Sample(str(i), np.zeros((*mask.shape[:2], 1), np.uint8), mask),
            task.encode(mask, "", VOID),
        )
        for i, mask in enumerate(given_masks)
    ]


def layers(overlap: int, held: int = 6000, size: int = 100) -> np.ndarray:
    """Return two layers that hold `held` pixels together, and `overlap` of them both."""
    flat = np.zeros((size * size, 2), np.uint8)
    flat[: held // 2, 0] = 1
    flat[held // 2 - overlap : held, 1] = 1
    return flat.reshape(size, size, 2)


def test_binary() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:3, :5], mask[9] = 1, VOID
    verdict = judge(Task.binary("crack"), facts(Task.binary("crack"), [mask, mask]))
    assert verdict.kind == "binary"
    assert all(
        holds(str(verdict), value) for value in ("binary", "sigmoid", "crack", "16.7 %", "2 images")
    )


def test_a_class_that_fills_everything_fills_100_percent() -> None:
    task = Task.binary("crack")
    assert holds(str(judge(task, facts(task, [np.ones((30, 30), np.uint8)]))), "100 %")


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_exclusive_ids_take_the_head_of_the_task(head: str) -> None:
    task = Task.multiclass(["background", "liver", "tumour"], head=head)
    verdict = judge(task, facts(task, [np.array([[0, 1, 2, VOID]], np.uint8)]))
    assert verdict.kind == "exclusive"
    assert all(holds(str(verdict), value) for value in ("exclusive", head, "3 ids"))
    assert verdict.task == task


@pytest.mark.parametrize("held", [6000, 10_000])
def test_layers_that_never_meet_are_exclusive(held: int) -> None:
    mask = layers(0, held)
    verdict = judge(LABELS, facts(LABELS, [mask, mask]))
    names = ["liver", "tumour"] if held == 10_000 else ["background", "liver", "tumour"]
    assert (verdict.kind, verdict.task) == ("exclusive", Task.multiclass(names))
    assert all(holds(str(verdict), value) for value in ("softmax", f"{2 * held:,}", "2 images"))
    assert holds(verdict.unless, "multilabel")


def test_layers_keep_their_background_and_their_flip_pairs() -> None:
    task = Task.multilabel(["background", "left", "right"], flip_pairs=[("left", "right")])
    mask = np.eye(3, dtype=np.uint8)[np.arange(12).reshape(3, 4) % 3]
    mask[0, 0] = 0
    found = judge(task, facts(task, [mask])).task
    assert found == Task.multiclass(["background", "left", "right"], flip_pairs=[("left", "right")])


@pytest.mark.parametrize(("overlap", "small"), [(300, False), (12, False), (11, True), (1, True)])
def test_layers_with_common_pixels_overlap(overlap: int, small: bool) -> None:
    verdict = judge(LABELS, facts(LABELS, [layers(overlap), layers(0)]))
    share = 100 * overlap / (2 * 6000)
    assert (verdict.kind, verdict.task) == ("overlapping", LABELS)
    values = ("overlapping", "sigmoid", f"{overlap} pixels", f"{share:.3g} %", "1 of 2 images")
    assert all(holds(str(verdict), value) for value in values)
    assert len(verdict.because.split(". ")) == 1 + small
    assert "data.on_top" in verdict.unless


@pytest.mark.parametrize("value", [0, 1])
def test_one_layer_alone_is_binary(value: int) -> None:
    task = Task.multilabel(["vessel"])
    verdict = judge(task, facts(task, [np.full((4, 5, 1), value, np.uint8)]))
    assert (verdict.kind, verdict.task.kind, verdict.task.classes) == (
        "binary",
        "binary",
        ("vessel",),
    )


def test_a_binary_task_keeps_its_threshold() -> None:
    task = Task.binary("crack", threshold=0.3)
    assert judge(task, facts(task, [np.ones((2, 2), np.uint8)])).task == task


def test_refused_overlaps_of_an_exclusive_task_need_a_sigmoid() -> None:
    task = Task.multiclass(["background", "liver", "tumour"])
    verdict = judge(task, [], refused=3)
    assert (verdict.kind, verdict.task) == ("overlapping", LABELS)
    assert all(holds(str(verdict), value) for value in ("sigmoid", "3 images"))


@given(st.data())
def test_the_verdict_agrees_with_a_plain_count(data: st.DataObject) -> None:
    task = data.draw(tasks())
    drawn = [data.draw(masks(task)) for _ in range(data.draw(st.integers(1, 3)))]
    verdict = judge(task, facts(task, drawn))
    assert holds(str(verdict), verdict.task.head)
    if task.kind != "multilabel":
        assert verdict.kind == ("binary" if task.kind == "binary" else "exclusive")
        assert f" {len(drawn)} image" in verdict.because
        return
    complete = []
    for mask in drawn:
        known = (mask != VOID).reshape(-1, task.channels)
        if all(pixel.all() or not pixel.any() for pixel in known):
            complete.append(mask)
    overlaps = any(((mask == 1).sum(-1) > 1).any() for mask in drawn)
    labelled = any((mask != VOID).any() for mask in complete)
    if not overlaps and not labelled and len(complete) < len(drawn):
        assert verdict.kind == "overlapping"
        assert verdict.task == task
        return
    if not overlaps:
        drawn = complete
    assert f" {len(drawn)} image" in verdict.because
    both = sum(int(((mask == 1).sum(-1) > 1).sum()) for mask in drawn)
    held = sum(int((mask == 1).any(-1).sum()) for mask in drawn)
    assert verdict.kind == ("overlapping" if both else "exclusive")
    assert holds(verdict.because, f"{both or held:,}")


def test_masks_without_any_label_have_a_verdict() -> None:
    for task in (Task.binary("crack"), LABELS):
        mask = np.full((3, 4, 2) if task.kind == "multilabel" else (3, 4), VOID, np.uint8)
        assert holds(judge(task, facts(task, [mask])).because, 0)


def test_layers_that_were_never_annotated_together_are_not_said_to_exclude_each_other() -> None:
    livers = np.zeros((4, 4, 2), np.uint8)
    livers[:2, :, 0] = 1
    livers[..., 1] = VOID
    tumours = livers[..., ::-1]
    verdict = judge(LABELS, facts(LABELS, [livers, tumours]))
    assert (verdict.kind, verdict.task) == ("overlapping", LABELS)
    assert all(holds(verdict.because, value) for value in ("2 images", "2 classes"))
    both = np.zeros((4, 4, 2), np.uint8)
    both[0, 0, 0] = 1
    verdict = judge(LABELS, facts(LABELS, [livers, tumours, both]))
    assert verdict.kind == "exclusive"
    assert all(holds(verdict.because, value) for value in ("1 image", 1))


def test_classes_that_are_known_in_some_images_are_named() -> None:
    task = Task.multiclass(["background", "liver", "tumour"], sets=[["background", "tumour"]])
    known = np.array([[0, 1, 2]], np.uint8)
    found = facts(task, [known, known])
    partly = task.encode(known)
    partly[0, 0] = 3
    image = np.zeros((1, 3, 1), np.uint8)
    found.append(facts_of(task, "train", Sample("c", image, partly), partly))
    assert holds(judge(task, found).because, "tumour is known in 2 of 3 images")
    assert "known" not in judge(task, found[:2]).because
