"""Averaged weights: what the optimizer keeps of all steps stands in for the weights where a network is judged or saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras


@contextmanager
def averaged(trainer: keras.Model) -> Iterator[None]:
    """Within, a compiled model's weights are its optimizer's averages; afterwards what they were, to the bit.

    Nothing happens if the optimizer keeps none. Keras' SwapEMAWeights exchanges both by adding and subtracting, which
    rounds the weights at each validation, and leaves the raw weights in a model whose training was ended early.
    """
    optimizer = getattr(trainer.optimizer, "inner_optimizer", trainer.optimizer)
    if not (optimizer.use_ema and optimizer.built):
        yield
        return
    raw = [keras.ops.convert_to_numpy(variable) for variable in trainer.trainable_variables]
    optimizer.finalize_variable_values(trainer.trainable_variables)
    for variable in (
        trainer.trainable_variables
    ):  # on JAX it is now the average itself, which a validation uses up
        variable.assign(keras.ops.copy(variable))
    try:
        yield
    finally:
        for variable, value in zip(trainer.trainable_variables, raw, strict=True):
            variable.assign(value)


class ValidateAverages(keras.callbacks.Callback):
    """Has validation see the averaged weights."""

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.within = ExitStack()
        self.within.enter_context(averaged(self.model))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self.within.close()
