"""The state of a training on disk: where it stands and every variable, in one file that is whole or is not used."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segkit.errors import RunError
from segkit.io.atomic import atomic

Groups = Mapping[str, Sequence[np.ndarray]]
"""Variables by their kind ("weights", "optimizer", "metrics"), each kind in an order that the network fixes."""
FILES = 3
"""Checkpoints on the disk at one time: the last, the one before, and the one being written."""


@dataclass(frozen=True)
class Position:
    """Where a training stands: whole epochs, steps of the next one, and the seconds that these steps took."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0

    def steps_done(self, steps_per_epoch: int) -> int:
        """Return the steps since the beginning.

        >>> Position(epoch=2, step=3).steps_done(10)
        23
        """
        return self.epoch * steps_per_epoch + self.step


class Checkpoints:
    """The checkpoints in a folder: latest.npz, and previous.npz should the latest be unreadable.

    A checkpoint is written under a temporary name, forced to the disk and renamed, so neither a kill nor a full disk
    nor a power cut leaves a broken one in the place of a good one.
    """

    def __init__(self, folder: Path) -> None:
        self.latest, self.previous = folder / "latest.npz", folder / "previous.npz"

    def save(self, position: Position, groups: Groups) -> None:
        """Write a checkpoint. Raises `OSError` if there is no room, with the ones before untouched."""
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
        """Put the checkpoint before in the place of one that is unreadable or missing.

        Raises `RunError` if there are checkpoints, but none that can be read.
        """
        if _whole(self.latest) or not (self.latest.exists() or self.previous.exists()):
            return
        if not _whole(self.previous):
            raise RunError(
                f"{self.latest}: no checkpoint there can be read (a damaged disk?); begin a new run",
                "damaged-file",
            )
        os.replace(self.previous, self.latest)

    def position(self) -> Position:
        """Return where the latest checkpoint stands; the beginning if there is none."""
        if not self.latest.is_file():
            return Position()
        with _reading(self.latest), np.load(self.latest) as arrays:
            epoch, step, seconds = arrays["position"]
            return Position(int(epoch), int(step), float(seconds))

    def load(self) -> dict[str, list[np.ndarray]]:
        """Return the variables of the latest checkpoint; none if there is no checkpoint."""
        groups: dict[str, list[np.ndarray]] = {}
        if self.latest.is_file():
            with _reading(self.latest), np.load(self.latest) as arrays:
                for name in arrays.files:  # as they were written: 0, 1, 2 ... of each kind
                    kind, slash, _ = name.partition("/")
                    if slash:
                        groups.setdefault(kind, []).append(arrays[name])
        return groups


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises into a `RunError`."""
    try:
        yield
    except Exception as problem:  # one bad byte can raise anything
        raise RunError(
            f"{path}: cannot be read ({problem}); it is damaged, or no checkpoint. Begin a new run",
            "damaged-file",
        ) from problem


def to_disk(path: Path) -> None:
    """Return when a file that was written is on the disk, so that a power cut cannot take it."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def check_disk_space(folder: Path, state: int, model: int) -> None:
    """Raise `RunError` if checkpoints of `state` bytes and models of `model` bytes do not fit on the folder's disk.

    model.keras, last.keras and the one being written are three models. What is there already is not needed again.
    """
    needed = FILES * state + 3 * model
    files = [path for path in folder.rglob("*") if path.suffix in (".npz", ".keras")]
    there = sum(
        path.stat().st_size for path in files if not path.name.startswith(".")
    )  # what a kill left may stay
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise RunError(
            f"{folder}: checkpoints and models need {_size(needed - there)} on this disk, and {_size(free)} are free; make "
            f"room and go on with --resume, or choose another disk with --run",
            "no-space",
        )


def _whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None and "position.npy" in archive.namelist()
    except Exception:  # one bad byte in its directory can raise anything
        return False


def _size(amount: float) -> str:
    return f"{amount / 1e9:.2f} GB" if amount >= 1e8 else f"{amount / 1e6:.1f} MB"
