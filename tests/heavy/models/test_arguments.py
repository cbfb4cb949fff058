"""Wrong arguments of `unet`, `build`, `head`, `compile` and of trainers get readable errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import segkit
from segkit import ConfigError, DataError, losses, metrics
from segkit.config import ModelConfig
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, batch, picture

CRACK, SOFTMAX = TASKS["binary"], TASKS["softmax"]
SIZE = (4, 5, 6, 3)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return segkit.unet(CRACK, width=4, depth=1)


def trainer_of(model: keras.Model, **settings: Any) -> keras.Model:
    return segkit.compile(model, CRACK, **settings)


def test_the_settings_of_a_network_are_in_the_signature() -> None:
    for function in (segkit.build, segkit.unet):
        parameters = inspect.signature(function).parameters
        fields = {name: field.default for name, field in ModelConfig.model_fields.items()}
        assert {name: parameters[name].default for name in fields} == fields
        assert [name for name, each in parameters.items() if each.kind is each.VAR_KEYWORD] == []
        assert function.__doc__
    for name in segkit.losses.__all__:
        part = getattr(losses, name)
        if (
            isinstance(part, type)
            and issubclass(part, keras.losses.Loss)
            and part is not losses.SegmentationLoss
        ):
            assert all(
                each.kind is not each.VAR_KEYWORD
                for each in inspect.signature(part).parameters.values()
            ), name


def test_completion_offers_every_public_name() -> None:
    assert set(dir(segkit)) == set(segkit.__all__)
    for name in segkit.__all__:
        assert getattr(segkit, name) is not None


WRONG: dict[str, tuple[Callable[[keras.Model], Any], str, str | None, tuple[object, ...]]] = {
    "a string for a task": (
        lambda model: segkit.unet("binary"),
        "wrong-value",
        "task",
        ("Task.binary",),
    ),
    "no task": (lambda model: segkit.unet(None), "wrong-value", "task", (None,)),
    "unknown setting": (
        lambda model: segkit.unet(CRACK, widdth=8),
        "unknown-setting",
        "widdth",
        ("'width'",),
    ),
    "wrong width": (lambda model: segkit.unet(CRACK, width=0), "wrong-value", "model.width", (0,)),
    "two wrong settings": (
        lambda model: segkit.unet(CRACK, width=0, depth="a"),
        "wrong-value",
        "model.width",
        ("'a'",),
    ),
    "unknown encoder": (
        lambda model: segkit.build(CRACK, encoder="resnet5"),
        "unknown-name",
        "model.encoder",
        ("'resnet50'",),
    ),
    "wrong channels": (
        lambda model: segkit.unet(CRACK, channels=0),
        "wrong-value",
        "channels",
        (0,),
    ),
    "std of 0": (lambda model: segkit.unet(CRACK, std=0), "wrong-value", "std", (0,)),
    "mean of 2 bands": (
        lambda model: segkit.unet(CRACK, mean=[1, 2]),
        "wrong-value",
        "mean",
        (3, 2),
    ),
    "mean of words": (lambda model: segkit.unet(CRACK, mean="a"), "wrong-value", "mean", ("'a'",)),
    "swapped": (lambda model: segkit.compile(CRACK, model), "wrong-value", "model", ()),
    "no model": (lambda model: segkit.compile("unet", CRACK), "wrong-value", "model", ("'unet'",)),
    "task by name": (
        lambda model: segkit.compile(model, "binary"),
        "wrong-value",
        "task",
        ("Task.binary",),
    ),
    "optimiser": (
        lambda model: segkit.compile(model, CRACK, optimiser="sgd"),
        "unknown-setting",
        "optimiser",
        ("'optimizer'",),
    ),
    "weights by number": (
        lambda model: segkit.compile(model, CRACK, class_weights={0: 1.0}),
        "unknown-name",
        "class_weights",
        ("background, crack", 0),
    ),
    "weights in a list": (
        lambda model: segkit.compile(model, CRACK, class_weights=[1, 2]),
        "wrong-value",
        "class_weights",
        ([1, 2],),
    ),
    "unbuilt": (
        lambda model: segkit.compile(keras.Sequential([layers.Conv2D(1, 1)]), CRACK),
        "mismatch",
        "model",
        ("Sequential",),
    ),
    "loss of another task": (
        lambda model: segkit.compile(model, CRACK, loss=losses.Dice(SOFTMAX, from_logits=True)),
        "mismatch",
        "loss",
        ("Dice",),
    ),
    "Keras' Dice": (
        lambda model: segkit.compile(model, CRACK, loss=keras.losses.Dice()),
        "contradiction",
        "loss",
        ("from_logits=True",),
    ),
    "Keras' function": (
        lambda model: segkit.compile(model, CRACK, loss=keras.losses.tversky),
        "contradiction",
        "loss",
        ("tversky",),
    ),
    "a class for a loss": (
        lambda model: segkit.compile(model, CRACK, loss=losses.Dice),
        "wrong-value",
        "loss",
        (),
    ),
    "Keras' metric": (
        lambda model: segkit.compile(model, CRACK, metrics=[keras.metrics.BinaryIoU()]),
        "contradiction",
        "metrics",
        ("BinaryIoU",),
    ),
    "metric by name": (
        lambda model: segkit.compile(model, CRACK, metrics=["accuracy"]),
        "contradiction",
        "metrics",
        ("'accuracy'",),
    ),
    "metric on probabilities": (
        lambda model: segkit.compile(model, CRACK, metrics=[metrics.IoU(CRACK, from_logits=False)]),
        "contradiction",
        "metrics",
        ("from_logits=True",),
    ),
    "metric of another task": (
        lambda model: segkit.compile(
            model, CRACK, metrics=[metrics.IoU(SOFTMAX, from_logits=True)]
        ),
        "mismatch",
        "metrics",
        (),
    ),
    "metrics alone": (
        lambda model: segkit.compile(model, CRACK, metrics=metrics.IoU(CRACK, from_logits=True)),
        "wrong-value",
        "metrics",
        (),
    ),
    "head of numbers": (
        lambda model: segkit.head(CRACK, np.zeros(3), np.zeros(3)),
        "wrong-value",
        "features",
        (),
    ),
    "no encoder": (
        lambda model: segkit.encoder_layers(keras.Sequential([keras.Input((4,)), layers.Dense(1)])),
        "mismatch",
        None,
        (),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named(model: keras.Model, name: str) -> None:
    call, code, setting, values = WRONG[name]
    with fails(ConfigError, code, *values, setting=setting):
        call(model)


class Own(keras.Model):
    """A model whose layers Keras cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = layers.Conv2D(1, 1, activation="sigmoid")

    def call(self, images: Any) -> Any:
        return self.convolution(images)


def test_a_subclassed_model_is_refused_with_the_way_to_make_one() -> None:
    own = Own()
    own(np.zeros((1, 4, 4, 3), np.float32))
    with fails(ConfigError, "mismatch", "Own", "segkit.head", setting="model"):
        segkit.compile(own, CRACK)


def test_images_of_another_number_of_bands_are_refused(model: keras.Model, tmp_path: Any) -> None:
    target = batch(CRACK, seed=1)[0]
    trainer = trainer_of(model)
    for bands in (1, 2, 4):
        for call in (trainer.fit, trainer.evaluate, trainer.train_on_batch):
            with fails(DataError, "channels", f"3); found (2, 5, 6, {bands})"):
                call(picture(2, 5, 6, bands), target)
    model.save(tmp_path / "model.keras")
    for one in (model, segkit.load(tmp_path / "model.keras")):
        with pytest.raises(
            ValueError, match="3"
        ):  # of Keras: a single band would be repeated for each of the three
            one(picture(2, 5, 6, 1))


class Batches(keras.utils.PyDataset):
    """One batch again and again."""

    def __init__(self, images: np.ndarray, target: np.ndarray) -> None:
        super().__init__()
        self.batch = images, target

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batch


def test_targets_that_the_task_has_not_are_refused_before_a_step(model: keras.Model) -> None:
    images, target = picture(*SIZE), batch(CRACK, seed=2, images=4)[0]
    trainer = trainer_of(model, optimizer=keras.optimizers.SGD(0.0))
    for wrong in (2 * target, 0.3 * (target == 1), np.where(target == 1, -1, 0)):
        for data in ((images, wrong), (Batches(images, wrong),)):
            with fails(DataError, "mask-values"):
                trainer.fit(*data, verbose=0)
        with fails(DataError, "mask-values"):
            trainer.fit(images, target, validation_data=(images, wrong), verbose=0)
        with fails(DataError, "mask-values"):
            trainer.evaluate(images, wrong, verbose=0)
    with fails(DataError, "mask-channels", "Task.encode"):
        trainer.fit(images, target[..., 0], verbose=0)
    assert int(trainer.optimizer.iterations) == 0
    with fails(ConfigError, "wrong-value", setting="sample_weight"):
        trainer.fit(images, target, sample_weight=np.ones(target.shape), verbose=0)
    history = trainer.fit(Batches(images, target), verbose=0).history
    one_by_one = trainer.fit(
        images, target, sample_weight=np.ones(4), batch_size=4, verbose=0
    ).history
    assert history["loss"] == pytest.approx(one_by_one["loss"], rel=1e-5)


def test_a_trainer_works_again_after_a_failed_fit(model: keras.Model) -> None:
    class Failing(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise RuntimeError("of the user's own")

    images, target = picture(*SIZE), batch(CRACK, seed=3, images=4)[0]
    trainer = trainer_of(model, optimizer=keras.optimizers.SGD(0.0))
    trainer.checks_data = False  # so that Keras finds the mistakes, in its compiled step
    for wrong in ((images, target[..., 0, None, None]), (images, target[:, :2])):
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the backend raises)
            trainer.fit(*wrong, verbose=0)
    with pytest.raises(RuntimeError, match="own"):
        trainer.fit(images, target, verbose=0, callbacks=[Failing()])
    found = trainer.fit(images, target, verbose=0).history["loss"]
    assert np.isfinite(found[0])
    assert int(trainer.optimizer.iterations) >= 1


def test_metrics_beside_the_scores_know_that_more_is_better(model: keras.Model) -> None:
    kinds = (metrics.IoU, metrics.Dice, metrics.Precision, metrics.Recall)
    trainer = trainer_of(model, metrics=[kind(CRACK, from_logits=True) for kind in kinds])
    images, target = picture(*SIZE), batch(CRACK, seed=4, images=4)[0]
    for name in ("iou", "dice", "precision", "recall"):
        stop = keras.callbacks.EarlyStopping(monitor=f"val_{name}")
        stop.set_model(trainer)
        history = trainer.fit(
            images, target, validation_data=(images, target), verbose=0, callbacks=[stop]
        ).history
        assert 0 <= history[f"val_{name}"][0] <= 1
        assert bool(stop.monitor_op(2.0, 1.0))
    assert "iou_foreground" in history


def test_logits_are_those_of_the_probabilities(model: keras.Model) -> None:
    images = picture(*SIZE)
    logits = keras.ops.convert_to_numpy(segkit.logits_of(model, CRACK)(images))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logits)), keras.ops.convert_to_numpy(model(images)), atol=1e-6
    )
