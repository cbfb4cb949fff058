"""A demonstration: train on generated shapes, predict the test images, and score the masks."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from segkit.config import read
from segkit.data.convert import convert, require_empty
from segkit.evaluation.evaluate import evaluate
from segkit.inference.predict import predict
from segkit.io.atomic import write_text
from segkit.system.progress import Progress
from segkit.training.train import train

CONFIG = Path(__file__).with_name("demo.yaml")


class Demo(NamedTuple):
    """The files that `demo` has written, and the scores of the masks."""

    run: Path
    """The run folder."""
    masks: Path
    """The predicted masks of the test images."""
    overlays: Path
    """The masks drawn over the images."""
    scores: Path
    """The file of the report, as JSON."""
    report: dict[str, Any]
    """The report that `segkit.evaluate` returns."""


def demo(
    out: str | PathLike[str] = "segkit-demo",
    *,
    settings: list[str] | None = None,
    progress: Progress | None = None,
) -> Demo:
    """Train on generated shapes, predict the test images, and score the masks.

    Args:
        out: A new or empty folder, for the run, the test images and the masks.
        settings: Changed settings of the config, such as "train.epochs=2".
        progress: Receives the reports of each step.

    Returns:
        The paths of all files, and the scores on the test part.

    Raises:
        RunError: If the folder is not empty.
    """
    folder = Path(out)
    require_empty(folder)
    progress = progress or Progress()
    config = read(CONFIG, settings or [])
    run = train(config, folder / "run", progress=progress)
    test = folder / "test"
    convert(config, test, part="test", progress=progress)
    masks = folder / "masks"
    predict(run.path, test / "images", masks, overlay=True, progress=progress)
    report = evaluate(run.path, test / "images", test / "masks", progress=progress)
    scores = folder / "scores.json"
    write_text(scores, json.dumps(report, indent=2) + "\n")
    return Demo(run.path, masks, folder / "masks-overlays", scores, report)
