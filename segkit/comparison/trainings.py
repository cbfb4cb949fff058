"""The trainings of a comparison: one process per training, and finished ones are not repeated."""

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
    """One setting trained with one seed, in the setting's folder."""

    setting: Setting
    seed: int
    folder: Path

    @property
    def config_file(self) -> Path:
        """The setting's config, the same for all seeds."""
        return self.folder / "config.yaml"

    @property
    def run(self) -> Run:
        """The run folder of the training."""
        return Run(self.folder / f"seed-{self.seed}")

    @property
    def log(self) -> Path:
        """The text that the training prints."""
        return self.folder / f"seed-{self.seed}.log"

    @property
    def is_finished(self) -> bool:
        """Whether the training ended: its scores are the last file that it writes."""
        return self.run.scores.is_file() and self.run.model.is_file()


def in_turn(out: Path, settings: Sequence[Setting], seeds: int) -> list[Training]:
    """Return the trainings in order: seed 0 of each setting, then seed 1 of each, and so on.

    A machine that becomes slower in the meantime then affects all settings alike.

    Args:
        out: The folder of the comparison.
        settings: The settings.
        seeds: Number of trainings per setting.
    """
    trainings = []
    for seed in range(seeds):
        for number, setting in enumerate(settings, start=1):
            folder = out / f"{number}-{_folder_name(setting.name)}"
            trainings.append(Training(setting, seed, folder))
    return trainings


def _folder_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:60].strip("-.")


@contextmanager
def begun(out: Path, settings: Sequence[Setting], seeds: int) -> Iterator[None]:
    """Begin a comparison in an empty folder, or continue the same one, and lock the folder.

    Raises:
        RunError: The folder holds something else, or another process compares there.
    """
    record = out / RECORD
    dumped = {setting.name: setting.config.model_dump(mode="json") for setting in settings}
    comparison = {"seeds": seeds, "settings": dumped}
    remove_leftovers(out, below=False)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        _check_same(record, comparison)
    make_folder(out)
    with lock_or_fail(out / LOCK, "compares settings there"):
        write_text(record, json.dumps(comparison, indent=2) + "\n")
        for training in in_turn(out, settings, 1):
            write_text(training.config_file, training.setting.config.as_yaml())
        yield


def _check_same(record: Path, comparison: dict[str, object]) -> None:
    """Refuse a folder that is not empty, unless its record is that of the same comparison."""
    folder = record.parent
    if not record.is_file():
        if not folder.is_dir() or {path.name for path in folder.iterdir()} - {LOCK}:
            raise RunError(
                f"{folder}: is not empty and does not hold a comparison; choose another folder "
                f"with --out",
                "exists-already",
            )
        return
    found = read_object(record, ("seeds", "settings"), "choose another folder with --out")
    differ = [name for name in ("seeds", "settings") if found[name] != comparison[name]]
    if differ:
        names = ", ".join(map(str, found["settings"] or ()))
        raise RunError(
            f"{folder}: holds another comparison ({found['seeds']} seeds of: {names}), with "
            f"different {' and '.join(differ)}. Repeat its command to continue it, or choose "
            f"another folder with --out",
            "mismatch",
        )


def run_training(training: Training) -> str | None:
    """Run a training from the beginning in a process of its own.

    The run of an interrupted training is removed first. A resumed training would have had other
    minutes than the rest.

    Returns:
        The reason of a failure in one sentence, or None.
    """
    if training.run.path.exists():
        shutil.rmtree(training.run.path)
    command = [sys.executable, "-m", "segkit.cli.child", "train", str(training.config_file)]
    command += ["--set", f"train.seed={training.seed}", "--run", str(training.run.path)]
    if names_imports(training.setting.config):
        command.append("--trust")  # the user trusted the config that this one was made from
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
    return _reason(status, training.log)


def _reason(status: int, log: Path) -> str:
    """Return why a training ended: its signal, its last error message, or its last line."""
    if status == -9:
        return "was ended by signal 9 (not enough memory?)"
    if status < 0:
        return f"was ended by signal {-status}"
    message = f"exit status {status}"
    has_error = False
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text.startswith("error: "):
            message = text.removeprefix("error: ")
            has_error = True
        elif text and not has_error:
            message = text
    return f"{message} (see {log})"
