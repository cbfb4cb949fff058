"""Which epoch is the best: by the monitored score, else by the loss, else the last one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from segkit.config import Config
from segkit.config.loss import changes
from segkit.data.batches.windows import MaskSummary
from segkit.errors import SegkitWarning

Rank = tuple[int, float]
"""A basis of choice (see `Choice`), and a value. Of two epochs the one with the larger rank is better."""
BY_SCORE, BY_LOSS, LAST = 2, 1, 0


class Choice(NamedTuple):
    """What an epoch is chosen by.

    A score that is not a number, or is 0, says nothing of an epoch. As long as no epoch has a better one, the loss
    decides, and where the loss is not a number either, the last epoch is the best.
    """

    score: str | None
    """Name of the score in an epoch's row, such as "val_dice_foreground"; None if no score is used."""
    loss: str | None
    """Name of the loss in an epoch's row; None if losses of two epochs cannot be compared."""
    reason: str = ""
    """Why the monitored score is not used; empty if it is."""

    def rank(self, epoch: int, row: Mapping[str, float]) -> Rank:
        """Return the rank of an epoch, by its number from 0 and its row of losses and scores.

        >>> choice = Choice("dice", "loss")
        >>> choice.rank(3, {"dice": 0.5, "loss": 2.0}), choice.rank(3, {"dice": 0.0, "loss": 2.0})
        ((2, 0.5), (1, -2.0))
        """
        score = float(row[self.score]) if self.score else math.nan
        if math.isfinite(score) and score > 0:
            return BY_SCORE, score
        loss = float(row[self.loss]) if self.loss else math.nan
        if math.isfinite(loss):
            return BY_LOSS, -loss
        return LAST, epoch

    def warning(self, best: Rank | None) -> SegkitWarning | None:
        """Return what to say of a choice whose best epoch has this rank; None if the monitored score decided."""
        if best is None:
            return None
        basis = best[0]
        if basis == BY_SCORE or (basis == BY_LOSS and not self.score and not self.reason):
            return None
        chosen = (
            f"the best epoch is the one of the least {self.loss}"
            if basis == BY_LOSS
            else "the last epoch is kept"
        )
        why = self.reason or f"{self.score or self.loss} was 0 or not a number in every epoch"
        return SegkitWarning(f"{why}; {chosen}", "unscored")


def choice_for(config: Config, shown: MaskSummary | None) -> Choice:
    """Return what the best epoch of a training is chosen by.

    Args:
        config: Its `train.monitor` names the score.
        shown: What the validation masks show; None if there is no validation part.
    """
    prefix = "" if shown is None else "val_"
    loss = None if changes(config.loss) else f"{prefix}loss"
    monitor = config.train.monitor
    score = None if monitor == "loss" else f"{prefix}{monitor}"
    if shown is None:
        return Choice(score, loss)
    if not shown.labelled:
        return Choice(None, None, "no pixel of the validation masks is labelled")
    if score and not shown.classes[list(config.task.foreground)].any():
        return Choice(
            None, loss, f"the validation masks show no object, so {score} says nothing of an epoch"
        )
    return Choice(score, loss)
