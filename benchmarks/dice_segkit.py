"""Runs segkit for time_to_dice.py: its commands, optionally by the clock of the CPU, and masks.

python benchmarks/dice_segkit.py wall|cpu plan|train ARGUMENTS
python benchmarks/dice_segkit.py wall masks RUN IMAGES OUT.npz

On a machine that others use, a minute of the wall holds fewer steps. With `cpu`, a second has
passed when the process has used one second of every core.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import cores

from segkit.cli import main as segkit
from segkit.config import RunConfig
from segkit.inference.predictor import Predictor
from segkit.io.images import read_image
from segkit.planning import plan, step_time
from segkit.planning.choices import Machine
from segkit.system.keras_start import load_keras


class CpuClock:
    """The module `time`, whose clocks show the CPU seconds of this process per core."""

    def __getattr__(self, name: str) -> Any:
        if name in ("monotonic", "perf_counter"):
            return lambda: time.process_time() / cores()
        return getattr(time, name)


def main() -> None:
    clock, command, *arguments = sys.argv[1:]
    if clock == "cpu":
        use_cpu_clock(command)
    if command == "masks":
        write_masks(*arguments)
    elif command == "measure":
        config = RunConfig.model_validate_json(sys.stdin.read())
        print(json.dumps(step_time.time_steps(config)._asdict()))
    else:
        raise SystemExit(segkit([command, *arguments]))


def use_cpu_clock(command: str) -> None:
    """Replace the clocks that planning and training look at."""
    if command == "plan":
        plan.measure_steps = measure_by_cpu  # type: ignore[attr-defined]
    elif command == "measure":
        step_time.time = CpuClock()  # type: ignore[attr-defined]
    elif command == "train":
        load_keras()
        from segkit.training import callbacks

        callbacks.time = CpuClock()  # type: ignore[attr-defined]


def measure_by_cpu(config: RunConfig) -> Machine:
    """Measure training steps in a process of its own, as `measure_steps` does."""
    command = [sys.executable, __file__, "cpu", "measure"]
    text = config.model_dump_json()
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return Machine(**json.loads(done.stdout.splitlines()[-1]))


def write_masks(run: str, images: str, out: str) -> None:
    """Predict the images of a folder, and write the masks and the names of the classes."""
    predictor = Predictor.load(run, runtime="keras")
    paths: Sequence[Path] = sorted(Path(images).iterdir())
    masks = [predictor(read_image(path)) for path in paths]
    np.savez_compressed(out, masks=np.stack(masks), classes=predictor.task.classes)


if __name__ == "__main__":
    main()
