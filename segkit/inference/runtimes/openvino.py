"""An exported run in OpenVINO, on the CPU."""

from __future__ import annotations

import numpy as np

from segkit.inference.runtimes.damage import opening
from segkit.inference.runtimes.images import check_images
from segkit.inference.tiles import Predict
from segkit.run.exports import Exported
from segkit.system.packages import need
from segkit.system.threads import cores

_HINTS = {"float32": "f32", "int8": "f32", "bfloat16": "bf16"}
"""The precision of what is not 8 bits. Without a hint OpenVINO picks bfloat16 by itself where the CPU has it."""


def has_bfloat16() -> bool:
    """Return whether this CPU computes in bfloat16; without it OpenVINO takes float32 whatever it was told."""
    return "BF16" in need("openvino", "openvino").Core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )


def open_openvino(exported: Exported) -> Predict:
    """Return images (B, H, W, C) -> probabilities (B, H, W, classes) float32; any size, any batch."""
    runtime = need("openvino", "openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[exported.record.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": cores(),
    }
    with opening(exported.model, "OpenVINO"):
        compiled = runtime.Core().compile_model(str(exported.model), "CPU", settings)
    request = compiled.create_infer_request()
    given = exported.config().input

    def predict(images: np.ndarray) -> np.ndarray:
        check_images(images, given)
        return np.array(
            request.infer({0: images})[0], np.float32
        )  # a copy: the next request writes into its memory

    return predict
