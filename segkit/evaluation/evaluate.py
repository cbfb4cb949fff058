"""Scores of a run on images with known masks, over every pixel, as `counts` defines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from segkit.config import Config
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.inference.decoding import decode
from segkit.inference.images import fit, predict_images
from segkit.inference.tiles import Predict
from segkit.system.threads import prefetch
from segkit.task import VOID


def evaluate(
    predict: Predict, config: Config, part: Subset, progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """Return the report of `counts.report` for the samples of a part: predicted as `predict.py` does, then counted."""
    total = np.zeros((4, config.task.channels), np.int64)
    seen = 0
    for target, probabilities in answered(predict, config, part, progress):
        total += counts.count(config.task, target, decode(config, probabilities))
        seen += 1
    return counts.report(config.task, total, seen)


def answered(
    predict: Predict, config: Config, part: Subset, progress: Callable[[str], None] = lambda name: None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the encoded target and the probabilities (H, W, classes) of each sample of a part, in order."""
    targets: dict[str, np.ndarray] = {}

    def images() -> Iterator[tuple[str, np.ndarray]]:
        for sample in prefetch(part.read, part.names):
            targets[sample.name] = config.task.encode(sample.mask, sample.name, void=VOID)
            yield sample.name, fit(config, sample.image, sample.name)

    for name, _, probabilities in predict_images(predict, config, images()):
        yield targets.pop(name), probabilities
        progress(name)
