"""Open run folders and exports for prediction, in the chosen runtime or in the fastest one.

Keras is imported only if it is the runtime.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.errors import ConfigError, RunError
from segkit.inference.ensemble import average_members, joint
from segkit.inference.export_choice import (
    AUTO,
    FoundExports,
    choose_export,
    damage_warnings,
    describe_export,
    describe_keras,
    describe_problems,
    find_exports,
    is_slow,
    is_unchecked,
    no_export,
    time_ratio,
)
from segkit.inference.tiles import Predict
from segkit.inference.workload import Workload, seconds_per_window, workload
from segkit.run import Run
from segkit.run.exports import Exported, is_export, sha256
from segkit.system.progress import Progress

PathLike = str | os.PathLike[str]
CHOICES = (AUTO, *catalog.RUNTIMES)
MEASURED_FROM = 2**24
"""From this many pixels in all images on, "auto" measures the exports itself."""


class LoadedRun(NamedTuple):
    """A run or an export that is ready to predict, or several that predict together."""

    predict: Predict
    config: RunConfig
    description: str
    """Which runtime predicts, and why: one line for each run."""
    fingerprint: str = ""
    """Identifies the weights and the views. Unfinished work of another fingerprint starts again."""
    warnings: tuple[str, ...] = ()
    """Exports that are damaged and therefore not used."""

    def announce(self, progress: Progress) -> None:
        """Report the runtime, and warn of damaged exports."""
        for warning in self.warnings:
            progress.warning(warning)
        progress.message(self.description)


def as_paths(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    """Return one path, or several, as a list."""
    if isinstance(paths, str | os.PathLike):
        return [Path(paths)]
    return [Path(path) for path in paths]


def open_together(
    paths: Sequence[Path],
    runtime: str = AUTO,
    tta: str | None = None,
    with_entropy: bool = False,
    images: Sequence[Path] = (),
) -> LoadedRun:
    """Open runs or exports that predict together, as the mean of their probabilities.

    Args:
        paths: Run folders or folders of exports; one or more.
        runtime: One of `CHOICES`.
        tta: "flips" or "rotations" also averages over views of each image.
        with_entropy: Whether the mean entropy of the members is predicted as one more channel.
        images: The images to predict. Their number and size help "auto" to choose.

    Returns:
        The runs as one.

    Raises:
        ConfigError: If the runs do not fit together (before a model is opened), or the runtime is
            not installed.
        RunError: If there is no finished run, or no usable export for the runtime.
    """
    config, configs = config_together(paths, tta)
    work = None
    if images and runtime == AUTO:
        work = workload(config, images)
    members = [open_run(path, runtime, work) for path in paths]
    predict = average_members([member.predict for member in members], configs, tta, with_entropy)
    warnings: list[str] = []
    for member in members:
        warnings.extend(member.warnings)
    return LoadedRun(
        predict,
        config,
        description="\n".join(member.description for member in members),
        fingerprint=" ".join([*(member.fingerprint for member in members), str(tta)]),
        warnings=tuple(warnings),
    )


def config_together(
    paths: Sequence[Path], tta: str | None = None
) -> tuple[RunConfig, list[RunConfig]]:
    """Return the config with which runs or exports predict together, and the config of each.

    Opens no model. Raises `ConfigError` if they do not fit together.
    """
    configs = [config_of(path) for path in paths]
    return joint(configs, [str(path) for path in paths], tta), configs


def config_of(path: Path) -> RunConfig:
    """Return the config of a run folder or of an export, without opening a model."""
    if is_export(path):
        return Exported.read(path).config()
    return Run.open(path).config()


def check_runtime(runtime: str) -> None:
    """Raise `ConfigError` if there is no such runtime."""
    if runtime not in CHOICES:
        raise ConfigError(
            f"known are {', '.join(CHOICES)}; found {runtime}",
            "unknown-name",
            setting="--runtime",
        )


def open_run(path: Path, runtime: str = AUTO, work: Workload | None = None) -> LoadedRun:
    """Open one run folder or the folder of one export.

    "auto" takes the fastest export whose package is installed, which was made from the current
    model.keras and which passed its accuracy check. Keras predicts if there is no such export, or
    if all were much slower than Keras when they were made (`export_choice.SLOWER`).

    Args:
        path: The folder.
        runtime: One of `CHOICES`.
        work: The work to do. If it is much, "auto" measures the time of each export; otherwise the
            recorded times decide.

    Raises:
        ConfigError: If there is no such runtime, or it is not installed.
        RunError: If there is no finished run, or no usable export for the runtime.
    """
    check_runtime(runtime)
    if is_export(path):
        return _open_lone_export(Exported.read(path), runtime)
    run = Run.open(path)
    if runtime == "keras":
        return _open_keras(run, "as asked")
    found = find_exports(run, runtime)
    if runtime != AUTO:
        return _open_runtime(run, runtime, found)
    if work is not None and _is_worth_measuring(found, work):
        return _open_measured(run, found, work)
    return _open_fastest(run, found)


def _is_worth_measuring(found: FoundExports, work: Workload) -> bool:
    several = len(found.usable) > 1
    return several and work.pixels >= MEASURED_FROM and choose_export(found.usable) is not None


def _open_lone_export(exported: Exported, runtime: str) -> LoadedRun:
    """Open an export that was named by its own folder."""
    kind = exported.record.format
    if kind not in catalog.RUNTIMES:
        raise RunError(
            f"{exported.path}: a {kind} is for other programs; segkit predicts with "
            f"{', '.join(CHOICES[1:])}",
            "not-predictable",
        )
    if runtime not in (AUTO, kind):
        raise RunError(
            f"{exported.path}: holds {kind} alone; --runtime {runtime} needs the run folder from "
            f"which it was exported",
            "no-export",
        )
    reason = "the export that was named"
    if is_unchecked(exported):
        reason += "; not checked since its run was tuned: export it again"
    return _open_export(exported, exported.config(), reason)


def _open_runtime(run: Run, runtime: str, found: FoundExports) -> LoadedRun:
    """Open the fastest export for the runtime that was asked for, however slow it is."""
    if not found.usable:
        raise no_export(run, runtime, found.problems)
    best = min(found.usable, key=time_ratio)
    reason = describe_export(best, found.usable) + describe_problems(found.problems)
    loaded = _open_export(best, run.config(), reason)
    return loaded._replace(warnings=damage_warnings(found.problems))


def _open_fastest(run: Run, found: FoundExports) -> LoadedRun:
    """Open the export with the shortest recorded time that is not damaged; without one, Keras."""
    remaining = list(found.usable)
    problems = list(found.problems)
    while (best := choose_export(remaining)) is not None:
        reason = describe_export(best, remaining) + describe_problems(problems)
        try:
            loaded = _open_export(best, run.config(), reason)
        except RunError as problem:
            problems.append(problem)
            remaining.remove(best)
            continue
        return loaded._replace(warnings=damage_warnings(problems))
    return _open_keras_instead(run, remaining, problems)


def _open_measured(run: Run, found: FoundExports, work: Workload) -> LoadedRun:
    """Open each export that is not damaged, and take the fastest on a window of zeros."""
    config = run.config()
    problems = list(found.problems)
    fastest: LoadedRun | None = None
    seconds: dict[str, float] = {}
    for exported in sorted(found.usable, key=time_ratio):
        try:
            loaded = _open_export(exported, config, "")
        except RunError as problem:
            problems.append(problem)
            continue
        seconds[exported.name] = seconds_per_window(loaded.predict, config, work)
        if seconds[exported.name] == min(seconds.values()):
            fastest = loaded
    if fastest is None:
        return _open_keras_instead(run, [], problems)
    names = sorted(seconds, key=lambda name: seconds[name])
    measured = ", ".join(f"{name} {seconds[name]:.3f} s" for name in names)
    reason = f"fastest for a window of {work.height} x {work.width}: {measured}"
    description = f"runtime: {names[0]} ({reason}{describe_problems(problems)})"
    return fastest._replace(description=description, warnings=damage_warnings(problems))


def _open_keras_instead(
    run: Run, slow: Sequence[Exported], problems: Sequence[RunError]
) -> LoadedRun:
    """Open Keras because no export is left, or only slow ones."""
    assert all(map(is_slow, slow))
    loaded = _open_keras(run, describe_keras(slow) + describe_problems(problems))
    return loaded._replace(warnings=damage_warnings(problems))


def _open_export(exported: Exported, config: RunConfig, reason: str) -> LoadedRun:
    exported.check()
    predict: Predict = catalog.load_part(catalog.RUNTIMES, exported.record.format)(exported)
    description = f"runtime: {exported.name} ({reason})"
    return LoadedRun(predict, config, description, exported.record.model_sha256)


def _open_keras(run: Run, reason: str) -> LoadedRun:
    from segkit.system.keras_start import load_keras

    device = load_keras()
    predict: Predict = catalog.load_part(catalog.RUNTIMES, "keras")(run)
    return LoadedRun(predict, run.config(), f"runtime: {device} ({reason})", sha256(run.model))
