"""The terms that need no labels by their formulas: plain loops over the pixels of one image."""

from __future__ import annotations

import math

import numpy as np


def consistency(
    student: np.ndarray, teacher: np.ndarray, counts: np.ndarray, exclusive: bool
) -> float:
    """Mean over the pixels that count of (p - q)^2: half their sum over exclusive classes, else the
    mean over all classes. All arguments are (H, W, C); `counts` is bool.
    """
    total, pixels = 0.0, 0
    height, width, classes = student.shape
    for row in range(height):
        for column in range(width):
            if not counts[row, column].any():
                continue
            pixels += 1
            for index in range(classes):
                if counts[row, column, index]:
                    change = float(student[row, column, index] - teacher[row, column, index])
                    total += change**2 / (2 if exclusive else classes)
    return total / pixels if pixels else 0.0


def smoothness(image: np.ndarray, p: np.ndarray, exclusive: bool) -> float:
    """Mean over neighbours in rows and columns of exp(-d^2 / (2 m)) |p - q|, rounded at 0."""
    height, width, classes = p.shape
    pairs = []
    for row in range(height):
        for column in range(width):
            for other in ((row + 1, column), (row, column + 1)):
                if other[0] < height and other[1] < width:
                    pairs.append(((row, column), other))
    contrasts = []
    for one, other in pairs:
        bands = image[one].astype(float) - image[other].astype(float)
        contrasts.append(float((bands**2).mean()))
    mean = sum(contrasts) / len(contrasts)
    total = 0.0
    for (one, other), contrast in zip(pairs, contrasts, strict=True):
        weight = math.exp(-contrast / (2 * mean)) if mean else 1.0
        difference = 0.0
        for a, b in zip(p[one], p[other], strict=True):
            difference += math.sqrt(float(a - b) ** 2 + 1e-6) - 1e-3
        total += weight * difference / (2 if exclusive else classes)
    return total / len(pairs)
