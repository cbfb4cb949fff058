"""Predicts the images of a folder with a run of segkit, for time_to_dice.py.

python benchmarks/dice_predict.py RUN IMAGES OUT.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from segkit import Predictor
from segkit.io.images import read_image


def main() -> None:
    run, images, out = sys.argv[1:]
    predictor = Predictor.load(run, runtime="keras")
    paths = sorted(Path(images).iterdir())
    masks = [predictor(read_image(path)) for path in paths]
    np.savez_compressed(out, masks=np.stack(masks))


if __name__ == "__main__":
    main()
