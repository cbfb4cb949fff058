"""Chooses a config that trains a data set on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from segkit.data.batches.windows import windows_of
from segkit.data.parts import divide_again, open_parts
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, DataError
from segkit.inspection.copies_together import placed_in, planned_together, with_copies
from segkit.inspection.inspect import Inspection, inspect_data
from segkit.inspection.training_check import check_split
from segkit.io.atomic import is_stream, write_text_for_user
from segkit.planning.budget import fit_budget
from segkit.planning.choices import Plan
from segkit.planning.rules import add_background, draft, known_share
from segkit.planning.step_time import measure_steps
from segkit.planning.yaml_text import as_yaml
from segkit.system.memory import free_memory
from segkit.system.progress import Progress

TOGETHER = (
    "Each line is a list of images that are equal or nearly equal. They stay in one part, so that "
    "no image is scored whose copy was trained on. Long series are cut into blocks of neighbours. "
    "If you know which images belong together, set data.groups instead of the blocks."
)
"""The reason for the setting `data.keep_together`."""


def plan(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None = None,
    *,
    out: str | PathLike[str] | None = None,
    minutes: float | None = None,
    classes: Sequence[str] = (),
    settings: Sequence[str] = (),
    trust: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Choose every setting of a training from the data and from this machine, each with its reason.

    Args:
        images: A folder of images. Without `masks` it is a config file, a CSV list, the folder of
            a prepared TensorFlow data set, or a folder with the files of a labelling tool.
        masks: The masks of the images, as in `segkit.inspect`.
        out: A YAML file to write the config to, with the reason above each value.
        minutes: Time budget of the training; by default it takes as long as the data need.
        classes: Names of the classes in the order of their values.
        settings: Changes of settings for reading, such as "data.mask_threshold=128".
        trust: Whether to import Python code that a config or a TensorFlow data set names.
        progress: Receives messages about reading and timing.

    Returns:
        The plan. Its `config` can be passed to `segkit.train`.

    Raises:
        ConfigError: If settings do not fit together, or if the file exists already.
        DataError: If training on the data would be wrong.
        RunError: If training steps cannot be timed.
    """
    check_request(out, minutes)
    inspection = inspect_data(
        images, masks, classes=classes, settings=settings, trust=trust, progress=progress
    )
    chosen = plan_for(inspection, minutes=minutes, progress=progress)
    if out is not None:
        write_plan(chosen, out, "segkit.plan")
    return chosen


def check_request(out: str | PathLike[str] | None, minutes: float | None) -> None:
    """Check the arguments of a plan before anything is read.

    Args:
        out: The file to write; None for no file.
        minutes: The time budget; None for no limit.

    Raises:
        ConfigError: If the file exists already, or if the time is not above 0.
    """
    if out is not None and Path(out).exists() and not is_stream(Path(out)):
        raise ConfigError(
            f"{out} exists already, and a config is never overwritten. Choose another name",
            "exists-already",
            setting="--out",
        )
    if minutes is not None and minutes <= 0:
        raise ConfigError(f"a number above 0; found {minutes:g}", setting="--minutes")


def plan_for(
    inspection: Inspection, *, minutes: float | None = None, progress: Progress | None = None
) -> Plan:
    """Return the plan for inspected data.

    Args:
        inspection: The result of `inspect_data`.
        minutes: Time budget of the training; by default it takes as long as the data need.
        progress: Receives messages about timing.

    Raises:
        ConfigError: If the time is too short for any training.
        DataError: If training on the data would be wrong.
        RunError: If training steps cannot be timed.
    """
    progress = progress or Progress()
    if inspection.wrong or inspection.config is None or inspection.verdict is None:
        raise _wrong_data(inspection)
    facts = inspection.survey.facts
    drafted = draft(
        inspection.config,
        inspection.verdict,
        facts,
        inspection.guess,
        small_batches=minutes is not None,
    )
    drafted, parts = _keep_together(drafted, inspection)
    task = drafted.config.task
    placed = placed_in(parts, inspection.parts, inspection.survey)
    of_task = [add_background(fact, task) for fact in placed.facts]
    check_split(task, placed._replace(facts=of_task))
    progress.message("timing training steps on this machine ...")
    windows_per_image = np.mean([len(windows_of(fact.name, *fact.size)) for fact in facts])
    windows = round(len(parts["validation"]) * windows_per_image)
    images = len(parts["train"])
    free = free_memory()
    known = known_share(task, [fact for fact in of_task if fact.part == "train"])
    return fit_budget(drafted, images, windows, minutes, free, measure_steps, progress, known)


def _keep_together(drafted: Plan, inspection: Inspection) -> tuple[Plan, dict[str, Subset]]:
    """Return the plan that keeps copies in one part, and its open parts."""
    parts = open_parts(drafted.config)
    together = planned_together(drafted.config, parts, inspection.survey)
    if not together:
        return drafted, parts
    config = with_copies(drafted.config, together)
    reasons = {**drafted.reasons, "data.keep_together": TOGETHER}
    return Plan(config, reasons), divide_again(config, parts)


def _wrong_data(inspection: Inspection) -> DataError:
    """Return the error that names all problems that make training wrong."""
    errors = [problem for problem in inspection.problems if problem.level == "error"]
    code = "empty"
    if errors:
        code = errors[0].code
    lines = ["no plan is made while training would be wrong:", *map(str, errors)]
    return DataError("\n  ".join(lines), code)


def write_plan(chosen: Plan, out: str | PathLike[str], command: str) -> None:
    """Write a plan's config as YAML, with paths relative to the file.

    Args:
        chosen: The plan.
        out: The file; paths are absolute if it is a stream such as /dev/stdout.
        command: The command that made the plan, which the first line of the file names.
    """
    path = Path(out)
    folder = None
    if not is_stream(path):
        folder = path.absolute().parent
    write_text_for_user(path, as_yaml(chosen, command, str(out), folder))
