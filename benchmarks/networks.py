"""Every encoder with every decoder: parameters, multiply-adds and images/s; brings the table of the
docs up to date.

python benchmarks/networks.py [--encoders NAME...] [--decoders NAME...] [--size 512] [--batch 1]
[--width 32] [--rounds 5]

Networks are measured one after the other, each in a process of its own. Rows that the page has from
the same machine and settings stay, so that the table can be measured in parts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import measure
import numpy as np
from machine import machine, machine_line

from segkit import catalog

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "networks.md"
BEGIN, END = "<!-- benchmarks/networks.py -->", "<!-- end -->"
HEADING = (
    "| encoder | decoder | parameters, million | multiply-adds, billion | images/s "
    "|\n|---|---|---:|---:|---:|"
)
ROW = re.compile(r"^\| (\w+) \| (\S+) \| [\d.]+ .*$", re.MULTILINE)


class Cost(NamedTuple):
    """What one network costs."""

    parameters: int
    multiply_adds: int
    seconds: list[float]
    """Of predicting one batch, each round."""


def cost(encoder: str, decoder: str, asked: argparse.Namespace) -> Cost:
    """Measure a network in this process."""
    measure.settle()
    from segkit.system.keras_start import load_keras

    load_keras()
    import segkit
    from segkit.models.cost import multiply_adds

    task = segkit.Task.multiclass(list(measure.CLASSES))
    model = segkit.build(task, encoder=encoder, decoder=decoder, width=asked.width)
    images = np.random.default_rng(0).integers(
        0, 256, (asked.batch, asked.size, asked.size, 3), np.uint8
    )
    for _ in range(measure.WARM_UPS):
        model.predict_on_batch(images)
    seconds = []
    for _ in range(asked.rounds):
        began = time.perf_counter()
        model.predict_on_batch(images)
        seconds.append(time.perf_counter() - began)
    return Cost(model.count_params(), multiply_adds(model, asked.size, asked.size), seconds)


def costs(asked: argparse.Namespace) -> Iterator[tuple[str, str, Cost]]:
    for encoder in asked.encoders:
        for decoder in asked.decoders:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                yield encoder, decoder, pool.submit(cost, encoder, decoder, asked).result()


def row(encoder: str, decoder: str, found: Cost, batch: int) -> str:
    rate = batch / statistics.median(found.seconds)
    return (
        f"| {encoder} | {decoder} | {found.parameters / 1e6:.2f} | "
        f"{found.multiply_adds / 1e9:.1f} | "
        f"{rate:.{2 if rate < 10 else 1}f} |"
    )


def told(asked: argparse.Namespace) -> str:
    """Return what the numbers hold for, in a sentence."""
    about = machine()
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("keras", "tensorflow"))
    return (
        f"{asked.size} x {asked.size} pixels, {asked.batch} image(s) at a time, `width: "
        f"{asked.width}`, median of "
        f"{asked.rounds} predictions in float32; {about['cpu']}, {about['cores']} cores, "
        f"{versions}."
    )


def updated(page: str, sentence: str, rows: Mapping[tuple[str, str], str]) -> str:
    """Return the page with the rows in its table; those that stand there for the same sentence
    stay.
    """
    before, _, rest = page.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"the page has no {BEGIN} ... {END}")
    kept = (
        {(found[1], found[2]): found[0] for found in ROW.finditer(old)} if sentence in old else {}
    )
    lines = [line for _, line in sorted({**kept, **rows}.items())]
    return "\n".join([f"{before}{BEGIN}", "", sentence, "", HEADING, *lines, "", f"{END}{after}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name, default, words in (
        ("size", 512, "pixels a side"),
        ("batch", 1, "images at a time"),
        ("width", 32, "channels of the finest level that a decoder gets"),
        ("rounds", 5, "timed predictions"),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=default, help=f"{words} (default %(default)s)"
        )
    parser.add_argument(
        "--encoders", nargs="+", default=sorted(catalog.ENCODERS), choices=catalog.ENCODERS
    )
    parser.add_argument(
        "--decoders", nargs="+", default=sorted(catalog.DECODERS), choices=catalog.DECODERS
    )
    parser.add_argument(
        "--page",
        type=Path,
        default=PAGE,
        help="a page to bring up to date (default: that of the docs)",
    )
    asked = parser.parse_args()
    sentence, shown = told(asked), measure.console()
    shown.print(machine_line(machine()), sentence, HEADING, sep="\n", highlight=False)
    for encoder, decoder, found in costs(asked):
        line = row(encoder, decoder, found, asked.batch)
        shown.print(line, highlight=False, markup=False)
        page = asked.page.read_text(
            encoding="utf-8"
        )  # after each, so that nothing measured is lost
        asked.page.write_text(updated(page, sentence, {(encoder, decoder): line}), encoding="utf-8")


if __name__ == "__main__":
    main()
