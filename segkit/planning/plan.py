"""From a data set to a config that trains it on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from segkit.data.batches.windows import windows_of
from segkit.data.parts import open_parts
from segkit.errors import ConfigError, DataError
from segkit.inspection.inspect import Inspection, inspect_data
from segkit.inspection.training_check import check_split
from segkit.io.atomic import is_stream, write_text_for_user
from segkit.planning.budget import fit_budget
from segkit.planning.choices import Plan
from segkit.planning.rules import draft
from segkit.planning.step_time import measure_steps
from segkit.planning.yaml_text import as_yaml
from segkit.system.memory import free_memory
from segkit.system.progress import Progress


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
        images: A folder of images; or alone a config file, a CSV list, or the folder of a prepared TensorFlow data set.
        masks: Their masks, as `segkit.inspect` takes them.
        out: A YAML file to write the config to, with the reason above each value.
        minutes: Time that the training may take; without it as much as the data need.
        classes: Names of the classes in the order of their values.
        settings: Settings of how to read, such as "data.mask_threshold=128".
        trust: Whether Python that a config or a TensorFlow data set names may be imported.
        progress: Receives what is read and timed.

    Returns:
        The plan; `plan.config` is what `segkit.train` takes.

    Raises:
        ConfigError: For settings that do not fit together, or a file that exists already.
        DataError: If training would be wrong.
        RunError: If training steps could not be timed.
    """
    check_request(out, minutes)
    inspection = inspect_data(
        images, masks, classes=classes, settings=settings, trust=trust, progress=progress
    )
    found = plan_for(inspection, minutes=minutes, progress=progress)
    if out is not None:
        write_plan(found, out, "segkit.plan")
    return found


def check_request(out: str | PathLike[str] | None, minutes: float | None) -> None:
    """Raise `ConfigError` before anything is read if the plan could not be made or written."""
    if out is not None and Path(out).exists() and not is_stream(Path(out)):
        raise ConfigError(
            f"{out}: is there already; a config is not overwritten. Choose another name",
            "exists-already",
            setting="--out",
        )
    if minutes is not None and minutes <= 0:
        raise ConfigError(f"a number above 0; found {minutes:g}", setting="--minutes")


def plan_for(
    inspection: Inspection, *, minutes: float | None = None, progress: Progress | None = None
) -> Plan:
    """Return the plan for data that have been inspected. Raises `DataError` if training would be wrong."""
    progress = progress or Progress()
    if inspection.wrong or inspection.config is None or inspection.verdict is None:
        errors = [problem for problem in inspection.problems if problem.level == "error"]
        message = "\n  ".join(["no plan is made while training would be wrong:", *map(str, errors)])
        code = errors[0].code if errors else "empty"
        raise DataError(message, code)
    facts = inspection.survey.facts
    drafted = draft(inspection.config, inspection.verdict, facts, inspection.guess)
    parts = open_parts(drafted.config)
    check_split(drafted.config.task, parts, inspection.survey)
    progress.message("timing training steps on this machine ...")
    windows = np.mean([len(windows_of(fact.name, *fact.size)) for fact in facts])
    checked = round(len(parts["validation"]) * windows)
    return fit_budget(drafted, len(parts["train"]), checked, minutes, free_memory(), measure_steps)


def write_plan(found: Plan, out: str | PathLike[str], command: str) -> None:
    """Write a plan's config as YAML, with paths relative to it; its first lines name the command that made it."""
    path = Path(out)
    folder = None if is_stream(path) else path.absolute().parent
    write_text_for_user(path, as_yaml(found, command, str(out), folder))
