"""The table of commands, and `main`.

Each command imports only what it needs. `--help` and errors in a config or in data do not have to
wait for Keras.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from segkit import __version__
from segkit.cli.compare import add_compare
from segkit.cli.convert import add_convert
from segkit.cli.demo import add_demo
from segkit.cli.evaluate import add_evaluate
from segkit.cli.export import add_export
from segkit.cli.inspect import add_inspect
from segkit.cli.lr import add_lr
from segkit.cli.plan import add_plan
from segkit.cli.predict import add_predict
from segkit.cli.publish import add_publish, add_pull
from segkit.cli.report import add_report
from segkit.cli.streams import flush, open_closed_streams, print_to_stderr
from segkit.cli.train import add_train
from segkit.cli.tune import add_tune
from segkit.errors import SegkitError
from segkit.io.failures import sentence
from segkit.system.packages import explained_imports


def main(arguments: Sequence[str] | None = None, command: str | None = None) -> int:
    """Run one command.

    Args:
        arguments: Arguments of the command line, without the program's name; by default those of
            this process.
        command: A key of `COMMANDS` for a program with only this command, such as train.py. By
            default the first argument names the command.

    Returns:
        The exit status: 0 without an error, 1 if some images failed, 2 for an error that the user
        can repair, 130 if it was interrupted.
    """
    open_closed_streams()
    if arguments is None:
        arguments = sys.argv[1:]
    options = make_parser(command).parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = _run(options)
    try:
        flush()
    except OSError as problem:
        print_to_stderr(f"error: {sentence(problem)}")
        return 2
    return status


def _run(options: argparse.Namespace) -> int:
    """Run the command, print the error that ends it, and return the exit status."""
    try:
        with explained_imports():
            status: int = options.run_command(options)
    except SegkitError as problem:
        print_error(problem)
        return 2
    except OSError as problem:
        print_to_stderr(f"error: {sentence(problem)}")
        return 2
    except KeyboardInterrupt:
        print_to_stderr("interrupted")
        return 130
    return status


def print_error(problem: SegkitError) -> None:
    """Print the message of an error that ends a command."""
    print_to_stderr(f"error: {problem}")


def make_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser of one command, or of all commands for None.

    Args:
        command: A key of `COMMANDS`, or None.
    """
    if command:
        found = COMMANDS[command]
        parser = argparse.ArgumentParser(prog=f"{command}.py", description=found.summary)
        found.add_arguments(parser)
        return parser
    parser = argparse.ArgumentParser(prog="segkit", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"segkit {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, found in COMMANDS.items():
        summary = found.summary
        found.add_arguments(subparsers.add_parser(name, help=summary, description=summary))
    return parser


class Command(NamedTuple):
    """One command of the command line."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    """Also sets `run_command`, a function from the parsed options to the exit status."""
    summary: str


DESCRIPTION = (
    "Image segmentation. A config says what a pixel can be; head, loss, metrics and masks follow."
)
COMMANDS = {
    "demo": Command(
        add_demo,
        "Train on generated shapes, predict the test images and score the masks; a few minutes.",
    ),
    "train": Command(add_train, "Train a network as a config file describes it."),
    "predict": Command(add_predict, "Predict masks of images, in the size of each image."),
    "evaluate": Command(add_evaluate, "Score a run on images with known masks."),
    "report": Command(
        add_report, "Score a run, and write one HTML page with curves, pictures and settings."
    ),
    "tune": Command(
        add_tune,
        "Choose temperature, thresholds and rules for objects of a run on its validation part.",
    ),
    "compare": Command(
        add_compare,
        "Train several settings for the same time, and report which one is better.",
    ),
    "export": Command(
        add_export,
        "Write the model for ONNX Runtime, LiteRT or OpenVINO, also in 8 bits, and check it.",
    ),
    "publish": Command(
        add_publish,
        "Write a run as a package for the BioImage Model Zoo, QGIS or a model hub.",
    ),
    "pull": Command(add_pull, "Make a run folder from a published one."),
    "inspect": Command(
        add_inspect,
        "Describe a data set, its problems, and the head that it needs.",
    ),
    "plan": Command(
        add_plan,
        "Write a config for a data set and this machine, with a reason for each value.",
    ),
    "lr": Command(add_lr, "Find a learning rate by a short training with rising rates."),
    "convert": Command(
        add_convert,
        "Copy a data set into folders of images and masks, or into a TensorFlow data set.",
    ),
}
