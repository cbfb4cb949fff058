"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add a config file and changes of its settings."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml"
    )
    add_set(parser, "change a setting, e.g. train.epochs=5; can be repeated")
    add_trust(parser)


def add_set(parser: argparse.ArgumentParser, description: str) -> None:
    """Add `--set`.

    Args:
        parser: The parser of a command.
        description: Help text.
    """
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help=description)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="import Python code that the config or the data set names (module:attribute); use it "
        "only for files that you trust",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the images and masks of a data set, and how to read them."""
    parser.add_argument(
        "images",
        type=Path,
        metavar="IMAGES",
        help="a folder of images or scans; or, without MASKS, a config, a CSV list, a folder of "
        "TensorFlow Datasets, a folder with files of a labelling tool, a folder of maps with a "
        "vector file, or a folder with a folder of scans and one of masks",
    )
    parser.add_argument(
        "masks",
        type=Path,
        nargs="?",
        metavar="MASKS",
        help="their masks: a folder of files, a folder with one folder per class, COCO JSON, a "
        "vector file (GeoPackage, GeoJSON, Shapefile), or the file or folder of labels of a "
        "labelling tool",
    )
    parser.add_argument(
        "--classes",
        type=_names,
        metavar="a,b,c",
        default=[],
        help="names of the classes, in the order of their values",
    )
    add_set(parser, "a setting for reading the data, e.g. data.mask_threshold=128; can be repeated")
    add_trust(parser)


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add test-time augmentation and the runtime of the network."""
    parser.add_argument(
        "--tta",
        choices=("flips", "rotations"),
        help="average the predictions of 4 mirrored, or of 8 mirrored and rotated, copies",
    )
    parser.add_argument(
        "--runtime",
        default="auto",
        metavar="NAME",
        help="keras, onnx, litert, openvino, or auto: the fastest one that is exported and "
        "installed (default)",
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    """Add the tolerance of surface Dice."""
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="DISTANCE",
        help="of surface Dice, in the unit of the distances: that of data.pixel_size or of the "
        "image files, else pixels (default: 2 pixels, or 2 if data.pixel_size is set)",
    )
