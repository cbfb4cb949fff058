"""Run folders with networks that were never trained, so that a test of exports starts at once; and
their exports.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from segkit import catalog
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.data.sources.source import Subset
from segkit.exporting.export import ExportRequest, export_run
from segkit.models.build import build_for
from segkit.run import Run
from tests.helpers.tiny_runs import TASKS

FORMATS = tuple(name for name in sorted(catalog.RUNTIMES) if name != "keras")
UINT8 = {
    "channels": 3,
    "dtype": "uint8",
    "mean": [120.3, 110, 99.9],
    "std": [50, 60.7, 70],
    "low": 0,
    "high": 255,
}


def make_run(
    folder: Path, kind: str, given: dict[str, object] | None = None, **model: object
) -> Run:
    """Write a run of a small network with random weights and statistics."""
    settings = {
        "task": TASKS[kind],
        "data": {"source": "shapes", "count": 16, "size": [37, 45]},
        "input": given or UINT8,
        "model": {"width": 4, "depth": 2, **model},
        "train": {"crop": [32, 32]},
        "predict": {"tile": 64, "batch_size": 2},
    }
    config = Config.model_validate(settings)
    keras.utils.set_random_seed(1)
    network = build_for(config.task, config.model, config.input)
    randomise(network)
    run = Run(folder)
    run.create(config)
    network.save(run.model)
    return run


def randomise(model: keras.Model) -> None:
    """Give batch normalisation statistics that matter."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (weight.shape for weight in layer.get_weights())
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, gamma),
                    rng.normal(0, 0.2, beta),
                    rng.normal(0, 0.2, mean),
                    rng.uniform(0.5, 2, variance),
                ]
            )


def parts_of(run: Run) -> dict[str, Subset]:
    return open_parts(run.config())


@pytest.fixture(scope="session", params=list(TASKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of each kind of task, with a float32 export in every format that has a runtime."""
    run = make_run(tmp_path_factory.mktemp(request.param) / "run", request.param)
    for form in FORMATS:
        export_run(run, ExportRequest(form, "float32", 0.002), parts_of(run), lambda line: None)
    return run
