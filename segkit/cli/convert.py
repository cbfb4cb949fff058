"""The command `segkit convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.catalog import WRITERS
from segkit.cli.options import add_data


def add_convert(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit convert`."""
    add_data(parser)
    parser.add_argument(
        "--to",
        choices=("folder", "tfds", *sorted(WRITERS)),
        default="folder",
        help="folders of images and masks, a TensorFlow data set, or the files of a labelling tool "
        "(default: folder)",
    )
    parser.add_argument(
        "--part", choices=("train", "validation", "test"), help="only this part of the data set"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the data set"
    )
    parser.set_defaults(run_command=_convert)


def _convert(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.data.convert import convert_parts, require_empty
    from segkit.data.parts import open_data
    from segkit.inspection.find_config import find_config
    from segkit.inspection.mask_format.folders import reuse_masks

    require_empty(options.out)
    progress = ConsoleProgress()
    config, guess = find_config(
        options.images, options.masks, options.classes, options.set, progress, options.trust
    )
    config, parts = open_data(config)
    if guess:
        reuse_masks(parts, guess.decoded)
    convert_parts(
        config.task, parts, options.out, to=options.to, part=options.part, progress=progress
    )
    return 0
