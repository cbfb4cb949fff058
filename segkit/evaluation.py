"""Scores of a run on images with known masks, over every pixel, as `counts` defines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from segkit import counts
from segkit.config import Config
from segkit.data.source import Subset
from segkit.inference import fit, predict_images
from segkit.prefetch import prefetch
from segkit.task import VOID
from segkit.tiles import Predict


def evaluate(
    predict: Predict, config: Config, part: Subset, progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """Return the report of `counts.report` for the samples of a part: predicted as `predict.py` does, then counted."""
    task = config.task
    targets: dict[str, np.ndarray] = {}

    def images() -> Iterator[tuple[str, np.ndarray]]:
        for sample in prefetch(part.read, part.names):
            targets[sample.name] = task.encode(sample.mask, sample.name, void=VOID)
            yield sample.name, fit(config, sample.image, sample.name)

    total = np.zeros((4, task.channels), np.int64)
    seen = 0
    for name, _, probabilities in predict_images(predict, config, images()):
        total += counts.count(task, targets.pop(name), task.decode(probabilities))
        seen += 1
        progress(name)
    return counts.report(task, total, seen)
