"""The model at the logits, which `fit` trains: it checks its data, and can be saved and loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import keras
from keras import ops

from segkit.errors import ConfigError
from segkit.losses.checks import check_arrays
from segkit.losses.presence import Presence
from segkit.losses.segmentation import refuse_pixel_weights
from segkit.losses.targets import Tensor
from segkit.losses.weighted_sum import attach
from segkit.task import Task, as_task

MAIN = "main"
"""Name of the main logits among the outputs of training."""
IMAGE = "image"
"""Name of the image head's logits among the outputs of training."""


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of `keras.Model` check images and targets, and recover from errors."""

    @wraps(method)
    def checked(self: Trainer, x: Any = None, y: Any = None, *args: Any, **settings: Any) -> Any:
        self._check(x, y, settings.get("validation_data"))
        refuse_pixel_weights(settings.get("sample_weight"))
        with self._recovering():
            return method(self, x, y, *args, **settings)

    return checked


@keras.saving.register_keras_serializable(package="segkit")
class Trainer(keras.Model):
    """A model of images (B, H, W, channels) -> logits (B, H, W, classes), made by `compile`.

    It shares layers and weights with the network of probabilities. Arrays of images and targets are
    checked before the first step. Of a data set that can be read again, the first batch is checked.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        name: str | None = None,
        *,
        task: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name, **settings)
        self.task: Task | None = None if task is None else as_task(task)
        """None in a copy by `keras.models.clone_model`, which checks nothing."""
        self.checks_data = True
        """Whether `fit` checks images and targets; `segkit.train` has checked them before."""

    fit = _checking(keras.Model.fit)
    evaluate = _checking(keras.Model.evaluate)
    train_on_batch = _checking(keras.Model.train_on_batch)
    test_on_batch = _checking(keras.Model.test_on_batch)

    def _check(self, x: Any, y: Any, validation: Any) -> None:
        """Raise `DataError` if images or targets do not fit this network and its task."""
        if self.task is None or not self.checks_data:
            return
        channels = self.inputs[0].shape[-1] if len(self.inputs) == 1 else None
        check_arrays(self.task, channels, x, y)
        if isinstance(validation, tuple | list) and len(validation) >= 2:
            check_arrays(self.task, channels, validation[0], validation[1])
        elif validation is not None:
            check_arrays(self.task, channels, validation, None)

    @contextmanager
    def _recovering(self) -> Iterator[None]:
        """Drop the compiled steps after an error, since a step may be half traced."""
        try:
            yield
        except BaseException:
            self.train_function = None
            self.test_function = None
            raise

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        task = None if self.task is None else self.task.model_dump(mode="json")
        return {**super().get_config(), "task": task}

    def save(self, filepath: Any, *args: Any, **settings: Any) -> None:
        """Save the model and its training state, as `keras.Model.save` does.

        Args:
            filepath: Path of the file.
            *args: As in `keras.Model.save`.
            **settings: As in `keras.Model.save`.

        Raises:
            ConfigError: If the loss, a metric or the optimizer could not be loaded again.
        """
        if self.compiled:
            self._check_loadable()
        super().save(filepath, *args, **settings)

    def _check_loadable(self) -> None:
        try:
            keras.saving.deserialize_keras_object(self.get_compile_config())
        except Exception as problem:  # classes of users raise anything
            raise ConfigError(
                f"this trainer could not be loaded again, so it is not saved "
                f"({first_line(problem)}). Register the loss, the metrics and the optimizer "
                f"(keras.saving.register_keras_serializable), or save the network that you passed "
                f"to segkit.compile: it has the same weights",
                "not-importable",
            ) from problem

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as the saved trainer was compiled. Keras calls this when it loads a model."""
        super().compile_from_config(config)
        attach(self, self.loss)


@keras.saving.register_keras_serializable(package="segkit")
class Supervised(Trainer):
    """A trainer with auxiliary heads on coarser features, a head for the whole image, or both.

    The training loss is the mean of the heads' losses, weighted 1, 1/2, 1/4, ... from the finest,
    plus that of the image head. Evaluation, prediction and scores use the main logits only.

    Each auxiliary head is trained on the target sampled with its stride (nearest pixel). Labels are
    not interpolated, and VOID stays VOID. All auxiliary losses together cost a third of the main
    loss.

    Source: Isensee et al., nnU-Net, 2021 (https://doi.org/10.1038/s41592-020-01008-z), for the
    weights.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        name: str | None = None,
        *,
        task: Any,
        shares: dict[str, float],
        strides: dict[str, int],
        image_weight: float = 0.0,
        image_labels: str = "any",
        **settings: Any,
    ) -> None:
        super().__init__(inputs, outputs, name, task=task, **settings)
        self.shares = shares
        self.strides = strides
        self.image_weight = image_weight
        self.presence = Presence(as_task(task), image_labels)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Any:
        """Return the logits of all heads by name in training, otherwise the main logits."""
        outputs = super().call(inputs, training=training, mask=mask)
        if training:
            return outputs
        return outputs[MAIN]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the weighted loss of all heads in training, otherwise the main loss."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        main_loss = super().compute_loss(x, y, y_pred[MAIN], sample_weight, training)
        total = self.shares[MAIN] * main_loss
        for name, stride in self.strides.items():
            target = every(y, stride)
            rows, columns = ops.shape(target)[1:3]
            logits = y_pred[name][:, :rows, :columns]
            total += self.shares[name] * self.loss(target, logits, sample_weight)
        if self.image_weight:
            total += self.image_weight * self.presence(y, y_pred[IMAGE], sample_weight)
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Return the scores of the main logits."""
        if isinstance(y_pred, dict):
            y_pred = y_pred[MAIN]
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        own = {
            "shares": dict(self.shares),
            "strides": dict(self.strides),
            "image_weight": self.image_weight,
            "image_labels": self.presence.labels,
        }
        return {**super().get_config(), **own}


def every(target: Tensor, stride: int) -> Tensor:
    """Return the middle pixel of every cell of stride x stride pixels.

    Args:
        target: (B, H, W) or (B, H, W, ...).
        stride: Side of a cell in pixels.

    Returns:
        (B, h, w) or (B, h, w, ...), where h is about H / stride; a cell cut by the edge may be
        missing.
    """
    return target[:, stride // 2 :: stride, stride // 2 :: stride]


def first_line(problem: Exception) -> str:
    """Return the first line of an error's message, 200 characters at most, or the error's type."""
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__
