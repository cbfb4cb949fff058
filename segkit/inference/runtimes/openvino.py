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
"""The precision of operations that are not int8, by the precision of the export.

Without a hint OpenVINO chooses bfloat16 itself if the CPU supports it.
"""


def has_bfloat16() -> bool:
    """Return whether this CPU computes in bfloat16. Otherwise OpenVINO always uses float32."""
    core = need("openvino", "openvino").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def open_openvino(exported: Exported) -> Predict:
    """Return a function of images (B, H, W, C) -> probabilities (B, H, W, classes) float32.

    It takes any size and any batch.
    """
    runtime = need("openvino", "openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[exported.record.precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": cores(),
    }
    with opening(exported.model, "OpenVINO"):
        compiled = runtime.Core().compile_model(str(exported.model), "CPU", settings)
    request = compiled.create_infer_request()
    input_config = exported.config().input

    def predict(images: np.ndarray) -> np.ndarray:
        check_images(images, input_config)
        probabilities = request.infer({0: images})[0]
        # a copy, because the next request writes into the same memory
        return np.array(probabilities, np.float32)

    return predict
