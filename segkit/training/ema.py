"""Exponential moving average (EMA) of the weights: swapped in for validation and saving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras


@contextmanager
def averaged(trainer: keras.Model) -> Iterator[None]:
    """Context manager: a compiled model has its averaged weights inside, and its own afterwards.

    Nothing happens if the optimizer keeps no averages. Keras' SwapEMAWeights exchanges both by
    adding and subtracting. That rounds the weights at each validation, and leaves the wrong weights
    in the model if training ends early.

    Args:
        trainer: A compiled model.

    Yields:
        None. The weights are restored bit by bit at the end, also after an exception.
    """
    optimizer = getattr(trainer.optimizer, "inner_optimizer", trainer.optimizer)
    if not (optimizer.use_ema and optimizer.built):
        yield
        return
    raw = [keras.ops.convert_to_numpy(variable) for variable in trainer.trainable_variables]
    optimizer.finalize_variable_values(trainer.trainable_variables)
    for variable in trainer.trainable_variables:
        # On JAX the variable now shares its array with the average; validation would delete the
        # array.
        variable.assign(keras.ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(trainer.trainable_variables, raw, strict=True):
            variable.assign(value)


class ValidateAverages(keras.callbacks.Callback):
    """Makes each validation use the averaged weights."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Swap the averaged weights in."""
        self.swap = ExitStack()
        self.swap.enter_context(averaged(self.model))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the weights."""
        self.swap.close()
