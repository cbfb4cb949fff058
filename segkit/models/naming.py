"""Names of layers that do not depend on models built before in the same process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from keras import layers

from segkit.models.blocks import SUPERVISED

FIXED = (
    "image",
    "limit",
    "scale",
    "pad",
    "range",
    "encoded",
    "logits",
    "probabilities",
    "classify",
    SUPERVISED,
)
"""Prefixes of layer names by which other parts of segkit find a layer."""


def name_layers(found: Iterable[layers.Layer], part: str) -> None:
    """Name the layers of a part of a network, in order: `encoder_conv2d_1`, `encoder_conv2d_2`, ...

    A layer with a name of its own, as in networks of keras.applications, keeps it after the part's
    name. Files of weights do not depend on these names, because weights are stored in the order of
    layers.

    Args:
        found: The layers, before the final model is made of them.
        part: "encoder" or "decoder".
    """
    counts: Counter[str] = Counter()
    for layer in found:
        if layer.name.startswith((*FIXED, f"{part}_")):
            continue
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") != type(layer).__name__.lower():
            layer.name = f"{part}_{layer.name}"
            continue
        counts[kind] += 1
        layer.name = f"{part}_{kind}_{counts[kind]}"
