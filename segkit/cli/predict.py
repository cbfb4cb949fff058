"""The commands that use a finished run: `segkit predict` and `segkit evaluate`. Neither imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit import catalog
from segkit.cli.options import _add_ways
from segkit.errors import ConfigError
from segkit.inference.predict import _predict_images

if TYPE_CHECKING:
    from rich.console import Console


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit predict`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made; several answer together")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--overlay", action="store_true", help="also draw masks over images, into DIR-overlays")
    parser.add_argument(
        "--probabilities",
        nargs="?",
        const="tif",
        choices=sorted(catalog.PROBABILITIES),
        help="also write float32 TIFFs, float16 TIFFs (tif16) or NumPy files, into DIR-probabilities",
    )
    parser.add_argument("--uncertainty", action="store_true", help="also write maps of doubt, into DIR-uncertainty")
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        choices=sorted(catalog.OUTPUTS),
        help="also write objects as polygons, COCO annotations or numbered instances, into DIR-FORMAT; may be repeated",
    )
    _add_ways(parser)
    parser.add_argument("--skip-existing", action="store_true", help="leave out images whose results are there")
    parser.add_argument("--shard", metavar="I/N", default="1/1", help="only the I-th of N shares of the images")
    add_memory(parser)
    add_engine(parser)
    parser.set_defaults(run_command=_predict)


def _predict(options: argparse.Namespace) -> int:
    from segkit.errors import ConfigError
    from segkit.inference.inputs import Shard, find_images, share
    from segkit.inference.outputs.writer import Outputs

    console, shard = _console(), Shard.parse(options.shard)
    check_engine(options)
    leading = list(itertools.takewhile(_is_run, options.images))
    if not (paths := options.images[len(leading) :]):
        raise ConfigError(f"{leading[-1]}: is a run folder; after the runs name images, or folders of images")
    found = find_images(paths)
    images, clashes = share(found, shard)
    formats = tuple(dict.fromkeys(options.format))
    outputs = Outputs(options.out, options.overlay, options.probabilities, formats, options.uncertainty)
    options.runs = [options.run, *leading]
    summary = _predict_images(options, images, outputs, found.images, console)
    skipped, failed = f", {summary.skipped} there already" if options.skip_existing else "", clashes + summary.failed
    console.print(f"{summary.written} masks written to {outputs.masks}{skipped}, {len(failed)} failed", highlight=False)
    for _, problem in failed:
        print(f"failed: {problem}", file=sys.stderr)
    if summary.stopped:
        print(f"stopped: {summary.stopped}", file=sys.stderr)
    return 1 if failed or summary.stopped else 0


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file() or (path / "export.json").is_file()


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where prediction runs."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the machines of a Ray cluster (extra `ray`)",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="the Ray cluster, or auto (default: one of this machine alone)"
    )
    parser.add_argument("--worker-cpus", type=int, metavar="N", help="CPUs of each Ray worker (default: up to 4)")


def check_engine(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for settings of a cluster without one."""
    given = [name for name in ("address", "worker_cpus") if getattr(options, name) is not None]
    if options.engine != "ray" and given:
        raise ConfigError(f"--{given[0].replace('_', '-')}: is for a cluster; say --engine ray with it")
    if options.worker_cpus is not None and options.worker_cpus < 1:
        raise ConfigError(f"--worker-cpus: 1 or more; found {options.worker_cpus}")


def add_memory(parser: argparse.ArgumentParser) -> None:
    """The argument `--memory`."""
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="what may be taken in all, as 1.5GB; larger TIFFs go by windows (default: half of what is free)",
    )


def _bytes(text: str) -> int:
    from segkit.errors import ConfigError
    from segkit.system.memory import parse_bytes

    try:
        return parse_bytes(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem
