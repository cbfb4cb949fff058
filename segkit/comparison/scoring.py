"""One finished run, scored image by image: what every number of a comparison is made from, kept in the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.evaluation.calibration import flatten_known, tally
from segkit.evaluation.evaluate import answered
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.io.atomic import atomic
from segkit.run import Run
from segkit.system.threads import prefetch
from segkit.task import VOID, Task

FILE = "compared.npz"
TIMED, TURNS = 16, 3
"""Images that prediction is timed on, and how often; the median counts."""


@dataclass(frozen=True)
class Scored:
    """What a run answered, N images; sums over images, and scores of them, follow."""

    names: np.ndarray
    """(N,) strings."""
    counts: np.ndarray
    """Of `counts.count`: (N, 4, C) int64."""
    asked: np.ndarray
    """Of `calibration.tally` for the questions that the head asks: (N, 5, BINS)."""
    decided: np.ndarray
    """The same for the question "is what the mask says right?", which is one for every head: (N, 5, BINS)."""
    parameters: int
    images_per_second: float
    steps: int

    def write(self, path: Path) -> None:
        """Keep it in a NumPy file, whole or not at all."""
        with atomic(path) as temporary:
            np.savez_compressed(temporary, **asdict(self))

    @classmethod
    def read(cls, path: Path) -> Scored | None:
        """Return what `write` kept; None if it is not there or cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                found = {name: kept[name] for name in cls.__dataclass_fields__}
                numbers = {
                    name: found.pop(name).item()
                    for name in ("parameters", "images_per_second", "steps")
                }
        except Exception:  # one bad byte can raise anything
            return None
        return cls(**found, **numbers)


def score(
    predict: Predict,
    parameters: int,
    run: Run,
    part: Subset,
    progress: Callable[[str], None] = lambda name: None,
) -> Scored:
    """Return what a run's network answers to the samples of a part, predicted as `segkit predict` does, and how fast."""
    config = run.config_made_with()
    task = config.task
    cells, asked, decided = [], [], []
    for target, probabilities in answered(predict, config, part, progress):
        cells.append(counts.count(task, target, decode(config, probabilities)))
        answers = tempered(task, probabilities, config.decode.temperature)
        asked.append(tally(*flatten_known(task, answers, target)))
        decided.append(tally(*flatten_mask(task, answers, target)))
    return Scored(
        np.array(part.names),
        np.stack(cells),
        np.stack(asked),
        np.stack(decided),
        parameters,
        images_per_second(predict, config, part),
        sum(int(row["steps"]) for row in run.rows()),
    )


def flatten_mask(
    task: Task, probabilities: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the mask decides, without VOID, as `calibration.questions` does: an exclusive task always asks one
    question a pixel, so that heads that ask one or one a class can be compared. Yes or no is decided at 0.5.

    >>> flatten_mask(Task.multiclass(["a", "b"], head="sigmoid"), np.array([[[0.3, 0.6]]]), np.array([[1]]))[0].shape
    (1, 2)
    """
    if not task.stores_ids:
        return flatten_known(task, probabilities, target)
    known = target != VOID
    return np.asarray(probabilities, np.float32)[known], target[known]


def images_per_second(predict: Predict, config: RunConfig, part: Subset) -> float:
    """Return the images of a part that go through the network in a second, read before, in batches and windows as usual.

    They are to have been predicted once, so that nothing is compiled any more.
    """
    samples = prefetch(part.read, list(part.names)[:TIMED])
    images = [
        (sample.name, match_model_input(config, sample.image, sample.name)) for sample in samples
    ]
    seconds = []
    for _ in range(TURNS):
        began = time.perf_counter()
        for _ in predict_images(predict, config, images):
            pass
        seconds.append(time.perf_counter() - began)
    return len(images) / float(np.median(seconds))
