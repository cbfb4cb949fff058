"""Label Studio: addresses of images, and brush strokes.

Sources: https://labelstud.io/guide/storage#Local-storage for the addresses, and
https://labelstud.io/tags/brushlabels for the regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from segkit.data import rle_pack

ADDRESS = "/data/local-files/?d="
"""The beginning of the address of a local file."""
UNLABELLED = "void"
"""The label of pixels without a label."""


def address_of(path: str) -> str:
    """Return the address of a file in a local storage.

    Args:
        path: The path below the folder that Label Studio serves, with forward slashes.

    >>> address_of("images/a & b.png")
    '/data/local-files/?d=images/a%20%26%20b.png'
    """
    return ADDRESS + quote(path)


def brushes(layers: Mapping[str, np.ndarray], prefix: str = "") -> list[dict[str, Any]]:
    """Return regions of a labelling config with <BrushLabels name="label" toName="image">.

    Args:
        layers: The pixels of each label, (H, W) bool of the whole image.
        prefix: The beginning of the ids of the regions, which are unique in a task.

    Returns:
        A brush stroke for each label that has pixels.
    """
    regions: list[dict[str, Any]] = []
    for label, layer in layers.items():
        if layer.any():
            regions.append(_brush(f"{prefix}{len(regions) + 1}", label, layer))
    return regions


def _brush(number: str, label: str, layer: np.ndarray) -> dict[str, Any]:
    height, width = layer.shape
    return {
        "id": number,
        "type": "brushlabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": rle_pack.encode_brush(layer), "brushlabels": [label]},
    }
