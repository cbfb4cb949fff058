"""All that prediction writes of an image, at once or not at all, and the tables of all images."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.inference.outputs import summary
from segkit.inference.outputs.masks import Masks, Overlays
from segkit.inference.outputs.prediction import Answer, Output, beside
from segkit.inference.outputs.probabilities import Uncertainty
from segkit.io.atomic import remove_leftovers, together
from segkit.io.files import make_folder
from segkit.io.locks import taking_turns
from segkit.io.names import check_class_folders
from segkit.task import Task

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What no other image can be written after."""
LITTLE = 2**16
"""Free bytes at which a disk counts as full: not every writer says why it failed."""


class Outputs(NamedTuple):
    """What to write: masks into a folder, and what else was asked for into folders beside it ("DIR-overlays")."""

    masks: Path
    overlays: bool = False
    probabilities: str | None = None
    """A name of `catalog.PROBABILITIES`."""
    formats: tuple[str, ...] = ()
    """Names of `catalog.OUTPUTS`."""
    uncertainty: bool = False

    @property
    def need_probabilities(self) -> bool:
        """Whether something is written that is made of the probabilities, and not of the mask alone."""
        return bool(self.probabilities or self.formats or self.uncertainty)

    @property
    def folders(self) -> list[Path]:
        """The folders that are written to."""
        endings = [""]
        if self.overlays:
            endings.append("-overlays")
        if self.probabilities:
            endings.append("-probabilities")
        if self.uncertainty:
            endings.append("-uncertainty")
        endings += [f"-{name}" for name in self.formats]
        return [beside(self.masks, ending) for ending in endings]


class Results:
    """Writes the results of images, each image whole: where its mask stands, and in a multilabel task the last class's, all
    stands.

    One object may be used by several threads, and several processes may write into the same folders. Raises `ConfigError`
    for a task whose classes cannot be folders.
    """

    def __init__(self, task: Task, outputs: Outputs) -> None:
        check_class_folders(task)
        self.task, self.masks = task, outputs.masks
        self.need_probabilities = outputs.need_probabilities
        self.table = beside(outputs.masks, "-summary.csv")
        self.outputs: list[Output] = [
            catalog.load(catalog.OUTPUTS, name)(task, outputs.masks) for name in outputs.formats
        ]
        if outputs.probabilities:
            self.outputs.append(catalog.load(catalog.PROBABILITIES, outputs.probabilities)(task, outputs.masks))
        if outputs.uncertainty:
            self.outputs.append(Uncertainty(task, outputs.masks))
        if outputs.overlays:
            self.outputs.append(Overlays(task, outputs.masks))
        self.outputs.append(Masks(task, outputs.masks))

    def prepare(self) -> None:
        """Remove what a killed run left half-written, and see that the folders can be written to. Raises `OSError`."""
        for output in self.outputs:
            make_folder(output.folder)
            remove_leftovers(output.folder)
            with tempfile.TemporaryFile(dir=output.folder) as probe:
                probe.write(b"1")
        remove_leftovers(self.table.parent, below=False)

    def paths(self, name: str) -> list[Path]:
        """Return all files of an image, in the order in which they get their names."""
        return [path for output in self.outputs for path in output.paths(name)]

    def is_done(self, name: str) -> bool:
        """Return whether all files of an image are there; for one that was predicted by windows these are its masks."""
        if all(path.exists() for path in reversed(self.paths(name))):
            return True
        return len(self.outputs) == 1 and bool(summary.files_of(self.task, self.masks, name))

    def write(self, answer: Answer) -> summary.Row:
        """Write all files of an image, or none: they get their names when all are written, the mask the last one.

        Returns the image's row of the summary table.
        """
        with together(self.paths(answer.name)) as temporaries:
            left = list(temporaries)
            for output in self.outputs:
                own = [left.pop(0) for _ in output.paths(answer.name)]
                output.write(answer, own)
        return summary.row_of(self.task, answer.name, answer.mask)

    def finish(self, names: Iterable[str], rows: Mapping[str, summary.Row] | None = None) -> None:
        """Write the tables of all images that are there: of `names`, written now or before, and of other runs.

        `rows` are those that `write` returned; what is not among them is counted in the mask files, where it must be.
        Raises `OSError`, or `DataError` for a file that no run wrote.
        """
        with taking_turns(self.masks):
            for output in self.outputs:
                output.merge()
            summary.write_summary(self.task, self.masks, self.table, names, rows or {})


def is_full(problem: Exception, folder: Path) -> bool:
    """Return whether an error means that nothing more can be written: a full or a read-only disk."""
    if not isinstance(problem, OSError):
        return False
    return problem.errno in FULL or (problem.errno is None and shutil.disk_usage(folder).free < LITTLE)
