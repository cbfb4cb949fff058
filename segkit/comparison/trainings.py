"""The trainings of a comparison: in turn by seed, each in a process of its own, kept once they are finished."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from segkit.comparison.settings import Setting
from segkit.config.trust import names_imports
from segkit.errors import RunError
from segkit.io.atomic import remove_leftovers, write_text
from segkit.io.files import make_folder
from segkit.io.json_files import read_object
from segkit.io.locks import lock_or_fail
from segkit.run import Run

RECORD = "comparison.json"
LOCK = ".lock"


class Training(NamedTuple):
    """One setting with one seed, and where it lies."""

    setting: Setting
    seed: int
    folder: Path

    @property
    def config_file(self) -> Path:
        """The setting's config, the same for all seeds."""
        return self.folder / "config.yaml"

    @property
    def run(self) -> Run:
        """Its run folder."""
        return Run(self.folder / f"seed-{self.seed}")

    @property
    def log(self) -> Path:
        """What the training said."""
        return self.folder / f"seed-{self.seed}.log"

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end; its own scores are the last thing that a training writes."""
        return self.run.scores.is_file() and self.run.model.is_file()


def in_turn(out: Path, settings: Sequence[Setting], seeds: int) -> list[Training]:
    """Return seed 0 of each setting, then seed 1 of each, ...: a machine that slows down hits all settings alike."""
    folders = [
        out / f"{number}-{_plain(setting.name)}" for number, setting in enumerate(settings, start=1)
    ]
    return [
        Training(setting, seed, folder)
        for seed in range(seeds)
        for setting, folder in zip(settings, folders, strict=True)
    ]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60].strip("-.")


@contextmanager
def begun(out: Path, settings: Sequence[Setting], seeds: int) -> Iterator[None]:
    """Begin the comparison in a free folder, or go on with the same one; meanwhile no other process may.

    Raises `RunError` if the folder holds anything else.
    """
    record = out / RECORD
    wanted = {
        "seeds": seeds,
        "settings": {each.name: each.config.model_dump(mode="json") for each in settings},
    }
    remove_leftovers(out, below=False)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        _check_same(record, wanted)
    make_folder(out)
    with lock_or_fail(out / LOCK, "compares settings there"):
        write_text(record, json.dumps(wanted, indent=2) + "\n")
        for training in in_turn(out, settings, 1):
            write_text(training.config_file, training.setting.config.as_yaml())
        yield


def _check_same(record: Path, wanted: dict[str, object]) -> None:
    if not record.is_file():
        if not record.parent.is_dir() or {path.name for path in record.parent.iterdir()} - {LOCK}:
            raise RunError(
                f"{record.parent}: is not empty and holds no comparison; choose another folder with --out",
                "exists-already",
            )
        return
    found = read_object(record, ("seeds", "settings"), "choose another folder with --out")
    differ = [name for name in ("seeds", "settings") if found[name] != wanted[name]]
    if differ:
        names = ", ".join(map(str, found["settings"] or ()))
        raise RunError(
            f"{record.parent}: holds another comparison ({found['seeds']} seeds of: {names}); "
            f"its {' and '.join(differ)} are not those asked for. Go on with the same command, or "
            f"choose another folder with --out",
            "mismatch",
        )


def run_training(training: Training) -> str | None:
    """Train from the beginning in a process of its own; return what went wrong, in words, or None.

    What an interrupted training left is removed first: gone on with, it would have had other minutes than the rest.
    """
    if training.run.path.exists():
        shutil.rmtree(training.run.path)
    command = [sys.executable, "-m", "segkit.cli.child", "train", str(training.config_file)]
    command += ["--set", f"train.seed={training.seed}", "--run", str(training.run.path)]
    if names_imports(training.setting.config):
        command.append("--trust")  # as was said of the config that this one comes from
    with training.log.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            status = process.wait()
        finally:
            process.communicate()  # closes its input, which ends it if we are interrupted
    if status == 0 and training.is_finished:
        return None
    return _why(status, training.log)


def _why(status: int, log: Path) -> str:
    if status < 0:
        return f"was ended by signal {-status}" + (" (not enough memory?)" if status == -9 else "")
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")] or lines[
        -1:
    ]
    return f"{told[-1] if told else f'exit status {status}'} (all of it: {log})"
