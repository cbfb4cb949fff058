"""Changing loss weights: seen by compiled steps, set by epochs or the clock, and resumed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import segkit
from segkit.cli import main
from segkit.losses import Schedule, WeightedSum, make
from segkit.losses import weighted_sum as total
from segkit.run import Run
from tests.helpers.loss_cases import SIZE, TASKS, batch, costs, loss_of, needed
from tests.helpers.tiny_runs import tiny_config

CRACK = TASKS["binary"]
TERMS = {"cross_entropy": 1.0, "dice": [0.0, 3.0], "boundary": {"weight": [2.0, 0.0, 0.0]}}


class Stop(keras.callbacks.Callback):
    """Ends the program's work after some epochs, as a kill would."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epochs:
            raise KeyboardInterrupt


def frozen() -> keras.Model:
    """Return a network that never learns, so that its loss changes by its weights alone."""
    keras.utils.set_random_seed(0)
    model = segkit.unet(CRACK, width=2, depth=1, normalization="none")
    return segkit.compile(model, CRACK, loss=TERMS, optimizer=keras.optimizers.SGD(0.0))


def data(trainer: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).uniform(0, 255, (4, *SIZE, 3)).astype(np.float32)
    return images, needed(trainer.loss, batch(CRACK, seed=0, images=4)[0])


def expected(epochs: int) -> list[float]:
    """Return the loss of each epoch: the costs of the terms never change, their weights do."""
    trainer = frozen()
    images, _ = data(trainer)
    target, logits = batch(CRACK, seed=0, images=4)[0], trainer.predict(images, verbose=0)
    each = {name: costs(loss_of(name, CRACK), target, logits).mean() for name in TERMS}
    shares = [epoch / (epochs - 1) for epoch in range(epochs)]
    return [
        each["cross_entropy"]
        + 3 * share * each["dice"]
        + max(0.0, 2 - 4 * share) * each["boundary"]
        for share in shares
    ]


def test_compiled_steps_see_the_weights_of_their_epoch() -> None:
    trainer = frozen()
    images, target = data(trainer)
    beside = {"batch_size": 2, "epochs": 5, "shuffle": False, "verbose": 0}
    seen = trainer.fit(
        images, target, validation_data=(images, target), callbacks=[Schedule(5)], **beside
    ).history
    np.testing.assert_allclose(seen["loss"], expected(5), rtol=1e-5)
    np.testing.assert_allclose(seen["val_loss"], seen["loss"], rtol=1e-5)


def test_a_resumed_training_goes_on_with_the_weights_of_its_epoch(tmp_path: Path) -> None:
    history: list[float] = []
    for callbacks in ([Stop(2)], []):
        trainer = frozen()
        images, target = data(trainer)
        backup = keras.callbacks.BackupAndRestore(
            str(tmp_path), double_checkpoint=True, delete_checkpoint=False
        )
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: history.append(logs["loss"])
        )
        try:
            trainer.fit(
                images,
                target,
                batch_size=4,
                epochs=5,
                verbose=0,
                callbacks=[Schedule(5), note, backup, *callbacks],
            )
        except KeyboardInterrupt:
            assert len(history) == 2
    np.testing.assert_allclose(history, expected(5), rtol=1e-5)


def test_weights_can_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=500.0)
    monkeypatch.setattr(total, "time", SimpleNamespace(monotonic=lambda: clock.now))
    loss = make(CRACK, TERMS)
    schedule = Schedule(
        10**6, minutes=2, used=130, agreed=lambda seconds: seconds - 100
    )  # of several processes
    schedule.set_model(SimpleNamespace(loss=loss))
    schedule.on_train_begin()
    for second, wanted in (
        (0, [1, 0.75, 1]),
        (60, [1, 2.25, 0]),
        (90, [1, 3, 0]),
        (1000, [1, 3, 0]),
    ):
        clock.now = 500.0 + second
        schedule.on_epoch_begin(7)
        np.testing.assert_allclose(np.asarray(loss.now), wanted, rtol=1e-6)


def test_a_sum_that_changes_is_saved_as_it_was_said() -> None:
    loss = make(CRACK, TERMS)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.weights == loss.weights == [1.0, [0.0, 3.0], [2.0, 0.0, 0.0]]
    target, logits = batch(CRACK, seed=1)
    np.testing.assert_array_equal(costs(again, target, logits), costs(loss, target, logits))


def test_sums_saved_before_losses_were_a_package_are_read() -> None:
    """The form of version 0.1.0, word for word."""
    task = {"task": CRACK.model_dump(mode="json"), "from_logits": True, "class_weights": None}
    common = {"reduction": "sum_over_batch_size", **task}
    dice = {"name": "dice", **common, "include_background": False, "smooth": 1.0}
    saved = [
        {
            "module": "segkit.losses",
            "class_name": name,
            "config": config,
            "registered_name": f"segkit.losses>{name}",
        }
        for name, config in (("CrossEntropy", {"name": "cross_entropy", **common}), ("Dice", dice))
    ]
    config = {
        "name": "loss",
        "reduction": "sum_over_batch_size",
        "losses": saved,
        "weights": [1.0, 0.5],
    }
    whole = {"module": "segkit.losses", "class_name": "WeightedSum", "config": config}
    loss = keras.saving.deserialize_keras_object(
        {**whole, "registered_name": "segkit.losses>WeightedSum"}
    )
    assert isinstance(loss, WeightedSum)
    target, logits = batch(CRACK, seed=1)
    wanted = costs(make(CRACK, {"cross_entropy": 1, "dice": 0.5}), target, logits)
    np.testing.assert_array_equal(costs(loss, target, logits), wanted)


def test_a_config_trains_with_distances_and_changing_weights(tmp_path: Path) -> None:
    path = tiny_config(tmp_path, "multiclass", pictures=0)
    loss = (
        "loss={cross_entropy: {label_smoothing: 0.05}, lovasz: 0.5, boundary: {weight: [0, 0.05]}}"
    )
    assert main(["train", str(path), "--run", str(tmp_path / "run"), "--set", loss]) == 0
    rows = Run.open(tmp_path / "run").rows()
    assert len(rows) == 2
    assert all(np.isfinite(row["val_loss"]) for row in rows)
