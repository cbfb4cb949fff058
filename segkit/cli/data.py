"""The commands that look at data: `segkit inspect` and `segkit plan`. None of them imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.inspection.inspect import Inspection
    from segkit.inspection.mask_format.values import Guess


CONFIGS = (".yaml", ".yml")


def add_data(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which data."""
    parser.add_argument(
        "images",
        type=Path,
        metavar="IMAGES",
        help="a folder; or a config, a CSV list, a TensorFlow Datasets folder alone",
    )
    parser.add_argument(
        "masks",
        type=Path,
        nargs="?",
        metavar="MASKS",
        help="their masks: a folder (files, or one folder a class), or COCO JSON",
    )
    parser.add_argument(
        "--classes", metavar="a,b,c", default="", help="names of the classes, in the order of their values"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        help="a setting of how to read, e.g. data.mask_threshold=128",
    )


def look(options: argparse.Namespace, console: Console) -> tuple[Inspection, Config, Guess | None]:
    """Inspect what the options name; return the inspection, the config that reads the data, and the guess it comes from."""
    from segkit.data.parts import open_parts
    from segkit.inspection.inspect import inspect
    from segkit.inspection.mask_format.folders import first_look, mask_files_of, take_over
    from segkit.system.progress import counting

    config, guess = find_config(options, console)
    parts, stored = open_parts(config), ""
    if guess:
        take_over(parts, guess.kept)
    elif mask_files_of(parts):
        with counting("looking at masks", len(mask_files_of(parts)), console) as done:
            stored = first_look(config.data, parts, done)
    with counting("reading images and masks", sum(map(len, parts.values())), console) as done:
        return inspect(config, parts, guess, done, stored), config, guess


def find_config(options: argparse.Namespace, console: Console) -> tuple[Config, Guess | None]:
    """Return the config given, or one that reads IMAGES and MASKS, with the guess it comes from."""
    from segkit.config import Config, changed, read
    from segkit.inspection.mask_format.detect import guess
    from segkit.system.progress import counting
    from segkit.task import Task

    if options.masks is None and options.images.suffix.lower() in CONFIGS:
        if options.classes:
            raise ConfigError("--classes: the config names the classes")
        return read(options.images, options.set), None
    classes = [name.strip() for name in options.classes.split(",") if name.strip()]
    with counting("looking at masks", None, console) as done:
        reading = [override for override in options.set if override.startswith("data.")]
        told = changed(Config(task=Task.binary()), reading).data
        found = guess(options.images.absolute(), options.masks and options.masks.absolute(), classes, done, told)
    data = found.data.model_copy(update={"validation": 0.0, "test": 0.0})
    augment = {"flip_horizontal": not found.task.sided}
    values = {"task": found.task.model_dump(), "data": data.model_dump(mode="json"), "augment": augment}
    return changed(Config.model_validate(values), options.set), found
