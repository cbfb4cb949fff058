"""Deep supervision and the image head affect training only. Runs on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import VOID, ConfigError, Task, catalog
from segkit.models.image_head import Presence, image_task, image_view
from segkit.models.supervision import Supervised
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, channels_of, questions
from tests.oracles.losses import COSTS

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
EAGER = keras.backend.backend() == "tensorflow"
SOFTMAX = TASKS["softmax"]
SUPERVISABLE = sorted(set(catalog.DECODERS) - set(catalog.WITHOUT_DEEP_SUPERVISION))
one_backend = pytest.mark.one_backend
SHAPE = (2, 19, 25)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)


def target_of(task: Task, seed: int = 1, void: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (SHAPE[0], *task.target_shape(*SHAPE[1:]))
    target = rng.integers(0, task.channels if task.exclusive else 2, shape)
    return np.where(rng.random(shape) < void, VOID, target).astype(np.uint8)


def made(task: Task, **settings: Any) -> tuple[keras.Model, keras.Model]:
    """Return a small model and its trainer, whose learning rate is 0."""
    keras.utils.set_random_seed(0)
    model = segkit.unet(task, **{"width": 4, "depth": 3, **settings})
    return model, segkit.compile(
        model, task, optimizer=keras.optimizers.SGD(0.0), run_eagerly=EAGER
    )


def numpy_of(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: ops.convert_to_numpy(values) for name, values in outputs.items()}


@pytest.mark.parametrize(
    "decoder",
    [pytest.param(name, marks=() if name == "unet" else one_backend) for name in SUPERVISABLE],
)
@pytest.mark.parametrize("stem", [1, 2])
def test_auxiliary_heads_stand_where_the_paper_has_them(decoder: str, stem: int) -> None:
    _, trainer = made(SOFTMAX, decoder=decoder, deep_supervision=True, stem=stem)
    assert isinstance(trainer, Supervised)
    strides = list(trainer.strides.values())
    wanted = {"unetplusplus": [1, 1], "fpn": [2, 4, 8]}.get(decoder, [2, 4])
    assert strides == [stem * stride for stride in wanted]
    powers = [2.0**-i for i in range(len(strides) + 1)]
    np.testing.assert_allclose(list(trainer.shares.values()), np.array(powers) / sum(powers))
    outputs = numpy_of(trainer(picture(), training=True))
    sizes = [outputs[name].shape for name in trainer.strides]
    padded = [-(-side // (8 * stem)) * 8 * stem for side in SHAPE[1:]]
    assert sizes == [(2, padded[0] // stride, padded[1] // stride, 3) for stride in strides]


@one_backend
@pytest.mark.parametrize(
    "decoder",
    [pytest.param(name, marks=() if name == "unet" else pytest.mark.slow) for name in SUPERVISABLE],
)
def test_a_network_that_others_made_has_auxiliary_heads_too(decoder: str) -> None:
    """Its finest features have half the image's resolution, its deepest 1/32."""
    made_with = {"encoder": "mobilenetv3_small", "decoder": decoder, "width": 16}
    _, trainer = made(SOFTMAX, deep_supervision=True, image_head=0.1, **made_with)
    strides = list(trainer.strides.values())
    assert strides == {"unetplusplus": [2, 2, 2], "fpn": [4, 8, 16, 32]}.get(decoder, [4, 8, 16])
    assert 0 < trainer.train_on_batch(picture(), target_of(SOFTMAX))[0] < 10


@every_task
@pytest.mark.parametrize("decoder", ["unet", pytest.param("unetplusplus", marks=one_backend)])
def test_the_loss_of_training_is_the_weighted_mean_over_the_heads(task: Task, decoder: str) -> None:
    model, trainer = made(task, decoder=decoder, deep_supervision=True)
    target = target_of(task)
    outputs = numpy_of(trainer(picture(), training=True))
    wanted = 0.0
    for name, stride in {"main": 1, **trainer.strides}.items():
        seen = target[:, stride // 2 :: stride, stride // 2 :: stride]
        logits = outputs[name][:, : seen.shape[1], : seen.shape[2]]
        costs = [
            COSTS["cross_entropy"](q) + COSTS["dice"](q) for q in questions(task, seen, logits)
        ]
        wanted += (
            {"main": 4, f"deep_supervision_{1}": 2, f"deep_supervision_{2}": 1}[name]
            / 7
            * np.mean(costs)
        )
    found = trainer.train_on_batch(picture(), target, return_dict=True)
    assert found["loss"] == pytest.approx(wanted, rel=1e-4)
    assert set(found) == {"loss", "iou_foreground", "dice_foreground", "iou_with_background"}
    assert model.outputs[0].shape == (None, None, None, task.channels)


def test_scores_evaluation_and_prediction_see_the_main_output_alone() -> None:
    model, trainer = made(SOFTMAX, deep_supervision=True, image_head=0.5)
    plain, other = made(SOFTMAX)
    plain.set_weights(
        [w for w in model.get_weights() if w.shape not in ((32, 2), (2,))]
    )  # all but the image head's
    target = target_of(SOFTMAX)
    assert trainer.train_on_batch(picture(), target)[1:] == pytest.approx(
        other.train_on_batch(picture(), target)[1:]
    )
    for found, wanted in ((trainer, other), (model, plain)):
        np.testing.assert_allclose(
            ops.convert_to_numpy(found(picture())),
            ops.convert_to_numpy(wanted(picture())),
            atol=1e-6,
        )
    scores, same = (
        view.evaluate(picture(), target, verbose=0, return_dict=True) for view in (trainer, other)
    )
    assert scores == pytest.approx(same, rel=1e-5)
    history = trainer.fit(picture(), target, validation_data=(picture(), target), verbose=0).history
    assert set(history) == {*same, *(f"val_{name}" for name in same)}


@every_task
def test_trap_14_unlabelled_pixels_teach_no_head(task: Task) -> None:
    _, trainer = made(task, deep_supervision=True, image_head=1.0)
    nothing = np.full_like(target_of(task), VOID)
    assert float(trainer.train_on_batch(picture(), nothing)[0]) == 0.0
    target, outputs = target_of(task), numpy_of(trainer(picture(), training=True))
    changed = {name: values.copy() for name, values in outputs.items()}
    for name, stride in {"main": 1, **trainer.strides}.items():
        void = channels_of(task, target[:, stride // 2 :: stride, stride // 2 :: stride])[1] == 0
        changed[name][:, : void.shape[1], : void.shape[2]][void] += 9.0
        changed[name][:, void.shape[1] :] += 9.0  # beyond the image there is only padding
        changed[name][:, :, void.shape[2] :] += 9.0
    changed["main"] = changed["main"][:, : SHAPE[1], : SHAPE[2]]
    found, wanted = (
        float(trainer.compute_loss(None, target, values)) for values in (changed, outputs)
    )
    assert found == pytest.approx(wanted, rel=1e-5)


def test_images_smaller_than_a_pixel_of_the_coarse_features_train() -> None:
    _, trainer = made(SOFTMAX, deep_supervision=True)
    cost = trainer.train_on_batch(picture()[:, :1, :1], target_of(SOFTMAX)[:, :1, :1])[0]
    assert np.isfinite(cost)
    assert cost > 0


def test_training_reaches_the_auxiliary_heads_and_the_delivered_model_has_none(
    tmp_path: Path,
) -> None:
    model, _ = made(SOFTMAX, deep_supervision=True, image_head=0.1)
    trainer = segkit.compile(model, SOFTMAX, optimizer=keras.optimizers.SGD(1.0), run_eagerly=EAGER)
    before = [ops.convert_to_numpy(weight) for weight in trainer.trainable_weights]
    trainer.train_on_batch(picture(), target_of(SOFTMAX))
    after = [ops.convert_to_numpy(weight) for weight in trainer.trainable_weights]
    assert not any(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    only_trained = {weight.path for weight in trainer.weights} - {
        weight.path for weight in model.weights
    }
    assert len(only_trained) == 4  # two heads, kernel and bias
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert len(loaded.weights) == len(model.weights)
    again = segkit.compile(loaded, SOFTMAX)
    assert (again.strides, again.image_weight) == (trainer.strides, 0.1)


def test_a_restored_backup_contains_the_auxiliary_heads_and_their_optimizer(tmp_path: Path) -> None:
    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    def trained(*stop: keras.callbacks.Callback) -> list[np.ndarray]:
        model, _ = made(SOFTMAX, deep_supervision=True, depth=2)
        trainer = segkit.compile(model, SOFTMAX, run_eagerly=EAGER)
        backup = keras.callbacks.BackupAndRestore(
            tmp_path / ("a" if stop else "b"), delete_checkpoint=False
        )
        for beside in ([*stop, backup], [backup])[: 1 + len(stop)]:
            if beside == [backup] and stop:  # a new process: built again, then restored
                trainer = segkit.compile(
                    made(SOFTMAX, deep_supervision=True, depth=2)[0], SOFTMAX, run_eagerly=EAGER
                )
            try:
                trainer.fit(
                    picture(),
                    target_of(SOFTMAX),
                    epochs=2,
                    shuffle=False,
                    verbose=0,
                    callbacks=beside,
                )
            except KeyboardInterrupt:
                continue
        return [
            ops.convert_to_numpy(weight)
            for weight in (*trainer.weights, *trainer.optimizer.variables)
        ]

    for found, wanted in zip(trained(Killed()), trained(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_decoder_of_your_own_without_marks_is_refused() -> None:
    decoder = "tests.heavy.models.test_supervision:finest"
    with fails(ConfigError, "not-for-network", decoder, setting="model.deep_supervision"):
        segkit.unet(SOFTMAX, decoder=decoder, deep_supervision=True, depth=2)


def finest(levels: list[Any], settings: object) -> Any:
    return levels[0]


@every_task
def test_presence_is_what_the_known_pixels_say(task: Task) -> None:
    target = np.concatenate(
        [target_of(task, void=0.5)[:, :2, :3], np.full_like(target_of(task), VOID)[:, :2, :3]]
    )
    target[2:, 0, 0] = 0
    target[3] = VOID
    logits = np.random.default_rng(0).normal(size=(4, len(task.foreground))).astype(np.float32)
    truth, known = channels_of(task, target)
    wanted = []
    for image, asked, z in zip(truth, known, logits.astype(float), strict=True):
        costs = []
        for place, i in enumerate(task.foreground):
            if asked[..., i].any():
                present = bool((image[..., i] & asked[..., i]).any())
                costs.append(np.log1p(np.exp(-z[place] if present else z[place])))
        wanted.append(np.mean(costs) if costs else 0.0)
    assert wanted[3] == 0 < min(wanted[:3])
    np.testing.assert_allclose(
        ops.convert_to_numpy(Presence(task).call(target, logits)), wanted, rtol=1e-5
    )


@every_task
@pytest.mark.one_backend
def test_the_image_view_predicts_the_classes_of_the_image(task: Task, tmp_path: Path) -> None:
    model, trainer = made(task, image_head=0.25, depth=2)
    target = target_of(task)
    found = ops.convert_to_numpy(image_view(model, task)(picture()))
    assert found.shape == (2, len(task.foreground))
    assert 0 < found.min() < found.max() < 1 or len(task.foreground) == 1
    deepest = keras.Model(model.inputs[0], model.get_layer("image_head").input[0])(
        picture(), training=True
    )
    kernel, bias = model.get_layer("image_head_logits").get_weights()
    logits = ops.convert_to_numpy(deepest).mean(axis=(1, 2)) @ kernel + bias
    presence = float(
        np.mean(ops.convert_to_numpy(Presence(task).call(target, logits.astype(np.float32))))
    )
    outputs = trainer(picture(), training=True)
    main = float(trainer.loss(target, outputs["main"]))
    assert float(trainer.train_on_batch(picture(), target)[0]) == pytest.approx(
        main + 0.25 * presence, rel=1e-4
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    again = ops.convert_to_numpy(image_view(loaded, task)(picture()))
    np.testing.assert_array_equal(again, ops.convert_to_numpy(image_view(model, task)(picture())))


@every_task
def test_the_label_of_an_image_is_the_class_of_most_known_pixels(task: Task) -> None:
    target = target_of(task, void=0.5)[[0, 1, 0, 0]]
    target[1] = np.where(
        target[1] == VOID, VOID, task.classes.index(task.background) if task.background else 0
    )
    target[2] = VOID
    target[3, 4:] = VOID
    if not task.exclusive and task.channels > 1:
        target[3, ..., 1] = VOID  # one class that nobody looked for
    image = image_task(task, "one")
    logits = np.random.default_rng(0).normal(size=(4, image.channels)).astype(np.float32)
    truth, known = channels_of(task, target)
    wanted = []
    for shown, asked, z in zip(truth, known, logits.astype(float), strict=True):
        pixels = [int((shown[..., i] & asked[..., i]).sum()) for i in task.foreground]
        names = [task.classes[i] for i in task.foreground]
        label = image.classes.index(names[int(np.argmax(pixels))]) if max(pixels) else 0
        wanted.append(
            np.log(np.exp(z).sum()) - z[label]
            if asked[..., task.foreground].any((0, 1)).all()
            else 0.0
        )
    assert wanted[2] == 0 < min(wanted[0], wanted[1])
    assert (wanted[3] == 0) == (not task.exclusive and task.channels > 1)
    np.testing.assert_allclose(
        ops.convert_to_numpy(Presence(task, "one").call(target, logits)), wanted, rtol=1e-5
    )


def test_the_image_view_of_one_label_shares_one_probability(tmp_path: Path) -> None:
    model, trainer = made(SOFTMAX, image_head=0.25, image_labels="one", deep_supervision=True)
    target, outputs = target_of(SOFTMAX), trainer(picture(), training=True)
    found = ops.convert_to_numpy(image_view(model, SOFTMAX)(picture()))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)
    presence = float(
        np.mean(ops.convert_to_numpy(Presence(SOFTMAX, "one").call(target, outputs["image"])))
    )
    with_image = float(trainer.compute_loss(None, target, outputs))
    trainer.image_weight = 0.0
    assert with_image == pytest.approx(
        float(trainer.compute_loss(None, target, outputs)) + 0.25 * presence, rel=1e-5
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(image_view(loaded, SOFTMAX)(picture())), found
    )
    assert segkit.compile(loaded, SOFTMAX).presence.labels == "one"


def test_the_image_head_follows_the_rule_of_labels() -> None:
    assert image_task(SOFTMAX) == Task.multilabel(["liver", "tumour"])
    assert image_task(TASKS["binary"]).classes == ("crack",)
    assert image_task(SOFTMAX, "one") == Task.multiclass(["nothing", "liver", "tumour"])
    assert image_task(TASKS["binary"], "one").activation == "softmax"
    assert image_task(Task.multiclass(["road", "field"]), "one").classes == ("road", "field")
    with fails(ConfigError, "missing-setting", 0.1, setting="model.image_head"):
        image_view(segkit.unet(SOFTMAX, width=4, depth=1), SOFTMAX)


def test_without_supervision_the_view_is_as_it_was() -> None:
    _, trainer = made(SOFTMAX, depth=1)
    assert not isinstance(trainer, Supervised)
    assert isinstance(trainer.layers[-1], layers.Layer)
    assert trainer.output_shape == (None, None, None, 3)
