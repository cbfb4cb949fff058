"""Random tasks and masks for Hypothesis, and what the tests of this folder share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit.task import VOID, Task

KINDS = ("binary", "multilabel", "multiclass", "one against the rest")
NAMES = ("background", "liver", "tumour", "vessel", "left lung", "right lung", "ö/ß", "no")


def task_of(kind: str) -> Task:
    """Return a task of each row of the table in `Task`, three classes where there are several."""
    names = ["background", "liver", "tumour"]
    if kind == "binary":
        return Task.binary("liver")
    if kind == "multilabel":
        return Task.multilabel(names[1:])
    return Task.multiclass(names, head="softmax" if kind == "multiclass" else "sigmoid")


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """Draw a task of any kind, with thresholds where it has them."""
    kind = draw(st.sampled_from(KINDS))
    if kind == "binary":
        return Task.binary(draw(st.sampled_from(NAMES)), threshold=draw(_thresholds()))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    if kind == "multilabel":
        return Task.multilabel(names, thresholds=[draw(_thresholds()) for _ in names])
    return Task.multiclass(names, head="softmax" if kind == "multiclass" else "sigmoid")


def _thresholds() -> st.SearchStrategy[float]:
    return st.floats(0.01, 0.99)


@st.composite
def masks(draw: st.DrawFn, task: Task, void: bool = True) -> np.ndarray:
    """Draw a mask as `Task.encode` takes it, up to 6 x 6 pixels, with 255 for unlabelled pixels if
    `void`.
    """
    shape: tuple[int, ...] = draw(
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
    )
    if task.kind == "multilabel":
        shape = (*shape, task.channels)
    top = task.channels - 1 if task.exclusive else 1
    values: st.SearchStrategy[int] = st.integers(0, top)
    return draw(arrays.arrays(np.uint8, shape, elements=values | st.just(VOID) if void else values))


def as_probabilities(task: Task, target: np.ndarray) -> np.ndarray:
    """Return 1 for the classes of an encoded target and 0 for the others: (H, W, C) float32; VOID
    pixels give 0.
    """
    if task.exclusive:
        return np.stack([target == i for i in range(task.channels)], axis=-1).astype(np.float32)
    return (target == 1).astype(np.float32)
