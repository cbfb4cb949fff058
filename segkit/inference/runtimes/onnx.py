"""An exported run in ONNX Runtime, on the CPU."""

from __future__ import annotations

import numpy as np

from segkit.inference.runtimes.damage import opening
from segkit.inference.runtimes.images import check_images
from segkit.inference.tiles import Predict
from segkit.run.exports import Exported
from segkit.system.packages import need
from segkit.system.threads import cores


def open_onnx(exported: Exported) -> Predict:
    """Return images (B, H, W, C) -> probabilities (B, H, W, classes) float32; any size, any batch."""
    runtime = need("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 3  # errors; it warns of things that are as they are meant to be
    with opening(exported.model, "ONNX Runtime"):
        session = runtime.InferenceSession(
            str(exported.model), options, providers=["CPUExecutionProvider"]
        )
    name = session.get_inputs()[0].name
    given = exported.config().input

    def predict(images: np.ndarray) -> np.ndarray:
        check_images(images, given)
        (probabilities,) = session.run(None, {name: images})
        return np.asarray(probabilities)

    return predict
