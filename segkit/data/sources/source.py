"""A source reads samples by name, on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from segkit import catalog
from segkit.config import DataConfig
from segkit.config.sets import task_for
from segkit.config.trust import untrusted
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.task import VOID, Task, with_sets


class Sample(NamedTuple):
    """An image and its mask."""

    name: str
    image: np.ndarray
    """(H, W, C) uint8, uint16 or float32."""
    mask: np.ndarray
    """(H, W) or (H, W, C) uint8, the input of `Task.encode`; 255 (VOID) is unlabelled. Of soft
    labels it is the mask that `segkit.task.soft.hard_target` makes."""
    valid: np.ndarray | None = None
    """(H, W) bool, whether the image has a measurement there; elsewhere the mask is VOID.

    None if the image has a measurement everywhere.
    """
    geometry: Geometry | None = None
    """The physical size and place of the image's pixels; None if its file states none of them.

    `Geometry` says how the reader of a file format fills it in.
    """
    soft: np.ndarray | None = None
    """(H, W, C) uint8, the soft target (`segkit.task.soft`); None if the mask says all."""
    annotations: tuple[np.ndarray, ...] = ()
    """The masks of several annotators, encoded by the task; empty without `data.annotators`."""


def void_where_invalid(mask: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Set a mask to VOID where the image has no measurement.

    Args:
        mask: (H, W) or (H, W, C), an integer dtype.
        valid: (H, W) bool, or None if the image has a measurement everywhere.

    Returns:
        The mask, in its dtype. It is a copy unless `valid` is None.
    """
    if valid is None:
        return mask
    if mask.ndim == 3:
        valid = valid[..., None]
    return np.where(valid, mask, VOID).astype(mask.dtype)


class Source(Protocol):
    """Samples by name. Reading a sample twice gives equal arrays; an error names the file."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all samples, each once."""

    @property
    def parts(self) -> Mapping[str, Sequence[str]]:
        """The names of "train", "validation" and "test", as far as the data set lists them."""

    def read(self, name: str) -> Sample:
        """Read a sample; raises `DataError` if that fails."""


def geometry_of(source: Source, name: str) -> Geometry | None:
    """Return the physical size and place of a sample's image; None if its file states none.

    A source may have a method `geometry(name)` that reads only the header of a file. Otherwise the
    sample is read.

    Raises:
        DataError: If the file cannot be read.
    """
    from_header = getattr(source, "geometry", None)
    if from_header is None:
        return source.read(name).geometry
    found: Geometry | None = from_header(name)
    return found


class Subset:
    """Some samples of a source.

    Args:
        source: The source.
        names: The names of the samples, in their order.
    """

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self.source = source
        self.names = names

    def read(self, name: str) -> Sample:
        """Read a sample of the source; raises `DataError` if that fails."""
        return self.source.read(name)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Sample]:
        return (self.read(name) for name in self.names)


def open_source(data: DataConfig, task: Task) -> Source:
    """Open the source of a config's `data` section.

    Args:
        data: The section. `source` is a name of `segkit.catalog.SOURCES`, or "module:attribute".
        task: The task whose masks are read.

    Returns:
        The source; with `data.sets` that of all sets. With `data.blocks` its samples are blocks of
        the images. If classes were not annotated in some samples, its attribute `task` has all sets
        of classes that they need.

    Raises:
        ConfigError: If settings do not fit, or if a "module:attribute" is not trusted
            (`data.trust`).
        DataError: If the data cannot be opened.
    """
    codecs.limit_pixels(data.max_pixels)
    if ":" in data.source and not data.trust:
        raise untrusted("data.source", data.source)
    task = task_for(task, data)
    if data.annotators is not None:
        from segkit.data.sources.annotators import open_annotators

        return in_blocks(open_annotators(data, task), data)
    if data.sets is not None:
        from segkit.data.sources.data_sets import open_sets

        return open_sets(data, task)
    data.check_shapes(data.source)
    source: Source = catalog.load_part(catalog.SOURCES, data.source)(data, task)
    source = _with_partial_labels(source, data, task)
    return in_blocks(source, data)


def in_blocks(source: Source, data: DataConfig) -> Source:
    """Return a source whose images are cut into blocks, if `data.blocks` says so."""
    if data.blocks is None:
        return source
    from segkit.data.sources.blocks import BlockSource

    return BlockSource(source, data.blocks)


def task_of_source(task: Task, source: Source) -> Task:
    """Return a task that also has the sets of classes which the samples of a source need."""
    own = getattr(source, "task", task)
    return with_sets(task, own.sets) if isinstance(own, Task) else task


def _with_partial_labels(source: Source, data: DataConfig, task: Task) -> Source:
    """Return a source whose masks leave open what the settings say that nobody labelled."""
    from segkit.data.sources.labelled_area import LabelledArea
    from segkit.data.sources.partly_labelled import leave_classes_open
    from segkit.data.sources.points import GrownPoints

    if data.point_radius is not None:
        source = GrownPoints(source, data.point_radius)
    if data.labelled_area is not None and data.labelled_area.masks is not None:
        source = LabelledArea(source, data.labelled_area)
    return leave_classes_open(source, data, task)
