"""An exported run in LiteRT (TensorFlow Lite), on the CPU.

The file holds the network between scaling and cropping: LiteRT plans for one shape at a time, and paddings that depend
on the image's size would keep it from that. What is left out is done here in NumPy, in the same order and precision.
"""

from __future__ import annotations

import numpy as np

from segkit.config import InputConfig
from segkit.inference.runtimes.damage import opening
from segkit.inference.runtimes.images import check_images
from segkit.inference.tiles import Predict
from segkit.run.exports import Exported
from segkit.system.packages import need
from segkit.system.quiet import quiet
from segkit.system.threads import cores


def open_litert(exported: Exported) -> Predict:
    """Return images (B, H, W, C) -> probabilities (B, H, W, classes) float32; any size, any batch."""
    runtime = need("ai_edge_litert.interpreter", "litert")
    with (
        opening(exported.model, "LiteRT"),
        quiet(),
    ):  # the library says on standard error which kernels it takes
        interpreter = runtime.Interpreter(str(exported.model), num_threads=cores())
        interpreter.allocate_tensors()
    config = exported.config()
    given, stride = config.input, config.model.stride
    entry, way_out = (
        interpreter.get_input_details()[0],
        interpreter.get_output_details()[0]["index"],
    )
    planned: tuple[int, ...] = ()

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal planned
        check_images(images, given)
        height, width = images.shape[1:3]
        scaled = scale_and_pad(images, given, stride)
        if scaled.shape != planned:
            interpreter.resize_tensor_input(entry["index"], scaled.shape)
            interpreter.allocate_tensors()
            planned = scaled.shape
        interpreter.set_tensor(entry["index"], scaled)
        interpreter.invoke()
        return interpreter.get_tensor(way_out)[:, :height, :width]

    return predict


def scale_and_pad(images: np.ndarray, given: InputConfig, stride: int) -> np.ndarray:
    """Return images as float32 of mean 0 and deviation 1, zeros below and to the right up to a multiple of the stride.

    >>> given = InputConfig(channels=1, dtype="uint8", mean=(100,), std=(50,), low=0, high=255)
    >>> scale_and_pad(np.full((1, 1, 3, 1), 200, np.uint8), given, 2)[0, ..., 0].tolist()
    [[2.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    scale = 1.0 / np.asarray(given.std, np.float64)
    offset = -np.asarray(given.mean, np.float64) * scale
    batch, height, width, channels = images.shape
    scaled = np.zeros(
        (batch, -(-height // stride) * stride, -(-width // stride) * stride, channels), np.float32
    )
    scaled[:, :height, :width] = images.astype(np.float32) * scale.astype(
        np.float32
    ) + offset.astype(np.float32)
    return scaled
