"""The commands that use a finished run: `segkit predict` and `segkit evaluate`. Neither imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segkit.config import Config
    from segkit.run import Run
    from segkit.tiles import Predict


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit predict`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made; several answer together")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them")
    _add_tta(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--overlay", action="store_true", help="also draw masks over images, into DIR-overlays")
    parser.add_argument("--probabilities", action="store_true", help="also write float32 TIFFs, into DIR-probabilities")
    parser.add_argument("--uncertainty", action="store_true", help="also write maps of doubt, into DIR-uncertainty")
    parser.add_argument("--skip-existing", action="store_true", help="leave out images whose results are there")
    parser.set_defaults(run_command=_predict)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit evaluate`."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run folder that train made; several answer together"
    )
    _add_tta(parser)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR", help="their masks, as in training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    parser.set_defaults(run_command=_evaluate)


def _add_tta(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta", choices=("flips", "rotations"), help="average over 4 mirrored, or 8 mirrored and turned, views"
    )


def _predict(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.errors import ConfigError
    from segkit.inference import Outputs, find_images, predict_files
    from segkit.progress import counting
    from segkit.run import Run

    console = Console(soft_wrap=not sys.stdout.isatty())
    leading = list(itertools.takewhile(_is_run, options.images))
    runs = [Run.open(path) for path in (options.run, *leading)]
    configs, config = _configs(runs, options.tta)
    if not (paths := options.images[len(leading) :]):
        raise ConfigError(f"{leading[-1]}: is a run folder; after the runs name images, or folders of images")
    images = find_images(paths)
    outputs = Outputs.beside(options.out, options.overlay, options.probabilities, options.uncertainty)
    predict = _answers(runs, configs, options.tta, spread=options.uncertainty)
    with counting("predicting", len(images), console) as done:
        summary = predict_files(predict, config, images, outputs, options.skip_existing, done)
    skipped = f", {summary.skipped} there already" if options.skip_existing else ""
    console.print(
        f"{summary.written} masks written to {outputs.masks}{skipped}, {len(summary.failed)} failed", highlight=False
    )
    for _, problem in summary.failed:
        print(f"failed: {problem}", file=sys.stderr)
    return 1 if summary.failed else 0


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.folder import in_folders
    from segkit.data.source import Subset
    from segkit.progress import counting
    from segkit.run import Run, write_text

    console = Console(soft_wrap=not sys.stdout.isatty())
    runs = [Run.open(path) for path in options.runs]
    configs, config = _configs(runs, options.tta)
    source = in_folders(options.images, options.masks, config.task, config.data)
    from segkit.evaluation import evaluate
    from segkit.report import scores_table

    predict = _answers(runs, configs, options.tta)
    with counting("scoring", len(source.names), console) as done:
        report = evaluate(predict, config, Subset(source, source.names), done)
    if options.out:
        write_text(options.out, json.dumps(report, indent=2) + "\n")
    console.print(scores_table(report))
    return 0


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


def _configs(runs: Sequence[Run], tta: str | None) -> tuple[list[Config], Config]:
    """Return the config of each run, and the one that they predict with together."""
    from segkit.ensemble import joint

    configs = [run.config() for run in runs]
    return configs, joint(configs, [str(run.path) for run in runs], tta)


def _answers(runs: Sequence[Run], configs: Sequence[Config], tta: str | None, spread: bool = False) -> Predict:
    from segkit.ensemble import answers

    return answers([_open_model(run) for run in runs], configs, tta, spread)


def _open_model(run: Run) -> Predict:
    from segkit.devices import load_keras

    load_keras()
    from segkit.runtimes.keras import open_keras

    return open_keras(run)
