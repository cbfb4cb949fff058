"""The command `segkit inspect`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segkit.cli.options import add_data
from segkit.errors import ConfigError


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit inspect`."""
    add_data(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with pictures of images and masks"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FILE.png", help="write a sheet of images and their masks"
    )
    parser.set_defaults(run_command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.inspection.examples import write_examples
    from segkit.inspection.inspect import as_json, inspect
    from segkit.inspection.report import inspection_html, on_screen
    from segkit.io.atomic import write_text_for_user

    if options.pictures and options.pictures.suffix.lower() != ".png":
        raise ConfigError(
            f"the name of a file that ends in .png; found {options.pictures}", setting="--pictures"
        )
    progress = ConsoleProgress()
    inspection = inspect(
        options.images,
        options.masks,
        classes=options.classes,
        settings=options.set,
        trust=options.trust,
        progress=progress,
    )
    if options.json:
        write_text_for_user(
            options.json, json.dumps(as_json(inspection), indent=2, ensure_ascii=False) + "\n"
        )
    if options.html:
        write_text_for_user(options.html, inspection_html(inspection))
    progress.show(on_screen(inspection))
    if options.pictures and write_examples(inspection, options.pictures):
        progress.message(f"look at {options.pictures}: images and their masks")
    elif options.pictures:
        progress.message("no picture: nothing could be read")
    return 1 if inspection.wrong else 0
