"""`segkit.evaluate`: scores of a run on images with known masks."""

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
        masks: A folder of their masks, stored like those that the run was trained on.
        tta: Test-time augmentation: "flips" averages over mirrored copies of each image,
            "rotations" over mirrored and rotated ones.
        runtime: Library that runs the network: "auto", "keras", "onnx", "litert" or "openvino".
        progress: Receives which model is loaded, and the number of scored images.

    Returns:
        The report of `segkit.evaluation.counts.report`.

    Raises:
        ConfigError: For a runtime that is not available, and runs that cannot be averaged.
        DataError: For an image or mask that cannot be used.
        RunError: If there is no finished run.
    """
    progress = progress or Progress()
    opened = open_together(as_paths(runs), runtime, tta)
    opened.announce(progress)
    source = in_folders(Path(images), Path(masks), opened.config.task, opened.config.data)
    watch = ScaleWatch(opened.config.input)
    part = Subset(source, source.names)
    with progress.counting("scoring", len(part)) as counter:
        report = score_part(opened.predict, opened.config, part, counter, watch)
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
    """Predict the samples of a part as `segkit predict` does, and score them.

    Args:
        predict: The network.
        config: The run's config.
        part: The samples.
        progress: Called with the name of each sample.
        watch: Receives the images, to warn of values that do not fit the training images.

    Returns:
        The report of `counts.report`.
    """
    total = np.zeros((4, config.task.channels), np.int64)
    images = 0
    for target, probabilities in predict_part(predict, config, part, progress, watch):
        total += counts.count(config.task, target, decode(config, probabilities))
        images += 1
    return counts.report(config.task, total, images)


def predict_part(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
    watch: ScaleWatch | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the encoded target and the probabilities (H, W, classes) of each sample, in order.

    Args:
        predict: The network.
        config: The run's config.
        part: The samples.
        progress: Called with the name of each sample, after it was used.
        watch: Receives the images, to warn of values that do not fit the training images.
    """
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
