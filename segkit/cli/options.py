"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

RUNTIMES = (
    "auto (default: the fastest that is exported and installed), keras, onnx, litert or openvino"
)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add a config file and changes of its settings."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        help="change a setting, e.g. train.epochs=5; repeatable",
    )
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="import Python that the config or the data set names (module:attribute); only for files you trust",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add images and masks, or whatever else says which data."""
    parser.add_argument(
        "images",
        type=Path,
        metavar="IMAGES",
        help="a folder; or a config, a CSV list, a TensorFlow Datasets folder alone",
    )
    parser.add_argument(
        "masks",
        type=Path,
        nargs="?",
        metavar="MASKS",
        help="their masks: a folder (files, or one folder a class), or COCO JSON",
    )
    parser.add_argument(
        "--classes",
        type=_names,
        metavar="a,b,c",
        default=[],
        help="names of the classes, in the order of their values",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        help="a setting of how to read, e.g. data.mask_threshold=128",
    )
    add_trust(parser)


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add how a run predicts: views and runtime."""
    parser.add_argument(
        "--tta",
        choices=("flips", "rotations"),
        help="average over 4 mirrored, or 8 mirrored and turned, views",
    )
    parser.add_argument("--runtime", default="auto", metavar="NAME", help=RUNTIMES)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
