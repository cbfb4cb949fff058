"""Checkpoints: the position of a training and all its variables in one file."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segkit.errors import RunError, one_line
from segkit.io.atomic import atomic

Groups = Mapping[str, Sequence[np.ndarray]]
"""Variables by their kind ("weights", "optimizer", "metrics"), in the network's order."""
FILES = 3
"""Checkpoints on the disk at one time: the latest, the previous, and the one being written."""


@dataclass(frozen=True)
class Position:
    """The position of a training."""

    epoch: int = 0
    """Number of complete epochs."""
    step: int = 0
    """Number of steps in the next epoch."""
    seconds: float = 0.0
    """Time of these steps in seconds."""

    def steps_done(self, steps_per_epoch: int) -> int:
        """Return the number of steps since the beginning.

        Args:
            steps_per_epoch: The number of steps per epoch.

        >>> Position(epoch=2, step=3).steps_done(10)
        23
        """
        return self.epoch * steps_per_epoch + self.step


class Checkpoints:
    """The checkpoints in a folder: latest.npz, and previous.npz in case the latest is unreadable.

    A checkpoint is written under a temporary name, flushed to the disk and renamed. A killed
    process, a full disk or a power cut therefore never replaces a good checkpoint by a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self.latest = folder / "latest.npz"
        self.previous = folder / "previous.npz"

    def save(self, position: Position, groups: Groups) -> None:
        """Write a checkpoint; the latest one becomes the previous one.

        Args:
            position: The position of the training.
            groups: All variables by their kind.

        Raises:
            OSError: If the disk is full. Existing checkpoints stay.
        """
        arrays = {"position": np.array([position.epoch, position.step, position.seconds])}
        for kind, group in groups.items():
            for i, array in enumerate(group):
                arrays[f"{kind}/{i}"] = array
        with atomic(self.latest) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
            to_disk(temporary)
            if self.latest.is_file():
                os.replace(self.latest, self.previous)

    def recover(self) -> None:
        """Replace an unreadable or missing latest checkpoint by the previous one.

        Raises:
            RunError: If there are checkpoints, but none of them can be read.
        """
        exists = self.latest.exists() or self.previous.exists()
        if not exists or _is_readable(self.latest):
            return
        if not _is_readable(self.previous):
            raise RunError(
                f"{self.latest}: neither this nor the previous checkpoint can be read (a damaged "
                f"disk?). Begin a new run",
                "damaged-file",
            )
        os.replace(self.previous, self.latest)

    def position(self) -> Position:
        """Return the position of the latest checkpoint; the beginning if there is none."""
        if not self.latest.is_file():
            return Position()
        with _reading(self.latest), np.load(self.latest) as arrays:
            epoch, step, seconds = arrays["position"]
            return Position(int(epoch), int(step), float(seconds))

    def load(self) -> dict[str, list[np.ndarray]]:
        """Return the variables of the latest checkpoint by kind; empty if there is none."""
        groups: dict[str, list[np.ndarray]] = {}
        if not self.latest.is_file():
            return groups
        with _reading(self.latest), np.load(self.latest) as arrays:
            for name in arrays.files:  # in the order in which they were written
                kind, slash, _ = name.partition("/")
                if slash:
                    groups.setdefault(kind, []).append(arrays[name])
        return groups


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise `RunError` in place of any exception about a damaged file."""
    try:
        yield
    except Exception as problem:  # a damaged file can raise anything
        reason = one_line(problem)
        raise RunError(
            f"{path}: cannot be read ({reason}); it is damaged or not a checkpoint. Begin a new "
            f"run",
            "damaged-file",
        ) from problem


def to_disk(path: Path) -> None:
    """Flush a written file to the disk, so that it survives a power cut."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def check_disk_space(folder: Path, state: int, model: int) -> None:
    """Check that checkpoints and models fit on the disk of a run folder.

    There are three models: model.keras, last.keras and the one being written. Files that exist
    already are replaced, so their sizes are subtracted.

    Args:
        folder: The run folder.
        state: Size of a checkpoint in bytes.
        model: Size of a model in bytes.

    Raises:
        RunError: If they do not fit.
    """
    existing = 0
    for path in folder.rglob("*"):
        is_temporary = path.name.startswith(".")  # a killed process may leave such files for good
        if path.suffix in (".npz", ".keras") and not is_temporary:
            existing += path.stat().st_size
    needed = FILES * state + 3 * model - existing
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise RunError(
            f"{folder}: checkpoints and models need {_size(needed)} on this disk, and "
            f"{_size(free)} are free. Free some space and continue with --resume, or choose "
            f"another disk with --run",
            "no-space",
        )


def _is_readable(path: Path) -> bool:
    """Return whether a file is a complete checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and "position.npy" in archive.namelist()
    except Exception:  # a damaged directory of the archive can raise anything
        return False


def _size(amount: float) -> str:
    """Return a number of bytes in GB or MB."""
    if amount >= 1e8:
        return f"{amount / 1e9:.2f} GB"
    return f"{amount / 1e6:.1f} MB"
