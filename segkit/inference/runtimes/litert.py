"""An exported run in LiteRT (TensorFlow Lite), on the CPU.

The file holds the network without the scaling before it and the cropping after it. LiteRT plans its
memory for one shape at a time, and it cannot plan paddings that depend on the image's size.
Scaling, padding and cropping are done here in NumPy, in the same order and precision as in Keras.
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
    """Return a function of images (B, H, W, C) -> probabilities (B, H, W, classes) float32.

    It takes any size and any batch.
    """
    runtime = need("ai_edge_litert.interpreter", "litert")
    with opening(exported.model, "LiteRT"), quiet():  # LiteRT prints the kernels that it uses
        interpreter = runtime.Interpreter(str(exported.model), num_threads=cores())
        interpreter.allocate_tensors()
    config = exported.config()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    planned_shape: tuple[int, ...] = ()

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal planned_shape
        check_images(images, config.input)
        height, width = images.shape[1:3]
        scaled = scale_and_pad(images, config.input, config.model.stride)
        if scaled.shape != planned_shape:
            interpreter.resize_tensor_input(input_index, scaled.shape)
            interpreter.allocate_tensors()
            planned_shape = scaled.shape
        interpreter.set_tensor(input_index, scaled)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)[:, :height, :width]

    return predict


def scale_and_pad(images: np.ndarray, input_config: InputConfig, stride: int) -> np.ndarray:
    """Normalize images, and pad them with zeros below and to the right.

    Args:
        images: (B, H, W, C).
        input_config: The mean and standard deviation of each channel.
        stride: The stride of the network. Height and width become multiples of it.

    Returns:
        (B, H', W', C) float32.

    >>> images = np.full((1, 1, 3, 1), 200, np.uint8)
    >>> config = InputConfig(channels=1, dtype="uint8", mean=(100,), std=(50,), low=0, high=255)
    >>> scale_and_pad(images, config, 2)[0, ..., 0].tolist()
    [[2.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    scale = 1.0 / np.asarray(input_config.std, np.float64)
    offset = -np.asarray(input_config.mean, np.float64) * scale
    batch, height, width, channels = images.shape
    padded_height = -(-height // stride) * stride
    padded_width = -(-width // stride) * stride
    padded = np.zeros((batch, padded_height, padded_width, channels), np.float32)
    scaled = images.astype(np.float32) * scale.astype(np.float32) + offset.astype(np.float32)
    padded[:, :height, :width] = scaled
    return padded
