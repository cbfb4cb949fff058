"""The input pipeline: how many images a second it gives, and how long a model waits for them while it is fitted.

python benchmarks/pipeline.py [--width 32] [--batch 8] [--size 256] [--images 64] [--steps 20] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import measure
from rich import box
from rich.table import Table

from segkit import Task, files, mask_files
from segkit.config import Config, DataConfig, ModelConfig, TrainConfig, read
from segkit.data.check import check
from segkit.data.parts import open_parts
from segkit.data.source import Subset

SHAPES = Path(__file__).parent.parent / "configs" / "shapes.yaml"
TARGET = 0.05
"""A model should wait for data no longer than this share of the time."""


class Fitted(NamedTuple):
    """Of the measured steps of a fit: seconds a step, and the share of them spent inside the generator's `next`.

    Keras calls `next` from a thread that runs ahead of the model, so the share is the most that the model can have
    waited: exact near 0, too much once the pipeline is the slower of the two.
    """

    step: float
    waiting: float


@dataclass(frozen=True)
class Case:
    """A data set, and how much of it may be kept in memory."""

    name: str
    config: Config
    part: Subset
    cache_bytes: int
    steps: int

    def batches(self) -> Generator[Any]:
        from segkit.data.pipeline import training_batches

        given = self.config.input
        assert given is not None
        return training_batches(self.part, self.config, given, cache_bytes=self.cache_bytes)

    @property
    def warm_up(self) -> int:
        """Batches that are not measured: one whole epoch, after which all that is kept is there, and the waiting ones."""
        return -(-len(self.part) // self.config.train.batch_size) + 4


def write_folder(folder: Path, count: int, size: int) -> DataConfig:
    """Write generated images and masks as PNG; their noise makes them as slow to decode as a photograph."""
    data = DataConfig(source="shapes", count=count, size=(size, size), validation=0.0, test=0.0)
    task = Task.multiclass(list(measure.CLASSES))
    for sample in open_parts(Config(task=task, data=data))["train"]:
        files.write_image(folder / "images", sample.name, sample.image)
        mask_files.write_mask(task, sample.mask, folder / "masks", sample.name)
    return DataConfig(images=folder / "images", masks=folder / "masks", validation=0.0, test=0.0)


def folder_config(data: DataConfig, options: argparse.Namespace) -> Config:
    return Config(
        task=Task.multiclass(list(measure.CLASSES)),
        data=data,
        model=ModelConfig(width=options.width),
        train=TrainConfig(batch_size=options.batch, crop=(options.size, options.size)),
    )


def cases(name: str, config: Config, steps: int) -> tuple[Case, Case]:
    """Return a data set as it is trained on, and with every sample read and decoded anew each time."""
    from segkit.data.pipeline import CACHE_BYTES

    part = open_parts(config)["train"]
    config = config.model_copy(update={"input": check(config.task, {"train": part}).given})
    kept = Case(f"{name}, kept in memory", config, part, CACHE_BYTES, steps)
    return kept, replace(kept, name=f"{name}, read every time", cache_bytes=0)


def alone(case: Case) -> float:
    """Return the images a second that the pipeline gives to someone who does nothing with them."""
    batches, count = case.batches(), 2 * case.warm_up
    for _ in itertools.islice(batches, case.warm_up):
        pass
    start = time.perf_counter()
    for _ in itertools.islice(batches, count):
        pass
    seconds = time.perf_counter() - start
    batches.close()
    return count * case.config.train.batch_size / seconds


def trainer_for(case: Case) -> Any:
    from segkit.devices import prepare
    from segkit.models.build import build_for, compile

    prepare(case.config.train)
    assert case.config.input is not None
    return compile(build_for(case.config.task, case.config.model, case.config.input), case.config.task)


def fit(trainer: Any, case: Case, ready: bool = False) -> Fitted:
    """Fit on the case's batches, or on one batch that is ready in memory, and time the steps after the warm-up."""
    import keras

    clock = _Clock(case.warm_up, case.warm_up + case.steps)
    batches = case.batches()
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
    return Fitted(seconds / case.steps, min(1.0, waited / seconds))  # a `next` may have begun before the first mark


class _Clock:
    """Adds up the time inside a generator's `next`, and notes it and the time at the first and the last step."""

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


def measure_all(pairs: Sequence[tuple[Case, Case]], rounds: int) -> list[dict[str, Any]]:
    """Return a row a case: medians over rounds in which all are measured in turn."""
    chosen = list(itertools.chain.from_iterable(pairs))
    rates = measure.in_turn({case.name: partial(alone, case) for case in chosen}, rounds)
    fits: dict[tuple[str, bool], Callable[[], Fitted]] = {}
    for pair in pairs:
        trainer = trainer_for(pair[0])
        fits[pair[0].name, True] = partial(fit, trainer, pair[0], ready=True)
        fits |= {(case.name, False): partial(fit, trainer, case) for case in pair}
    fitted = measure.in_turn(fits, rounds)
    return [
        _row(case.name, rates[case.name], fitted[pair[0].name, True], fitted[case.name, False])
        for pair in pairs
        for case in pair
    ]


def _row(name: str, rates: list[float], ready: list[Fitted], fitted: list[Fitted]) -> dict[str, Any]:
    """Return the medians; `lost` is the share of a step that a ready batch would save: waiting, and cores shared."""
    step, ready_step = (statistics.median(one.step for one in fits) for fits in (fitted, ready))
    return {
        "data": name,
        "images_per_second_alone": statistics.median(rates),
        "step_on_ready_batches": ready_step,
        "step": step,
        "lost": 1 - ready_step / step,
        "waiting": statistics.median(one.waiting for one in fitted),
    }


def table_of(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("input pipeline")
    for heading in (
        "images/s alone",
        "s a step, batch ready",
        "s a step",
        "lost to data",
        "model waits",
        f"below {TARGET:.0%}",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        seconds = (f"{row['step_on_ready_batches']:.3f}", f"{row['step']:.3f}")
        shares = (f"{row['lost']:.1%}", f"{row['waiting']:.1%}", "yes" if row["waiting"] < TARGET else "no")
        table.add_row(row["data"], f"{row['images_per_second_alone']:.0f}", *seconds, *shares)
    return table


def main() -> None:
    parser = measure.options(__doc__)
    parser.add_argument("--images", type=int, default=64, help="images in the folder (default %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each fit (default %(default)s)")
    options = parser.parse_args()
    measure.settle()
    from segkit.devices import load_keras

    load_keras()
    console, about = measure.console(), measure.machine()
    console.print(f"input pipeline, {options.rounds} rounds\n{measure.machine_line(about)}", highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        data = write_folder(Path(folder), options.images, options.size)
        png = cases(f"PNG {options.size} x {options.size}", folder_config(data, options), options.steps)
        shapes = cases("configs/shapes.yaml", read(SHAPES), options.steps)
        rows = measure_all([png, shapes], options.rounds)
    console.print(table_of(rows), highlight=False)
    if options.json:
        given = {key: getattr(options, key) for key in ("width", "batch", "size", "images", "steps")}
        measure.write(options.json, "pipeline", about, {"workload": given, "rounds": options.rounds, "results": rows})


if __name__ == "__main__":
    main()
