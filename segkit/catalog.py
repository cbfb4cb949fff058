"""Tables of all exchangeable parts: the name of each with its "module:attribute"."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from segkit.errors import ConfigError, one_line

SOURCES = {
    "cityscapes": "segkit.data.sources.cityscapes:open_cityscapes",
    "coco": "segkit.data.sources.coco:open_coco",
    "cvat": "segkit.data.sources.cvat:open_cvat",
    "folder": "segkit.data.sources.folder:open_folder",
    "labelme": "segkit.data.sources.labelme:open_labelme",
    "labelstudio": "segkit.data.sources.labelstudio:open_labelstudio",
    "qupath": "segkit.data.sources.qupath:open_qupath",
    "rle": "segkit.data.sources.rle:open_rle",
    "roboflow": "segkit.data.sources.roboflow:open_roboflow",
    "scans": "segkit.data.sources.scans:open_scans",
    "shapes": "segkit.data.sources.shapes:open_shapes",
    "supervisely": "segkit.data.sources.supervisely:open_supervisely",
    "tfds": "segkit.data.sources.tfds:open_tfds",
    "vector": "segkit.data.sources.vector:open_vector",
    "via": "segkit.data.sources.via:open_via",
    "video": "segkit.data.sources.video:open_video",
    "voc": "segkit.data.sources.voc:open_voc",
    "yolo": "segkit.data.sources.yolo:open_yolo",
}
"""Functions that open a source of images and masks."""
LABELS = {
    "cityscapes": "segkit.data.sources.cityscapes:find_cityscapes",
    "cvat": "segkit.data.sources.cvat:find_cvat",
    "labelme": "segkit.data.sources.labelme:find_labelme",
    "labelstudio": "segkit.data.sources.labelstudio:find_labelstudio",
    "qupath": "segkit.data.sources.qupath:find_qupath",
    "rle": "segkit.data.sources.rle:find_rle",
    "supervisely": "segkit.data.sources.supervisely:find_supervisely",
    "via": "segkit.data.sources.via:find_via",
    "yolo": "segkit.data.sources.yolo:find_yolo",
}
"""Functions that find the images and shapes of a labelling tool, for sources that draw shapes."""
VOLUMES = {
    "dicom": "segkit.io.scans.dicom:open_dicom",
    "itk": "segkit.io.scans.itk:open_itk",
    "nifti": "segkit.io.scans.nifti:open_nifti",
}
"""Functions that open a volume of the source "scans", by its format."""
ENCODERS = {
    "convnext_tiny": "segkit.models.encoders.applications:convnext_tiny",
    "densenet121": "segkit.models.encoders.applications:densenet121",
    "efficientnetv2_b0": "segkit.models.encoders.applications:efficientnetv2_b0",
    "efficientnetv2_b1": "segkit.models.encoders.applications:efficientnetv2_b1",
    "efficientnetv2_b2": "segkit.models.encoders.applications:efficientnetv2_b2",
    "efficientnetv2_b3": "segkit.models.encoders.applications:efficientnetv2_b3",
    "efficientnetv2_s": "segkit.models.encoders.applications:efficientnetv2_s",
    "mobilenetv2": "segkit.models.encoders.applications:mobilenetv2",
    "mobilenetv3_large": "segkit.models.encoders.applications:mobilenetv3_large",
    "mobilenetv3_small": "segkit.models.encoders.applications:mobilenetv3_small",
    "plain": "segkit.models.encoders.plain:plain",
    "residual": "segkit.models.encoders.residual:residual",
    "resnet50": "segkit.models.encoders.applications:resnet50",
    "resnet50v2": "segkit.models.encoders.applications:resnet50v2",
    "vgg16": "segkit.models.encoders.applications:vgg16",
}
"""Functions that make an encoder."""
BACKBONE = "segkit.models.encoders.hub:backbone"
"""The encoder for names that begin with "keras_hub:"."""
DECODERS = {
    "attention_unet": "segkit.models.decoders.attention_unet:attention_unet",
    "deeplabv3plus": "segkit.models.decoders.deeplabv3plus:deeplabv3plus",
    "fpn": "segkit.models.decoders.fpn:fpn",
    "linknet": "segkit.models.decoders.linknet:linknet",
    "unet": "segkit.models.decoders.unet:unet",
    "unetplusplus": "segkit.models.decoders.unetplusplus:unetplusplus",
}
"""Functions that make a decoder."""
WITHOUT_DEEP_SUPERVISION = ("deeplabv3plus",)
"""Decoders without intermediate features for auxiliary heads."""
LOSSES = {
    "boundary": "segkit.losses.boundary:Boundary",
    "cl_dice": "segkit.losses.cl_dice:ClDice",
    "cross_entropy": "segkit.losses.cross_entropy:CrossEntropy",
    "dice": "segkit.losses.overlap:Dice",
    "focal": "segkit.losses.cross_entropy:Focal",
    "focal_tversky": "segkit.losses.overlap:FocalTversky",
    "generalized_dice": "segkit.losses.generalized_dice:GeneralizedDice",
    "jaccard": "segkit.losses.overlap:Jaccard",
    "log_cosh_dice": "segkit.losses.overlap:LogCoshDice",
    "lovasz": "segkit.losses.lovasz:Lovasz",
    "top_k_cross_entropy": "segkit.losses.cross_entropy:TopKCrossEntropy",
    "tversky": "segkit.losses.overlap:Tversky",
}
"""Classes of losses."""
METRICS = {
    "dice": "segkit.metrics:Dice",
    "iou": "segkit.metrics:IoU",
    "precision": "segkit.metrics:Precision",
    "recall": "segkit.metrics:Recall",
    "scores": "segkit.metrics:Scores",
}
"""Classes of Keras metrics."""
OUTPUTS = {
    "coco": "segkit.inference.outputs.coco:Coco",
    "geojson": "segkit.inference.outputs.geojson:GeoJson",
    "geopackage": "segkit.inference.outputs.geopackage:GeoPackage",
    "geotiff": "segkit.inference.outputs.geotiff:GeoTiff",
    "instances": "segkit.inference.outputs.instances:Instances",
    "labelme": "segkit.inference.outputs.labelme:Labelme",
    "labelstudio": "segkit.inference.outputs.labelstudio:LabelStudio",
    "qupath": "segkit.inference.outputs.qupath:QuPath",
    "rle": "segkit.inference.outputs.rle:Rle",
    "yolo": "segkit.inference.outputs.yolo:Yolo",
}
"""Classes that write predictions in additional formats."""
WRITERS = {
    "coco": "segkit.data.writers.coco:CocoWriter",
    "labelme": "segkit.data.writers.labelme:LabelmeWriter",
    "labelstudio": "segkit.data.writers.labelstudio:LabelStudioWriter",
    "rle": "segkit.data.writers.rle:RleWriter",
    "yolo": "segkit.data.writers.yolo:YoloWriter",
}
"""Classes that write data sets in the formats of labelling tools."""
VOLUME_OUTPUTS = {
    "dicom-seg": "segkit.inference.outputs.dicom_seg:DicomSeg",
    "nifti": "segkit.inference.outputs.nifti:Nifti",
}
"""Classes that write the predictions of the slices of a scan as one volume."""
STACK_OUTPUTS = {"ome-tiff": "segkit.inference.outputs.ome_tiff:OmeTiff"}
"""Classes that write the predictions of the planes of an image as one stack."""
ALL_OUTPUTS = {**OUTPUTS, **VOLUME_OUTPUTS, **STACK_OUTPUTS}
"""The names of `predict --format`."""
LARGE_OUTPUTS = {"qupath": "segkit.inference.large.qupath:write_qupath"}
"""Functions that write a format of `ALL_OUTPUTS` for an image that is predicted in windows."""
PROBABILITIES = {
    "npy": "segkit.inference.outputs.probabilities:Npy",
    "tif": "segkit.inference.outputs.probabilities:Tiff",
    "tif16": "segkit.inference.outputs.probabilities:HalfTiff",
}
"""Classes that write probabilities."""
PUBLISHERS = {
    "bioimageio": "segkit.exporting.publishing.bioimageio:write_bioimageio",
    "deepness": "segkit.exporting.publishing.deepness:write_deepness",
    "hub": "segkit.exporting.publishing.hub:write_hub",
}
"""Functions that write a run as a package for another program."""
RUNTIMES = {
    "keras": "segkit.inference.runtimes.keras:open_keras",
    "litert": "segkit.inference.runtimes.litert:open_litert",
    "onnx": "segkit.inference.runtimes.onnx:open_onnx",
    "openvino": "segkit.inference.runtimes.openvino:open_openvino",
}
"""Functions that open an exported model."""


def find(table: Mapping[str, str], name: str, setting: str = "name") -> str:
    """Return the "module:attribute" of a part without importing it.

    Args:
        table: One of the tables of this module.
        name: The name of a part in the table, or a "module:attribute" of your own.
        setting: The setting that names the part, for the error.

    Raises:
        ConfigError: If the table has no such part.

    >>> find(LOSSES, "dyce", "loss")
    Traceback (most recent call last):
    segkit.errors.ConfigError: loss: unknown name 'dyce' (did you mean 'dice'?); known are ...
    """
    if ":" in name:
        return name
    if name in table:
        return table[name]
    hint = ""
    close = difflib.get_close_matches(name, table, n=1)
    if close:
        hint = f" (did you mean {close[0]!r}?)"
    raise ConfigError(
        f"unknown name {name!r}{hint}; known are {', '.join(sorted(table))}",
        "unknown-name",
        setting=setting,
    )


def load_part(table: Mapping[str, str], name: str) -> Any:
    """Import and return a part.

    Args:
        table: One of the tables of this module.
        name: The name of a part in the table, or a "module:attribute" of your own.

    Raises:
        ConfigError: If there is no such part, or if your own cannot be imported.
    """
    target = find(table, name)
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as problem:
        is_own = ":" in name
        if not is_own:
            raise  # a mistake in segkit or a broken installation
        raise ConfigError(
            f"{name!r} cannot be imported: {one_line(problem)}", "not-importable"
        ) from problem
