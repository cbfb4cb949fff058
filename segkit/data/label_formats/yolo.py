"""YOLO: lines of polygons, which follow the edges of pixels, and data.yaml.

The format has no holes, so a hole is joined to the outline by a cut of no width. segkit reads every
pixel back. Programs that also draw the line of an outline, such as OpenCV's fillPoly, fill the cut
and the pixels along the outline. Source: https://docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from segkit.data.hole_cuts import one_ring
from segkit.data.polygons import Ring
from segkit.data.rasterise import Size

DESCRIPTION = "data.yaml"
"""The file that describes a data set."""


def polygon_line(number: int, rings: Sequence[Ring], size: Size) -> str:
    """Return the line of a polygon: the class, and the corners as shares of width and height.

    Args:
        number: The number of the class, from 0.
        rings: The outer ring and those of the holes.
        size: Height and width of the image.
    """
    height, width = size
    shares = one_ring(rings) / (width, height)
    words = [f"{share:.10g}" for share in shares.ravel().tolist()]
    return " ".join([str(number), *words])


def description(folders: Mapping[str, str], classes: Sequence[str]) -> str:
    """Return the content of data.yaml.

    Args:
        folders: The folder of images of each part.
        classes: The names of the classes, in the order of their numbers.
    """
    content = {**folders, "names": dict(enumerate(classes))}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
