"""The command line: `segkit train | predict | evaluate | tune | export | ...`, and the doors train.py and predict.py.

Only what a command needs is imported: `--help`, a bad config and bad data answer before Keras is loaded.
"""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.cli_compare import add_compare
from segkit.cli_data import add_data, add_inspect, add_plan, find_config
from segkit.cli_export import add_export
from segkit.cli_folds import train_folds
from segkit.cli_predict import add_evaluate, add_predict
from segkit.cli_rate import add_rate
from segkit.cli_tune import add_tune
from segkit.errors import SegkitError

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.processes import Process
    from segkit.run import Run


def main(arguments: Sequence[str] | None = None, command: str | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 some images failed, 2 something to repair, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser(command).parse_args(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status: int = options.run_command(options)
    except SegkitError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"error: {problem.filename or 'the disk'}: cannot be written ({problem.strerror}); make room",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _parser(command: str | None) -> argparse.ArgumentParser:
    about = "Image segmentation: say once what a pixel can be; head, loss, metrics and masks follow."
    if command:
        parser = argparse.ArgumentParser(prog=f"{command}.py", description=_COMMANDS[command][1])
        _COMMANDS[command][0](parser)
        return parser
    parser = argparse.ArgumentParser(prog="segkit", description=about)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (add, words) in _COMMANDS.items():
        add(commands.add_parser(name, help=words, description=words))
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change a setting, e.g. train.epochs=5; repeatable"
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="the run folder to make (default: runs/ and the config's name)"
    )
    parser.add_argument(
        "--fold", metavar="k/n", help="train fold k of n into DIR/fold_k; all/n: all of them, with one table at the end"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR from its last checkpoint")
    parser.add_argument(
        "--coordinator", metavar="HOST:PORT", help="train on several machines: where the first process can be reached"
    )
    parser.add_argument("--process", metavar="i/n", help="which of the n processes this is; the first writes the run")
    parser.set_defaults(run_command=_train)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--to", choices=("folder", "tfds"), default="folder", help="what to write (default: folder)")
    parser.add_argument("--part", choices=("train", "validation", "test"), help="only this part of the data")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the data set")
    parser.set_defaults(run_command=_convert)


def _train(options: argparse.Namespace) -> int:
    if options.fold:
        return train_folds(options, _train)
    from segkit import processes
    from segkit.config import read
    from segkit.data.check import check, fitting_input
    from segkit.data.parts import open_parts
    from segkit.data.samples import check_room
    from segkit.weights import check_frozen, find

    process = processes.parse(options.coordinator, options.process)
    console, config = _console(), read(options.config, options.set)
    processes.check(process, config)
    run = processes.run_of(process, options.run or Path("runs") / options.config.stem)
    if options.resume:
        run.reopen(config)
    else:
        run.check_free()
        check_frozen(config.model)
    find(config.model, console.print)
    console.print(config.task.explain(), highlight=False)
    parts = open_parts(config)
    shares = {part: len(subset) for part, subset in parts.items() if len(subset)}
    with _counting("checking images and masks", sum(shares.values()), console) as done:
        findings = check(config.task, parts, done, flips=config.augment.flips, skip_broken=config.data.skip_broken)
    parts = findings.parts
    shares = {part: len(subset) for part, subset in parts.items() if len(subset)}
    left_out = f"; {findings.left_out} left out as broken" if findings.left_out else ""
    console.print("images: " + ", ".join(f"{n} {part}" for part, n in shares.items()) + left_out, highlight=False)
    for warning in findings.warnings:
        console.print(f"warning {warning}", style="yellow", highlight=False, markup=False)
    given = fitting_input(config, findings.given)
    config = config.model_copy(update={"input": given})
    kept = [parts["train"], parts["validation"]]
    check_room(kept, config.data, config.task, given, run.cache)  # refused before a run is begun
    if not options.resume:
        run.create(config)
    return processes.together(process, lambda: _train_with_keras(config, parts, run, console, options, process), run)


def _train_with_keras(
    config: Config, parts: Any, run: Run, console: Console, options: argparse.Namespace, process: Process | None
) -> int:
    from segkit import processes
    from segkit.devices import load_keras
    from segkit.report import scores_table

    console.print(load_keras(), highlight=False)
    from segkit.precision import settle
    from segkit.training import train

    processes.meet(process)
    if run.keeps_models:
        settle(config, run)
    processes.share_start(process, config, parts, run)
    try:
        report = train(config, parts, run, console)
    except KeyboardInterrupt:
        if not run.keeps_models:
            raise
        asked, at = getattr(options, "asked", options), run.saved()  # of several folds, what all were asked for by
        overrides = "".join(f" --set {override}" for override in asked.set) + processes.options_of(process)
        if asked.fold:
            overrides += f" --fold {asked.fold}"
        folder = run.path.parent if asked.fold else run.path
        console.print(
            f"interrupted; {at.epoch} epochs and {at.step} steps are saved in {run.path}. Go on with:\n"
            f"  python train.py {options.config}{overrides} --run {folder} --resume",
            highlight=False,
            soft_wrap=True,
        )
        return 130
    if not run.keeps_models:
        return 0
    if report:
        console.print(scores_table(report))
    console.print(
        f"the run is in {run.path}: predict with\n  python predict.py {run.path} IMAGES --out MASKS",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _convert(options: argparse.Namespace) -> int:
    from segkit import convert
    from segkit.data.first_look import take_over
    from segkit.data.parts import open_parts

    console = _console()
    convert.check_free(options.out)
    config, guess = find_config(options, console)
    parts = {name: part for name, part in open_parts(config).items() if options.part in (None, name)}
    if guess:
        take_over(parts, guess.kept)
    write = convert.to_folder
    if options.to == "tfds":
        from segkit.devices import load_keras

        load_keras()  # TensorFlow, which writing needs, starts quietly here
        write = convert.to_tfds
    with _counting("writing samples", sum(len(part) for part in parts.values()), console) as done:
        write(config.task, parts, options.out, done)
    return 0


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


def _counting(what: str, total: int, console: Console) -> Any:
    from segkit.progress import counting

    return counting(what, total, console)


_COMMANDS: dict[str, Any] = {
    "train": (_add_train, "Train a network by a config file."),
    "predict": (add_predict, "Predict masks for images, in each image's own size."),
    "evaluate": (add_evaluate, "Score a run on images with known masks."),
    "tune": (add_tune, "Choose temperature, thresholds and rules for objects of a run on its validation part."),
    "compare": (
        add_compare,
        "Train settings in equal minutes, and say which is better and whether by more than chance.",
    ),
    "export": (add_export, "Write the model for ONNX Runtime, LiteRT or OpenVINO, also in 8 bits, and check it."),
    "inspect": (add_inspect, "Say what a data set is, what is wrong with it, and which head it needs."),
    "plan": (add_plan, "Write a config that fits a data set and this machine, each value with its reason."),
    "lr": (add_rate, "Find a learning rate by a short training at rising ones."),
    "convert": (
        _add_convert,
        "Write a data set anew as folders of images and masks, or as a TensorFlow data set.",
    ),
}
