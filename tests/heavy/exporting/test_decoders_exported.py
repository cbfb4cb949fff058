"""Every decoder in its portable form and in ONNX predicts as Keras does, at sizes it never saw."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import segkit
from segkit import Task, catalog
from segkit.config import Config
from segkit.exporting.convert import convert_model
from segkit.exporting.portable import portable_copy
from segkit.run.exports import FILES
from tests.helpers.exported_runs import UINT8, randomise

pytestmark = pytest.mark.slow

TASK = Task.multilabel(["a", "b"])
UPSAMPLINGS = dict(zip(sorted(catalog.DECODERS), ("transpose", "bilinear") * 3, strict=False))


@pytest.mark.parametrize("decoder", sorted(catalog.DECODERS))
def test_the_portable_form_and_onnx_predict_as_keras_does(decoder: str, tmp_path: Path) -> None:
    import onnxruntime

    settings = {
        "width": 4,
        "depth": 4,
        "decoder": decoder,
        "upsampling": UPSAMPLINGS[decoder],
        "deep_supervision": decoder not in catalog.WITHOUT_DEEP_SUPERVISION,
        "image_head": 0.1,
    }
    keras.utils.set_random_seed(1)
    model = segkit.unet(TASK, mean=UINT8["mean"], std=UINT8["std"], **settings)
    randomise(model)
    convert_model(
        model,
        Config.model_validate({"task": TASK, "input": UINT8, "model": settings}),
        "onnx",
        tmp_path,
    )
    session = onnxruntime.InferenceSession(tmp_path / FILES["onnx"])
    assert len(session.get_outputs()) == 1
    copy = portable_copy(model)
    for size in ((250, 333), (5, 40)):
        images = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
        wanted = model.predict_on_batch(images)
        assert np.ptp(wanted) > 0.1
        np.testing.assert_allclose(copy.predict_on_batch(images), wanted, atol=1e-5, rtol=0)
        [found] = session.run(None, {session.get_inputs()[0].name: images})
        np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=0)


def test_litert_can_run_the_mean_of_deeplab(tmp_path: Path) -> None:
    settings = {"width": 2, "depth": 2, "decoder": "deeplabv3plus"}
    model = segkit.unet(TASK, **settings)
    # refuses what cannot be run at another size and number of images
    convert_model(
        model,
        Config.model_validate({"task": TASK, "input": UINT8, "model": settings}),
        "litert",
        tmp_path,
    )
    assert (tmp_path / FILES["litert"]).is_file()
