"""The input pipeline: images a second beside PyTorch's DataLoader, and how long a model waits while
it is fitted.

python benchmarks/pipeline.py [--width 32] [--batch 8] [--size 256] [--crop SIZE] [--images 64]
[--steps 20] [--rounds 5]
    [--torch-python PYTHON] [--loaders-only] [--json FILE]

The DataLoader runs in another interpreter, which has torch, albumentations and OpenCV; without it,
it is left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import measure
from loaders import Loader
from machine import cores, machine, machine_line
from rich import box
from rich.table import Table

from segkit import Task
from segkit.config import Config, DataConfig, ModelConfig, TrainConfig, read
from segkit.data.parts import open_parts
from segkit.data.sources.source import Subset
from segkit.inspection.training_check import check_training_data
from segkit.io.images import write_image
from segkit.io.masks import write_mask

SHAPES = Path(__file__).parent.parent / "configs" / "shapes.yaml"
TARGET = 0.05
"""A model should wait for data no longer than this share of the time."""
WARM_UP = 4
"""Steps of a fit that are not measured: the first one compiles, and the queue of ready batches is
used up.
"""
KEPT = {"memory": "kept in memory", "disk": "kept on disk", "none": "read every time"}
"""What to call each `data.cache`."""
REFERENCE = "DataLoader, warp-then-crop, read"


class Fitted(NamedTuple):
    """Of the measured steps of a fit: seconds a step, and the share of them spent inside the
    generator's `next`.

    Keras calls `next` from a thread that runs ahead of the model, so the share is the most that the
    model can have waited: exact near 0, too much once the pipeline is the slower of the two.
    """

    step: float
    waiting: float


@dataclass(frozen=True)
class Case:
    """A data set, and where its decoded samples are kept."""

    name: str
    config: Config
    part: Subset
    folder: Path
    steps: int

    def batches(self) -> Generator[Any]:
        from segkit.data.batches.training import training_batches

        given = self.config.input
        assert given is not None
        return training_batches(self.part, self.config, given, cache_folder=self.folder)

    def keeping(self, cache: str) -> Case:
        config = self.config.model_copy(
            update={"data": self.config.data.model_copy(update={"cache": cache})}
        )
        return replace(self, name=f"{self.name}, {KEPT[cache]}", config=config)

    def warm_batches(self) -> Generator[Any]:
        """Return batches after a whole epoch was drawn, so that all samples that are to be kept are
        there.
        """
        batches = self.batches()
        for _ in range(-(-len(self.part) // self.config.train.batch_size)):
            next(batches)
        return batches


def write_folder(folder: Path, count: int, size: int) -> DataConfig:
    """Write generated images and masks as PNG; their noise makes them as slow to decode as a
    photograph.
    """
    data = DataConfig(source="shapes", count=count, size=(size, size), validation=0.0, test=0.0)
    task = Task.multiclass(list(measure.CLASSES))
    for sample in open_parts(Config(task=task, data=data))["train"]:
        write_image(folder / "images", sample.name, sample.image)
        write_mask(task, sample.mask, folder / "masks", sample.name)
    return DataConfig(images=folder / "images", masks=folder / "masks", validation=0.0, test=0.0)


def folder_config(data: DataConfig, options: argparse.Namespace) -> Config:
    return Config(
        task=Task.multiclass(list(measure.CLASSES)),
        data=data,
        model=ModelConfig(width=options.width),
        train=TrainConfig(batch_size=options.batch, crop=(options.crop, options.crop)),
    )


def cases(name: str, config: Config, folder: Path, steps: int) -> list[Case]:
    """Return a data set with its samples kept in memory, on disk, and read and decoded anew each
    time.
    """
    part = open_parts(config)["train"]
    config = config.model_copy(
        update={"input": check_training_data(config.task, {"train": part}).input_config}
    )
    case = Case(name, config, part, folder, steps)
    return [case.keeping(cache) for cache in KEPT]


def compare_loaders(case: Case, root: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row a contender that only loads: medians over rounds in which all are asked in
    turn.
    """
    given = case.config.input
    assert given is not None
    settings = {
        **case.config.data.model_dump(mode="json", include={"images", "masks"}),
        "classes": measure.CLASSES,
        "batch": options.batch,
        "crop": case.config.train.crop,
        "mean": given.mean,
        "augment": case.config.augment.model_dump(),
        "workers": cores(),
        "cache_folder": str(root / "kept"),
    }
    (root / "loaders.json").write_text(json.dumps(settings))
    chosen = {
        f"segkit, {KEPT[cache]}": (sys.executable, "segkit_loader.py", cache) for cache in KEPT
    }
    for kept, order in itertools.product(("png", "memory"), ("warp-then-crop", "crop-then-warp")):
        if options.torch_python:
            name = f"DataLoader, {order}, {KEPT['memory' if kept == 'memory' else 'none']}"
            chosen[name] = (options.torch_python, "torch_loader.py", kept, order)
    started = [
        Loader(name, interpreter, script, str(root / "loaders.json"), *more)
        for name, (interpreter, script, *more) in chosen.items()
    ]
    try:
        turns = measure.in_turn({loader.name: loader.run for loader in started}, options.rounds)
    finally:
        for loader in started:
            loader.close()
    return [
        {
            "loader": name,
            **{key: statistics.median(turn[key] for turn in found) for key in found[0]},
        }
        for name, found in turns.items()
    ]


def loaders_table(rows: list[dict[str, Any]]) -> Table:
    """Return the table; ratios refer to PyTorch's DataLoader from PNG with the same patches, or
    else to segkit's.
    """
    first = next((row for row in rows if row["loader"].startswith(REFERENCE)), rows[-1])
    table = Table(box=box.MARKDOWN)
    table.add_column(f"loading alone ({first['loader']} = 1)")
    for heading in ("images/s", "times as many", "CPU ms an image", "CPU time, times less", "MiB"):
        table.add_column(heading, justify="right")
    for row in rows:
        ratios = f"{row['rate'] / first['rate']:.2f}", f"{first['cpu'] / max(row['cpu'], 1e-9):.2f}"
        numbers = (
            f"{row['rate']:.0f}",
            ratios[0],
            f"{row['cpu'] * 1000:.2f}",
            ratios[1],
            f"{row['bytes'] / 2**20:.0f}",
        )
        table.add_row(row["loader"], *numbers)
    return table


def trainer_for(case: Case) -> Any:
    from segkit.models.build import build_for, compile
    from segkit.training.devices import prepare

    prepare(case.config.train)
    assert case.config.input is not None
    return compile(
        build_for(case.config.task, case.config.model, case.config.input), case.config.task
    )


def fit(trainer: Any, case: Case, ready: bool = False) -> Fitted:
    """Fit on the case's batches, or on one batch that is ready in memory, and time the steps after
    the warm-up.
    """
    import keras

    clock = _Clock(WARM_UP, WARM_UP + case.steps)
    batches = case.batches() if ready else case.warm_batches()
    given = itertools.repeat(next(batches)) if ready else batches
    if ready:
        batches.close()
    trainer.fit(
        clock.timed(given),
        steps_per_epoch=clock.last,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=clock.step_ended)],
        shuffle=False,
        verbose=0,
    )
    batches.close()
    seconds, waited = (end - start for start, end in zip(*clock.marks, strict=True))
    return Fitted(
        seconds / case.steps, min(1.0, waited / seconds)
    )  # a `next` may have begun before the first mark


class _Clock:
    """Adds up the time inside a generator's `next`, and notes it and the time at the first and the
    last step.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.waited = 0.0
        self.marks: list[tuple[float, float]] = []

    def timed(self, batches: Iterator[Any]) -> Generator[Any]:
        while True:
            start = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - start
            yield batch

    def step_ended(self, step: int, logs: Any = None) -> None:
        if step + 1 in (self.first, self.last):
            self.marks.append((time.perf_counter(), self.waited))


def measure_all(groups: Sequence[list[Case]], rounds: int) -> list[dict[str, Any]]:
    """Return a row a case: medians over rounds in which all are fitted in turn."""
    fits: dict[tuple[str, bool], Callable[[], Fitted]] = {}
    for group in groups:
        trainer = trainer_for(group[0])
        fits[group[0].name, True] = partial(fit, trainer, group[0], ready=True)
        fits |= {(case.name, False): partial(fit, trainer, case) for case in group}
    fitted = measure.in_turn(fits, rounds)
    return [
        _row(case.name, fitted[group[0].name, True], fitted[case.name, False])
        for group in groups
        for case in group
    ]


def _row(name: str, ready: list[Fitted], fitted: list[Fitted]) -> dict[str, Any]:
    """Return the medians; `lost` is the share of a step that a ready batch would save: waiting, and
    cores shared.
    """
    step, ready_step = (statistics.median(one.step for one in fits) for fits in (fitted, ready))
    return {
        "data": name,
        "step_on_ready_batches": ready_step,
        "step": step,
        "lost": 1 - ready_step / step,
        "waiting": statistics.median(one.waiting for one in fitted),
    }


def table_of(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("a model fitted")
    for heading in (
        "s a step, batch ready",
        "s a step",
        "lost to data",
        "model waits",
        f"below {TARGET:.0%}",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        seconds = (f"{row['step_on_ready_batches']:.3f}", f"{row['step']:.3f}")
        shares = (
            f"{row['lost']:.1%}",
            f"{row['waiting']:.1%}",
            "yes" if row["waiting"] < TARGET else "no",
        )
        table.add_row(row["data"], *seconds, *shares)
    return table


def main() -> None:
    parser = measure.options(__doc__)
    parser.add_argument(
        "--images", type=int, default=64, help="images in the folder (default %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=20, help="measured steps of each fit (default %(default)s)"
    )
    parser.add_argument(
        "--crop", type=int, help="side of the training patches (default: that of the images)"
    )
    parser.add_argument(
        "--torch-python",
        metavar="PYTHON",
        help="an interpreter with torch, albumentations and OpenCV",
    )
    parser.add_argument("--loaders-only", action="store_true", help="leave the fits out")
    options = parser.parse_args()
    options.crop = options.crop or options.size
    measure.settle()
    console, about = measure.console(), machine()
    console.print(
        f"input pipeline, {options.rounds} rounds\n{machine_line(about)}", highlight=False
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = write_folder(root, options.images, options.size)
        name = f"PNG {options.size} x {options.size}, patches {options.crop} x {options.crop}"
        png = cases(name, folder_config(data, options), root / "cache", options.steps)
        loading = compare_loaders(png[0], root, options)
        console.print(loaders_table(loading), highlight=False)
        rows = [] if options.loaders_only else fit_all(png, root, options)
    if rows:
        console.print(
            table_of(rows),
            f"peak memory of this process: {measure.peak_bytes() / 2**30:.2f} GiB",
            sep="\n",
        )
    if options.json:
        given = {
            key: getattr(options, key)
            for key in ("width", "batch", "size", "crop", "images", "steps")
        }
        results = {"loading": loading, "results": rows, "peak_bytes": measure.peak_bytes()}
        measure.write(
            options.json,
            "pipeline",
            about,
            {"workload": given, "rounds": options.rounds, **results},
        )


def fit_all(png: list[Case], root: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    from segkit.system.keras_start import load_keras

    load_keras()
    shapes = cases("configs/shapes.yaml", read(SHAPES), root / "shapes", options.steps)
    return measure_all([png, [shapes[0], shapes[-1]]], options.rounds)


if __name__ == "__main__":
    main()
