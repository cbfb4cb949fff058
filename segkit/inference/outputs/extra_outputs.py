"""What `segkit.predict` writes besides the masks, as its named arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from segkit.io.overlay import OverlayStyle
from segkit.io.plane_addresses import AxisMeaning


class ExtraOutputs(TypedDict, total=False):
    """What `predict` writes besides the masks, and how it writes the masks."""

    overlay: bool | OverlayStyle
    """Also draw the masks over the images: True or "both", "fill" (tinted areas) or "outlines"."""
    probabilities: str | None
    """Also write probabilities: "tif" (float32), "tif16" (float16) or "npy"."""
    uncertainty: bool
    """Also write maps of uncertainty."""
    formats: Sequence[str]
    """Also write objects: "geojson", "geopackage", "qupath", "coco", "labelme", "labelstudio",
    "rle", "yolo" or "instances"; the mask as a "geotiff" of class ids; or volumes and stacks:
    "nifti", "dicom-seg", "ome-tiff"."""
    smallest: int | str
    """Leave out smaller objects of `formats`: a number of pixels, or an area such as "20 m2"."""
    simplify: float
    """Thin polygons of `formats`: the distance in pixels up to which their lines may move."""
    coding: str
    """"data" stores masks like those of the training data; "segkit" stores class ids, or 0/255."""
    skip_existing: bool
    """Leave out images whose results exist."""
    resolution: str | None
    """Resample images to "training", the resolution of the training images, or to pixels of a size
    such as "0.5 mm"; the masks have the pixels of the images."""
    every_frame: int
    """Predict every n-th frame of films; with `overlay` they are one film, too."""
    axes: Mapping[str, AxisMeaning] | str | None
    """The meaning of the further axes of stacks, as in {"T": "samples", "Z": 3}, instead of the
    `data.axes` of the run."""


EXTRA_DEFAULTS = {
    "overlay": False,
    "probabilities": None,
    "uncertainty": False,
    "formats": (),
    "smallest": 0,
    "simplify": 0.0,
    "coding": "data",
    "skip_existing": False,
    "resolution": None,
    "every_frame": 1,
    "axes": None,
}
"""What applies to those that are left out."""
