"""How soon the first mask is there, and what reading and writing add to the network's own time for
a folder of PNGs.

python benchmarks/start_and_folder.py [--width 32] [--images 24] [--size 512] [--rounds 3] [--json
FILE]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import exports
import measure
import numpy as np
from machine import machine, machine_line

PREDICT = Path(__file__).parents[1] / "predict.py"

STEPS = 150
"""Of training, after which a mask is no noise."""


def main() -> None:
    parser = measure.options(__doc__)
    parser.add_argument(
        "--images", type=int, default=24, help="PNG files in the folder (default %(default)s)"
    )
    parser.set_defaults(size=512, rounds=3)
    arguments, shown, about = parser.parse_args(), measure.console(), machine()
    shown.print(machine_line(about), highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        run, images = Path(folder, "run"), Path(folder, "images")
        exports.make(run, arguments.width, steps=STEPS)
        draw(images, arguments.images, arguments.size)
        kinds = ["keras", *(path.name for path in sorted((run / "exports").iterdir()))]
        starts = measure.in_turn(
            {kind: lambda kind=kind: start(run, kind, images) for kind in kinds}, arguments.rounds
        )
        help_cpu = [command("--help")[1] for _ in range(arguments.rounds)]
        folders = {kind: in_process(run, kind, images, arguments.rounds) for kind in kinds}
    shown.print(f"--help: {statistics.median(help_cpu):.2f} s of CPU")
    for kind in kinds:
        seconds, cpu = (statistics.median(values) for values in zip(*starts[kind], strict=True))
        ratio = folders[kind]["folder"] / folders[kind]["network"]
        shown.print(
            f"{kind:18} first mask {seconds:5.2f} s ({cpu:5.2f} s CPU); folder "
            f"{folders[kind]['folder']:6.2f} s, network "
            f"alone {folders[kind]['network']:6.2f} s: {ratio:.2f}"
        )
    if arguments.json:
        measure.write(
            arguments.json,
            "start and folder",
            about,
            {"starts": starts, "help_cpu": help_cpu, "folders": folders},
        )


def draw(folder: Path, count: int, size: int) -> None:
    """Write images of shapes on a noisy ground, as PNG."""
    from segkit import Task
    from segkit.data.sources.shapes import ShapesSource
    from segkit.io.images import write_picture

    source = ShapesSource(Task.multiclass(list(measure.CLASSES)), count, (size, size), seed=0)
    for name in source.names:
        write_picture(folder / f"{name}.png", source.read(name).image)


def start(run: Path, kind: str, images: Path) -> tuple[float, float]:
    """Predict one image in a new process; return its seconds and CPU seconds."""
    with tempfile.TemporaryDirectory() as out:
        image = str(next(images.iterdir()))
        given = (
            [str(run), "--runtime", "keras"] if kind == "keras" else [str(run / "exports" / kind)]
        )
        return command(given[0], image, "--out", out, *given[1:])


def command(*words: str) -> tuple[float, float]:
    """Run predict.py; return its seconds and CPU seconds."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, str(PREDICT), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds, after = time.perf_counter() - began, os.times()
    return (
        seconds,
        after.children_user + after.children_system - before.children_user - before.children_system,
    )


def in_process(run: Path, kind: str, images: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of the folder and of the network alone, in turn, in a process of
    their own.
    """
    words = [sys.executable, __file__, "--only", str(run), kind, str(images), str(rounds)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    folder, network = map(float, done.stdout.split()[-2:])
    return {"folder": folder, "network": network}


def only(run: Path, kind: str, images: Path, rounds: int) -> None:
    measure.settle()
    predict = exports.predictor(run, kind)
    from segkit.config import Config
    from segkit.inference.files import predict_files
    from segkit.inference.inputs import find_images
    from segkit.inference.outputs.writer import Outputs
    from segkit.io.images import read_image
    from segkit.run import Run

    config: Config = Run.open(run).config()
    found = find_images([images]).images
    batch = config.predict.batch_size
    arrays = [read_image(path) for path in found.values()]
    batches = [np.stack(arrays[i : i + batch]) for i in range(0, len(arrays), batch)]

    def whole() -> None:
        with tempfile.TemporaryDirectory() as out:
            assert not predict_files(predict, config, found, Outputs(Path(out))).failed

    def alone() -> None:
        for images in batches:
            predict(images)

    whole(), alone()
    turns = measure.in_turn({"folder": timed(whole), "network": timed(alone)}, rounds)
    print(*(statistics.median(turns[name]) for name in ("folder", "network")))


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    def run() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["--only"]:
        only(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
