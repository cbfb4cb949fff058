"""segkit's plain U-Net in PyTorch: the same layers, widths, loss and optimiser.

Run as a script, it shows that both are the same: equal parameter counts, equal answers and equal
losses over training steps from equal weights.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import measure
import numpy as np
import torch
from machine import cores
from measure import CLASSES, Workload
from torch import Tensor, nn
from torch.nn import functional


class Way(NamedTuple):
    """One of the ways in which PyTorch can run a network."""

    channels_last: bool = False
    compiled: bool = False
    bfloat16: bool = False


def convolutions(before: int, width: int) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU, twice. Keras' momentum of 0.9 is called 0.1 here."""
    layers: list[nn.Module] = []
    for channels in (before, width):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.1),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Up(nn.Module):
    """Double the resolution, join the encoder's features of that size, convolve twice."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(before, width, 2, stride=2)
        self.block = convolutions(2 * width, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(torch.cat([skip, self.upsample(x)], dim=1))


class UNet(nn.Module):
    """Images (B, 3, H, W) of 0 to 255 -> logits (B, classes, H, W) float32; height and width
    multiples of 2^depth.
    """

    def __init__(
        self, width: int, classes: int = len(CLASSES), depth: int = 4, widest: int = 512
    ) -> None:
        super().__init__()
        widths = [min(width * 2**level, widest) for level in range(depth + 1)]
        self.encoder = nn.ModuleList(map(convolutions, [3, *widths[:-1]], widths))
        self.decoder = nn.ModuleList(map(Up, widths[:0:-1], widths[-2::-1]))
        self.classify = nn.Conv2d(widths[0], classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        x = images.float() / 127.5 - 1.0
        skips: list[Tensor] = []
        for block in self.encoder:
            x = block(functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for up in self.decoder:
            x = up(x, skips.pop())
        with torch.autocast(device(), enabled=False):  # segkit's head is float32 in every precision
            return self.classify(x.float())


def network(workload: Workload, way: Way) -> UNet:
    """Return the U-Net in the memory layout of `way`, on as many threads as there are cores.

    Raises `RuntimeError` for bfloat16 on a CPU that would emulate it, ten times as slowly.
    """
    capabilities = torch.cpu.get_capabilities()
    if (
        way.bfloat16
        and device() == "cpu"
        and not any(on for name, on in capabilities.items() if "bf16" in name)
    ):
        raise RuntimeError("this CPU does not compute in bfloat16")
    torch.set_num_threads(cores())
    torch.backends.cudnn.benchmark = True  # TensorFlow and JAX try a GPU's algorithms as well
    torch.manual_seed(0)
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    return UNet(workload.width).to(device(), memory_format=layout)


def device() -> str:
    """Return where PyTorch computes."""
    return "cuda" if measure.on_gpu() else "cpu"


def as_input(images: np.ndarray, way: Way) -> Tensor:
    """Return images (B, H, W, C) as (B, C, H, W), on the CPU a view if channels come last in
    memory, else a copy.
    """
    view = torch.from_numpy(images).permute(0, 3, 1, 2)
    return (view if way.channels_last else view.contiguous()).to(device())


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy plus Dice over the classes after the first, as `segkit.losses.make` adds them
    up.
    """
    targets = targets.long()
    p = torch.softmax(logits, dim=1)
    truth = functional.one_hot(targets, logits.shape[1]).permute(0, 3, 1, 2).to(p.dtype)
    overlap, sizes = (truth * p).sum((2, 3)), (truth + p).sum((2, 3))
    dice = (2 * overlap + 1) / (sizes + 1)
    return functional.cross_entropy(logits, targets) + (1 - dice[:, 1:]).mean()


def optimizer(model: UNet) -> torch.optim.Optimizer:
    """Return AdamW with the settings of Keras' one; fused, which is the fastest that PyTorch has on
    CPUs.
    """
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=4e-3, eps=1e-7, fused=True)


def parameters(model: UNet) -> tuple[int, int]:
    """Return the numbers that are trained, and those that batch normalisation keeps beside them."""
    trainable = sum(parameter.numel() for parameter in model.parameters())
    running = sum(
        value.numel()
        for name, value in model.named_buffers()
        if not name.endswith("num_batches_tracked")
    )
    return trainable, running


def copy_weights(source: Any, model: UNet) -> None:
    """Give the PyTorch network the weights of segkit's; both list their layers in the order in
    which they run.
    """
    from keras import layers

    theirs = [layer for layer in source.layers if layer.weights]
    ours = [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d)
    ]
    for keras_layer, layer in zip(theirs, ours, strict=True):
        values = [torch.from_numpy(np.array(value)) for value in keras_layer.get_weights()]
        if isinstance(keras_layer, layers.BatchNormalization):
            places = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        else:
            values[0] = values[0].permute(3, 2, 0, 1)
            places = [place for place in (layer.weight, layer.bias) if place is not None]
        for place, value in zip(places, values, strict=True):
            assert place.shape == value.shape, (keras_layer.name, place.shape, value.shape)
            place.data.copy_(value)


def check_parity(workload: Workload, steps: int = 3) -> None:
    """Raise `AssertionError` if the two networks count, predict or learn differently."""
    import segkit_unet

    theirs, task = segkit_unet.network(workload, "float32")
    import segkit
    from segkit.inference.runtimes.keras import as_predict  # Keras is loaded, quietly, by now

    ours = network(workload, Way())
    copy_weights(theirs, ours)
    assert segkit_unet.parameters(theirs) == parameters(ours)
    images, targets = workload.data()
    with torch.inference_mode():
        answer = (
            torch.softmax(ours.eval()(as_input(images, Way())), dim=1).permute(0, 2, 3, 1).numpy()
        )
    np.testing.assert_allclose(answer, as_predict(theirs)(images), atol=1e-4)
    trainer, adamw = segkit.compile(theirs, task), optimizer(ours.train())
    for step in range(steps):
        adamw.zero_grad()
        cost = loss(ours(as_input(images, Way())), torch.from_numpy(targets))
        cost.backward()
        adamw.step()
        expected = trainer.train_on_batch(images, targets, return_dict=True)["loss"]
        trainer.reset_metrics()
        print(f"step {step}: loss {float(expected):.6f} segkit, {cost.item():.6f} PyTorch")
        np.testing.assert_allclose(cost.item(), expected, rtol=1e-3)
    trainable, running = parameters(ours)
    print(
        f"the same network: {trainable:,} trainable parameters, {running:,} running "
        f"statistics; same answers"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Check that PyTorch's U-Net is segkit's.")
    parser.add_argument(
        "--width", type=int, default=8, help="channels at full resolution (default %(default)s)"
    )
    measure.settle()
    check_parity(Workload(parser.parse_args().width, batch=2, size=64))


if __name__ == "__main__":
    main()
