"""A contender of `pipeline.py`: PyTorch's DataLoader with the same changes by albumentations, as
people write it.

python torch_loader.py SETTINGS.json (png | memory) (warp-then-crop | crop-then-warp)

Needs torch, albumentations and OpenCV, and nothing of segkit. warp-then-crop gives the same patches
as segkit; crop-then-warp is the cheapest way that albumentations offers, whose turned patches have
empty corners.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A  # noqa: N812
import cv2
import loaders
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

VOID = 255


class Folder(Dataset):
    """Images and masks of one name, decoded by OpenCV: from PNG each time, or once before the
    start.
    """

    def __init__(self, given: dict[str, Any], kept: bool, order: str) -> None:
        self.images = sorted(Path(given["images"]).glob("*.png"))
        self.masks = [Path(given["masks"]) / path.name for path in self.images]
        self.change = A.Compose(changes(given, order))
        self.kept = [self._read(i) for i in range(len(self.images))] if kept else None

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image = cv2.cvtColor(
            cv2.imread(str(self.images[index]), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
        )
        return image, cv2.imread(str(self.masks[index]), cv2.IMREAD_UNCHANGED)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.kept[index] if self.kept else self._read(index)
        done = self.change(image=image, mask=mask)
        return torch.from_numpy(done["image"]), torch.from_numpy(done["mask"])


def changes(given: dict[str, Any], order: str) -> list[Any]:
    """Return the transforms of segkit's settings for augmentation."""
    wanted, (height, width) = given["augment"], given["crop"]
    border = {"border_mode": cv2.BORDER_CONSTANT, "fill": given["mean"], "fill_mask": VOID}
    sizes, turns = (
        (1 / (1 + wanted["scale"]), 1 + wanted["scale"]),
        (-wanted["rotate"], wanted["rotate"]),
    )
    warp = A.Affine(scale=sizes, rotate=turns, keep_ratio=True, p=0.9, **border)
    crop = A.RandomCrop(height, width, pad_if_needed=True, **border)
    return [
        *((warp, crop) if order == "warp-then-crop" else (crop, warp)),
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(wanted["brightness"], wanted["contrast"], p=0.8),
    ]


def one_thread(worker: int) -> None:
    cv2.setNumThreads(0)  # a process a core; OpenCV's own threads would only be in the way


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    data = Folder(given, sys.argv[2] == "memory", sys.argv[3])
    loader = DataLoader(
        data,
        given["batch"],
        sampler=RandomSampler(data, replacement=True, num_samples=10**8),  # no pause between epochs
        num_workers=given["workers"],
        worker_init_fn=one_thread,
    )
    batches = iter(loader)
    workers = [worker.pid for worker in batches._workers]
    loaders.serve(batches, given["batch"], -(-len(data) // given["batch"]), lambda: workers)


if __name__ == "__main__":
    main()
