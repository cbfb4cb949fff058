"""One finished run, scored image by image; all numbers of a comparison follow from these arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.evaluation.calibration import flatten_known, tally
from segkit.evaluation.evaluate import predict_samples
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.io.atomic import atomic
from segkit.run import Run
from segkit.system.threads import prefetch
from segkit.task import Task
from segkit.task.layers import decided_pixels

FILE = "compared.npz"
TIMED = 16
"""Number of images that the speed is measured on."""
TURNS = 3
"""How often the speed is measured; the median counts."""


@dataclass(frozen=True)
class Scored:
    """Pixel counts and calibration tallies of the N images of a part, for one run.

    They add up over images, so every score of any set of images follows from sums of rows.
    """

    names: np.ndarray
    """Names of the images, (N,) strings."""
    counts: np.ndarray
    """Pixel counts from `counts.count`, (N, 4, C) int64."""
    head_calibration: np.ndarray
    """`calibration.tally` of the predictions as the head makes them, (N, 5, BINS)."""
    mask_calibration: np.ndarray
    """`calibration.tally` of the class in the mask, one prediction per pixel, (N, 5, BINS)."""
    parameters: int
    images_per_second: float
    steps: int
    """Training steps."""

    def write(self, path: Path) -> None:
        """Write all fields to a NumPy file; the file is complete or not there."""
        with atomic(path) as temporary:
            np.savez_compressed(
                temporary,
                names=self.names,
                counts=self.counts,
                asked=self.head_calibration,  # the keys of files that older versions wrote
                decided=self.mask_calibration,
                parameters=self.parameters,
                images_per_second=self.images_per_second,
                steps=self.steps,
            )

    @classmethod
    def read(cls, path: Path) -> Scored | None:
        """Return the content of a file from `write`; None if it is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(
                    names=stored["names"],
                    counts=stored["counts"],
                    head_calibration=stored["asked"],
                    mask_calibration=stored["decided"],
                    parameters=stored["parameters"].item(),
                    images_per_second=stored["images_per_second"].item(),
                    steps=stored["steps"].item(),
                )
        except Exception:  # one damaged byte can raise anything
            return None


def score(
    predict: Predict,
    parameters: int,
    run: Run,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
) -> Scored:
    """Predict the samples of a part as `segkit predict` does, score each, and measure the speed.

    Args:
        predict: The run's network.
        parameters: Number of its parameters.
        run: The run; its config says how predictions are decoded.
        part: The samples to score.
        progress: Called with the name of each sample after its prediction.

    Returns:
        The scored run.
    """
    config = run.config_made_with()
    task = config.task
    cells = []
    head_calibration = []
    mask_calibration = []
    for sample in predict_samples(predict, config, part, progress):
        target = sample.target
        probabilities = sample.probabilities
        cells.append(counts.count(task, target, decode(sample.config, probabilities)))
        softened = tempered(task, probabilities, config.decode.temperature)
        head_calibration.append(tally(*flatten_known(task, softened, sample.drawn)))
        mask_calibration.append(tally(*flatten_mask(task, softened, sample.drawn)))
    return Scored(
        names=np.array(part.names),
        counts=np.stack(cells),
        head_calibration=np.stack(head_calibration),
        mask_calibration=np.stack(mask_calibration),
        parameters=parameters,
        images_per_second=images_per_second(predict, config, part),
        steps=sum(int(row["steps"]) for row in run.rows()),
    )


def flatten_mask(
    task: Task, probabilities: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return one prediction per known pixel for every exclusive task, whatever its head.

    This makes the calibration of softmax and sigmoid heads comparable. For tasks with
    overlapping classes it equals `calibration.flatten_known`: one yes/no prediction per class,
    decided at 0.5.

    Args:
        task: The task.
        probabilities: (..., C).
        target: The encoded target of the same pixels.

    Returns:
        The distributions (N, K) float32, and the index of the true one (N,).

    >>> task = Task.multiclass(["a", "b"], head="sigmoid")
    >>> flatten_mask(task, np.array([[[0.3, 0.6]]]), np.array([[1]]))[0].shape
    (1, 2)
    """
    if not task.stores_ids:
        return flatten_known(task, probabilities, target)
    known = decided_pixels(task, target)
    return np.asarray(probabilities, np.float32)[known], target[known]


def images_per_second(predict: Predict, config: RunConfig, part: Subset) -> float:
    """Return the speed of the network on up to `TIMED` images that are in memory already.

    Predict the images once before this call, so that compilation is not part of the time.
    """
    samples = prefetch(part.read, list(part.names)[:TIMED])
    images = []
    for sample in samples:
        images.append((sample.name, match_model_input(config, sample.image, sample.name)))
    seconds = []
    for _ in range(TURNS):
        began = time.perf_counter()
        for _ in predict_images(predict, config, images):
            pass
        seconds.append(time.perf_counter() - began)
    return len(images) / float(np.median(seconds))
