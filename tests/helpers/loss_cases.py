"""Tasks, batches and gradients that the tests of losses, metrics and models share. Works on every
backend of Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from segkit import VOID, Task, catalog
from segkit.data.batches.distances import as_losses_need
from tests.oracles.question import Question, activated

NAMES = ["background", "liver", "tumour"]
TASKS = {
    "binary": Task.binary("crack"),
    "multilabel": Task.multilabel(["a", "b", "c"], thresholds=[0.3, 0.5, 0.8]),
    "softmax": Task.multiclass(NAMES),
    "one_against_the_rest": Task.multiclass(NAMES, head="sigmoid"),
}
SIZE = (5, 6)
"""Height and width of the small images: odd, and not square."""


class Watching(keras.optimizers.SGD):
    """Keeps the gradients instead of following them; None where there is none."""

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        self.seen = [None if slope is None else ops.convert_to_numpy(slope) for slope in grads]


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    """Return an image of random pixels from 0 to 255, float32."""
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def answer(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return what a model answers, as NumPy."""
    return ops.convert_to_numpy(model(images, training=False))


def loss_of(name: str, task: Task, from_logits: bool = True, **settings: Any) -> keras.losses.Loss:
    """Return the catalog's loss of that name."""
    return catalog.load_part(catalog.LOSSES, name)(task, from_logits=from_logits, **settings)


def batch(
    task: Task, seed: int, void: float = 0.3, images: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Return random encoded targets (B, 5, 6[, C]) uint8, a share of them VOID, and logits (B, 5,
    6, C) float32.
    """
    rng = np.random.default_rng(seed)
    shape = (images, *task.target_shape(*SIZE))
    values = task.channels + len(task.sets) if task.exclusive else 2
    target = rng.integers(0, values, shape)
    logits = rng.uniform(-6, 6, (images, *SIZE, task.channels))
    return np.where(rng.random(shape) < void, VOID, target).astype(np.uint8), logits.astype(
        np.float32
    )


def channels_of(task: Task, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an encoded target as (..., C) truth and known, both bool."""
    if task.exclusive:
        truth = np.stack([target == i for i in range(task.channels)], axis=-1)
        known = np.stack([target != VOID] * task.channels, axis=-1)
        for value, members in enumerate(task.sets, start=task.channels):
            for i, name in enumerate(task.classes):
                is_open = name in members and len(members) > 1
                known[..., i] &= ~((target == value) & is_open)
                truth[..., i] |= (target == value) & (members == (name,))
        return truth, known
    return target == 1, target != VOID


def questions(
    task: Task, target: np.ndarray, logits: np.ndarray, weights: Mapping[str, float] | None = None
) -> list[Question]:
    """Return each image of a batch as the oracles take it."""
    given = weights or {}
    yes = tuple(given.get(name, 1.0) for name in task.classes)
    no = (given.get("background", 1.0),) if task.kind == "binary" else yes
    truth, known = channels_of(task, target)
    softmax = task.head == "softmax"
    p = activated(logits, softmax)
    foreground = tuple(i for i, name in enumerate(task.classes) if name != "background")
    return [
        Question(*image, softmax, foreground, yes, no, task.exclusive)
        for image in zip(truth, known, p, strict=True)
    ]


def needed(loss: keras.losses.Loss, target: np.ndarray) -> np.ndarray:
    """Return an encoded target as a loss takes it: with distances if it, or a term of its sum, is
    made of them.
    """
    terms = getattr(loss, "losses", [loss])
    return as_losses_need(target, terms[0].task, {term.name: 1 for term in terms})


def costs(loss: keras.losses.Loss, target: np.ndarray, prediction: Any) -> np.ndarray:
    """Return what a loss says about each image, (B,)."""
    return ops.convert_to_numpy(loss.call(needed(loss, target), ops.convert_to_tensor(prediction)))


def gradient(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Return the gradient of sum(function(x)) at x = `at`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(at)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(function(x))
        return np.asarray(tape.gradient(value, x))
    import jax

    return np.asarray(jax.grad(lambda x: ops.sum(function(x)))(jax.numpy.asarray(at)))


def slope(
    loss: keras.losses.Loss, target: np.ndarray, prediction: np.ndarray, dtype: str = "float32"
) -> np.ndarray:
    """Return the gradient of a loss by a prediction, float32 cast to `dtype` before the loss sees
    it.
    """
    target = needed(loss, target)
    return gradient(lambda x: loss.call(target, ops.cast(x, dtype)), prediction)
