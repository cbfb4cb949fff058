"""A source gives samples by name, read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from segkit import catalog
from segkit.config import DataConfig
from segkit.config.trust import untrusted
from segkit.io import codecs
from segkit.task import VOID, Task


class Sample(NamedTuple):
    """An image (H, W, C) and its mask as `Task.encode` takes it, 255 for unlabelled pixels."""

    name: str
    image: np.ndarray
    mask: np.ndarray
    valid: np.ndarray | None = None
    """(H, W) bool: where the image holds a measurement; None if it does everywhere. Elsewhere the mask is void."""


def void_where_invalid(mask: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Return a mask (H, W) or (H, W, C) with 255 where the image holds no measurement."""
    if valid is None:
        return mask
    return np.where(valid if mask.ndim == 2 else valid[..., None], mask, VOID).astype(mask.dtype)


class Source(Protocol):
    """Samples by name. Reading one twice gives the same; an error names the file."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def parts(self) -> Mapping[str, Sequence[str]]:
        """The names of train, validation and test where the data set itself says so; empty if it does not."""

    def read(self, name: str) -> Sample: ...


class Subset:
    """The samples of a source that have the given names."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        self.source, self.names = source, names

    def read(self, name: str) -> Sample:
        return self.source.read(name)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Sample]:
        return (self.read(name) for name in self.names)


def open_source(data: DataConfig, task: Task) -> Source:
    """Return the source that a config's `data` section names, for this task.

    Raises `ConfigError` for one of one's own ("module:attribute") unless `data.trust` says that it may be imported.
    """
    codecs.limit_pixels(data.max_pixels)
    if ":" in data.source and not data.trust:
        raise untrusted("data.source", data.source)
    source: Source = catalog.load_part(catalog.SOURCES, data.source)(data, task)
    if data.blocks is None:
        return source
    from segkit.data.sources.blocks import BlockSource

    return BlockSource(source, data.blocks)
