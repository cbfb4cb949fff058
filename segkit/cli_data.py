"""The commands that look at data: `segkit inspect` and `segkit plan`. None of them imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.data.meanings import Guess
    from segkit.inspection import Inspection

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


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit inspect`."""
    add_data(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures of images and masks")
    parser.add_argument("--pictures", type=Path, metavar="FILE.png", help="write a sheet of images and their masks")
    parser.set_defaults(run_command=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.inspect_report import as_html, on_screen, write_examples
    from segkit.inspection import as_json, unopened
    from segkit.run import write_text

    console = Console(soft_wrap=not sys.stdout.isatty())
    if options.pictures and options.pictures.suffix.lower() != ".png":
        raise ConfigError(f"--pictures: the name of a file that ends in .png; found {options.pictures}")
    try:
        inspection, _, _ = look(options, console)
    except DataError as problem:
        inspection = unopened(problem)
    if options.json:
        write_text(options.json, json.dumps(as_json(inspection), indent=2, ensure_ascii=False) + "\n")
    if options.html:
        write_text(options.html, as_html(inspection))
    console.print(on_screen(inspection))
    if options.pictures:
        written = write_examples(inspection, options.pictures)
        told = f"look at {options.pictures}: images and their masks" if written else "no picture: nothing could be read"
        console.print(told, highlight=False, markup=False)
    return 1 if inspection.wrong else 0


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit plan`."""
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="CONFIG", help="the YAML file to write")
    parser.add_argument("--minutes", type=float, metavar="M", help="a time budget: steps are timed on this machine")
    parser.set_defaults(run_command=_plan)


def _plan(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.budget import fit_budget
    from segkit.data.check import check_split
    from segkit.data.parts import open_parts
    from segkit.inspect_report import on_screen
    from segkit.memory import free_memory
    from segkit.plan import draft
    from segkit.plan_text import as_yaml
    from segkit.run import write_text

    console = Console(soft_wrap=not sys.stdout.isatty())
    if options.out.exists():
        raise ConfigError(f"{options.out}: is there already; a config is not overwritten. Choose another name")
    if options.minutes is not None and options.minutes <= 0:
        raise ConfigError(f"--minutes: a number above 0; found {options.minutes:g}")
    inspection, config, guess = look(options, console)
    console.print(on_screen(inspection))
    if inspection.wrong or inspection.verdict is None:
        print("error: no plan is made while training would be wrong; mend what is named above", file=sys.stderr)
        return 2
    plan = draft(config, inspection.verdict, inspection.survey.facts, guess)
    parts = open_parts(plan.config)
    check_split(plan.config.task, parts, inspection.survey)
    console.print("timing training steps on this machine ...")
    from segkit.trial_steps import measure_steps

    train, validation = len(parts["train"]), len(parts["validation"])
    plan = fit_budget(plan, train, validation, options.minutes, free_memory(), measure_steps)
    write_text(options.out, as_yaml(plan, shlex.join(["segkit", *sys.argv[1:]]), str(options.out)))
    console.print(
        f"{options.out}: written; each value stands below its reason. Train with:\n  python train.py {options.out}"
    )
    return 0


def look(options: argparse.Namespace, console: Console) -> tuple[Inspection, Config, Guess | None]:
    """Inspect what the options name; return the inspection, the config that reads the data, and the guess it comes from."""
    from segkit.data.first_look import first_look, mask_files_of, take_over
    from segkit.data.parts import open_parts
    from segkit.inspection import inspect
    from segkit.progress import counting

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
    from segkit.data.guess import guess
    from segkit.progress import counting
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
