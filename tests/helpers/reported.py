"""Reports of generated images, made without training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from segkit import Task
from segkit.config import InputConfig, RunConfig
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation.evaluate import ScoreOptions, score_part
from segkit.reporting.album import Album
from segkit.reporting.content import Reported
from segkit.run.folder import Row
from tests.helpers.problem_data import Memory
from tests.helpers.stand_in import config_of, network, picture

HISTORY: list[Row] = [
    {
        "epoch": epoch,
        "loss": 2.0 / (epoch + 1),
        "val_loss": 2.5 / (epoch + 1),
        "dice_foreground": 0.1 * epoch,
        "val_dice_foreground": 0.08 * epoch,
        "learning_rate": 0.001,
        "seconds": 12.0,
    }
    for epoch in range(5)
]


def samples_of(task: Task, count: int, size: tuple[int, int] = (40, 36)) -> dict[str, Sample]:
    """Return images whose masks are moved by some pixels, further in the later ones."""
    samples = {}
    for number in range(count):
        image = picture(number, *size)
        mask = np.roll(task.decode(network(image[None], task)[0]), number // 4, axis=1)
        name = f"image {number:02}"
        samples[name] = Sample(name, image, mask)
    return samples


def report_of(
    task: Task,
    samples: dict[str, Sample],
    album: Album | None = None,
    runs: tuple[Path, ...] = (Path("runs/x"),),
    part: str = "test",
) -> Reported:
    """Score samples with the stand-in network, and return what a report is made of."""
    album = album or Album(task)
    config = config_of(task)
    dtype = str(next(iter(samples.values())).image.dtype)
    config = config.model_copy(update={"input": _input_of(dtype)})
    images = Subset(Memory(samples), list(samples))
    scores = score_part(
        partial(_predict, task), config, images, options=ScoreOptions(seen=album.add)
    )
    return Reported(
        config=RunConfig.model_validate(config.model_dump()),
        runs=runs,
        where=f"the {part} part",
        scores={"part": part, **scores},
        images=album.scores,
        chapters=album.chapters(),
        histories={"runs/x": HISTORY},
        environment={"command": "segkit train x.yaml", "packages": {"keras": "3.15"}},
        config_text="# why\ntrain:\n  epochs: 5\n",
    )


def _input_of(dtype: str) -> InputConfig:
    zeros = (0.0, 0.0, 0.0)
    return InputConfig(channels=3, dtype=dtype, mean=zeros, std=(1, 1, 1), low=0, high=255)


def _predict(task: Task, images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint16:
        images = (images >> 8).astype(np.uint8)
    return network(images, task)
