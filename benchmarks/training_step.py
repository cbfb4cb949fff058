"""One training step (forward, loss, backward, AdamW) of segkit.unet and of the same U-Net in
PyTorch.

python benchmarks/training_step.py [--width 32] [--batch 8] [--size 256] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import measure
from measure import Made, Workload

if TYPE_CHECKING:
    from torch_unet import Way


def segkit_step(workload: Workload, precision: str, scores: bool = False) -> Made:
    """Train as `segkit.compile` does; without its scores, which PyTorch's step does not count
    either.
    """
    import segkit_unet

    import segkit

    model, task = segkit_unet.network(workload, precision)
    trainer = segkit.compile(model, task)
    if not scores:
        trainer.compile(optimizer=trainer.optimizer, loss=trainer.loss)
    images, targets = workload.data()
    sizes = (*segkit_unet.parameters(model), segkit_unet.multiply_adds(model, workload))
    return Made(lambda: trainer.train_on_batch(images, targets), *sizes)


def torch_step(workload: Workload, **settings: bool) -> Made:
    import torch
    import torch_unet

    way: Way = torch_unet.Way(**settings)
    model = torch_unet.network(workload, way).train()
    adamw = torch_unet.optimizer(model)
    images, targets = workload.data()

    def cost(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast(torch_unet.device(), torch.bfloat16, enabled=way.bfloat16):
            logits = model(x)
        return torch_unet.loss(logits, y)

    forward = torch.compile(cost) if way.compiled else cost

    def step() -> float:
        adamw.zero_grad()
        value = forward(
            torch_unet.as_input(images, way), torch.from_numpy(targets).to(torch_unet.device())
        )
        value.backward()
        adamw.step()
        return value.item()

    return Made(step, *torch_unet.parameters(model))


CONTENDERS: dict[str, measure.Make] = {
    "segkit float32": partial(segkit_step, precision="float32"),
    "segkit float32, counting scores": partial(segkit_step, precision="float32", scores=True),
    "segkit mixed_bfloat16": partial(segkit_step, precision="mixed_bfloat16"),
    "PyTorch eager, contiguous": torch_step,
    "PyTorch eager, channels last": partial(torch_step, channels_last=True),
    "PyTorch compiled, channels last": partial(torch_step, channels_last=True, compiled=True),
    "PyTorch bfloat16, channels last": partial(torch_step, channels_last=True, bfloat16=True),
    "PyTorch bfloat16, compiled, channels last": partial(
        torch_step, channels_last=True, compiled=True, bfloat16=True
    ),
}

if __name__ == "__main__":
    parser = measure.add_device(measure.options(__doc__))
    measure.compare("training step", CONTENDERS, parser.parse_args(), passes=3)
