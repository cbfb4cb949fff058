"""Saved models load in a new process after `import segkit`. Runs on every backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import segkit
from segkit import ConfigError, RunError, losses, metrics
from segkit.models import build
from segkit.models.trainer import Supervised, Trainer
from tests.helpers.errors import fails
from tests.helpers.loss_cases import TASKS, answer, batch, picture

CRACK, SOFTMAX = TASKS["binary"], TASKS["softmax"]
ROOT = Path(segkit.__file__).parents[1]
FRESH = """
import keras, segkit, sys
from pathlib import Path
import numpy as np
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy")
for path in sorted(folder.glob("*.keras")):
    model = keras.models.load_model(path)
    np.save(path.with_suffix(".npy"), keras.ops.convert_to_numpy(model(images, training=False)))
    print(path.stem, type(model).__name__, getattr(model, "compiled", False))
"""


def small(task: segkit.Task = SOFTMAX, **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return segkit.unet(task, **{"width": 4, "depth": 2, **settings})


def savable() -> dict[str, keras.Model]:
    """Return each kind of segkit's models, and a user's model with segkit's loss and scores."""
    plain = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
    loss = losses.make(SOFTMAX, {"dice": [1, 0], "lovasz": 1})
    scores = [kind(SOFTMAX, from_logits=True) for kind in (metrics.IoU, metrics.Scores)]
    plain.compile(loss=loss, metrics=scores)
    losses.track(plain, loss)
    scheduled = {"dice": 1, "cross_entropy": [1, 0]}
    supervised = small(
        deep_supervision=True, image_head=0.1, image_labels="one", upsampling="bilinear"
    )
    return {
        "network": small(),
        "plain": plain,
        "scheduled": segkit.compile(
            small(), SOFTMAX, loss=scheduled, metrics=[metrics.Recall(SOFTMAX, from_logits=True)]
        ),
        "supervised": segkit.compile(supervised, SOFTMAX, loss=scheduled),
        "trainer": segkit.compile(small(), SOFTMAX, class_weights={"liver": 2.0}),
    }


def test_trap_49_what_is_saved_opens_after_import_segkit_alone(tmp_path: Path) -> None:
    images = picture(1, 9, 7, 3)
    np.save(tmp_path / "images.npy", images)
    models = savable()
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [
        *("network", "Functional", "False"),
        *("plain", "Sequential", "True"),
        *("scheduled", "Trainer", "True"),
        *("supervised", "Supervised", "True"),
        *("trainer", "Trainer", "True"),
    ]
    for name, model in models.items():
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"), answer(model, images), atol=1e-6
        )


@pytest.mark.parametrize("deep_supervision", [False, True])
def test_a_loaded_trainer_goes_on_as_the_one_that_was_saved(
    deep_supervision: bool, tmp_path: Path
) -> None:
    model = small(depth=2, deep_supervision=deep_supervision, image_head=0.1)
    trainer = segkit.compile(model, SOFTMAX, loss={"dice": 1, "cross_entropy": [1, 0]})
    images, target = picture(2, 5, 6, 3), batch(SOFTMAX, seed=1)[0]
    trainer.fit(images, target, epochs=3, verbose=0, callbacks=[losses.Schedule(3)])
    trainer.save(tmp_path / "trainer.keras")
    loaded = segkit.load(tmp_path / "trainer.keras")
    assert type(loaded) is type(trainer) is Supervised
    assert loaded.task == SOFTMAX
    assert (loaded.shares, loaded.strides, loaded.image_weight) == (
        trainer.shares,
        trainer.strides,
        0.1,
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded.loss.now), [1, 0]
    )  # those of the last epoch
    again, before = (
        one.evaluate(images, target, verbose=0, return_dict=True) for one in (loaded, trainer)
    )
    assert again == pytest.approx(before, rel=1e-6)
    steps = [
        float(one.train_on_batch(images, target)[0]) for one in (loaded, trainer) for _ in range(2)
    ]
    assert steps[:2] == pytest.approx(steps[2:], rel=1e-4)  # with the state of the optimizer
    loaded.fit(images, target, epochs=2, verbose=0, callbacks=[losses.Schedule(2)])
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded.loss.now), [1, 0])


def of_my_own(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(y_pred)


@pytest.mark.parametrize(
    "loss", [of_my_own, lambda y_true, y_pred: ops.mean(y_pred)], ids=["function", "lambda"]
)
def test_a_trainer_that_could_not_be_loaded_is_not_saved(loss: Any, tmp_path: Path) -> None:
    trainer = segkit.compile(small(), SOFTMAX, loss=loss)
    with fails(ConfigError, "not-importable"):
        trainer.save(tmp_path / "trainer.keras")
    assert not list(tmp_path.iterdir())


def test_load_names_a_wrong_path(tmp_path: Path) -> None:
    with fails(RunError, "missing-file", tmp_path / "none"):
        segkit.load(tmp_path / "none")
    with fails(RunError, "not-a-run", tmp_path):
        segkit.load(tmp_path)
    damaged = tmp_path / "model.keras"
    damaged.write_bytes(b"PK\3\4 and nothing else")
    with fails(RunError, "damaged-file", damaged):
        segkit.load(damaged)


def test_load_returns_the_model_of_a_run(trained: Any) -> None:
    model = segkit.load(trained.path)
    assert model.output_shape[-1] == trained.config().task.channels
    assert not isinstance(model, Trainer)
    assert segkit.load(str(trained.model)).count_params() == model.count_params()


def test_layers_have_the_same_names_whatever_was_built_before() -> None:
    settings = [
        {},
        {"encoder": "mobilenetv3_small", "decoder": "fpn"},
        {"image_head": 0.1, "stem": 2},
    ]
    for chosen in settings:
        first, second = (small(**chosen) for _ in range(2))
        names = [layer.name for layer in first.layers]
        assert names == [layer.name for layer in second.layers]
        others = [name for name in names if not name.startswith(("encoder_", "decoder_"))]
        assert set(others) <= {
            *("image", "scale", "pad", "encoded", "classify", "logits", "probabilities"),
            *("image_head", "image_head_logits", "image_head_pool"),
        }
        encoder = [layer.name for layer in segkit.encoder_layers(first)]
        assert encoder
        assert all(name.startswith("encoder_") for name in encoder)
    assert [layer.name for layer in small().layers][3:6] == [
        *("encoder_conv2d_1", "encoder_batch_normalization_1", "encoder_re_lu_1"),
    ]


@pytest.mark.parametrize(
    "settings", [{}, {"encoder": "residual", "decoder": "unetplusplus", "image_head": 0.1}]
)
def test_files_from_before_layers_had_these_names_still_load(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(build, "name_layers", lambda layers, part: None)
        old = small(**settings)
    assert any(layer.name.startswith("conv2d") for layer in old.layers)
    old.save(tmp_path / "old.keras")
    old.save_weights(tmp_path / "old.weights.h5")
    images = picture(1, 9, 7, 3)
    new = small(**settings)
    new.set_weights([0 * weight for weight in new.get_weights()])
    new.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(answer(new, images), answer(old, images))
    loaded = segkit.load(tmp_path / "old.keras")
    np.testing.assert_array_equal(answer(loaded, images), answer(old, images))
    assert len(segkit.encoder_layers(loaded)) == len(segkit.encoder_layers(new))
