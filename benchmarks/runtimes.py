"""Prediction of one batch by every runtime of segkit and by the same U-Net in PyTorch: uint8 in,
float32 out.

python benchmarks/runtimes.py [--width 32] [--batch 4] [--size 512] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import exports
import measure
from prediction import torch_predict

PYTORCH: dict[str, measure.Make] = {
    "PyTorch eager, contiguous": torch_predict,
    "PyTorch eager, channels last": partial(torch_predict, channels_last=True),
    "PyTorch compiled, channels last": partial(torch_predict, channels_last=True, compiled=True),
    "PyTorch bfloat16, channels last": partial(torch_predict, channels_last=True, bfloat16=True),
    "PyTorch bfloat16, compiled, channels last": partial(
        torch_predict, channels_last=True, compiled=True, bfloat16=True
    ),
}


def contenders(run: str) -> dict[str, measure.Make]:
    """Return segkit's runtimes, Keras first, and PyTorch's ways."""
    ours = {kind: partial(exports.opened, run=run, kind=kind) for kind in ("keras", *exports.KINDS)}
    return {f"segkit {kind.replace('-', ' ')}": make for kind, make in ours.items()} | PYTORCH


def main() -> None:
    parser = measure.options(__doc__)
    parser.set_defaults(batch=4, size=512)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        for kind, problem in exports.make(Path(run), arguments.width).items():
            print(f"could not be exported: {kind} ({problem})")
        measure.compare("runtimes", contenders(run), arguments)


if __name__ == "__main__":
    main()
