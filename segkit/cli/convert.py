"""TODO."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.data import add_data, find_config
from segkit.cli.options import _console, _counting


def _add_convert(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--to", choices=("folder", "tfds"), default="folder", help="what to write (default: folder)")
    parser.add_argument("--part", choices=("train", "validation", "test"), help="only this part of the data")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the data set")
    parser.set_defaults(run_command=_convert)


def _convert(options: argparse.Namespace) -> int:
    from segkit.data import convert
    from segkit.data.parts import open_parts
    from segkit.inspection.mask_format.folders import take_over

    console = _console()
    convert.check_free(options.out)
    config, guess = find_config(options, console)
    parts = {name: part for name, part in open_parts(config).items() if options.part in (None, name)}
    if guess:
        take_over(parts, guess.kept)
    write = convert.to_folder
    if options.to == "tfds":
        from segkit.system.keras_start import load_keras

        load_keras()  # TensorFlow, which writing needs, starts quietly here
        write = convert.to_tfds
    with _counting("writing samples", sum(len(part) for part in parts.values()), console) as done:
        write(config.task, parts, options.out, done)
    return 0
