"""The commands that use a finished run: `segkit predict` and `segkit evaluate`. Neither imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segkit import catalog
from segkit.cli_cluster import add_engine, check_engine
from segkit.cli_large import add_memory

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.inference import Summary
    from segkit.opening import Together
    from segkit.outputs.results import Outputs

RUNTIME = "auto (default: the fastest that is exported and installed), keras, onnx, litert or openvino"


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


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit evaluate`."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run folder that train made; several answer together"
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR", help="their masks, as in training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    _add_ways(parser)
    parser.set_defaults(run_command=_evaluate)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta", choices=("flips", "rotations"), help="average over 4 mirrored, or 8 mirrored and turned, views"
    )
    parser.add_argument("--runtime", default="auto", metavar="NAME", help=RUNTIME)


def _predict(options: argparse.Namespace) -> int:
    from segkit.errors import ConfigError
    from segkit.inputs import Shard, find_images, share
    from segkit.outputs.results import Outputs

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


def _predict_images(
    options: argparse.Namespace, images: dict[str, Path], outputs: Outputs, others: Iterable[str], console: Console
) -> Summary:
    from segkit.cli_cluster import predict_on_cluster
    from segkit.cli_large import predict_large_files
    from segkit.inference import predict_files
    from segkit.large.files import divide, fit_batch
    from segkit.large.room import allowed, room_for
    from segkit.progress import counting

    if options.engine == "ray":
        return predict_on_cluster(options, images, outputs, others, console)
    predict, config, _, weights = _open(options.runs, options, console, spread=options.uncertainty)
    config = fit_batch(predict, config, options.memory)
    images, large = divide(config, images, outputs, options.memory)
    room = room_for(predict, config, allowed(options.memory)) if large else None  # or nothing is begun
    with counting("predicting", len(images), console) as done:
        summary = predict_files(predict, config, images, outputs, options.skip_existing, done, others)
    if room and not summary.stopped:
        by_windows = predict_large_files(predict, config, large, outputs, weights, room, options, console, others)
        summary = summary.plus(by_windows)
    return summary


def _evaluate(options: argparse.Namespace) -> int:
    from segkit.data.folder import in_folders
    from segkit.data.source import Subset
    from segkit.evaluation import evaluate
    from segkit.progress import counting
    from segkit.report import scores_table
    from segkit.run import write_text

    console = _console()
    predict, config, *_ = _open(options.runs, options, console)
    source = in_folders(options.images, options.masks, config.task, config.data)
    with counting("scoring", len(source.names), console) as done:
        report = evaluate(predict, config, Subset(source, source.names), done)
    if options.out:
        write_text(options.out, json.dumps(report, indent=2) + "\n")
    console.print(scores_table(report))
    return 0


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file() or (path / "export.json").is_file()


def _open(paths: Sequence[Path], options: argparse.Namespace, console: Console, spread: bool = False) -> Together:
    from segkit.opening import open_together

    opened = open_together(paths, options.runtime, options.tta, spread)
    console.print(opened.told, highlight=False, markup=False)
    return opened


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())
