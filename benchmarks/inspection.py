"""How many images a second `segkit inspect` reads: 512 x 512 RGB PNG with masks of three classes,
from a cold process.

python benchmarks/inspection.py [--images 400] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

NOISE = {"clean": 0.0, "noisy": 3.0}
"""Standard deviation of the noise, grey levels: what a PNG cannot compress, a reader has to decode.
"""


def write(folder: Path, count: int, noise: float) -> int:
    """Write images and masks; return the bytes of an image in the mean."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_CUBIC) + rng.normal(
            0, noise, (512, 512, 3)
        )
        blobs = cv2.resize(
            rng.random((8, 8)).astype(np.float32), (512, 512), interpolation=cv2.INTER_CUBIC
        )
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(
            folder / "images" / f"{number}.png"
        )
        Image.fromarray((blobs * 3).clip(0, 2).astype(np.uint8)).save(
            folder / "masks" / f"{number}.png"
        )
    return sum(path.stat().st_size for path in (folder / "images").iterdir()) // count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as root:
        sizes = {
            name: write(Path(root, name), options.images, noise) for name, noise in NOISE.items()
        }
        rates: dict[str, list[float]] = {name: [] for name in NOISE}
        for _ in range(options.rounds):
            for name in NOISE:
                folders = [str(Path(root, name, part)) for part in ("images", "masks")]
                began = time.monotonic()
                subprocess.run(
                    [sys.executable, "-m", "segkit", "inspect", *folders],
                    check=True,
                    capture_output=True,
                )
                rates[name].append(options.images / (time.monotonic() - began))
    for name, found in rates.items():
        print(
            f"{name}, {sizes[name] / 1024:.0f} KiB an image: median "
            f"{statistics.median(found):.0f} images/s "
            f"({min(found):.0f} to {max(found):.0f}), start of the process included"
        )


if __name__ == "__main__":
    main()
