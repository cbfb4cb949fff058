"""Losses of where pixels are: distances by scipy, skeletons by loops over neighbours."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from tests.oracles.question import Question, mean_over_foreground

CROSS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
SQUARE = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def boundary(question: Question) -> float:
    """Kervadec et al. 2019, equation 5: the integral of phi (s - g), here as a mean, phi the signed
    distance.
    """

    def cost(channel: int) -> float:
        truth, known = (
            question.truth[..., channel].astype(bool),
            question.known[..., channel].astype(bool),
        )
        phi, total = signed(truth, known), 0.0
        for place in np.argwhere(known):
            row, column = place
            total += phi[row, column] * (question.p[row, column, channel] - truth[row, column])
        return total / max(1, known.sum())

    return mean_over_foreground(question, cost)


def signed(truth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest known pixel of the other kind, less a half; negative in
    the class, 0 at VOID.
    """
    others = known & ~truth
    if not truth.any() or not others.any():
        return np.where(truth, -1.0, 1.0) * known
    outside, inside = distance_transform_edt(~truth), distance_transform_edt(~others)
    return np.where(truth, 0.5 - inside, outside - 0.5) * known


def cl_dice(question: Question, iterations: int = 5, smooth: float = 1.0) -> float:
    """Shit et al. 2021, algorithms 1 and 2; an absent class costs what it does in Dice."""

    def cost(channel: int) -> float:
        known = question.known[..., channel].astype(bool)
        truth, p = (
            question.truth[..., channel] * known.astype(float),
            question.p[..., channel] * known,
        )
        if not truth.any():
            return 1 - smooth / (p.sum() + smooth)
        of_answer, of_truth = skeleton(p, known, iterations), skeleton(truth, known, iterations)
        precision = ((of_answer * truth).sum() + smooth) / (of_answer.sum() + smooth)
        sensitivity = ((of_truth * p).sum() + smooth) / (of_truth.sum() + smooth)
        return 1 - 2 * precision * sensitivity / (precision + sensitivity)

    return mean_over_foreground(question, cost)


def skeleton(area: np.ndarray, known: np.ndarray, iterations: int) -> np.ndarray:
    """Return the soft skeleton, (H, W): algorithm 1, neighbours outside the image or not known left
    out.
    """
    line = np.maximum(0, area - _opened(area, known))
    for _ in range(iterations):
        area = _over(area, known, CROSS, min)
        line = line + (1 - line) * np.maximum(0, area - _opened(area, known))
    return line * known


def _opened(area: np.ndarray, known: np.ndarray) -> np.ndarray:
    return _over(_over(area, known, CROSS, min), known, SQUARE, max)


def _over(
    area: np.ndarray, known: np.ndarray, places: list[tuple[int, int]], choose: object
) -> np.ndarray:
    """Return the least or largest value of each known pixel's known neighbours."""
    found = np.zeros_like(area)
    height, width = area.shape
    for row, column in np.argwhere(known):
        near = [
            (row + i, column + j)
            for i, j in places
            if 0 <= row + i < height and 0 <= column + j < width
        ]
        found[row, column] = choose(area[place] for place in near if known[place])  # type: ignore[operator]
    return found
