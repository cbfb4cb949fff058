"""Losses of a task. Each uses known pixels only and returns one float32 value per image, (B,).

Targets are encoded (`Task.encode`), with VOID for unlabelled pixels. Predictions are (B, H, W, C):
logits with `from_logits=True`, otherwise probabilities. There is no default, because a wrong one
would train without an error. An image without a known pixel costs 0. Class weights are given by
class name, and means are divided by the sum of the weights.

cross_entropy.py      cross-entropy, its hardest pixels (top-k), focal loss
overlap.py            Dice, Jaccard, Tversky and their variants
generalized_dice.py, lovasz.py, boundary.py, cl_dice.py   one loss each
segmentation.py       the base classes
weighted_sum.py       sums of losses, with weights that may change over the epochs
presence.py           the loss of a head that predicts the classes of a whole image
consistency.py, smoothness.py   terms that need no labels
targets.py            targets and predictions as channels, for every kind of task
checks.py             checks of settings, targets and images that users pass
"""

from segkit.losses.boundary import Boundary
from segkit.losses.cl_dice import ClDice
from segkit.losses.cross_entropy import CrossEntropy, Focal, TopKCrossEntropy
from segkit.losses.generalized_dice import GeneralizedDice
from segkit.losses.lovasz import Lovasz
from segkit.losses.overlap import Dice, FocalTversky, Jaccard, LogCoshDice, Tversky
from segkit.losses.segmentation import SegmentationLoss
from segkit.losses.weighted_sum import (
    Schedule,
    WeightedSum,
    attach,
    check_metrics,
    check_on_logits,
    make,
    track,
)

__all__ = [
    "Boundary",
    "ClDice",
    "CrossEntropy",
    "Dice",
    "Focal",
    "FocalTversky",
    "GeneralizedDice",
    "Jaccard",
    "LogCoshDice",
    "Lovasz",
    "Schedule",
    "SegmentationLoss",
    "TopKCrossEntropy",
    "Tversky",
    "WeightedSum",
    "attach",
    "check_metrics",
    "check_on_logits",
    "make",
    "track",
]
