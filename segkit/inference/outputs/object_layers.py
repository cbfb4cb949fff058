"""The pixels of the objects of each class, for formats that do not separate objects."""

from __future__ import annotations

import numpy as np

from segkit.inference.outputs.prediction import PredictedImage
from segkit.task.layers import labelled_pixels, layer_of, plane_of


def object_layers(predicted: PredictedImage) -> dict[str, np.ndarray]:
    """Return the pixels (H, W) bool of the objects of each foreground class, by its name.

    Args:
        predicted: The image. Objects that its options leave out are not in the layers.
    """
    task = predicted.task
    numbers, _ = predicted.objects
    layers = {}
    for label in task.foreground:
        is_kept = plane_of(task, numbers, label) > 0
        layers[task.classes[label]] = layer_of(task, predicted.mask, label) & is_kept
    return layers


def pixels_without_data(predicted: PredictedImage) -> np.ndarray:
    """Return the pixels (H, W) bool that no class knows, because the image has no data there."""
    return ~labelled_pixels(predicted.mask)
