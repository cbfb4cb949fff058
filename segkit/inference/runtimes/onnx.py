"""An exported run in ONNX Runtime, on the CPU."""

from __future__ import annotations

import numpy as np

from segkit.inference.runtimes.damage import opening
from segkit.inference.runtimes.images import check_images
from segkit.inference.tiles import Predict
from segkit.run.exports import Exported
from segkit.system.packages import need
from segkit.system.threads import cores

ERRORS_ONLY = 3
"""The severity of messages. Below it ONNX Runtime warns of things that are as intended."""


def open_onnx(exported: Exported) -> Predict:
    """Return a function of images (B, H, W, C) -> probabilities (B, H, W, classes) float32.

    It takes any size and any batch.
    """
    runtime = need("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = ERRORS_ONLY
    # the pattern of a batch shape allocates a second block beside the memory that is in use already
    options.enable_mem_pattern = False
    with opening(exported.model, "ONNX Runtime"):
        session = runtime.InferenceSession(
            str(exported.model), options, providers=["CPUExecutionProvider"]
        )
    input_name = session.get_inputs()[0].name
    input_config = exported.config().input

    def predict(images: np.ndarray) -> np.ndarray:
        check_images(images, input_config)
        (probabilities,) = session.run(None, {input_name: images})
        return np.asarray(probabilities)

    return predict
