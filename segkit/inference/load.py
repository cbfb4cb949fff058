"""From a folder to a function: which runtime predicts, and why. Keras is imported only if it is the one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.errors import ConfigError, RunError
from segkit.inference.ensemble import answers, joint
from segkit.inference.tiles import Predict
from segkit.inference.workload import Workload, seconds_per_window, workload
from segkit.run import Run
from segkit.run.exports import Exported, export_folders, is_export, sha256
from segkit.system.progress import Progress

PACKAGES = {
    "keras": "keras",
    "litert": "ai_edge_litert",
    "onnx": "onnxruntime",
    "openvino": "openvino",
}
"""The module that each runtime imports."""


PathLike = str | os.PathLike[str]
AUTO = "auto"
CHOICES = (AUTO, *catalog.RUNTIMES)
SLOWER = 1.5
"""An export that took longer than so many times Keras' time is passed over: below that, Keras' start of seconds decides."""


def as_paths(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    """Return one path, or several, as a list."""
    if isinstance(paths, str | os.PathLike):
        return [Path(paths)]
    return [Path(path) for path in paths]


MEASURED_FROM = 2**24
"""Pixels of windows from which "auto" measures the exports: below that, the recorded times decide."""


class Opened(NamedTuple):
    """A run that is ready to predict, and one line on how."""

    predict: Predict
    config: RunConfig
    told: str
    warnings: tuple[str, ...] = ()
    """Which exports are damaged, and so were not taken."""


class Together(NamedTuple):
    """Runs that are ready to answer together."""

    predict: Predict
    config: RunConfig
    told: str
    weights: str
    """Says which networks these are, in which views: work begun with others is not gone on with."""
    warnings: tuple[str, ...] = ()

    def announce(self, progress: Progress) -> None:
        """Report which runtimes predict, and warn of damaged exports."""
        for warning in self.warnings:
            progress.warning(warning)
        progress.message(self.told)


def open_together(
    paths: Sequence[Path],
    runtime: str = AUTO,
    tta: str | None = None,
    spread: bool = False,
    images: Sequence[Path] = (),
) -> Together:
    """Return runs, or exports, opened as `open_run` does, to answer together as `ensemble` says; one alone, too.

    Whether they fit together is seen before the first is opened. `images` are those at hand, for the choice of "auto".
    """
    config, configs = config_together(paths, tta)
    work = workload(config, images) if images and runtime == AUTO else None
    opened = [open_run(path, runtime, work) for path in paths]
    predict = answers([each.predict for each in opened], configs, tta, spread)
    weights = " ".join([*map(_weights_of, paths), str(tta)])
    warnings = tuple(warning for each in opened for warning in each.warnings)
    return Together(predict, config, "\n".join(each.told for each in opened), weights, warnings)


def config_together(
    paths: Sequence[Path], tta: str | None = None
) -> tuple[RunConfig, list[RunConfig]]:
    """Return the config that runs, or exports, answer with together, and that of each, without opening a model."""
    configs = [config_of(path) for path in paths]
    return joint(configs, [str(path) for path in paths], tta), configs


def check_runtime(runtime: str) -> None:
    """Raise `ConfigError` if there is no such runtime."""
    if runtime not in CHOICES:
        raise ConfigError(
            f"known are {', '.join(CHOICES)}; found {runtime}",
            "unknown-name",
            setting="--runtime",
        )


def _weights_of(path: Path) -> str:
    return Exported.read(path).record.model_sha256 if is_export(path) else sha256(Run(path).model)


def config_of(path: Path) -> RunConfig:
    """Return the config of a run folder or of the folder of an export, without opening a model."""
    return Exported.read(path).config() if is_export(path) else Run.open(path).config()


def open_run(path: Path, runtime: str = AUTO, work: Workload | None = None) -> Opened:
    """Return a run folder, or the folder of an export, opened in the runtime asked for.

    "auto" takes the fastest export, of those that are installed, made from the model.keras that is there, and have passed
    their check; Keras if there is none, or if all took more than `SLOWER` times Keras' time when they were made. With
    `work` of many windows each export is measured on one of them. Otherwise the times of the export decide.

    Raises `RunError` if there is nothing to open, `ConfigError` if the runtime asked for is not installed.
    """
    check_runtime(runtime)
    if is_export(path):
        return _open_alone(Exported.read(path), runtime)
    run = Run.open(path)
    if runtime == "keras":
        return _open_keras(run, "as asked")
    usable, unusable = _sorted_exports(run, runtime)
    if runtime == AUTO:
        return _open_fastest(run, usable, unusable, work)
    if not usable:
        raise _missing(run, runtime, unusable)
    best = min(usable, key=_time_ratio)
    return _open_export(
        best, run.config(), f"{_why(best, usable)}{_skipped(unusable)}", _damaged(unusable)
    )


def _open_fastest(
    run: Run, usable: Sequence[Exported], unusable: Sequence[RunError], work: Workload | None
) -> Opened:
    """Open the fastest export that is not damaged; Keras if there is none, or if all are much slower.

    For much work each is timed; otherwise what was measured at the export decides.
    """
    left = sorted(usable, key=_time_ratio)
    if (
        len(left) > 1
        and _time_ratio(left[0]) <= SLOWER
        and work is not None
        and work.pixels >= MEASURED_FROM
    ):
        return _open_measured(run, left, unusable, work)
    for best in left:
        if _time_ratio(best) > SLOWER:
            why = f"the fastest export, {best.name}, took {_time_ratio(best):.2f} of its time{_skipped(unusable)}"
            return _open_keras(run, why, _damaged(unusable))
        try:
            return _open_export(
                best, run.config(), f"{_why(best, usable)}{_skipped(unusable)}", _damaged(unusable)
            )
        except RunError as problem:
            unusable = [*unusable, problem]
    return _open_without_exports(run, unusable)


def _open_measured(
    run: Run, usable: Sequence[Exported], unusable: Sequence[RunError], work: Workload
) -> Opened:
    """Open each export that is not damaged, and keep the one that takes least time for a window."""
    config = run.config()
    best: Opened | None = None
    seconds: dict[str, float] = {}
    for exported in usable:
        try:
            opened = _open_export(exported, config, "")
        except RunError as problem:
            unusable = [*unusable, problem]
            continue
        seconds[exported.name] = seconds_per_window(opened.predict, config, work)
        if seconds[exported.name] == min(seconds.values()):
            best = opened
    if best is None:
        return _open_without_exports(run, unusable)
    fastest_first = sorted(seconds, key=lambda name: seconds[name])
    measured = ", ".join(f"{name} {seconds[name]:.3f} s" for name in fastest_first)
    why = f"fastest for a window of {work.height} x {work.width}: {measured}{_skipped(unusable)}"
    return best._replace(told=f"runtime: {fastest_first[0]} ({why})", warnings=_damaged(unusable))


def _open_without_exports(run: Run, unusable: Sequence[RunError]) -> Opened:
    why = f"no export to use (segkit export makes one){_skipped(unusable)}"
    return _open_keras(run, why, _damaged(unusable))


def _skipped(unusable: Sequence[RunError]) -> str:
    return f"; skipped: {', '.join(map(str, unusable))}" if unusable else ""


def _damaged(unusable: Sequence[RunError]) -> tuple[str, ...]:
    damaged = [
        problem
        for problem in unusable
        if problem.code in ("damaged-file", "missing-file", "unknown-name")
    ]
    return tuple(f"an export is not used: {problem}" for problem in damaged)


def _open_alone(exported: Exported, runtime: str) -> Opened:
    kind = exported.record.format
    if kind not in catalog.RUNTIMES:
        raise RunError(
            f"{exported.path}: a {kind} is for other programs; segkit predicts with {', '.join(CHOICES[1:])}",
            "not-predictable",
        )
    if runtime not in (AUTO, kind):
        raise RunError(
            f"{exported.path}: holds {kind} alone; --runtime {runtime} needs the run folder it was made from",
            "no-export",
        )
    unchecked = exported.record.precision != "float32" and exported.record.checked is None
    old = "; not checked since its run was tuned: export it again" if unchecked else ""
    return _open_export(exported, exported.config(), f"the export given{old}")


def _open_export(
    exported: Exported, config: RunConfig, why: str, warnings: tuple[str, ...] = ()
) -> Opened:
    exported.check()
    predict: Predict = catalog.load_part(catalog.RUNTIMES, exported.record.format)(exported)
    return Opened(predict, config, f"runtime: {exported.name} ({why})", warnings)


def _open_keras(run: Run, why: str, warnings: tuple[str, ...] = ()) -> Opened:
    from segkit.system.keras_start import load_keras

    device = load_keras()
    predict: Predict = catalog.load_part(catalog.RUNTIMES, "keras")(run)
    return Opened(predict, run.config(), f"runtime: {device} ({why})", warnings)


def _sorted_exports(run: Run, runtime: str) -> tuple[list[Exported], list[RunError]]:
    """Return the exports that a runtime ("auto": any) can use, and the others with what is wrong with each."""
    usable: list[Exported] = []
    unusable: list[RunError] = []
    for folder in export_folders(run.path):
        try:
            found = Exported.read(folder)
        except RunError as problem:
            unusable.append(problem)
            continue
        kind = found.record.format
        if kind not in catalog.RUNTIMES or runtime not in (AUTO, kind):
            continue
        if not is_installed(kind):
            package = f'`pip install "keras-segkit[{kind}]"` for {PACKAGES[kind]}'
            unusable.append(RunError(f"{found.name} ({package})", "missing-package"))
        elif not found.is_of(run.model):
            reason = "made from another model.keras; export it again"
            unusable.append(RunError(f"{found.name} ({reason})", "outdated-export"))
        elif found.record.precision != "float32" and found.record.checked is None:
            reason = "not checked since the run was tuned; export it again"
            unusable.append(RunError(f"{found.name} ({reason})", "unchecked-export"))
        else:
            usable.append(found)
    return usable, unusable


def _missing(run: Run, runtime: str, unusable: list[RunError]) -> RunError:
    advice = f"make one with: segkit export {run.path} --format {runtime}"
    if not unusable:
        return RunError(f"{run.path}: has no {runtime} export; {advice}", "no-export")
    found = ", ".join(map(str, unusable))
    return unusable[0].with_message(f"{run.path}: cannot use {found}; {advice}")


def _time_ratio(exported: Exported) -> float:
    checked = exported.record.checked
    return checked.time_ratio if checked else 1.0


def _why(best: Exported, usable: Sequence[Exported]) -> str:
    others = ", ".join(
        f"{other.name} {_time_ratio(other):.2f}" for other in usable if other is not best
    )
    compared = f", {others}" if others else ""
    return f"{_time_ratio(best):.2f} of Keras' time when it was exported{compared}"


def is_installed(runtime: str) -> bool:
    """Return whether a runtime's package can be imported, without importing it."""
    return importlib.util.find_spec(PACKAGES[runtime]) is not None
