"""The benchmarks' U-Net as a run folder with an export of every kind that can be made here, for the
scripts to compare.

The weights are random, or trained for a few steps on shapes: only times mean anything. 8-bit ranges
are measured on noise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
from measure import Made, Workload

KINDS = (
    "onnx-float32",
    "litert-float32",
    "openvino-float32",
    "openvino-bfloat16",
    "onnx-int8",
    "litert-int8",
    "openvino-int8",
)
INPUT = {
    "channels": 3,
    "dtype": "uint8",
    "mean": [127.5] * 3,
    "std": [127.5] * 3,
    "low": 0,
    "high": 255,
}


def make(folder: Path, width: int, tile: int = 512, steps: int = 0) -> dict[str, str]:
    """Make RUN in `folder`, in a process of its own; return the exports that could not be made,
    with the reason.
    """
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            str(folder),
            "--width",
            str(width),
            "--tile",
            str(tile),
            "--steps",
            str(steps),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def opened(workload: Workload, run: str, kind: str) -> Made:
    """Return a contender: the run in Keras ("keras"), or one of its exports."""
    predict = predictor(Path(run), kind)
    images, _ = workload.data()
    return Made(lambda: predict(images), *parameters(run))


def predictor(run: Path, kind: str) -> Callable[[np.ndarray], np.ndarray]:
    from segkit.inference.load import open_run

    return (
        open_run(run, "keras").predict
        if kind == "keras"
        else open_run(run / "exports" / kind).predict
    )


def parameters(run: str) -> tuple[int, int]:
    """Return what the model counted when it was made: trainable parameters and running "
    "statistics.
    """
    trainable, running = (Path(run) / "parameters.txt").read_text().split()
    return int(trainable), int(running)


def _make(folder: Path, width: int, tile: int, steps: int) -> None:
    measure.settle()
    import segkit_unet

    model, task = segkit_unet.network(Workload(width, 1, 64), "float32")
    if steps:
        _fit(model, task, steps)
    from segkit.config import Config
    from segkit.run import Run

    config = Config.model_validate(
        {
            "task": task.model_dump(),
            "input": INPUT,
            "model": {"width": width},
            "predict": {"tile": tile},
        }
    )
    run = Run(folder)
    run.create(config)
    model.save(run.model)
    (folder / "parameters.txt").write_text("{} {}".format(*segkit_unet.parameters(model)))
    for kind in KINDS:
        try:
            _export(model, run, config, kind)
        except Exception as problem:
            print(f"{kind}: {type(problem).__name__} {str(problem).splitlines()[0]}")


def _fit(model: Any, task: Any, steps: int) -> None:
    """Train until masks have areas, as people's have: noise takes ten times as long to compress."""
    import segkit
    from segkit.data.sources.shapes import ShapesSource

    source = ShapesSource(task, 4 * steps, (128, 128), seed=1)
    samples = [source.read(name) for name in source.names]
    images, masks = np.stack([s.image for s in samples]), np.stack([s.mask for s in samples])
    segkit.compile(model, task).fit(images, masks, batch_size=4, verbose=0)


def _export(model: Any, run: Any, config: Any, kind: str) -> None:
    """Write an export without the comparison with Keras that `segkit export` makes: these weights
    decide nothing.
    """
    import segkit
    from segkit.exporting.convert import check_packages, convert_model, quantizer
    from segkit.run.exports import ExportRecord, record_text, sha256

    form, precision = kind.split("-")
    check_packages(form, precision)
    folder = run.path / "exports" / kind
    folder.mkdir(parents=True)
    if precision == "int8":
        rng = np.random.default_rng(1)
        windows = [rng.integers(0, 256, (1, 128, 128, 3), np.uint8) for _ in range(4)]
        with quantizer(model, config, form, windows, folder) as writer:
            writer.write(())
    else:
        convert_model(model, config, form, folder)
    record = ExportRecord(
        format=form,
        precision=precision,
        segkit=segkit.__version__,
        model_sha256=sha256(run.model),
        config=config,
    )
    (folder / "export.json").write_text(record_text(record))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--steps", type=int, default=0)
    given = parser.parse_args()
    _make(given.folder, given.width, given.tile, given.steps)
