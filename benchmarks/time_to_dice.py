"""The Dice that segkit, a plain Keras U-Net and MONAI's BasicUNet reach in the same minutes.

python benchmarks/time_to_dice.py OUT [--minutes 1 3 9] [--seeds 3] [--cases cracks cells]
python benchmarks/time_to_dice.py OUT --table

segkit is `segkit plan --minutes M` and `segkit train`; the peers are in dice_peers.py, the data in
dice_cases.py. All train on the same images for the same minutes, in turn. The clock of each begins
with its first step, so compiling counts; segkit's minutes include its validations. The same code
counts the pixels of the same test images. OUT/results.jsonl has a line for each run, and a run that
has a line is not repeated. The times of planning and of whole processes are recorded beside it.

If others use the machine, `--clock cpu` counts the CPU seconds of each process, divided by the
number of cores, instead of the seconds of the wall.

MONAI runs in an environment of its own, which `--monai-python` names:

    python -m venv monai
    monai/bin/python -m pip install torch==2.13.0 monai

The head scan needs `--head FOLDER` with what examples/brain_mri/prepare.py writes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dice_cases import CASES, Images, part_folders, read_part
from machine import machine, machine_line
from rich import box
from rich.console import Console
from rich.table import Table

from segkit.comparison.results import mean_score
from segkit.evaluation import counts
from segkit.evaluation.bootstrap import interval, resampled

METHODS = ("segkit", "keras", "monai")
HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive"}
"""PyTorch's threads would otherwise use the CPU while they wait for those of other programs."""
Row = dict[str, Any]


class Job(NamedTuple):
    """One training."""

    case: str
    method: str
    minutes: float
    seed: int

    @property
    def folder(self) -> str:
        """The name of the folder of its files."""
        return f"{self.case}-{self.method}-{self.minutes:g}-{self.seed}"


class Failed(Exception):
    """A process of a run ended with an error."""


def main() -> None:
    options = read_options()
    results = options.out / "results.jsonl"
    if options.table:
        for table in tables(read_rows(results), options.cases):
            Console(width=150, soft_wrap=True).print(table)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    print(machine_line(machine()))
    for job in jobs(options):
        done = {
            (row["case"], row["method"], row["minutes"], row["seed"])
            for row in read_rows(results)
            if "error" not in row
        }
        if tuple(job) in done:
            continue
        row = run_job(job, options)
        with results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        outcome = row.get("error") or f"Dice {row['dice']:.4f} after {row['steps']} steps"
        print(f"{job.folder}: {outcome}", flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the folder of data, runs and results.jsonl")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 3.0, 9.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--monai-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--head", type=Path, metavar="FOLDER", help="the data of the head scan")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu if others use the machine"
    )
    parser.add_argument("--set", action="append", default=[], help="a setting for `segkit train`")
    parser.add_argument("--table", action="store_true", help="print the results, train nothing")
    options = parser.parse_args()
    if options.head is None:
        options.cases = [name for name in options.cases if not CASES[name].head]
    return options


def jobs(options: argparse.Namespace) -> list[Job]:
    """Return all runs: the methods in turn, then the next case, minutes and seed."""
    order = itertools.product(options.seeds, options.minutes, options.cases, options.methods)
    return [Job(case, method, minutes, seed) for seed, minutes, case, method in order]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of results.jsonl; none if the file does not exist."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_job(job: Job, options: argparse.Namespace) -> Row:
    """Train, predict and score; return the row of results.jsonl."""
    folder = options.out / "runs" / job.folder
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    data = options.out / "data"
    test_folders = part_folders(job.case, "test", data, options.head)
    assert test_folders is not None
    test = read_part(job.case, test_folders)
    load = os.getloadavg()[0]
    row: Row = {**job._asdict(), "clock": options.clock}
    try:
        if job.method == "segkit":
            row |= train_segkit(job, folder, test_folders[0], options)
        else:
            row |= train_peer(job, folder, test, options)
        row |= score(job.case, test, read_masks(job.case, folder / "masks.npz"))
    except Failed as problem:
        row["error"] = str(problem)
    row["load"] = [round(load, 2), round(os.getloadavg()[0], 2)]
    return row


def train_segkit(job: Job, folder: Path, test: Path, options: argparse.Namespace) -> Row:
    """Plan, train and predict with segkit; return what is recorded of it."""
    train = part_folders(job.case, "train", options.out / "data", options.head)
    assert train is not None
    config = folder / "plan.yaml"
    plan = ["plan", *map(str, train), "--out", str(config), "--minutes", f"{job.minutes:g}"]
    validation = part_folders(job.case, "validation", options.out / "data", options.head)
    if validation is not None:
        images, masks = (path.absolute() for path in validation)
        plan += ["--set", f"data.validation={{images: {images}, masks: {masks}}}"]
    run = folder / "run"
    training = ["train", str(config), "--run", str(run), "--set", f"train.seed={job.seed}"]
    for setting in options.set:
        training += ["--set", setting]
    script = [sys.executable, str(HERE / "dice_segkit.py")]
    segkit = [*script, options.clock]
    seconds = {
        "plan": timed([*segkit, *plan], folder / "plan.log"),
        "train": timed([*segkit, *training], folder / "train.log"),
    }
    masks = ["masks", str(run), str(test), str(folder / "masks.npz")]
    timed([*script, "wall", *masks], folder / "predict.log")
    history = (run / "history.csv").read_text(encoding="utf-8").splitlines()
    column = history[0].split(",").index("steps")
    steps = sum(int(float(line.split(",")[column])) for line in history[1:])
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return {"steps": steps, "seconds": seconds}


def train_peer(job: Job, folder: Path, test: Images, options: argparse.Namespace) -> Row:
    """Train a peer and predict with it; return what is recorded of it."""
    case = CASES[job.case]
    folders = part_folders(job.case, "train", options.out / "data", options.head)
    assert folders is not None
    train = read_part(job.case, folders)
    data = folder / "data.npz"
    np.savez(
        data,
        images=train.images,
        targets=train.targets,
        test=test.images,
        exclusive=case.task.exclusive,
        classes=case.task.channels,
        flips=case.flips,
    )
    python = options.monai_python if job.method == "monai" else sys.executable
    command = [python, str(HERE / "dice_peers.py"), job.method, str(data)]
    command += [str(folder / "masks.npz"), "--minutes", f"{job.minutes:g}", "--seed", str(job.seed)]
    command += ["--clock", options.clock]
    seconds = timed(command, folder / "train.log")
    data.unlink()
    steps = int(np.load(folder / "masks.npz")["steps"])
    return {"steps": steps, "seconds": {"train": seconds}}


def timed(command: Sequence[str], log: Path) -> float:
    """Run a command and return its seconds. Raises `Failed` with the last line that it printed."""
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, check=False, env=ENVIRONMENT
        )
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
        raise Failed(f"exit status {process.returncode}: {lines[-1]}")
    return round(time.monotonic() - began, 1)


def read_masks(name: str, path: Path) -> np.ndarray:
    """Return predicted masks, with the classes of multilabel masks in the order of the case."""
    task = CASES[name].task
    with np.load(path) as file:
        masks: np.ndarray = file["masks"]
        if task.kind == "multilabel" and "classes" in file:
            names = file["classes"].tolist()
            masks = masks[..., [names.index(each) for each in task.classes]]
    return masks


def score(name: str, test: Images, masks: np.ndarray) -> Row:
    """Count the pixels of all test images; return counts and Dice."""
    task = CASES[name].task
    if not task.exclusive and test.targets.shape[-1] == 1:
        masks = masks.reshape(test.targets.shape[:-1])
    each = [counts.count(task, *pair) for pair in zip(test.targets, masks, strict=True)]
    total = np.sum(each, axis=0)
    dice = counts.ratios(total)["dice"]
    return {
        "dice": counts.means(task, total)["dice_foreground"],
        "dice_of_class": {task.classes[i]: round(float(dice[i]), 4) for i in task.foreground},
        "counts": np.stack(each).tolist(),
    }


def tables(rows: Sequence[Row], cases: Sequence[str]) -> list[Table]:
    """Return a table of each number of minutes."""
    scored = [row for row in rows if "error" not in row]
    found = []
    for minutes in sorted({row["minutes"] for row in scored}):
        table = Table(box=box.MARKDOWN)
        table.add_column(f"{minutes:g} min")
        for method in METHODS:
            table.add_column(method, justify="right")
        for peer in METHODS[1:]:
            table.add_column(f"segkit - {peer}", justify="right")
        for case in cases:
            chosen = [row for row in scored if (row["case"], row["minutes"]) == (case, minutes)]
            if chosen:
                table.add_row(case, *cells(case, chosen))
        found.append(table)
    return found


def cells(case: str, rows: Sequence[Row]) -> list[str]:
    """Return the texts of a line of the table: median Dice, range and steps, then differences."""
    of_method = {method: [row for row in rows if row["method"] == method] for method in METHODS}
    texts = []
    for runs in of_method.values():
        texts.append(spread(runs))
    for peer in METHODS[1:]:
        texts.append(difference(case, of_method["segkit"], of_method[peer]))
    return texts


def spread(runs: Sequence[Row]) -> str:
    if not runs:
        return "-"
    dice = [row["dice"] for row in runs]
    steps = statistics.median(row["steps"] for row in runs)
    text = f"{statistics.median(dice):.3f}"
    if len(runs) > 1:
        text += f" ({min(dice):.3f} to {max(dice):.3f})"
    return f"{text}, {steps:.0f} steps"


def difference(case: str, ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """Return the difference of the pooled Dice with its 95 % interval over test images.

    Only seeds of both are used. The resamples draw the same images for both.
    """
    seeds = {row["seed"] for row in ours} & {row["seed"] for row in theirs}
    if not seeds:
        return "-"
    drawn = []
    values = []
    for runs in (ours, theirs):
        chosen: Mapping[int, Any] = {row["seed"]: row["counts"] for row in runs}
        summed = np.sum([chosen[seed] for seed in sorted(seeds)], axis=0)
        drawn.append(mean_score(CASES[case].task, resampled(summed), "dice"))
        values.append(float(mean_score(CASES[case].task, summed.sum(0), "dice")))
    low, high = interval(drawn[0] - drawn[1])
    return f"{values[0] - values[1]:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
