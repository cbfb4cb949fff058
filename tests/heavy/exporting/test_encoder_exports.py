"""Encoders from keras.applications in other runtimes: the same answers, images of any size."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import segkit
from segkit import RunError
from segkit.exporting.export import ExportRequest, export_run
from segkit.exporting.portable import portable_copy
from segkit.inference.load import open_run
from tests.helpers.errors import fails
from tests.helpers.exported_runs import make_run, parts_of

pytestmark = pytest.mark.slow


def test_onnx_predicts_as_keras_does_at_any_size(tmp_path: Path) -> None:
    """MobileNetV3 has bare operations and a pooling over the whole image in it."""
    run = make_run(tmp_path / "run", "binary", encoder="mobilenetv3_small")
    export_run(run, ExportRequest("onnx", "float32", 0.002), parts_of(run), lambda line: None)
    images = np.random.default_rng(0).integers(0, 256, (1, 250, 333, 3)).astype(np.uint8)
    found, wanted = (open_run(run.path, runtime).predict(images) for runtime in ("onnx", "keras"))
    assert found.shape == (1, 250, 333, 1)
    assert np.ptp(wanted) > 0.01
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_network_that_onnx_cannot_express_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "binary", encoder="convnext_tiny")
    with fails(RunError, "damaged-file", "model.onnx", "--format"):
        export_run(run, ExportRequest("onnx", "float32", 0.002), parts_of(run), lambda line: None)
    assert not list((run.path / "exports").iterdir())


def test_small_models_inside_become_float32_too() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = segkit.unet(segkit.Task.binary("a"), encoder="convnext_tiny", width=4)
    finally:
        keras.config.set_dtype_policy("float32")
    copy = portable_copy(model)
    inside = [layer for outer in copy.layers for layer in getattr(outer, "layers", [outer])]
    assert len(inside) > len(copy.layers)
    assert {layer.compute_dtype for layer in inside} == {"float32"}
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(
        copy.predict_on_batch(images), model.predict_on_batch(images), atol=0.05
    )
