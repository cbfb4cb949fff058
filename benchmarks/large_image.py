"""Predict one large generated TIFF by windows: peak resident memory, windows/s and time.

Without --run a stand-in for the network thresholds the mean of the channels, so that what remains
is segkit's own work.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from segkit import Task
from segkit.config import Config, InputConfig, PredictConfig
from segkit.inference.large.memory_budget import budget_within
from segkit.inference.large.predict import predict_large
from segkit.inference.tiles import Predict
from segkit.system import memory

TILE = 512


def write_image(path: Path, side: int) -> None:
    """Write a compressed tiled RGB TIFF of `side` x `side` pixels: soft waves with some noise, tile
    by tile.
    """
    rng = np.random.default_rng(0)
    ramp = np.arange(TILE) / TILE * 2 * np.pi
    waves = 100 + 60 * np.sin(3 * ramp)[:, None, None] * np.cos(2 * ramp)[None, :, None]
    patterns = [
        np.uint8(waves + rng.integers(0, 4, (TILE, TILE, 3)) * 8 + 20 * i) for i in range(4)
    ]

    def tiles() -> Iterator[np.ndarray]:
        for number in range((-(-side // TILE)) ** 2):
            yield patterns[number * 7 % 4]

    shape = (side, side, 3)
    tifffile.imwrite(
        path,
        tiles(),
        shape=shape,
        dtype=np.uint8,
        tile=(TILE, TILE),
        photometric="rgb",
        compression="zlib",
        bigtiff=True,
    )


def stand_in(task: Task) -> Predict:
    """Return a network of one comparison: the brighter a pixel, the higher its class."""

    def predict(images: np.ndarray) -> np.ndarray:
        grey = images.mean(-1, dtype=np.float32)
        if not task.exclusive:
            return (grey[..., None] > 128).astype(np.float32)
        level = np.minimum(grey / 256 * task.channels, task.channels - 1).astype(np.uint8)
        return np.eye(task.channels, dtype=np.float32)[level]

    return predict


def opened(options: argparse.Namespace) -> tuple[Predict, Config]:
    """Return the network and config of the run that is given, or stand-ins."""
    if options.run:
        from segkit.inference.predictor import Predictor

        loaded = Predictor.load(options.run)
        return loaded._predict, loaded.config
    names = [f"class {i}" for i in range(options.classes)]
    task = Task.binary() if options.classes == 1 else Task.multiclass(names)
    given = InputConfig(channels=3, dtype="uint8", mean=(0, 0, 0), std=(1, 1, 1), low=0, high=255)
    return stand_in(task), Config(task=task, input=given, predict=PredictConfig(tile=options.tile))


def predict_one(options: argparse.Namespace, image: Path, folder: Path) -> None:
    """Predict in this process and print what it took."""
    predict, config = opened(options)
    began, windows = time.monotonic(), 0

    def count(done: int, total: int) -> None:
        nonlocal windows
        windows = total
        if done % 200 == 0:
            print(f"{done}/{total} windows, {time.monotonic() - began:.0f} s", flush=True)

    room = budget_within(predict, config, memory.parse_bytes(options.memory))
    print(room)
    began = time.monotonic()
    predict_large(predict, config, image, folder, "image", room, progress=count)
    took = time.monotonic() - began
    print(
        f"{options.side} x {options.side}, {config.task.channels} classes: {took:.0f} s "
        f"with writing the mask, "
        f"{windows / took:.2f} windows/s, peak resident memory {memory.peak() / 1e9:.2f} GB"
    )


def main() -> None:
    """Make the image in a temporary folder and predict it in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=40_000, help="rows and columns of the image")
    parser.add_argument("--memory", default="1.5GB")
    parser.add_argument(
        "--run", type=Path, help="a run folder; without it a stand-in for the network"
    )
    parser.add_argument("--classes", type=int, default=1, help="of the stand-in")
    parser.add_argument("--tile", type=int, default=1024, help="window of the stand-in")
    parser.add_argument("--image", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.image:
        predict_one(options, options.image, options.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.tif")
        write_image(image, options.side)
        print(f"made an image of {image.stat().st_size / 1e6:,.0f} MB", flush=True)
        again = [
            sys.executable,
            __file__,
            *sys.argv[1:],
            "--image",
            str(image),
            "--out",
            str(Path(folder, "masks")),
        ]
        subprocess.run(again, check=True)
        made = next(Path(folder, "masks").glob("*.tif"))
        print(f"the mask takes {made.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
