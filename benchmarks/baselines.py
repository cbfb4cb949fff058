"""What the slices of examples/brain_mri give in the same minutes without segkit: a plain Keras
U-Net and MONAI's BasicUNet.

python benchmarks/baselines.py brain|lobes|regions [--minutes 3] [--toolkit keras|monai]

Both have 16 channels at full resolution, cross-entropy + Dice and AdamW at 0.001, batches of 4, no
augmentation, and their libraries' defaults otherwise. The clock begins with the first step, so it
counts compiling, as `train.minutes` does. segkit reads the slices and counts the pixels. MONAI is
no dependency: install it (and PyTorch) beside segkit, whose Keras and TensorFlow are not loaded
then. Keras gets oneDNN, as segkit does, on every CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segkit import Task
from segkit.config import read
from segkit.data.parts import open_parts
from segkit.evaluation import counts

CONFIGS = Path(__file__).parent.parent / "configs"
WIDTHS, BATCH, RATE, STRIDE = (16, 32, 64, 128, 256), 4, 1e-3, 16
Step = Callable[[np.ndarray, np.ndarray], object]
Predict = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=("brain", "lobes", "regions"))
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--toolkit", choices=("keras", "monai"), default="keras")
    options = parser.parse_args()
    config = read(CONFIGS / f"brain_mri_{options.task}.yaml")
    parts = {name: load(config.task, part) for name, part in open_parts(config).items()}
    step, predict = {"keras": with_keras, "monai": with_monai}[options.toolkit](config.task)
    images, targets = parts["train"]
    rng, done, end = np.random.default_rng(0), 0, time.monotonic() + 60 * options.minutes
    while time.monotonic() < end:
        order = rng.permutation(len(images))
        for chosen in np.split(order, range(BATCH, len(order), BATCH)):
            if time.monotonic() < end:
                step(images[chosen], targets[chosen])
                done += 1
    total = sum(
        counts.count(
            config.task, encoded(config.task, target), config.task.decode(predict(image[None])[0])
        )
        for image, target in zip(*parts["test"], strict=True)
    )
    dice = counts.means(config.task, total)["dice_foreground"]
    print(
        f"{options.toolkit} {options.task}: foreground Dice {dice:.3f} on the test part "
        f"after {done} steps"
    )


def load(task: Task, part: object) -> tuple[np.ndarray, np.ndarray]:
    """Return a part's images (N, H, W, 1) float32 from -1 to 1 and 0/1 targets (N, H, W, C), padded
    to the stride.
    """
    samples = [part.read(name) for name in part.names]  # type: ignore[attr-defined]
    images = np.stack([sample.image for sample in samples]).astype(np.float32) / 127.5 - 1
    masks = np.stack([task.encode(sample.mask) for sample in samples])
    targets = (
        np.eye(task.channels, dtype=np.float32)[masks]
        if task.exclusive
        else masks.astype(np.float32)
    )
    rows, columns = (-size % STRIDE for size in images.shape[1:3])
    room = [(0, 0), (0, rows), (0, columns), (0, 0)]
    return np.pad(images, room, constant_values=-1), np.pad(targets, room, mode="edge")


def encoded(task: Task, target: np.ndarray) -> np.ndarray:
    """Return a 0/1 target as `counts` takes it."""
    return (target.argmax(-1) if task.exclusive else target).astype(np.uint8)


def with_keras(task: Task) -> tuple[Step, Predict]:
    from segkit.system.keras_start import prefer_onednn

    prefer_onednn()
    import keras
    from keras import layers, ops

    def block(x: object, width: int) -> object:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        return x

    image = x = keras.Input((None, None, 1))
    skips = []
    for width in WIDTHS[:-1]:
        skips.append(block(x, width))
        x = layers.MaxPooling2D()(skips[-1])
    x = block(x, WIDTHS[-1])
    for width, skip in zip(WIDTHS[-2::-1], skips[::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2)(x)
        x = block(layers.Concatenate()([skip, x]), width)
    model = keras.Model(image, layers.Conv2D(task.channels, 1, activation=task.activation)(x))
    cross_entropy = getattr(keras.losses, task.cross_entropy)

    def loss(target: object, p: object) -> object:
        chosen = slice(1, None) if task.exclusive else slice(None)
        t, q = target[..., chosen], p[..., chosen]  # type: ignore[index]
        dice = (2 * ops.sum(t * q, (1, 2)) + 1) / (ops.sum(t + q, (1, 2)) + 1)
        return ops.mean(cross_entropy(target, p)) + 1 - ops.mean(dice)

    model.compile(keras.optimizers.AdamW(RATE), loss)
    return model.train_on_batch, model.predict_on_batch


def with_monai(task: Task) -> tuple[Step, Predict]:
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # MONAI would load it if it is there, and the two crash
    import torch
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet

    torch.manual_seed(0)
    model = BasicUNet(2, 1, task.channels, features=(*WIDTHS, WIDTHS[0]))
    ways = {"softmax": task.exclusive, "sigmoid": not task.exclusive}
    loss = DiceCELoss(include_background=not task.exclusive, **ways)
    optimizer = torch.optim.AdamW(model.parameters(), RATE)

    def as_tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))

    def step(images: np.ndarray, targets: np.ndarray) -> None:
        model.train()
        optimizer.zero_grad()
        loss(model(as_tensor(images)), as_tensor(targets)).backward()
        optimizer.step()

    def predict(images: np.ndarray) -> np.ndarray:
        model.eval()
        with torch.inference_mode():
            logits = model(as_tensor(images))
            p = logits.softmax(1) if task.exclusive else logits.sigmoid()
        return np.moveaxis(p.numpy(), 1, -1)

    return step, predict


if __name__ == "__main__":
    main()
