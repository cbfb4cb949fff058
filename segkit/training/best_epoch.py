"""Chooses the best epoch: by the monitored score, else by the loss, else the last one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segkit.config import Config
from segkit.config.loss import changes
from segkit.data.batches.windows import MaskSummary
from segkit.errors import SegkitWarning

Rank = tuple[int, float]
"""Basis (`BY_SCORE`, `BY_LOSS` or `LAST`) and value. The best epoch has the largest rank."""
BY_SCORE = 2
BY_LOSS = 1
LAST = 0


class Choice(NamedTuple):
    """The rule that chooses the best epoch.

    A score of 0 or NaN does not tell epochs apart. While no epoch has a better score, the least
    loss decides. If the loss is not finite either, the last epoch is the best.
    """

    score: str | None
    """Name of the score in an epoch's row, as "val_dice_foreground"; None if no score is used."""
    loss: str | None
    """Name of the loss in an epoch's row; None if losses of two epochs cannot be compared."""
    reason: str = ""
    """Why the monitored score is not used; empty if it is used."""
    present: tuple[int, ...] | None = None
    """Numbers of the classes whose mean is the score; None for all foreground classes."""

    def rank(self, epoch: int, row: Mapping[str, float]) -> Rank:
        """Return the rank of an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            row: Losses and scores of the epoch by name.

        Returns:
            The rank; larger is better.

        >>> choice = Choice("dice", "loss")
        >>> choice.rank(3, {"dice": 0.5, "loss": 2.0})
        (2, 0.5)
        >>> choice.rank(3, {"dice": 0.0, "loss": 2.0})
        (1, -2.0)
        """
        if self.score:
            score = float(row[self.score])
            if math.isfinite(score) and score > 0:
                return BY_SCORE, score
        if self.loss:
            loss = float(row[self.loss])
            if math.isfinite(loss):
                return BY_LOSS, -loss
        return LAST, epoch

    def warning(self, best: Rank | None) -> SegkitWarning | None:
        """Return the warning that the monitored score did not choose the best epoch.

        Args:
            best: Rank of the best epoch; None if there is no epoch.

        Returns:
            The warning; None if the monitored score decided, or there is no epoch.
        """
        if best is None or self == LAST_EPOCH:
            return None
        basis = best[0]
        monitors_loss = not self.score and not self.reason
        if basis == BY_SCORE or (basis == BY_LOSS and monitors_loss):
            return None
        name = self.score or self.loss
        reason = self.reason or f"{name} was 0 or not a number in every epoch"
        consequence = "the last epoch is used"
        if basis == BY_LOSS:
            consequence = f"the best epoch is the one with the least {self.loss}"
        return SegkitWarning(f"{reason}; {consequence}", "unscored")


LAST_EPOCH = Choice(None, None)
"""The rule of a training on all samples, where nothing can tell epochs apart."""


def best_epoch(config: Config, rows: Sequence[Mapping[str, float]]) -> int:
    """Return the best epoch of a finished training with a validation part.

    Args:
        config: The config of the training.
        rows: The history, one row per epoch, at least one.

    Returns:
        The number of the epoch, from 1.
    """
    score = None
    for name in (f"val_{config.train.monitor}", f"val_{config.train.monitor}_present"):
        if name in rows[0] and config.train.monitor != "loss":
            score = name
    choice = Choice(score, "val_loss")
    ranks = [choice.rank(epoch, row) for epoch, row in enumerate(rows)]
    return ranks.index(max(ranks)) + 1


def _is_comparable(config: Config, shown: MaskSummary | None) -> bool:
    """Return whether the losses of two epochs have the same terms and weights."""
    is_rising = shown is None and config.train.consistency > 0
    return not changes(config.loss) and not is_rising


def choice_for(
    config: Config, shown: MaskSummary | None, history: Sequence[Mapping[str, float]] = ()
) -> Choice:
    """Return the rule that chooses the best epoch of a training.

    A class that no validation mask contains has no Dice until it is predicted, and then its Dice is
    0. A single wrong pixel would then lower the mean as much as a class that is wrong everywhere,
    so such classes do not count. The score of the other classes has a name of its own, such as
    "val_dice_foreground_present". With `data.on_all` the last epoch is the best one.

    Args:
        config: Its `train.monitor` names the score.
        shown: Content of the validation masks; None if there is no validation part.
        history: Rows of earlier epochs of a resumed run. A run that an older version began
            continues by the score over all classes.

    Returns:
        The rule, with names of validation scores if there is a validation part.
    """
    if config.data.on_all:
        return LAST_EPOCH
    prefix = "" if shown is None else "val_"
    loss = f"{prefix}loss"
    monitor = config.train.monitor
    score = None if monitor == "loss" else f"{prefix}{monitor}"
    comparable_loss = loss if _is_comparable(config, shown) else None
    if shown is None:
        return Choice(score, comparable_loss)
    if not shown.labelled:
        return Choice(None, None, "no pixel of the validation masks is labelled")
    if score is None:
        return Choice(None, comparable_loss)
    present = tuple(index for index in config.task.foreground if shown.classes[index])
    if not present:
        reason = f"the validation masks contain no foreground, so {score} is undefined"
        return Choice(None, comparable_loss, reason)
    present_score = f"{score}_present"
    is_older = bool(history) and present_score not in history[0]
    if len(present) == len(config.task.foreground) or is_older:
        return Choice(score, comparable_loss)
    return Choice(present_score, comparable_loss, present=present)
