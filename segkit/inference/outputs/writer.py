"""Write all files of an image or none, and the tables of all images."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.data.sources.coding import coding_of
from segkit.errors import ConfigError, DataError
from segkit.inference.outputs import summary
from segkit.inference.outputs.masks import Masks, Overlays
from segkit.inference.outputs.prediction import Output, PredictedImage, beside
from segkit.inference.outputs.probabilities import Uncertainty
from segkit.inference.outputs.shape_options import ALL_SHAPES, ShapeOptions
from segkit.io.atomic import remove_leftovers, together
from segkit.io.coding import Coding, segkit_coding
from segkit.io.coding_record import read_record, record_of, record_path, write_record
from segkit.io.failures import LITTLE
from segkit.io.files import make_folder
from segkit.io.georeference import has_place
from segkit.io.locks import wait_for_lock
from segkit.io.names import check_class_folders
from segkit.io.overlay import OverlayStyle, check_overlay

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors after which no other image can be written either."""


class Outputs(NamedTuple):
    """What to write: masks into a folder, and everything else into folders beside it."""

    masks: Path
    overlays: bool | OverlayStyle = False
    """Whether masks are drawn over images, and in which style."""
    probabilities: str | None = None
    """A name of `catalog.PROBABILITIES`."""
    formats: tuple[str, ...] = ()
    """Names of `catalog.ALL_OUTPUTS`."""
    uncertainty: bool = False
    coding: str = "data"
    """How masks are stored, a name of `segkit.data.sources.coding.CODINGS`."""
    shapes: ShapeOptions = ALL_SHAPES
    """Which objects are written, and how their polygons are thinned."""

    @property
    def need_probabilities(self) -> bool:
        """Whether an output is made from the probabilities, and not from the mask alone."""
        return bool(self.probabilities or self.formats or self.uncertainty)

    @property
    def folders(self) -> list[Path]:
        """The folders to write to."""
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
    """Writes the results of images. An image is complete once its mask exists.

    In a multilabel task with a folder per class, it is complete once the mask of the last class
    exists. Threads may share one object, and several processes may write into the same folders.

    Raises:
        ConfigError: For a task whose class names cannot be names of folders.
    """

    def __init__(self, config: RunConfig, outputs: Outputs) -> None:
        check_class_folders(config.task)
        self.task = config.task
        self.masks = outputs.masks
        self.need_probabilities = outputs.need_probabilities
        self.coding_name = outputs.coding
        self.shapes = outputs.shapes
        self.coding = coding_of(config, outputs.coding)
        self.table = beside(outputs.masks, "-summary.csv")
        self.other_outputs = _other_outputs(config, outputs)
        self.mask_output = Masks(self.coding, outputs.masks)
        for output in self.other_outputs:
            output.coding = self.coding

    @property
    def outputs(self) -> list[Output]:
        """All outputs of an image; the mask is the last one."""
        return [*self.other_outputs, self.mask_output]

    def check_coding(self, names: Iterable[str]) -> None:
        """Check that all files in each folder are stored in one way.

        Masks without a record are taken for segkit's own coding, because older versions wrote no
        other.

        Args:
            names: Names of the images to predict.

        Raises:
            ConfigError: If a folder holds files that are stored in another way.
            DataError: If two images would have the same mask file.
        """
        _check_different_masks(self.coding, names)
        for output in self.other_outputs:
            output.check_folder()
        own = record_of(self.coding)
        found = read_record(self.masks)
        segkit_own = segkit_coding(self.task)
        without_record = found is None and own != record_of(segkit_own)
        if without_record and any(summary.mask_files(segkit_own, self.masks, n) for n in names):
            found = record_of(segkit_own)
        if found is not None and found != own:
            raise ConfigError(
                f"{self.masks} holds masks that are stored in another way ({found.layout}, "
                f"{found.in_words()}) than those of this run ({own.layout}, {own.in_words()}); "
                f"choose another folder, or remove that one and {record_path(self.masks)}",
                "mismatch",
                setting="--out",
            )

    def prepare(self) -> None:
        """Make the folders, remove unfinished files of killed runs, and record the coding.

        Raises:
            OSError: If a folder cannot be written to.
        """
        for output in self.outputs:
            make_folder(output.folder)
            remove_leftovers(output.folder)
            with tempfile.TemporaryFile(dir=output.folder) as probe:
                probe.write(b"1")
        remove_leftovers(self.table.parent, below=False)
        write_record(self.coding, self.coding_name, self.masks)

    def paths(self, name: str, on_map: bool = False) -> list[Path]:
        """Return all files of an image, in the order in which they are renamed.

        `on_map` says whether the image lies on a map; its mask is a TIFF then.
        """
        paths: list[Path] = []
        for output in self.other_outputs:
            paths += output.paths(name)
        return [*paths, *self.mask_output.paths(name, on_map)]

    def is_done(self, name: str, image: Path | None = None) -> bool:
        """Return whether all files of an image exist.

        If only masks are written, they may be PNG or TIFF. Otherwise the image says which.
        """
        if not self.other_outputs:
            return bool(summary.mask_files(self.coding, self.masks, name))
        on_map = image is not None and has_place(image)
        return all(path.exists() for path in reversed(self.paths(name, on_map)))

    def write(self, predicted: PredictedImage) -> summary.Row:
        """Write all files of an image, or none.

        All files are written to temporary names and then renamed, the mask last.

        Returns:
            The row of the image for the summary table.

        Raises:
            DataError: If a mask with another suffix exists.
            OSError: If a file cannot be written.
        """
        on_map = predicted.location is not None
        mask_paths = self.mask_output.paths(predicted.name, on_map)
        check_only_mask(mask_paths)
        with together(self.paths(predicted.name, on_map)) as temporaries:
            begin = 0
            predicted = replace(predicted, shapes=self.shapes)
            for output in self.other_outputs:
                end = begin + len(output.paths(predicted.name))
                output.write(predicted, temporaries[begin:end])
                begin = end
            self.mask_output.write(predicted, temporaries[begin:])
        return summary.row_of(self.task, predicted.name, predicted.mask)

    def finish(self, names: Iterable[str], rows: Mapping[str, summary.Row] | None = None) -> None:
        """Write the tables of all images that exist, also of those that other runs wrote.

        Args:
            names: Names of images, written by this run or before.
            rows: The rows that `write` returned. Missing rows are counted in the mask files.

        Raises:
            OSError: If a table cannot be written.
            DataError: For a file that no run wrote.
        """
        with wait_for_lock(self.masks / ".merging"):
            problem: DataError | None = None
            for output in self.outputs:
                try:
                    output.merge()
                except DataError as found:  # the other files of all images are written first
                    problem = problem or found
            summary.write_summary(self.coding, self.masks, self.table, names, rows or {})
            if problem is not None:
                raise problem


def _other_outputs(config: RunConfig, outputs: Outputs) -> list[Output]:
    """Return the outputs beside the masks."""
    kinds = [catalog.load_part(catalog.ALL_OUTPUTS, name) for name in outputs.formats]
    if outputs.probabilities:
        kinds.append(catalog.load_part(catalog.PROBABILITIES, outputs.probabilities))
    if outputs.uncertainty:
        kinds.append(Uncertainty)
    others = [kind(config.task, outputs.masks) for kind in kinds]
    style = check_overlay(outputs.overlays)
    if style:
        others.append(Overlays(config.task, outputs.masks, style))
    return others


def _check_different_masks(coding: Coding, names: Iterable[str]) -> None:
    """Raise `DataError` if `data.image_suffix` makes the masks of two images one file."""
    if not coding.image_suffix:
        return
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(name.removesuffix(coding.image_suffix), name)
        if other != name:
            raise DataError(
                f"{other} and {name} would have one mask, because data.image_suffix is "
                f"{coding.image_suffix}; predict them into different folders",
                "duplicate-name",
            )


def check_only_mask(paths: Sequence[Path]) -> None:
    """Raise `DataError` if a mask of the same name with another suffix exists."""
    for path in paths:
        other = path.with_suffix(".png" if path.suffix == ".tif" else ".tif")
        if other.exists():
            raise DataError(
                f"{other}: exists already, and {path.name} would be a second mask of the same "
                f"image; move it away",
                "duplicate-name",
            )


def is_full(problem: Exception, folder: Path) -> bool:
    """Return whether an error means that nothing more can be written: a full or read-only disk."""
    if not isinstance(problem, OSError):
        return False
    if problem.errno is None:
        return shutil.disk_usage(folder).free < LITTLE
    return problem.errno in FULL
