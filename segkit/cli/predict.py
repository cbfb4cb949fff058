"""The command `segkit predict`."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from segkit import catalog
from segkit.cli.options import add_network
from segkit.cli.streams import tell
from segkit.errors import ConfigError
from segkit.system.terminal import shown

if TYPE_CHECKING:
    from segkit.inference.predict import Cluster


def add_predict(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit predict`."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="a run folder that train made; several answer together",
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument(
        "--overlay", action="store_true", help="also draw masks over images, into DIR-overlays"
    )
    parser.add_argument(
        "--overlay-style",
        choices=("both", "fill", "outlines"),
        help="--overlay with tinted areas, outlines, or both (default: both)",
    )
    parser.add_argument(
        "--probabilities",
        nargs="?",
        const="tif",
        choices=sorted(catalog.PROBABILITIES),
        help="also write float32 TIFFs, float16 TIFFs (tif16) or NumPy files, into DIR-probabilities",
    )
    parser.add_argument(
        "--uncertainty", action="store_true", help="also write maps of doubt, into DIR-uncertainty"
    )
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        choices=sorted(catalog.OUTPUTS),
        help="also write objects as polygons, COCO annotations or numbered instances, into DIR-FORMAT; may be repeated",
    )
    parser.add_argument(
        "--coding",
        choices=("data", "segkit"),
        default="data",
        help="values and colours of the masks: the data set's own, or class ids and 0/255 (default: data)",
    )
    add_network(parser)
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out images whose results are there"
    )
    parser.add_argument(
        "--shard", metavar="I/N", default="1/1", help="only the I-th of N shares of the images"
    )
    add_memory(parser)
    add_cluster(parser)
    parser.set_defaults(run_command=_predict)


def add_memory(parser: argparse.ArgumentParser) -> None:
    """Add `--memory`."""
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="what may be taken in all, as 1.5GB; larger TIFFs go by windows (default: half of what is free)",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add where prediction runs."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the machines of a Ray cluster (extra `ray`)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster, or auto (default: one of this machine alone)",
    )
    parser.add_argument(
        "--worker-cpus", type=int, metavar="N", help="CPUs of each Ray worker (default: up to 4)"
    )


def _predict(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.inference.predict import predict

    more_runs = list(itertools.takewhile(_is_run, options.images))
    images = options.images[len(more_runs) :]
    if not images:
        raise ConfigError(
            f"{more_runs[-1]}: is a run folder; after the runs name images, or folders of images",
            "missing-setting",
        )
    progress = ConsoleProgress()
    summary = predict(
        [options.run, *more_runs],
        images,
        options.out,
        overlay=options.overlay_style or options.overlay,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        formats=options.format,
        tta=options.tta,
        runtime=options.runtime,
        skip_existing=options.skip_existing,
        shard=options.shard,
        memory=options.memory,
        cluster=cluster_of(options),
        coding=options.coding,
        progress=progress,
    )
    skipped = f", {summary.skipped} there already" if options.skip_existing else ""
    progress.message(
        f"{summary.written} masks written to {options.out}{skipped}, {len(summary.failed)} failed"
    )
    for _, problem in summary.failed:
        tell(f"failed: {shown(problem)}")
    if summary.stopped:
        tell(f"stopped: {shown(summary.stopped)}")
    if summary.stopped and not summary.written:
        return 2
    return 1 if summary.failed or summary.stopped else 0


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """Return the cluster to predict on, None for this machine. Raises `ConfigError` for settings of a cluster without one."""
    from segkit.inference.predict import Cluster

    if options.engine == "ray":
        return Cluster(options.address, options.worker_cpus)
    for name in ("address", "worker_cpus"):
        if getattr(options, name) is not None:
            setting = f"--{name.replace('_', '-')}"
            raise ConfigError(
                "is for a cluster; say --engine ray with it", "missing-setting", setting=setting
            )
    return None


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file() or (path / "export.json").is_file()


def _bytes(text: str) -> int:
    from segkit.system.memory import parse_bytes

    try:
        return parse_bytes(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem
