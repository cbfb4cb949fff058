"""The command `segkit predict`."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from segkit import catalog
from segkit.cli.options import add_network
from segkit.cli.streams import print_to_stderr
from segkit.errors import ConfigError
from segkit.system.terminal import shown

if TYPE_CHECKING:
    from segkit.inference.files import Summary
    from segkit.inference.predict import Cluster


def add_predict(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit predict`."""
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="a run folder of segkit train; the predictions of several runs are averaged",
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them"
    )
    _add_outputs(parser)
    add_network(parser)
    _add_reading(parser)
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out images whose results exist"
    )
    parser.add_argument(
        "--shard", metavar="I/N", default="1/1", help="only the I-th of N shares of the images"
    )
    add_memory(parser)
    add_cluster(parser)
    parser.set_defaults(run_command=_predict)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how images are read."""
    parser.add_argument(
        "--resolution",
        metavar="SIZE",
        help="resample images to pixels of this size before prediction: training, or a side such "
        "as 0.5 (in the unit of the training images) or '0.5 mm'; masks keep the images' pixels",
    )
    parser.add_argument(
        "--every-frame",
        type=int,
        default=1,
        metavar="N",
        help="predict every N-th frame of films (default: 1); with --overlay the frames also come "
        "back as a film in DIR-overlays",
    )
    parser.add_argument(
        "--axes",
        metavar="MEANING",
        help="what the axes of stacks mean, such as 'T: samples, Z: 3', in the form of data.axes "
        "(default: the data.axes of the run)",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add which files are written."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the masks"
    )
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
        help="also write probabilities into DIR-probabilities: float32 TIFFs (tif, default), "
        "float16 TIFFs (tif16) or NumPy files (npy)",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write maps of the uncertainty, into DIR-uncertainty",
    )
    _add_formats(parser)
    parser.add_argument(
        "--coding",
        choices=("data", "segkit"),
        default="data",
        help="values and colours of the masks: those of the training masks, or class ids and "
        "0/255 (default: data)",
    )


def _add_formats(parser: argparse.ArgumentParser) -> None:
    """Add the files of objects."""
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        choices=sorted(catalog.ALL_OUTPUTS),
        metavar="FORMAT",
        help="also write, into DIR-FORMAT: geojson, geopackage, qupath (objects as polygons), "
        "coco, labelme, labelstudio, rle, yolo (files of labelling tools), instances (numbered "
        "objects and their table), geotiff (the mask on its map), nifti or dicom-seg (the masks "
        "of a scan), ome-tiff (the masks of a stack); can be repeated",
    )
    parser.add_argument(
        "--smallest",
        default=0,
        metavar="N",
        help="leave objects of fewer than N pixels, or of a smaller area such as '20 m2', out of "
        "the files of --format",
    )
    parser.add_argument(
        "--simplify",
        type=float,
        default=0.0,
        metavar="D",
        help="thin the polygons of --format; no line moves by more than D pixels",
    )


def add_memory(parser: argparse.ArgumentParser) -> None:
    """Add the memory limit."""
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="memory limit of this process, such as 1.5GB; larger maps are predicted window by "
        "window (default: half of the free memory)",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the machines that predict."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="this machine, or the machines of a Ray cluster (extra `ray`; default: local)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster, or auto (default: a new one on this machine)",
    )
    parser.add_argument(
        "--worker-cpus", type=int, metavar="N", help="CPUs of each Ray worker (default: up to 4)"
    )


def _predict(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.inference.predict import predict

    runs = [options.run, *itertools.takewhile(_is_run, options.images)]
    images = options.images[len(runs) - 1 :]
    if not images:
        raise ConfigError(
            f"{runs[-1]} is a run folder; images, or folders of images, must follow the runs",
            "missing-setting",
        )
    progress = ConsoleProgress()
    summary = predict(
        runs,
        images,
        options.out,
        overlay=options.overlay_style or options.overlay,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        formats=options.format,
        smallest=options.smallest,
        simplify=options.simplify,
        tta=options.tta,
        runtime=options.runtime,
        skip_existing=options.skip_existing,
        shard=options.shard,
        memory=options.memory,
        cluster=cluster_of(options),
        coding=options.coding,
        resolution=options.resolution,
        every_frame=options.every_frame,
        axes=options.axes,
        progress=progress,
    )
    report = f"{summary.written} masks written to {options.out}"
    if options.skip_existing:
        report += f", {summary.skipped} existed"
    progress.message(f"{report}, {len(summary.failed)} failed")
    return _report_failures(summary)


def _report_failures(summary: Summary) -> int:
    """Print what failed, and return the exit status."""
    for _, problem in summary.failed:
        print_to_stderr(f"failed: {shown(problem)}")
    if summary.stopped:
        print_to_stderr(f"stopped: {shown(summary.stopped)}")
        if not summary.written:
            return 2
    if summary.failed or summary.stopped:
        return 1
    return 0


def cluster_of(options: argparse.Namespace) -> Cluster | None:
    """Return the cluster to predict on, None for this machine.

    Raises:
        ConfigError: If settings of a cluster come without `--engine ray`.
    """
    from segkit.inference.predict import Cluster

    if options.engine == "ray":
        return Cluster(options.address, options.worker_cpus)
    for name in ("address", "worker_cpus"):
        if getattr(options, name) is not None:
            raise ConfigError(
                "is a setting of a cluster, and needs --engine ray",
                "missing-setting",
                setting=f"--{name.replace('_', '-')}",
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
