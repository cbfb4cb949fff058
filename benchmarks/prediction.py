"""Prediction of one batch by segkit's Predict and by the same U-Net in PyTorch: uint8 arrays in,
float32 arrays out.

python benchmarks/prediction.py [--width 32] [--batch 8] [--size 256] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import measure
from measure import Made, Workload

if TYPE_CHECKING:
    import numpy as np
    from torch_unet import Way


def segkit_predict(workload: Workload, precision: str) -> Made:
    import segkit_unet

    model, _ = segkit_unet.network(workload, precision)
    from segkit.inference.runtimes.keras import as_predict  # Keras is loaded, quietly, by now

    predict, (images, _) = as_predict(model), workload.data()
    sizes = (*segkit_unet.parameters(model), segkit_unet.multiply_adds(model, workload))
    return Made(lambda: predict(images), *sizes)


def torch_predict(workload: Workload, **settings: bool) -> Made:
    import torch
    import torch_unet

    way: Way = torch_unet.Way(**settings)
    model = torch_unet.network(workload, way).eval()
    images, _ = workload.data()

    def probabilities(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(torch_unet.device(), torch.bfloat16, enabled=way.bfloat16):
            return torch.softmax(model(x), dim=1).permute(0, 2, 3, 1).contiguous()

    forward = torch.compile(probabilities) if way.compiled else probabilities

    @torch.inference_mode()
    def predict() -> np.ndarray:
        return forward(torch_unet.as_input(images, way)).cpu().numpy()

    return Made(predict, *torch_unet.parameters(model))


CONTENDERS: dict[str, measure.Make] = {
    "segkit float32": partial(segkit_predict, precision="float32"),
    "segkit mixed_bfloat16": partial(segkit_predict, precision="mixed_bfloat16"),
    "PyTorch eager, contiguous": torch_predict,
    "PyTorch eager, channels last": partial(torch_predict, channels_last=True),
    "PyTorch compiled, channels last": partial(torch_predict, channels_last=True, compiled=True),
    "PyTorch bfloat16, channels last": partial(torch_predict, channels_last=True, bfloat16=True),
}

if __name__ == "__main__":
    measure.compare(
        "prediction", CONTENDERS, measure.add_device(measure.options(__doc__)).parse_args()
    )
