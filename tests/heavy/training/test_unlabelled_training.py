"""Trainings with the terms that need no labels: teacher, loss, batches, resuming, saved models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import segkit
from segkit.config import Config, RunConfig
from segkit.data.batches.training import training_batches
from segkit.data.sources.source import open_source
from segkit.models.trainer import Trainer
from segkit.models.unlabelled import UnlabelledTrainer
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from segkit.training.ema import averaged
from segkit.training.network import build_network
from tests.oracles import unlabelled as oracle
from tests.oracles.question import activated

TASKS = {
    "binary": {"kind": "binary", "classes": ["shape"]},
    "multiclass": {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]},
    "multilabel": {"kind": "multilabel", "classes": ["disc", "square", "triangle"]},
}
TERMS = {"consistency": 2.0, "smoothness": 0.5, "ema": 0.7, "consistency_ramp_up": 0.5}


def config_of(kind: str = "multiclass", **train: Any) -> Config:
    settings = {
        "epochs": 3,
        "batch_size": 4,
        "crop": [32, 32],
        "pictures": 0,
        "tensorboard": False,
        **train,
    }
    return Config.model_validate(
        {
            "task": TASKS[kind],
            "data": {"source": "shapes", "count": 24, "size": [40, 36]},
            "model": {"width": 4, "depth": 1, "normalization": "instance"},
            "train": settings,
        }
    )


def more_images(folder: Path) -> Path:
    """Save ten images of other sizes, and return their folder."""
    config = Config.model_validate(
        {"task": TASKS["binary"], "data": {"source": "shapes", "count": 10, "size": [28, 50]}}
    )
    source = open_source(config.data, config.task)
    folder.mkdir()
    for name in source.names:
        Image.fromarray(255 - source.read(name).image).save(folder / f"{name}.png")
    return folder


def batches_of(config: Config, count: int, first: int = 0) -> tuple[RunConfig, list[Any]]:
    """Return the config of a run and its first batches of training."""
    run_config, parts = prepare_data(config, Progress())
    batches = training_batches(
        parts["train"],
        run_config,
        run_config.input,
        first,
        unlabelled=parts.get("unlabelled"),
    )
    found = [next(batches) for _ in range(count)]
    batches.close()
    return run_config, found


def probabilities(trainer: UnlabelledTrainer, images: np.ndarray) -> np.ndarray:
    logits = ops.convert_to_numpy(trainer(images, training=False))
    return activated(np.asarray(logits), trainer.task.head == "softmax")


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_the_teacher_has_the_averaged_weights_and_sees_the_weak_view(
    tmp_path: Path, kind: str
) -> None:
    config = config_of(kind, unlabelled=str(more_images(tmp_path / "more")), **TERMS)
    run_config, batches = batches_of(config, 4)
    _, trainer = build_network(run_config, 4)
    assert isinstance(trainer, UnlabelledTrainer)
    x, y = batches[0]
    before = ops.convert_to_numpy(trainer._teach(x, y))  # no average yet: the weights themselves
    np.testing.assert_allclose(before[..., 0], probabilities(trainer, x["weak"]), atol=1e-5)
    for x, y in batches:
        trainer.train_on_batch(x, y)
    found = np.asarray(ops.convert_to_numpy(trainer._teach(x, y)))
    student = probabilities(trainer, x["weak"])
    with averaged(trainer):
        wanted = probabilities(trainer, x["weak"])
    np.testing.assert_allclose(found[..., 0], wanted, atol=1e-5)
    assert np.abs(wanted - student).max() > 1e-3
    assert set(np.unique(y["counted"]).tolist()) == {0, 1}  # 28 rows in a patch of 32
    counted = np.broadcast_to(y["counted"][..., None], wanted.shape)
    np.testing.assert_array_equal(found[..., 1], counted)


@pytest.mark.parametrize("with_folder", [True, False], ids=["folder", "void"])
def test_the_loss_of_a_step_is_the_sum_of_its_terms(tmp_path: Path, with_folder: bool) -> None:
    settings = dict(TERMS)
    if with_folder:
        settings["unlabelled"] = str(more_images(tmp_path / "more"))
    run_config, batches = batches_of(config_of(**settings), 3)
    _, trainer = build_network(run_config, 3)
    for x, y in batches[:2]:
        trainer.train_on_batch(x, y)
    x, y = batches[2]
    trainer.ramp.assign(0.25)
    logits = np.asarray(ops.convert_to_numpy(trainer(x["images"], training=False)))
    student = activated(logits, True)
    teacher = np.asarray(ops.convert_to_numpy(trainer._teach(x, y)))
    wanted = float(trainer.loss(y["target"], logits))
    smooth = [oracle.smoothness(x["images"][i], student[i], True) for i in range(len(student))]
    if with_folder:
        student = probabilities(trainer, x["strong"])
        counts = np.broadcast_to(y["counted"][..., None] == 1, student.shape)
    else:
        assert (y["target"] == 255).any()
        counts = np.broadcast_to((y["target"] == 255)[..., None], student.shape)
    alike = [
        oracle.consistency(student[i], teacher[i, ..., 0], counts[i], True)
        for i in range(len(student))
    ]
    assert np.mean(alike) > 1e-5
    wanted += 0.5 * np.mean(smooth) + 2.0 * 0.25 * np.mean(alike)
    trainer.reset_metrics()
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(wanted, rel=1e-4)


def nearly_equal(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-6)  # OpenCV's distances are not exact


@pytest.mark.parametrize("loss", [{"dice": 1}, {"dice": 1, "boundary": 1}], ids=["", "distances"])
def test_the_terms_change_nothing_of_the_labelled_batches(
    tmp_path: Path, loss: dict[str, float]
) -> None:
    def with_loss(**train: Any) -> Config:
        return config_of(**train).model_copy(update={"loss": loss})

    plain_config, plain = batches_of(with_loss(), 5)
    folder = str(more_images(tmp_path / "more"))
    _, with_folder = batches_of(with_loss(unlabelled=folder, **TERMS), 5)
    _, with_void = batches_of(with_loss(**TERMS), 5)
    for (images, target), *others in zip(plain, with_folder, with_void, strict=True):
        for x, y in others:
            np.testing.assert_array_equal(x["images"], images)
            nearly_equal(y["target"], target)
    _, later = batches_of(with_loss(unlabelled=folder, **TERMS), 2, first=3)
    for again, once in zip(later, with_folder[3:], strict=True):
        keras.tree.map_structure(nearly_equal, again, once)
    counted = np.stack([y["counted"] for _, y in with_folder])
    assert 0.5 < counted.mean() < 1  # 28 rows in a patch of 32
    seen = np.concatenate([x["strong"] for x, _ in with_folder])
    assert len(np.unique(seen.reshape(len(seen), -1), axis=0)) == 20
    _, trainer = build_network(plain_config, 5)
    assert isinstance(trainer, Trainer)  # without terms as before


def soft_config(root: Path, **train: Any) -> Config:
    """Save 12 images with the masks of two annotators, who differ by a column, and unknown rows."""
    for number in range(12):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "images" / f"{number:02}.png")
        for wide, annotator in enumerate(("anna", "ben")):
            mask = np.zeros((32, 32), np.uint8)
            mask[8:20, 8 : 16 + wide] = 1
            mask[26:] = 255
            (root / annotator).mkdir(exist_ok=True)
            Image.fromarray(mask).save(root / annotator / f"{number:02}.png")
    settings = config_of().model_dump(mode="json")
    settings["task"] = {"kind": "multiclass", "classes": ["background", "square"]}
    settings["data"] = {
        "images": str(root / "images"),
        "annotators": [str(root / "anna"), str(root / "ben")],
        "mask_values": {0: "background", 1: "square", 255: "void"},
        "validation": 0.25,
    }
    settings["augment"] = {}
    settings["train"] |= {**TERMS, **train}
    return Config.model_validate(settings)


@pytest.mark.parametrize("with_folder", [True, False], ids=["folder", "void"])
def test_soft_labels_and_consistency_are_one_loss(tmp_path: Path, with_folder: bool) -> None:
    more = {"unlabelled": str(more_images(tmp_path / "more"))} if with_folder else {}
    run_config, batches = batches_of(soft_config(tmp_path / "soft", **more), 3)
    _, trainer = build_network(run_config, 3)
    for x, y in batches[:2]:
        trainer.train_on_batch(x, y)
    x, y = batches[2]
    trainer.ramp.assign(0.25)
    target = y["target"]
    assert target.ndim == 4
    void = (target == 255).all(axis=-1)
    assert 0.1 < void.mean() < 0.5
    logits = np.asarray(ops.convert_to_numpy(trainer(x["images"], training=False)))
    student = activated(logits, True)
    smooth = [oracle.smoothness(x["images"][i], student[i], True) for i in range(len(student))]
    wanted = float(trainer.loss(target, logits)) + 0.5 * np.mean(smooth)
    teacher = np.asarray(ops.convert_to_numpy(trainer._teach(x, y)))[..., 0]
    counts = np.broadcast_to(void[..., None], student.shape)
    if with_folder:
        student = probabilities(trainer, x["strong"])
        counts = np.broadcast_to(y["counted"][..., None] == 1, student.shape)
    alike = [
        oracle.consistency(student[i], teacher[i], counts[i], True) for i in range(len(student))
    ]
    assert np.mean(alike) > 1e-5
    wanted += 2.0 * 0.25 * np.mean(alike)
    trainer.reset_metrics()
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(wanted, rel=1e-4)


def test_soft_labels_and_consistency_end_in_a_usual_run(tmp_path: Path) -> None:
    more = str(more_images(tmp_path / "more"))
    run = segkit.train(soft_config(tmp_path / "soft", unlabelled=more), tmp_path / "run")
    assert all(np.isfinite(row["loss"]) for row in run.rows())
    assert run.config().task.soft
    mask = segkit.Predictor.load(run.path)(np.zeros((32, 32, 3), np.uint8))
    assert mask.shape == (32, 32)


class Stop(keras.callbacks.Callback):
    """Interrupts a training in the middle of its second epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        if self.steps == 6:
            raise KeyboardInterrupt


def weights_of(run: Run) -> list[np.ndarray]:
    return [np.asarray(w) for w in keras.models.load_model(run.last, compile=False).get_weights()]


def test_a_resumed_training_ends_as_one_without_interruption(tmp_path: Path) -> None:
    folder = str(more_images(tmp_path / "more"))
    config = config_of(unlabelled=folder, checkpoint_minutes=1e-9, **TERMS)
    whole = segkit.train(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        segkit.train(config, tmp_path / "run", callbacks=[Stop()])
    resumed = segkit.train(config, tmp_path / "run", resume=True)
    for row, other in zip(whole.rows(), resumed.rows(), strict=True):
        assert {**row, "seconds": 0} == pytest.approx({**other, "seconds": 0}, rel=1e-6)
    for one, other in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    delivered = keras.models.load_model(whole.model, compile=False)
    plain, _ = build_network(batches_of(config_of(), 1)[0], 4)
    assert [w.shape for w in delivered.weights] == [w.shape for w in plain.weights]
    assert [type(layer) for layer in delivered.layers] == [type(layer) for layer in plain.layers]


@pytest.mark.one_backend
def test_the_terms_work_with_heads_for_training_and_in_half_precision(tmp_path: Path) -> None:
    settings = {**TERMS, "unlabelled": str(more_images(tmp_path / "more")), "epochs": 1}
    config = config_of("multilabel", precision="mixed_float16", accumulate=2, **settings)
    model = {"width": 4, "depth": 2, "deep_supervision": True, "image_head": 0.1}
    config = Config.model_validate({**config.model_dump(mode="json"), "model": model})
    run = segkit.train(config, tmp_path / "run")
    assert all(np.isfinite(row["loss"]) for row in run.rows())
    assert run.scored()["mean"]["dice_foreground"] >= 0
