"""TODO."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.cli.data import add_data, look
from segkit.errors import ConfigError, DataError

if TYPE_CHECKING:
    pass


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit inspect`."""
    add_data(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures of images and masks")
    parser.add_argument("--pictures", type=Path, metavar="FILE.png", help="write a sheet of images and their masks")
    parser.set_defaults(run_command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.inspection.inspect import as_json, unopened
    from segkit.inspection.report import as_html, on_screen, write_examples
    from segkit.io.atomic import write_text

    console = Console(soft_wrap=not sys.stdout.isatty())
    if options.pictures and options.pictures.suffix.lower() != ".png":
        raise ConfigError(f"--pictures: the name of a file that ends in .png; found {options.pictures}")
    try:
        inspection, _, _ = look(options, console)
    except DataError as problem:
        inspection = unopened(problem)
    if options.json:
        write_text(options.json, json.dumps(as_json(inspection), indent=2, ensure_ascii=False) + "\n")
    if options.html:
        write_text(options.html, as_html(inspection))
    console.print(on_screen(inspection))
    if options.pictures:
        written = write_examples(inspection, options.pictures)
        told = f"look at {options.pictures}: images and their masks" if written else "no picture: nothing could be read"
        console.print(told, highlight=False, markup=False)
    return 1 if inspection.wrong else 0
