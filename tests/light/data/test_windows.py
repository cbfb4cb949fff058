"""Windows over validation images, and what is seen of their masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, Task
from segkit.data.batches.windows import summarise_masks, windows_of
from segkit.system.replicas import ALONE, Replicas

ORGANS = Task.multiclass(["background", "liver", "tumour"])
LABELS = Task.multilabel(["liver", "tumour"])


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30))
def test_windows_contain_every_pixel_once_and_are_nearly_equal(
    height: int, width: int, largest: int
) -> None:
    covered = np.zeros((height, width), int)
    windows = windows_of("a", height, width, largest)
    for window in windows:
        covered[window.rows, window.columns] += 1
        assert max(window.shape) <= largest
        assert window.shape == covered[window.rows, window.columns].shape
    assert (covered == 1).all()
    assert np.ptp([window.shape for window in windows], axis=0).max() <= 1
    assert len(windows) == -(-height // largest) * -(-width // largest)


@pytest.mark.parametrize(
    ("names", "liver", "labelled"),
    [
        (["empty"], False, True),
        (["void"], False, False),
        (["void", "empty"], False, True),
        (["liver", "void"], True, True),
    ],
)
@pytest.mark.parametrize(
    "task", [ORGANS, LABELS, Task.binary("liver")], ids=["organs", "labels", "binary"]
)
def test_the_summary_lists_sizes_classes_and_labels(
    task: Task, names: list[str], liver: bool, labelled: bool
) -> None:
    targets = {
        "empty": np.zeros(task.target_shape(5, 9), np.uint8),
        "liver": np.zeros(task.target_shape(4, 4), np.uint8),
        "void": np.full(task.target_shape(3, 2), VOID, np.uint8),
    }
    targets["liver"][3:, 3:, ...] = 1
    if task.kind == "multilabel":
        targets["liver"][..., 1] = 0
    found = summarise_masks(lambda name: (np.zeros((1, 1, 1)), targets[name]), names, task, ALONE)
    assert found.sizes.tolist() == [list(targets[name].shape[:2]) for name in names]
    assert dict(zip(task.classes, found.classes.tolist(), strict=True))["liver"] is liver
    assert found.classes[list(task.foreground)].sum() == liver
    assert found.labelled is labelled


def test_each_process_reads_its_share() -> None:
    class Second(Replicas):
        def largest(self, values: np.ndarray) -> np.ndarray:
            return np.maximum(values, first)

    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        reads.append(name)
        return np.zeros((1, 1, 1)), np.ones((int(name), 7), np.uint8)

    names = ["3", "4", "5", "6", "7"]
    first = np.zeros((5, 6), np.int64)
    first[[0, 2, 4], :3] = [[3, 7, 1], [5, 7, 1], [7, 7, 1]]
    reads: list[str] = []
    found = summarise_masks(read, names, ORGANS, Second(2, 1, 2))
    assert reads == ["4", "6"]
    assert found.sizes.tolist() == [[3, 7], [4, 7], [5, 7], [6, 7], [7, 7]]
    assert found.classes.tolist() == [False, True, False]
