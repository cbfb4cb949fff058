"""CPU milliseconds to decode a PNG: by Pillow, by libpng alone, and as segkit does it.

python benchmarks/png.py [--turns 15] [FILE ...]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import imagecodecs
import numpy as np
from machine import machine, machine_line
from measure import console
from PIL import Image

from segkit.io.png import decode_plain
from segkit.system.keras_start import keep_freed_memory

Decode = Callable[[bytes], object]
SECONDS_OF_A_TURN = 0.03


def encoded(pixels: np.ndarray, palette: bool = False) -> bytes:
    picture = Image.fromarray(pixels)
    if palette:
        picture.putpalette([10, 20, 30] * 256)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def waves(side: int, noise: float) -> np.ndarray:
    """Return smooth waves with the noise of a camera, (side, side, 3) float64 in 0 to 255."""
    rows, columns = np.mgrid[:side, :side] / side
    bands = [128 + 100 * np.sin(9 * columns + i) * np.cos(7 * rows) for i in range(3)]
    smooth = np.stack(bands, axis=-1)
    random = np.random.default_rng(0)
    return (smooth + random.normal(0, noise, smooth.shape)).clip(0, 255)


def class_ids(side: int) -> np.ndarray:
    """Return a disc in a square, (side, side) uint8 in 0 to 2."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    square = np.maximum(abs(rows), abs(columns)) < 0.4
    disc = np.hypot(rows, columns) < 0.3
    return square.astype(np.uint8) + disc


def generated() -> dict[str, bytes]:
    """Return files by name: like photos, like masks, and of 16 bits."""
    files = {}
    for side in (256, 512, 1024):
        files[f"RGB photo, {side} x {side}"] = encoded(waves(side, 6).astype(np.uint8))
    ids = class_ids(512)
    files["mask with a palette, 512 x 512"] = encoded(ids, palette=True)
    files["grey mask, 512 x 512"] = encoded(ids)
    files["RGB mask, 512 x 512"] = encoded(np.stack([ids * 80, ids * 40, ids * 20], axis=-1))
    deep = 256 * waves(512, 1)[..., 0]
    files["16 bits of grey, 512 x 512"] = encoded(deep.astype(np.uint16))
    return files


def by_pillow(content: bytes) -> object:
    return np.asarray(Image.open(io.BytesIO(content)))


def by_segkit(content: bytes) -> object:
    """Decode as `read_image` and `read_mask` do; 16 bits of grey are Pillow's."""
    plain = decode_plain(content, indices=True)
    if plain is None:
        return by_pillow(content)
    return plain


DECODERS: dict[str, Decode] = {
    "Pillow": by_pillow,
    "libpng": imagecodecs.png_decode,
    "segkit": by_segkit,
}


def milliseconds(content: bytes, turns: int) -> Mapping[str, float]:
    """Return the median CPU time of a call by decoder. The decoders take turns."""
    found: dict[str, list[float]] = {name: [] for name in DECODERS}
    calls = 0
    began = time.process_time()
    while time.process_time() - began < SECONDS_OF_A_TURN:
        by_pillow(content)
        calls += 1
    for _ in range(turns):
        for name, decode in DECODERS.items():
            began = time.process_time()
            for _ in range(calls):
                decode(content)
            found[name].append((time.process_time() - began) / calls * 1000)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument(
        "--turns", type=int, default=15, help="per decoder and file (default %(default)s)"
    )
    parser.add_argument(
        "files", type=Path, nargs="*", help="PNG files of your own instead of generated ones"
    )
    arguments = parser.parse_args()
    output = console()
    keep_freed_memory()  # as a training does
    files = {path.name: path.read_bytes() for path in arguments.files} or generated()
    output.print(machine_line(machine()), highlight=False)
    output.print(f"| | {' | '.join(DECODERS)} | libpng / segkit |", highlight=False)
    output.print("|---|---|---|---|---|", highlight=False)
    for name, content in files.items():
        times = milliseconds(content, arguments.turns)
        cells = [f"{each:.3f}" for each in times.values()]
        cells.append(f"{times['libpng'] / times['segkit']:.2f}")
        output.print(f"| {name} | {' | '.join(cells)} |", highlight=False)


if __name__ == "__main__":
    main()
