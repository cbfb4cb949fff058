"""segkit.train as a function: in a thread, with callbacks, and from each form of a config."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

import segkit
from segkit.io.images import write_picture
from segkit.run import Run
from segkit.system.progress import Progress, TrainingStatus

CONFIG: dict[str, Any] = {
    "task": {"kind": "binary", "classes": ["shape"]},
    "data": {"source": "shapes", "count": 20, "size": [32, 32]},
    "model": {"width": 4, "depth": 2},
    "train": {"epochs": 2, "batch_size": 4, "crop": [32, 32], "pictures": 0},
}


class Recorded(Progress):
    """Records all reports."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.counted: dict[str, int] = {}
        self.statuses: list[TrainingStatus] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Callable[..., None]]:
        self.counted[label] = 0

        def advance(*_: object) -> None:
            self.counted[label] += 1

        yield advance

    @contextmanager
    def training(self) -> Iterator[Callable[[TrainingStatus], None]]:
        yield self.statuses.append


class Epochs(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs.append(epoch)


def weights(run: Run) -> list[np.ndarray]:
    return list(keras.models.load_model(run.model, compile=False).get_weights())


@pytest.mark.one_backend
def test_a_training_in_a_thread_is_the_training_of_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    before = yaml.safe_dump(CONFIG)
    found: list[Run] = []
    thread = threading.Thread(
        target=lambda: found.append(segkit.train(CONFIG, tmp_path / "thread"))
    )
    thread.start()
    thread.join()
    assert yaml.safe_dump(CONFIG) == before
    other = segkit.train(str(file), tmp_path / "file")
    for one, two in zip(weights(found[0]), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert found[0].report() == other.report()
    third = segkit.train(segkit.Config.model_validate(CONFIG), tmp_path / "config")
    assert third.report() == other.report()


@pytest.mark.one_backend
def test_progress_and_callbacks_see_every_step_and_epoch(tmp_path: Path) -> None:
    progress = Recorded()
    epochs = Epochs()
    config = {**CONFIG, "train": {**CONFIG["train"], "steps_per_epoch": 3}}
    run = segkit.train(config, tmp_path / "run", callbacks=[epochs], progress=progress)
    assert epochs.epochs == [0, 1]
    ends = [status for status in progress.statuses if status.logs is not None]
    assert len(progress.statuses) - len(ends) == 2 * 3
    assert [status.epoch for status in ends] == [1, 2]
    assert progress.statuses[-1].share == 1.0
    shares = [status.share for status in progress.statuses]
    assert shares == sorted(shares)
    assert [status.logs["val_loss"] for status in ends if status.logs] == [
        row["val_loss"] for row in run.rows()
    ]
    assert progress.counted["checking images and masks"] == 20


def test_a_resumed_training_goes_on_counting_for_callbacks(tmp_path: Path) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        segkit.train(CONFIG, tmp_path / "run", callbacks=[Stop()])
    assert interrupted.value.run.path == tmp_path / "run"  # type: ignore[attr-defined]
    begun = Run(tmp_path / "run")
    assert begun.saved().epoch == 1
    measured_otherwise = yaml.safe_load(begun.config_file.read_text())  # as by another version
    measured_otherwise["input"].update(mean=[50.0, 60.0, 70.0], std=[10.0, 10.0, 10.0])
    begun.config_file.write_text(yaml.safe_dump(measured_otherwise))
    epochs = Epochs()
    run = segkit.train(CONFIG, tmp_path / "run", resume=True, callbacks=[epochs])
    assert epochs.epochs == [1]
    assert run.report() is not None
    scale = keras.models.load_model(run.last, compile=False).get_layer("scale")
    np.testing.assert_allclose(scale.offset, [-5.0, -6.0, -7.0], rtol=1e-6)


@pytest.mark.one_backend
def test_without_a_progress_warnings_are_python_warnings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(6):
        write_picture(
            tmp_path / "images" / f"{number}.png", rng.integers(0, 256, (32, 32, 3), np.uint8)
        )
        for name, rows in (
            ("a", slice(0, 16)),
            ("b", slice(16, 32)),
        ):  # two classes that never overlap
            mask = np.zeros((32, 32), np.uint8)
            mask[rows, number:] = 255
            write_picture(tmp_path / "masks" / name / f"{number}.png", mask)
    config = {
        "task": {"kind": "multilabel", "classes": ["a", "b"]},
        "data": {
            "images": str(tmp_path / "images"),
            "masks": str(tmp_path / "masks"),
            "validation": 0.3,
            "test": 0.0,
        },
        "model": {"width": 4, "depth": 2},
        "train": {"epochs": 1, "batch_size": 2, "crop": [32, 32], "pictures": 0},
    }
    with pytest.warns(segkit.SegkitWarning, match="no-overlap"):
        segkit.train(config, tmp_path / "run")


class Models(keras.callbacks.Callback):
    """Records the content of model.keras after each epoch."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run, self.found = run, list[bytes]()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.found.append(sha256((self.run / "model.keras").read_bytes()).digest())


@pytest.mark.one_backend
def test_trap_35_validation_images_without_an_object_leave_the_choice_to_the_loss(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    for number in range(14):
        image = rng.integers(0, 120, (32, 32, 3), np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        if number < 8:
            image[8:20, number : number + 12] += 120
            mask[8:20, number : number + 12] = 1
        part = tmp_path / ("train" if number < 8 else "healthy")
        write_picture(part / "images" / f"{number}.png", image)
        write_picture(part / "masks" / f"{number}.png", mask)
    config = {
        "task": {"kind": "binary", "classes": ["shape"]},
        "data": {
            "images": str(tmp_path / "train/images"),
            "masks": str(tmp_path / "train/masks"),
            "validation": {
                "images": str(tmp_path / "healthy/images"),
                "masks": str(tmp_path / "healthy/masks"),
            },
            "test": 0.0,
        },
        "model": {"width": 4, "depth": 2},
        "train": {
            "epochs": 6,
            "batch_size": 2,
            "crop": [32, 32],
            "pictures": 0,
            "patience": 4,
            "learning_rate": 0.01,
        },
    }
    models = Models(tmp_path / "run")
    with pytest.warns(segkit.SegkitWarning) as warned:
        run = segkit.train(config, tmp_path / "run", callbacks=[models])
    rows = run.rows()
    best = int(np.argmin([row["val_loss"] for row in rows]))
    assert all(not row["val_dice_foreground"] > 0 for row in rows)
    assert len(rows) == min(6, best + 1 + 4)
    assert len(set(models.found)) > 1
    assert models.found[best] == models.found[-1] == sha256(run.model.read_bytes()).digest()
    assert models.found[best] not in models.found[:best]
    codes = [
        str(each.message).split(":")[0]
        for each in warned
        if isinstance(each.message, segkit.SegkitWarning)
    ]
    assert codes.count("unscored") == 2  # before the training and after it


@pytest.mark.parametrize("config", [7, None, ["a"]])
def test_anything_else_is_no_config(config: Any, tmp_path: Path) -> None:
    with pytest.raises(segkit.ConfigError):
        segkit.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
