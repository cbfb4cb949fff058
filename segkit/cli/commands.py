"""The command line: `segkit train | predict | evaluate | tune | export | ...`, and the doors train.py and predict.py.

Only what a command needs is imported: `--help`, a bad config and bad data answer before Keras is loaded.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any

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
from segkit.cli.streams import flush, open_closed_streams, tell
from segkit.cli.train import add_train
from segkit.cli.tune import add_tune
from segkit.errors import SegkitError
from segkit.io.failures import sentence


def main(arguments: Sequence[str] | None = None, command: str | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 some images failed, 2 something to repair, 130 interrupted."""
    open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = make_parser(command).parse_args(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = _run(options)
    try:
        flush()
    except OSError as problem:
        tell(f"error: {sentence(problem)}")
        return 2
    return status


def _run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status, after a sentence on standard error if it failed."""
    try:
        status: int = options.run_command(options)
    except SegkitError as problem:
        print_error(problem)
        return 2
    except OSError as problem:
        tell(f"error: {sentence(problem)}")
        return 2
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    return status


def print_error(problem: SegkitError) -> None:
    """Print the message of an error that ends a command."""
    tell(f"error: {problem}")


def make_parser(command: str | None) -> argparse.ArgumentParser:
    about = (
        "Image segmentation: say once what a pixel can be; head, loss, metrics and masks follow."
    )
    if command:
        parser = argparse.ArgumentParser(prog=f"{command}.py", description=COMMANDS[command][1])
        COMMANDS[command][0](parser)
        return parser
    parser = argparse.ArgumentParser(prog="segkit", description=about)
    parser.add_argument("--version", action="version", version=f"segkit {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (add, words) in COMMANDS.items():
        add(commands.add_parser(name, help=words, description=words))
    return parser


COMMANDS: dict[str, Any] = {
    "demo": (
        add_demo,
        "Train on generated shapes, predict the test images and score the masks: some minutes.",
    ),
    "train": (add_train, "Train a network by a config file."),
    "predict": (add_predict, "Predict masks for images, in each image's own size."),
    "evaluate": (add_evaluate, "Score a run on images with known masks."),
    "tune": (
        add_tune,
        "Choose temperature, thresholds and rules for objects of a run on its validation part.",
    ),
    "compare": (
        add_compare,
        "Train settings in equal minutes, and say which is better and whether by more than chance.",
    ),
    "export": (
        add_export,
        "Write the model for ONNX Runtime, LiteRT or OpenVINO, also in 8 bits, and check it.",
    ),
    "inspect": (
        add_inspect,
        "Say what a data set is, what is wrong with it, and which head it needs.",
    ),
    "plan": (
        add_plan,
        "Write a config that fits a data set and this machine, each value with its reason.",
    ),
    "lr": (add_lr, "Find a learning rate by a short training at rising ones."),
    "convert": (
        add_convert,
        "Write a data set anew as folders of images and masks, or as a TensorFlow data set.",
    ),
}
