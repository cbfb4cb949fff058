"""Choose the export that predicts fastest, and explain the choice. Opens no model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

from segkit import catalog
from segkit.errors import RunError
from segkit.run import Run
from segkit.run.exports import Exported, export_folders

PACKAGES = {
    "keras": "keras",
    "litert": "ai_edge_litert",
    "onnx": "onnxruntime",
    "openvino": "openvino",
}
"""The module that each runtime imports."""
AUTO = "auto"
SLOWER = 1.5
"""Keras predicts if the fastest export needed more than this many times the time of Keras.

Below this ratio the export wins, because importing Keras takes seconds.
"""
DAMAGE_CODES = ("damaged-file", "missing-file", "unknown-name")
"""Codes of problems that need a warning. Other problems appear only in the description."""


class FoundExports(NamedTuple):
    """The exports of a run that can predict, and the problems of the others."""

    usable: list[Exported]
    problems: list[RunError]


def is_installed(runtime: str) -> bool:
    """Return whether the package of a runtime can be imported, without importing it."""
    return importlib.util.find_spec(PACKAGES[runtime]) is not None


def find_exports(run: Run, runtime: str) -> FoundExports:
    """Find the exports in a run folder that a runtime can open.

    Args:
        run: The run.
        runtime: A name of `catalog.RUNTIMES`, or "auto" for all of them.

    Returns:
        The usable exports, and one error for each export that is not: damaged, made from another
        model.keras, not checked, or without its package. Exports for other runtimes are in neither
        list.
    """
    found = FoundExports([], [])
    for folder in export_folders(run.path):
        try:
            exported = Exported.read(folder)
        except RunError as problem:
            found.problems.append(problem)
            continue
        kind = exported.record.format
        if kind not in catalog.RUNTIMES or runtime not in (AUTO, kind):
            continue
        unusable = _why_unusable(exported, run)
        if unusable is None:
            found.usable.append(exported)
        else:
            found.problems.append(unusable)
    return found


def _why_unusable(exported: Exported, run: Run) -> RunError | None:
    kind = exported.record.format
    if not is_installed(kind):
        package = f'`pip install "keras-segkit[{kind}]"` for {PACKAGES[kind]}'
        return RunError(f"{exported.name} ({package})", "missing-package")
    if not exported.is_of(run.model):
        reason = "made from another model.keras; export it again"
        return RunError(f"{exported.name} ({reason})", "outdated-export")
    if is_unchecked(exported):
        reason = "not checked since the run was tuned; export it again"
        return RunError(f"{exported.name} ({reason})", "unchecked-export")
    return None


def is_unchecked(exported: Exported) -> bool:
    """Return whether an int8 or bfloat16 export has no accuracy check for the current settings."""
    return exported.record.precision != "float32" and exported.record.checked is None


def time_ratio(exported: Exported) -> float:
    """Return the recorded time of an export divided by the time of Keras; 1 if none is recorded."""
    checked = exported.record.checked
    if checked is None:
        return 1.0
    return checked.time_ratio


def is_slow(exported: Exported) -> bool:
    """Return whether Keras should predict instead of this export."""
    return time_ratio(exported) > SLOWER


def choose_export(exports: Sequence[Exported]) -> Exported | None:
    """Return the export with the shortest recorded time; None if all are slow or there is none."""
    fast = [exported for exported in exports if not is_slow(exported)]
    return min(fast, key=time_ratio, default=None)


def describe_export(chosen: Exported, exports: Sequence[Exported]) -> str:
    """Return the recorded time of the chosen export, and the times of the others."""
    times = [f"{time_ratio(chosen):.2f} of Keras' time when it was exported"]
    for other in exports:
        if other is not chosen:
            times.append(f"{other.name} {time_ratio(other):.2f}")
    return ", ".join(times)


def describe_keras(exports: Sequence[Exported]) -> str:
    """Return why Keras predicts although exports were looked for."""
    if not exports:
        return "no usable export; segkit export makes one"
    fastest = min(exports, key=time_ratio)
    return f"the fastest export, {fastest.name}, took {time_ratio(fastest):.2f} of its time"


def describe_problems(problems: Sequence[RunError]) -> str:
    """Return the end of a description, which lists the exports that cannot be used."""
    if not problems:
        return ""
    return f"; not usable: {', '.join(map(str, problems))}"


def damage_warnings(problems: Sequence[RunError]) -> tuple[str, ...]:
    """Return a warning for each damaged export."""
    damaged = [problem for problem in problems if problem.code in DAMAGE_CODES]
    return tuple(f"an export is not used: {problem}" for problem in damaged)


def no_export(run: Run, runtime: str, problems: Sequence[RunError]) -> RunError:
    """Return the error for a runtime that was asked for and has no usable export."""
    advice = f"make one with: segkit export {run.path} --format {runtime}"
    if not problems:
        return RunError(f"{run.path}: has no {runtime} export; {advice}", "no-export")
    listed = ", ".join(map(str, problems))
    return problems[0].with_message(f"{run.path}: cannot use {listed}; {advice}")
