"""One large image in windows: segkit's tiles in every runtime beside MONAI's
sliding_window_inference in PyTorch.

python benchmarks/tiled.py [--width 32] [--size 2048] [--rounds 3] [--json FILE]

25 windows of 512 x 512 with a quarter of overlap, by both. MONAI "as it comes" takes one window at
a time and weighs all pixels alike; "tuned" takes four, weighs as a Gaussian does, and has its
channels last in memory.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import exports
import measure
from measure import Made, Workload

TILE, OVERLAP = 512, 0.25


def segkit_tiled(workload: Workload, run: str, kind: str) -> Made:
    predict = exports.predictor(Path(run), kind)
    from segkit.inference.tiles import predict_tiled

    image = workload.data()[0][0]
    return Made(
        lambda: predict_tiled(image, predict, TILE, OVERLAP, 4, align=16), *exports.parameters(run)
    )


def monai_tiled(workload: Workload, batch: int, mode: str, **settings: bool) -> Made:
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # MONAI would load it if it is there, and the two crash
    import torch
    import torch_unet
    from monai.inferers import sliding_window_inference

    way = torch_unet.Way(**settings)
    model = torch_unet.network(workload, way).eval()
    images, _ = workload.data()

    def window(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bfloat16):
            return torch.softmax(model(x), dim=1)

    forward = torch.compile(window) if way.compiled else window

    @torch.inference_mode()
    def predict() -> Any:
        x = torch_unet.as_input(images, way).float()
        answer = sliding_window_inference(
            x, (TILE, TILE), batch, forward, overlap=OVERLAP, mode=mode
        )
        return answer.permute(0, 2, 3, 1).contiguous().numpy()

    return Made(predict, *torch_unet.parameters(model))


MONAI: dict[str, measure.Make] = {
    "MONAI with defaults": partial(monai_tiled, batch=1, mode="constant"),
    "MONAI tuned": partial(monai_tiled, batch=4, mode="gaussian", channels_last=True),
    "MONAI tuned, compiled": partial(
        monai_tiled, batch=4, mode="gaussian", channels_last=True, compiled=True
    ),
    "MONAI tuned, bfloat16": partial(
        monai_tiled, batch=4, mode="gaussian", channels_last=True, bfloat16=True
    ),
}


def main() -> None:
    parser = measure.options(__doc__)
    parser.set_defaults(batch=1, size=2048, rounds=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        for kind, problem in exports.make(Path(run), arguments.width, TILE).items():
            print(f"could not be exported: {kind} ({problem})")
        ours = {
            f"segkit {kind.replace('-', ' ')}": partial(segkit_tiled, run=run, kind=kind)
            for kind in ("keras", *exports.KINDS)
        }
        measure.compare("tiled", ours | MONAI, arguments)


if __name__ == "__main__":
    main()
