"""The commands `segkit publish` and `segkit pull`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit import catalog
from segkit.cli.options import add_trust


def add_publish(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit publish`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder of segkit train")
    parser.add_argument("--to", required=True, metavar="TARGET", help=", ".join(catalog.PUBLISHERS))
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder of the package"
    )
    parser.add_argument(
        "--author", action="append", default=[], metavar="NAME", help="may be repeated"
    )
    parser.add_argument("--license", metavar="ID", help="an SPDX identifier such as MIT")
    parser.add_argument(
        "--push",
        metavar="USER/NAME",
        help="upload a hub package to this repository; by default nothing is uploaded",
    )
    add_trust(parser)
    parser.set_defaults(run_command=_publish)


def _publish(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.exporting.publish import publish

    progress = ConsoleProgress()
    folder = publish(
        options.run,
        options.to,
        options.out,
        authors=options.author,
        license=options.license,
        push=options.push,
        trust=options.trust,
        progress=progress,
    )
    progress.message(f"written to {folder}")
    if options.push:
        progress.message(f"uploaded to {options.push}")
    return 0


def add_pull(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit pull`."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a folder of segkit publish --to hub, or USER/NAME"
    )
    parser.add_argument(
        "--run", type=Path, required=True, metavar="DIR", help="the run folder to make"
    )
    parser.set_defaults(run_command=_pull)


def _pull(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.exporting.publishing.hub import pull

    run = pull(options.source, options.run)
    ConsoleProgress().message(f"written to {run.path}")
    return 0
