"""Trains a plain U-Net of Keras or MONAI's BasicUNet for some minutes, and predicts test images.

python benchmarks/dice_peers.py keras|monai DATA.npz OUT.npz [--minutes 3] [--seed 0]

time_to_dice.py calls it, for MONAI in an environment of its own without segkit. Both networks have
16 channels at full resolution, which are doubled at each of 4 levels. Both are trained as tutorials
do it: Adam at 0.001, cross-entropy + Dice, batches of 4, mirrored images, values scaled to mean 0
and deviation 1, random patches of 256 pixels where images are larger. The network after the last
step predicts whole images. The clock begins with the first step, so it counts compiling and not the
import of the packages, as segkit's `train.minutes` does. With `--clock cpu` a second has passed
when the process has used one second of every core, for machines that others use.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WIDTHS = (16, 32, 64, 128, 256)
STRIDE = 16
CROP = 256
BATCH = 4
RATE = 1e-3
Step = Callable[[np.ndarray, np.ndarray], object]
Predict = Callable[[np.ndarray], np.ndarray]


class Data(NamedTuple):
    """Training images and targets, and test images."""

    images: np.ndarray
    """(N, H, W, C), scaled to mean 0 and deviation 1."""
    targets: np.ndarray
    """(N, H, W, classes) uint8, 0 or 1."""
    test: np.ndarray
    exclusive: bool
    """Whether each pixel has exactly one class (softmax); otherwise each class is yes or no."""
    flips: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("toolkit", choices=("keras", "monai"))
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = parser.parse_args()
    data = load(options.data)
    contenders = {"keras": with_keras, "monai": with_monai}
    step, predict = contenders[options.toolkit](data, options.seed)
    now = {"wall": time.monotonic, "cpu": cpu_seconds}[options.clock]
    steps = 0
    began = now()
    for images, targets in batches(data, np.random.default_rng(options.seed)):
        if now() - began >= 60 * options.minutes:
            break
        step(images, targets)
        steps += 1
    seconds = now() - began
    masks = [decode(data, predict_whole(predict, image)) for image in data.test]
    np.savez_compressed(options.out, masks=np.stack(masks), steps=steps, seconds=seconds)


def cpu_seconds() -> float:
    """Return the CPU seconds that this process has used of every core."""
    return time.process_time() / len(os.sched_getaffinity(0))


def load(path: Path) -> Data:
    """Read what time_to_dice.py wrote."""
    stored = np.load(path)
    images = stored["images"].astype(np.float32)
    mean = images.mean((0, 1, 2))
    deviation = images.std((0, 1, 2)) + 1e-6
    targets = stored["targets"]
    exclusive = bool(stored["exclusive"])
    if exclusive:
        targets = np.eye(int(stored["classes"]), dtype=np.uint8)[targets]
    test = (stored["test"].astype(np.float32) - mean) / deviation
    scaled = (images - mean) / deviation
    return Data(scaled, targets, test, exclusive, bool(stored["flips"]))


def batches(data: Data, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of images and float32 targets without end, each image once in an epoch."""
    batch = min(BATCH, len(data.images))
    while True:
        order = rng.permutation(len(data.images))
        for first in range(0, len(order) - batch + 1, batch):
            pairs = [patch(data, number, rng) for number in order[first : first + batch]]
            images, targets = zip(*pairs, strict=True)
            yield np.stack(images), np.stack(targets).astype(np.float32)


def patch(data: Data, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a random patch of an image, padded to the stride and mirrored at random."""
    pair = (data.images[number], data.targets[number])
    height, width = pair[0].shape[:2]
    top = rng.integers(max(height - CROP, 0) + 1)
    left = rng.integers(max(width - CROP, 0) + 1)
    image, target = (padded(each[top : top + CROP, left : left + CROP]) for each in pair)
    if data.flips:
        for axis in (0, 1):
            if rng.random() < 0.5:
                image = np.flip(image, axis)
                target = np.flip(target, axis)
    return image, target


def padded(array: np.ndarray) -> np.ndarray:
    """Return an array (H, W, C) whose edge is repeated up to the stride of the networks."""
    rows, columns = (-size % STRIDE for size in array.shape[:2])
    return np.pad(array, [(0, rows), (0, columns), (0, 0)], mode="edge")


def predict_whole(predict: Predict, image: np.ndarray) -> np.ndarray:
    """Return the probabilities (H, W, classes) of an image of any size."""
    height, width = image.shape[:2]
    return np.asarray(predict(padded(image)[None]))[0, :height, :width]


def decode(data: Data, probabilities: np.ndarray) -> np.ndarray:
    """Return the class of each pixel, (H, W); of yes/no classes whether each is there."""
    if data.exclusive:
        return probabilities.argmax(-1).astype(np.uint8)
    return (probabilities >= 0.5).astype(np.uint8)


def with_keras(data: Data, seed: int) -> tuple[Step, Predict]:
    """Return the training step and the prediction of a U-Net with Keras on TensorFlow."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(seed)

    def block(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        return x

    image = x = keras.Input((None, None, data.images.shape[-1]))
    skips = []
    for width in WIDTHS[:-1]:
        skips.append(block(x, width))
        x = layers.MaxPooling2D()(skips[-1])
    x = block(x, WIDTHS[-1])
    for width, skip in zip(WIDTHS[-2::-1], skips[::-1], strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2)(x)
        x = block(layers.Concatenate()([skip, x]), width)
    activation = "softmax" if data.exclusive else "sigmoid"
    head = layers.Conv2D(data.targets.shape[-1], 1, activation=activation, dtype="float32")
    model = keras.Model(image, head(x))
    cross_entropy = keras.losses.binary_crossentropy
    if data.exclusive:
        cross_entropy = keras.losses.categorical_crossentropy
    foreground = slice(int(data.exclusive), None)

    def loss(target: Any, probability: Any) -> Any:
        true = target[..., foreground]
        found = probability[..., foreground]
        overlap = ops.sum(true * found, (1, 2))
        dice = (2 * overlap + 1) / (ops.sum(true + found, (1, 2)) + 1)
        return ops.mean(cross_entropy(target, probability)) + 1 - ops.mean(dice)

    model.compile(keras.optimizers.Adam(RATE), loss)
    return model.train_on_batch, model.predict_on_batch


def with_monai(data: Data, seed: int) -> tuple[Step, Predict]:
    """Return the training step and the prediction of MONAI's BasicUNet."""
    import torch
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet

    torch.manual_seed(seed)
    channels = data.images.shape[-1]
    model = BasicUNet(2, channels, data.targets.shape[-1], features=(*WIDTHS, WIDTHS[0]))
    loss = DiceCELoss(
        include_background=not data.exclusive,
        softmax=data.exclusive,
        sigmoid=not data.exclusive,
    )
    optimizer = torch.optim.Adam(model.parameters(), RATE)

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
            probabilities = logits.softmax(1) if data.exclusive else logits.sigmoid()
        return np.moveaxis(probabilities.numpy(), 1, -1)

    return step, predict


if __name__ == "__main__":
    main()
