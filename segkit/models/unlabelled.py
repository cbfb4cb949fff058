"""A trainer that also learns from pixels without a label: by consistency and smoothness.

A batch of the consistency term is a pair of dictionaries, as `segkit.data.batches.views` describes
it. The terms exist in training only; nothing of them is saved with a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from segkit.data.batches.views import COUNTED, IMAGES, STRONG, TARGET, WEAK
from segkit.losses.consistency import Consistency, ramp, teacher_target, unknown
from segkit.losses.smoothness import Smoothness
from segkit.losses.targets import Tensor, probabilities
from segkit.losses.weighted_sum import Schedule
from segkit.models.trainer import MAIN, Trainer
from segkit.task import Task

TEACHER = "teacher"
"""The target of the consistency term, which a step adds to its batch."""


class TermWeights(NamedTuple):
    """The weights of the terms that need no labels; 0 switches a term off."""

    consistency: float = 0.0
    smoothness: float = 0.0


class UnlabelledTrainer(keras.Model):
    """Trains the network of a trainer with further terms. Its weights are those of the trainer.

    Evaluation and prediction are those of the trainer.

    Args:
        trainer: A compiled trainer, whose loss and scores are kept.
        task: The task of the network.
        weights: The weights of the terms.
        metrics: The metrics of the trainer.
    """

    def __init__(
        self, trainer: Trainer, task: Task, weights: TermWeights, metrics: Sequence[Any]
    ) -> None:
        super().__init__(name=trainer.name, dtype="float32", autocast=False)
        self.trainer = trainer
        self.task = task
        self.consistency_weight = weights.consistency
        self.smoothness_weight = weights.smoothness
        self.consistency = Consistency(task)
        self.smoothness = Smoothness(task)
        self.checks_data = False
        self.ramp = keras.Variable(0.0, trainable=False, dtype="float32", name="ramp")
        """The share of its weight that the consistency term has; `RampUp` sets it."""
        self.built = True
        self.compile(optimizer=trainer.optimizer, loss=trainer.loss, metrics=list(metrics))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the logits of images, or those of the labelled and the strongly augmented ones."""
        if not isinstance(inputs, dict):
            return self.trainer(inputs, training=training)
        images = inputs[IMAGES]
        if STRONG in inputs:
            images = ops.concatenate([images, inputs[STRONG]], axis=0)
        return self.trainer(images, training=training)

    def train_step(self, *arguments: Any) -> Any:
        """Add the teacher's probabilities to the batch, and train on it.

        Args:
            *arguments: The batch; on JAX the values of all variables come before it.
        """
        *state, batch = arguments
        if not self.consistency_weight:
            return super().train_step(*state, batch)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y = {**y, TEACHER: self._teach(x, y, *state)}
        return super().train_step(*state, (x, y, sample_weight))

    def _teach(self, x: dict[str, Tensor], y: dict[str, Tensor], state: Any = None) -> Tensor:
        """Return the target of the consistency term."""
        weights, statistics = self._teacher_weights(state)
        logits, _ = self.trainer.stateless_call(weights, statistics, x[WEAK], training=False)
        teacher = probabilities(logits, self.task, True)
        if COUNTED in y:
            return teacher_target(teacher, y[COUNTED][..., None])
        return teacher_target(teacher, unknown(y[TARGET], self.task))

    def _teacher_weights(self, state: Any) -> tuple[list[Any], list[Any]]:
        """Return the averaged weights and the values of the other variables of the trainer.

        Before the first update there is no average, and the weights themselves are returned.
        """
        optimizer: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        variables = [*self.trainable_variables, *self.non_trainable_variables]
        variables += self.optimizer.variables
        if state is None:
            values = [variable.value for variable in variables]
        else:
            trainable, others, of_optimizer, _ = state
            values = [*trainable, *others, *of_optimizer]
        value_of = {id(variable): value for variable, value in zip(variables, values, strict=True)}
        has_average = value_of[id(optimizer._iterations)] > 0
        weights = []
        averages = optimizer._model_variables_moving_average
        for variable, average in zip(self.trainable_variables, averages, strict=True):
            own = value_of[id(variable)]
            weights.append(ops.where(has_average, value_of[id(average)], own))
        others = [value_of[id(variable)] for variable in self.trainer.non_trainable_variables]
        return weights, others

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the trainer's loss, in training with the terms that need no labels."""
        images, target = _labelled(x, y)
        predicted = _first(y_pred, ops.shape(images)[0])
        loss = self.trainer.compute_loss(images, target, predicted, sample_weight, training)
        if not training:
            return loss
        if self.smoothness_weight:
            term = self.smoothness(images, _main(predicted))
            loss = loss + self.smoothness_weight * term
        if isinstance(y, dict) and TEACHER in y:
            student = _main(y_pred)
            if STRONG in x:
                student = student[ops.shape(images)[0] :]
            weight = self.consistency_weight * self.ramp
            loss = loss + weight * self.consistency(y[TEACHER], student)
        return loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the scores of the labelled images."""
        images, target = _labelled(x, y)
        predicted = _first(_main(y_pred), ops.shape(images)[0])
        return super().compute_metrics(images, target, predicted, sample_weight)


def _labelled(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Return the labelled images of a batch and their target."""
    if isinstance(x, dict):
        return x[IMAGES], y[TARGET]
    return x, y


def _first(predicted: Any, count: Any) -> Any:
    """Return the predictions for the first images."""
    return keras.tree.map_structure(lambda logits: logits[:count], predicted)


def _main(predicted: Any) -> Tensor:
    """Return the main logits among those of all heads."""
    return predicted[MAIN] if isinstance(predicted, dict) else predicted


class RampUp(Schedule):
    """A callback that raises the weight of the consistency term at the beginning of each epoch.

    Args:
        length: The share of the training in which the weight rises.
        *schedule: The arguments of `Schedule`.
    """

    def __init__(self, length: float, *schedule: Any) -> None:
        super().__init__(*schedule)
        self.length = length

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the weight."""
        self.model.ramp.assign(ramp(self.share(epoch), self.length))
