"""CPU milliseconds to decode a PNG: by Pillow, by libpng alone, and as segkit does it.

python benchmarks/png.py [--turns 5] [FILE ...]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from machine import machine, machine_line
from measure import console
from PIL import Image

from segkit.io.png import decode_plain
from segkit.system.keras_start import keep_freed_memory

Decode = Callable[[bytes], object]


def encoded(pixels: np.ndarray, palette: bool = False) -> bytes:
    picture, stream = Image.fromarray(pixels), io.BytesIO()
    if palette:
        picture.putpalette([10, 20, 30] * 256)
    picture.save(stream, "PNG")
    return stream.getvalue()


def image(side: int) -> bytes:
    """Return a picture of waves with the noise of a camera."""
    rows, columns = np.mgrid[:side, :side] / side
    waves = np.stack(
        [128 + 100 * np.sin(9 * columns + i) * np.cos(7 * rows) for i in range(3)], axis=-1
    )
    return encoded(
        (waves + np.random.default_rng(0).normal(0, 6, waves.shape)).clip(0, 255).astype(np.uint8)
    )


def mask(side: int) -> bytes:
    """Return class ids with a palette: a disc in a square."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    square, disc = np.maximum(abs(rows), abs(columns)) < 0.4, np.hypot(rows, columns) < 0.3
    return encoded((square + disc).astype(np.uint8), palette=True)


def milliseconds(decode: Decode, content: bytes, turns: int) -> float:
    """Return the median CPU time of a call, each turn half a second."""
    found = []
    for _ in range(turns):
        began, calls = time.process_time(), 0
        while time.process_time() - began < 0.5:
            decode(content)
            calls += 1
        found.append((time.process_time() - began) / calls * 1000)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "--turns", type=int, default=5, help="of each decoder and file (default %(default)s)"
    )
    parser.add_argument(
        "files", type=Path, nargs="*", help="PNG files of your own instead of generated ones"
    )
    arguments, shown = parser.parse_args(), console()
    keep_freed_memory()  # as a training does
    files = {f"RGB, {side} x {side}": image(side) for side in (256, 512, 1024)}
    files |= {f"mask with a palette, {side} x {side}": mask(side) for side in (256, 1024)}
    files = {path.name: path.read_bytes() for path in arguments.files} or files
    decoders: dict[str, Decode] = {
        "Pillow": lambda content: np.asarray(Image.open(io.BytesIO(content))),
        "libpng": imagecodecs.png_decode,
        "segkit": lambda content: decode_plain(content, indices=True),
    }
    shown.print(
        machine_line(machine()),
        f"| | {' | '.join(decoders)} |",
        "|---|---|---|---|",
        sep="\n",
        highlight=False,
    )
    for name, content in files.items():
        times = (milliseconds(decode, content, arguments.turns) for decode in decoders.values())
        shown.print(f"| {name} | {' | '.join(f'{each:.3f}' for each in times)} |", highlight=False)


if __name__ == "__main__":
    main()
