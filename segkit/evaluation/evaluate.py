"""Scores of a run on images with known masks, over every pixel, as `counts` defines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.inference.decoding import decode
from segkit.inference.export_choice import AUTO
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.load import PathLike, as_paths, open_together
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.system.progress import Progress
from segkit.system.threads import prefetch
from segkit.task import VOID


def evaluate(
    runs: PathLike | Sequence[PathLike],
    images: PathLike,
    masks: PathLike,
    *,
    tta: str | None = None,
    runtime: str = AUTO,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a run on images with known masks.

    Args:
        runs: A run folder or an export; or several, whose probabilities are averaged.
        images: A folder of images.
        masks: Their masks, stored as those that the run was trained on.
        tta: "flips" or "rotations": average over mirrored, or mirrored and turned, views of each image.
        runtime: What runs the network: "auto", "keras", "onnx", "litert" or "openvino".
        progress: Receives what is loaded and the number of images that are done.

    Returns:
        The report of `segkit.evaluation.counts.report`: counts and scores for each class, and their means.

    Raises:
        ConfigError: For a runtime that is not known or not installed, and runs that do not fit together.
        DataError: For an image or mask that cannot be used.
        RunError: If there is no finished run.
    """
    progress = progress or Progress()
    opened = open_together(as_paths(runs), runtime, tta)
    opened.announce(progress)
    source = in_folders(Path(images), Path(masks), opened.config.task, opened.config.data)
    watch = ScaleWatch(opened.config.input)
    with progress.counting("scoring", len(source.names)) as done:
        report = score_part(
            opened.predict, opened.config, Subset(source, source.names), done, watch
        )
    warning = watch.warning()
    if warning:
        progress.warning(warning)
    return report


def score_part(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
) -> dict[str, Any]:
    """Return the report of `counts.report` for the samples of a part: predicted as `segkit predict` does, then counted."""
    total = np.zeros((4, config.task.channels), np.int64)
    seen = 0
    for target, probabilities in answered(predict, config, part, progress, watch):
        total += counts.count(config.task, target, decode(config, probabilities))
        seen += 1
    return counts.report(config.task, total, seen)


def answered(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the encoded target and the probabilities (H, W, classes) of each sample of a part, in order."""
    targets: dict[str, np.ndarray] = {}

    def images() -> Iterator[tuple[str, np.ndarray]]:
        for sample in prefetch(part.read, part.names):
            targets[sample.name] = config.task.encode(sample.mask, sample.name, void=VOID)
            image = match_model_input(config, sample.image, sample.name)
            if watch is not None:
                watch.see(sample.name, image)
            yield sample.name, image

    for name, _, probabilities in predict_images(predict, config, images()):
        yield targets.pop(name), probabilities
        progress(name)
