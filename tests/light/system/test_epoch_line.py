"""The line that a terminal shows for each epoch."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from segkit.system.progress import TrainingStatus, epoch_line
from tests.helpers.errors import holds

LOSSES = st.floats(-99_999, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf])
STATUS = TrainingStatus(
    epoch=3,
    epochs=12,
    step=10,
    steps=10,
    loss=0.25,
    share=0.25,
    seconds_left=65.0,
    logs={"loss": 0.25, "dice_foreground": 0.125, "val_loss": 0.5, "val_dice_foreground": 0.75},
    best_epoch=3,
)


@given(
    epoch=st.integers(1, 9999),
    seconds=st.none() | st.floats(0, 99 * 3600),
    loss=LOSSES,
    val_loss=LOSSES,
    dice=st.floats(0, 1),
)
def test_the_line_of_an_epoch_fits_80_columns(
    epoch: int, seconds: float | None, loss: float, val_loss: float, dice: float
) -> None:
    logs = {"loss": loss, "val_loss": val_loss, "val_dice_foreground": dice}
    for epochs in (9999, None):
        status = STATUS._replace(
            epoch=epoch, epochs=epochs, seconds_left=seconds, logs=logs, best_epoch=epoch
        )
        assert len(epoch_line(status)) <= 80


def test_the_line_of_an_epoch_holds_its_scores() -> None:
    line = epoch_line(STATUS)
    for value in ("3/12", "0.2500", "0.5000", "0.7500", "0:01:05", "best"):
        assert holds(line, value)
    assert not holds(line, "0.1250")  # the score of the training images


def test_the_line_names_only_the_best_epoch_best() -> None:
    assert not holds(epoch_line(STATUS._replace(best_epoch=2)), "best")


def test_without_a_validation_part_the_line_holds_the_training_scores() -> None:
    line = epoch_line(STATUS._replace(logs={"loss": 0.25, "dice_foreground": 0.125}))
    assert holds(line, "0.2500")
    assert holds(line, "0.1250")


def test_a_time_that_is_not_known_is_no_number() -> None:
    assert not holds(epoch_line(STATUS._replace(seconds_left=None)), "0:00:00")
