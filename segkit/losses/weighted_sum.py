"""Weighted sums of losses; the weights may change during the training."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from segkit import catalog
from segkit.config.arguments import named_arguments
from segkit.config.loss import checked_weight, parse_terms, term_settings, weight_at
from segkit.errors import ConfigError
from segkit.losses.segmentation import (
    REDUCTION,
    SegmentationLoss,
    as_array,
    checked_target,
    refuse_pixel_weights,
)
from segkit.losses.targets import Tensor
from segkit.task import Task


@keras.saving.register_keras_serializable(package="segkit.losses")
class WeightedSum(keras.losses.Loss):
    """The weighted sum of losses.

    A weight may be a list: weights at equally spaced times from the start to the end of the
    training, with linear interpolation between. The variable `now` holds the current weights. They
    are the first ones until `Schedule` changes them.

    Args:
        losses: Keras losses.
        weights: One number or list of numbers per loss.
        name: Name of the loss.
        reduction: As in `keras.losses.Loss`; by default the mean over the images of a batch.

    Returns:
        One float32 value per image, (B,).

    Raises:
        ConfigError: If losses and weights do not fit together.
    """

    @named_arguments
    def __init__(
        self,
        losses: Sequence[Any],
        weights: Sequence[float | Sequence[float]],
        name: str = "loss",
        reduction: str | None = REDUCTION,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.losses = [_as_loss(loss) for loss in losses]
        if not self.losses or len(self.losses) != len(weights):
            raise ConfigError(
                f"one for each of {len(self.losses)} losses; found {weights!r}", setting="weights"
            )
        self.weights = [_weight(weight) for weight in weights]
        self.now: Any = None
        if any(isinstance(weight, list) for weight in self.weights):
            first = self.weights_at(0.0)
            self.now = keras.Variable(first, trainable=False, dtype="float32", name="loss_weights")

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the reduced loss, after a check of target and weights."""
        refuse_pixel_weights(sample_weight)
        for loss in self.losses:
            if isinstance(loss, SegmentationLoss):
                y_true = checked_target(loss.task, y_true)
        return super().__call__(as_array(y_true), as_array(y_pred), as_array(sample_weight))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each image, (B,), for a target and a prediction (B, H, W, C)."""
        weights: Sequence[Any] = self.weights
        if self.now is not None:
            weights = [self.now[i] for i in range(len(self.losses))]
        total = weights[0] * self.losses[0].call(y_true, y_pred)
        for weight, loss in zip(weights[1:], self.losses[1:], strict=True):
            total = total + weight * loss.call(y_true, y_pred)
        return total

    def weights_at(self, share: float) -> list[float]:
        """Return the weights when a share of the training (0 to 1) is over."""
        return [weight_at(weight, share) for weight in self.weights]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {
            "name": self.name,
            "reduction": self.reduction,
            "losses": losses,
            "weights": self.weights,
        }


def _as_loss(loss: Any) -> Any:
    """Return a Keras loss, also one that was saved as a dictionary."""
    if isinstance(loss, dict):
        loss = keras.saving.deserialize_keras_object(loss)
    if not isinstance(loss, keras.losses.Loss):
        raise ConfigError(f"a list of Keras losses; found {loss!r} among them", setting="losses")
    return loss


def _weight(weight: Any) -> float | list[float]:
    try:
        return checked_weight(weight)
    except ValueError as problem:
        raise ConfigError(f"{problem}; found {weight!r}", setting="weights") from problem


class Schedule(keras.callbacks.Callback):
    """A callback that sets the weights of a `WeightedSum` at the beginning of each epoch.

    The first epoch has the first weights, and the last epoch has the last ones.

    Args:
        epochs: Number of epochs of the whole training.
        minutes: Length of the training if it ends by the clock; then the time replaces the epochs.
        used: Seconds that earlier sessions of a resumed training have used.
        agreed: Returns the first process's value, so that all processes follow one clock.
    """

    def __init__(
        self,
        epochs: int,
        minutes: float | None = None,
        used: float = 0.0,
        agreed: Callable[[float], float] = float,
    ) -> None:
        super().__init__()
        self.epochs = epochs
        self.minutes = minutes
        self.used = used
        self.agreed = agreed

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the weights."""
        share = self.share(epoch)
        for loss in _scheduled(self.model.loss):
            loss.now.assign(loss.weights_at(share))

    def share(self, epoch: int) -> float:
        """Return the share of the training that is over at the beginning of an epoch, 0 to 1.

        Args:
            epoch: Number of the epoch, from 0; the last one of a training by epochs has 1.
        """
        if self.minutes is None:
            return min(1.0, epoch / max(1, self.epochs - 1))
        seconds = self.agreed(self.used + time.monotonic() - self.began)
        return min(1.0, seconds / (60 * self.minutes))


def track(model: keras.Model, loss: Any) -> None:
    """Make changing loss weights part of the state of a model that `segkit.compile` did not make.

    Compiled steps use the changed weights then. The weights are not saved with the model, because
    the model that Keras loads from the file has no variables for them.

    Args:
        model: A compiled Keras model; it is changed.
        loss: Its loss.
    """
    own_variables: dict[str, Any] = {}
    model.save_own_variables(own_variables)
    attach(model, loss)
    if not own_variables:
        model.save_own_variables = _ignore
        model.load_own_variables = _ignore


def attach(model: keras.Model, loss: Any) -> None:
    """Make changing loss weights part of a model's state; on JAX compiled steps need this.

    Args:
        model: A Keras model; it is changed.
        loss: Its loss, or a structure of losses.
    """
    for i, scheduled in enumerate(_scheduled(loss)):
        setattr(model, f"loss_weights_{i}", scheduled.now)


def _ignore(store: Any) -> None:
    """Neither save nor load a variable."""


def make(
    task: Task,
    terms: Mapping[str, Any] | None = None,
    class_weights: Mapping[str, float] | None = None,
    from_logits: bool = True,
) -> WeightedSum:
    """Return the loss of a config's section `loss`.

    Args:
        task: The task of the network.
        terms: Weight or settings of each loss by name, such as
            {"dice": 1, "focal": {"weight": 0.5, "gamma": 3}}; by default cross-entropy + Dice. A
            weight may be a list, as in `WeightedSum`.
        class_weights: Weights of classes by name; classes that are not named weigh 1.
        from_logits: Whether predictions are logits; otherwise they are probabilities.

    Returns:
        The weighted sum of the losses.

    Raises:
        ConfigError: If a name, a weight or a setting is wrong.
    """
    terms = terms or {"cross_entropy": 1.0, "dice": 1.0}
    if not isinstance(terms, Mapping):
        raise ConfigError(
            f"names with weights, as in {{'dice': 1}}; found {terms!r}", setting="loss"
        )
    losses: list[keras.losses.Loss] = []
    weights: list[Any] = []
    for name, term in parse_terms(terms).items():
        settings = term_settings(term)
        weights.append(settings.pop("weight"))
        kind = catalog.load_part(catalog.LOSSES, name)
        try:
            losses.append(
                kind(task, from_logits=from_logits, class_weights=class_weights, **settings)
            )
        except TypeError as problem:
            raise ConfigError(str(problem), "unknown-setting", setting=f"loss.{name}") from problem
    return WeightedSum(losses, weights)


def check_on_logits(
    loss: Any, task: Task, class_weights: Mapping[str, float] | None = None
) -> None:
    """Check a Keras loss of the user.

    Args:
        loss: A Keras loss or a function.
        task: The task of the network.
        class_weights: Must be None, because the loss has class weights of its own.

    Raises:
        ConfigError: If the loss expects probabilities, or was made for another task.
    """
    if class_weights is not None:
        raise ConfigError(
            "belong to losses by name, as in loss={'dice': 1}; pass them to a loss that you make "
            "yourself",
            "contradiction",
            setting="class_weights",
        )
    if isinstance(loss, str | type) or not callable(loss):
        raise ConfigError(
            f"names with weights, as in {{'dice': 1}}, or a Keras loss on logits; found {loss!r}",
            setting="loss",
        )
    for term in getattr(loss, "losses", [loss]):
        if _expects_probabilities(term):
            raise ConfigError(
                f"{_name_of(term)} expects probabilities, and training is on logits; make it with "
                f"from_logits=True, or use one of segkit.losses",
                "contradiction",
                setting="loss",
            )
        _check_task(term, task, "loss")


def check_metrics(metrics: Any, task: Task) -> None:
    """Check metrics of the user, which get logits in training.

    Args:
        metrics: A list of Keras metrics.
        task: The task of the network.

    Raises:
        ConfigError: If it is no list, or a metric expects probabilities or was made for another
            task.
    """
    if isinstance(metrics, str | Mapping) or not isinstance(metrics, Sequence):
        raise ConfigError(f"a list of metrics; found {metrics!r}", setting="metrics")
    for metric in metrics:
        if isinstance(metric, str) or _expects_probabilities(metric):
            raise ConfigError(
                f"{_name_of(metric)} expects probabilities, and training is on logits; use one of "
                f"segkit.metrics with from_logits=True",
                "contradiction",
                setting="metrics",
            )
        _check_task(metric, task, "metrics")


def _name_of(part: Any) -> str:
    if isinstance(part, str):
        return repr(part)
    return getattr(part, "__name__", type(part).__name__)


def _check_task(part: Any, task: Task, setting: str) -> None:
    """Raise `ConfigError` if a loss or metric was made for another task."""
    own_task = getattr(part, "task", task)
    if isinstance(own_task, Task) and not own_task.trains_like(task):
        raise ConfigError(
            f"{_name_of(part)} was made for another task, {own_task!r}; this one is {task!r}",
            "mismatch",
            setting=setting,
        )


def _expects_probabilities(part: Any) -> bool:
    """Return whether a loss or metric expects probabilities; those of Keras do by default."""
    from_logits = None
    if inspect.isroutine(part):
        parameters = inspect.signature(part).parameters
        if "from_logits" in parameters:
            from_logits = parameters["from_logits"].default
    from_logits = getattr(part, "from_logits", from_logits)
    if from_logits is None:
        module = getattr(part, "__module__", None) or ""
        return module.partition(".")[0] == "keras"
    return from_logits is False


def _scheduled(loss: Any) -> list[WeightedSum]:
    """Return the losses in a structure whose weights change."""
    scheduled = []
    for part in keras.tree.flatten(loss):
        if isinstance(part, WeightedSum) and part.now is not None:
            scheduled.append(part)
    return scheduled
