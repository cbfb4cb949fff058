"""Image segmentation with Keras: a `Task` says what a pixel can be, and everything else follows.

The commands of the command line are functions: `inspect`, `plan`, `train`, `cross_validate`,
`evaluate`, `report`, `tune`, `predict`, `export`, `publish`, `pull`, `compare`, `convert`, `demo`
and `find_learning_rate`. `Predictor` is a finished run as a function, and `load` returns its Keras
model. `unet`, `build`, `head` and `compile` make networks of your own; `losses` and `metrics` train
and score them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segkit.errors import ConfigError, DataError, RunError, SegkitError, SegkitWarning
from segkit.system.after_import import import_after
from segkit.system.packages import explained_imports

if TYPE_CHECKING:
    from segkit import losses, metrics
    from segkit.comparison.compare import compare
    from segkit.config import Config
    from segkit.data.convert import convert
    from segkit.evaluation.evaluate import evaluate
    from segkit.evaluation.tune import tune
    from segkit.exporting.export import export
    from segkit.exporting.publish import publish
    from segkit.exporting.publishing.hub import pull
    from segkit.inference.predict import predict
    from segkit.inference.predictor import Predictor
    from segkit.inspection.inspect import inspect
    from segkit.io.notebook import show
    from segkit.models.build import build, compile, encoder_layers, unet
    from segkit.models.head import head, logits_of
    from segkit.models.saved import load
    from segkit.planning.plan import plan
    from segkit.reporting.report import report
    from segkit.system.progress import PrintedProgress, Progress
    from segkit.task import VOID, Task
    from segkit.training.demo import demo
    from segkit.training.folds import cross_validate
    from segkit.training.lr_range_test import find_learning_rate
    from segkit.training.train import train

__version__ = "0.1.0"
__all__ = [
    "VOID",
    "Config",
    "ConfigError",
    "DataError",
    "Predictor",
    "PrintedProgress",
    "Progress",
    "RunError",
    "SegkitError",
    "SegkitWarning",
    "Task",
    "build",
    "compare",
    "compile",
    "convert",
    "cross_validate",
    "demo",
    "encoder_layers",
    "evaluate",
    "export",
    "find_learning_rate",
    "head",
    "inspect",
    "load",
    "logits_of",
    "losses",
    "metrics",
    "plan",
    "predict",
    "publish",
    "pull",
    "report",
    "show",
    "train",
    "tune",
    "unet",
]

_LATE = {  # names that are imported when they are first used
    "Config": "segkit.config:Config",
    "Predictor": "segkit.inference.predictor:Predictor",
    "PrintedProgress": "segkit.system.progress:PrintedProgress",
    "Progress": "segkit.system.progress:Progress",
    "Task": "segkit.task:Task",
    "VOID": "segkit.task:VOID",
    "build": "segkit.models.build:build",
    "compare": "segkit.comparison.compare:compare",
    "compile": "segkit.models.build:compile",
    "convert": "segkit.data.convert:convert",
    "cross_validate": "segkit.training.folds:cross_validate",
    "demo": "segkit.training.demo:demo",
    "encoder_layers": "segkit.models.build:encoder_layers",
    "evaluate": "segkit.evaluation.evaluate:evaluate",
    "export": "segkit.exporting.export:export",
    "find_learning_rate": "segkit.training.lr_range_test:find_learning_rate",
    "head": "segkit.models.head:head",
    "inspect": "segkit.inspection.inspect:inspect",
    "load": "segkit.models.saved:load",
    "logits_of": "segkit.models.head:logits_of",
    "losses": "segkit.losses",
    "metrics": "segkit.metrics",
    "plan": "segkit.planning.plan:plan",
    "predict": "segkit.inference.predict:predict",
    "publish": "segkit.exporting.publish:publish",
    "pull": "segkit.exporting.publishing.hub:pull",
    "report": "segkit.reporting.report:report",
    "show": "segkit.io.notebook:show",
    "train": "segkit.training.train:train",
    "tune": "segkit.evaluation.tune:tune",
    "unet": "segkit.models.build:unet",
}


import_after(
    "keras", ["segkit.models.layers", "segkit.losses", "segkit.metrics", "segkit.models.trainer"]
)
"""These modules register the classes of saved models for `keras.models.load_model`."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562), so that `--help` does not wait for Keras."""
    if name not in _LATE:
        raise AttributeError(f"module 'segkit' has no attribute {name!r}")
    module, _, attribute = _LATE[name].partition(":")
    with explained_imports():
        loaded = importlib.import_module(module)
    if attribute:
        return getattr(loaded, attribute)
    return loaded


def __dir__() -> list[str]:
    return sorted(__all__)
