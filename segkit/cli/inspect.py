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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results as JSON")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with pictures of images and masks"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="FILE.png",
        help="write a picture of images and their masks",
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
            f"must be the name of a file that ends in .png; found {options.pictures}",
            setting="--pictures",
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
        text = json.dumps(as_json(inspection), indent=2, ensure_ascii=False)
        write_text_for_user(options.json, f"{text}\n")
    if options.html:
        write_text_for_user(options.html, inspection_html(inspection))
    progress.show(on_screen(inspection))
    if options.pictures:
        if write_examples(inspection, options.pictures):
            progress.message(f"{options.pictures} shows images and their masks")
        else:
            progress.message(f"{options.pictures} was not written: no image could be read")
    if inspection.wrong:
        return 1
    return 0
