"""All that prediction writes of an image, at once or not at all, and the tables of all images."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.data.sources.coding import coding_of
from segkit.errors import ConfigError, DataError
from segkit.inference.outputs import summary
from segkit.inference.outputs.masks import Masks, Overlays
from segkit.inference.outputs.prediction import Answer, Output, beside
from segkit.inference.outputs.probabilities import Uncertainty
from segkit.io.atomic import remove_leftovers, together
from segkit.io.coding import Coding, segkit_coding
from segkit.io.coding_record import read_record, record_of, record_path, write_record
from segkit.io.files import make_folder
from segkit.io.georeference import has_place
from segkit.io.locks import wait_for_lock
from segkit.io.names import check_class_folders
from segkit.io.overlay import OverlayStyle, check_overlay

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What no other image can be written after."""
LITTLE = 2**16
"""Free bytes at which a disk counts as full: not every writer says why it failed."""


class Outputs(NamedTuple):
    """What to write: masks into a folder, and what else was asked for into folders beside it ("DIR-overlays")."""

    masks: Path
    overlays: bool | OverlayStyle = False
    """Whether masks are drawn over images, and in which style."""
    probabilities: str | None = None
    """A name of `catalog.PROBABILITIES`."""
    formats: tuple[str, ...] = ()
    """Names of `catalog.OUTPUTS`."""
    uncertainty: bool = False
    coding: str = "data"
    """How masks are stored, a name of `segkit.data.sources.coding.CODINGS`."""

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

    def __init__(self, config: RunConfig, outputs: Outputs) -> None:
        check_class_folders(config.task)
        self.task, self.masks = config.task, outputs.masks
        self.need_probabilities = outputs.need_probabilities
        self.coding_name, self.coding = outputs.coding, coding_of(config, outputs.coding)
        self.table = beside(outputs.masks, "-summary.csv")
        self.beside: list[Output] = [
            catalog.load_part(catalog.OUTPUTS, name)(self.task, outputs.masks)
            for name in outputs.formats
        ]
        if outputs.probabilities:
            kind = catalog.load_part(catalog.PROBABILITIES, outputs.probabilities)
            self.beside.append(kind(self.task, outputs.masks))
        if outputs.uncertainty:
            self.beside.append(Uncertainty(self.task, outputs.masks))
        style = check_overlay(outputs.overlays)
        if style:
            self.beside.append(Overlays(self.task, outputs.masks, style))
        self.mask_output = Masks(self.coding, outputs.masks)

    @property
    def outputs(self) -> list[Output]:
        """All that is written of an image; its mask is the last."""
        return [*self.beside, self.mask_output]

    def check_coding(self, names: Iterable[str]) -> None:
        """Raise `ConfigError` if the folder holds masks that are stored in another way; `names` are those of images.

        Raises `DataError` if two images would have one mask.

        A folder has masks of one coding, or nobody could read it. Masks without a record are segkit's own: older versions
        wrote no other.
        """
        _check_apart(self.coding, names)
        own, found, usual = (
            record_of(self.coding),
            read_record(self.masks),
            segkit_coding(self.task),
        )
        without_record = found is None and own != record_of(usual)
        if without_record and any(summary.mask_files(usual, self.masks, name) for name in names):
            found = record_of(usual)
        if found is not None and found != own:
            raise ConfigError(
                f"{self.masks} holds masks that are stored in another way ({found.layout}, {found.in_words()}) than those of "
                f"this run ({own.layout}, {own.in_words()}); choose another folder, or remove that one and "
                f"{record_path(self.masks)}",
                "mismatch",
                setting="--out",
            )

    def prepare(self) -> None:
        """Remove what a killed run left half-written, and see that the folders can be written to. Raises `OSError`.

        What is written first says how masks are stored.
        """
        for output in self.outputs:
            make_folder(output.folder)
            remove_leftovers(output.folder)
            with tempfile.TemporaryFile(dir=output.folder) as probe:
                probe.write(b"1")
        remove_leftovers(self.table.parent, below=False)
        write_record(self.coding, self.coding_name, self.masks)

    def paths(self, name: str, placed: bool = False) -> list[Path]:
        """Return all files of an image, in the order in which they get their names; `placed` if the image has a place."""
        others = [path for output in self.beside for path in output.paths(name)]
        return [*others, *self.mask_output.paths(name, placed)]

    def is_done(self, name: str, image: Path | None = None) -> bool:
        """Return whether all files of an image are there; where only masks are written, these may be PNG or TIFF."""
        if not self.beside:
            return bool(summary.mask_files(self.coding, self.masks, name))
        placed = image is not None and has_place(image)
        return all(path.exists() for path in reversed(self.paths(name, placed)))

    def write(self, answer: Answer) -> summary.Row:
        """Write all files of an image, or none: they get their names when all are written, the mask the last one.

        Returns the image's row of the summary table. Raises `DataError` if a mask of another suffix is there.
        """
        paths = self.paths(answer.name, answer.place is not None)
        check_only_mask(self.mask_output.paths(answer.name, answer.place is not None))
        with together(paths) as temporaries:
            left = list(temporaries)
            for output in self.beside:
                own = [left.pop(0) for _ in output.paths(answer.name)]
                output.write(answer, own)
            self.mask_output.write(answer, left)
        return summary.row_of(self.task, answer.name, answer.mask)

    def finish(self, names: Iterable[str], rows: Mapping[str, summary.Row] | None = None) -> None:
        """Write the tables of all images that are there: of `names`, written now or before, and of other runs.

        `rows` are those that `write` returned; what is not among them is counted in the mask files, where it must be.
        Raises `OSError`, or `DataError` for a file that no run wrote.
        """
        with wait_for_lock(self.masks / ".merging"):
            for output in self.outputs:
                output.merge()
            summary.write_summary(self.coding, self.masks, self.table, names, rows or {})


def _check_apart(coding: Coding, names: Iterable[str]) -> None:
    """Raise `DataError` if the masks of two images would be one file, which the suffix of image names may lead to."""
    found: dict[str, str] = {}
    for name in names if coding.image_suffix else ():
        other = found.setdefault(name.removesuffix(coding.image_suffix), name)
        if other != name:
            raise DataError(
                f"{other} and {name} would have one mask, because data.image_suffix is {coding.image_suffix}; predict them "
                f"into different folders",
                "duplicate-name",
            )


def check_only_mask(paths: Sequence[Path]) -> None:
    """Raise `DataError` if a mask of the same name but another suffix is there: an image has one mask."""
    for path in paths:
        other = path.with_suffix(".png" if path.suffix == ".tif" else ".tif")
        if other.exists():
            raise DataError(
                f"{other}: stands where {path.name} would be a second mask of one name; move it away",
                "duplicate-name",
            )


def is_full(problem: Exception, folder: Path) -> bool:
    """Return whether an error means that nothing more can be written: a full or a read-only disk."""
    if not isinstance(problem, OSError):
        return False
    return problem.errno in FULL or (
        problem.errno is None and shutil.disk_usage(folder).free < LITTLE
    )
