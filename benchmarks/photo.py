"""One photo of 24 megapixels and 4 classes: the time and the peak memory of `segkit predict`, as
trained and tuned.

python benchmarks/photo.py [--epochs 3] [--rounds 3] [--json FILE]

A network is trained on generated shapes and exported to ONNX in float32 and int8; a copy of the run
is tuned. Each call is a process of its own, start included. The calls take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine, machine_line
from PIL import Image

from segkit import Task
from segkit.data.sources.shapes import ShapesSource

ROOT = Path(__file__).parents[1]
CLASSES = ["background", "disc", "square", "triangle"]
HEIGHT = 4000
WIDTH = 6000
BLOCK = 500


def segkit(*arguments: object) -> tuple[float, int, str]:
    """Run the command line; return seconds, peak bytes of memory and what it printed."""
    command = [sys.executable, "-m", "segkit", *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as printed:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=printed, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        printed.seek(0)
        text = printed.read()
    if status:
        raise SystemExit(text)
    return seconds, usage.ru_maxrss * 1024, text


def write_photo(path: Path) -> None:
    """Write a JPEG of shapes, in blocks that repeat."""
    source = ShapesSource(Task.multiclass(CLASSES), 40, (BLOCK, BLOCK), 3)
    blocks = [source.read(name).image for name in source.names]
    photo = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    number = 0
    for top in range(0, HEIGHT, BLOCK):
        for left in range(0, WIDTH, BLOCK):
            photo[top : top + BLOCK, left : left + BLOCK] = blocks[number % len(blocks)]
            number += 1
    Image.fromarray(photo).save(path, quality=92)


def make_runs(folder: Path, epochs: int) -> list[Path]:
    """Train, export and tune; return the run as trained and the tuned one."""
    run = folder / "trained"
    segkit("train", "configs/shapes.yaml", "--run", run, "--set", f"train.epochs={epochs}")
    for precision in ("float32", "int8"):
        segkit("export", run, "--format", "onnx", "--precision", precision, "--max-drop", 0.05)
    tuned = folder / "tuned"
    shutil.copytree(run, tuned)
    segkit("tune", tuned)
    for precision in (
        "float32",
        "int8",
    ):  # an export of fewer bits is checked with the decoding of its run
        segkit("export", tuned, "--format", "onnx", "--precision", precision, "--max-drop", 0.05)
    return [run, tuned]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = make_runs(folder, options.epochs)
        write_photo(folder / "photo.jpg")
        for round_ in range(options.rounds):
            for run in runs:
                for runtime in ("auto", "keras"):
                    out = folder / f"masks-{round_}-{run.name}-{runtime}"
                    seconds, peak, text = segkit(
                        "predict", run, folder / "photo.jpg", "--out", out, "--runtime", runtime
                    )
                    entry = found.setdefault(f"{run.name}, {runtime}", {"seconds": [], "peak": []})
                    entry["seconds"].append(seconds)
                    entry["peak"].append(peak)
                    print(
                        next(line for line in text.splitlines() if line.startswith("runtime")),
                        flush=True,
                    )
    print(machine_line(machine()))
    for label, entry in found.items():
        seconds = statistics.median(entry["seconds"])
        print(f"{label:20} {seconds:6.1f} s  peak {max(entry['peak']) / 1e9:.2f} GB")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
