"""Samples in which some classes were not annotated, so that background may be one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from segkit.config import DataConfig
from segkit.config.sets import stored_sets, unlabelled_of
from segkit.data.sources.source import Sample, Source
from segkit.data.sources.wrapped import WrappedSource
from segkit.errors import ConfigError, DataError
from segkit.task import Task
from segkit.task.layers import layer_of, leave_open, sets_left_open
from segkit.task.meanings import with_sets


class PartlyLabelled(WrappedSource):
    """The samples of another source, with classes left open that were not annotated.

    Args:
        source: The source of the samples. `unlabelled`, if it has it, names the classes that were
            not annotated in single samples.
        data: The `data` section of a config. `unlabelled` names the classes that were not annotated
            in any sample.
        task: The task of the masks.

    Attributes:
        task: The task with all sets of classes that the samples need.
    """

    def __init__(self, source: Source, data: DataConfig, task: Task) -> None:
        check_unlabelled(data, task)
        super().__init__(source)
        self._everywhere = unlabelled_of(task, data)
        self._refused: tuple[str, ...] = ()
        if data.labelled_classes is not None:
            self._refused = self._everywhere
        self._of_samples: Mapping[str, Sequence[str]] = getattr(source, "unlabelled", {})
        self._list = data.list_file
        stored = stored_sets(task, data)
        needed: list[tuple[str, ...]] = []
        for names in dict.fromkeys(map(self.unlabelled_in, source.names)):
            needed += sets_left_open(task, names, stored)
        self.task = with_sets(task, needed)

    def unlabelled_in(self, name: str) -> tuple[str, ...]:
        """Return the classes that were not annotated in a sample."""
        return tuple(dict.fromkeys([*self._everywhere, *self._of_samples.get(name, ())]))

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from, with the list of annotated classes."""
        files = self.files_below(name)
        return files if self._list is None else [*files, self._list]

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The sample. Its mask is encoded by the attribute `task`.

        Raises:
            DataError: If the other source raises it.
        """
        sample = self.source.read(name)
        unlabelled = self.unlabelled_in(name)
        if not unlabelled:
            return sample
        self._check_annotated(sample)
        return sample._replace(mask=leave_open(self.task, sample.mask, unlabelled))

    def _check_annotated(self, sample: Sample) -> None:
        """Raise `DataError` if a mask has a class that `data.labelled_classes` leaves out."""
        for name in self._refused:
            label = self.task.classes.index(name)
            if layer_of(self.task, sample.mask, label).any():
                raise DataError(
                    f"{sample.name}: the mask has pixels of {name}, which was not annotated here "
                    f"(data.labelled_classes). Say what the values of the masks mean "
                    f"(data.mask_values), or add the class to data.labelled_classes",
                    "mask-values",
                )


def leave_classes_open(source: Source, data: DataConfig, task: Task) -> Source:
    """Return a source whose samples leave open the classes that were not annotated.

    Args:
        source: The source of the samples.
        data: The `data` section of a config.
        task: The task of the masks.

    Returns:
        The source itself if all classes were annotated in all samples, otherwise `PartlyLabelled`.

    Raises:
        ConfigError: If `data.unlabelled` does not fit the task.
    """
    _check_names(data, task)
    if not unlabelled_of(task, data) and not getattr(source, "unlabelled", None):
        return source
    return PartlyLabelled(source, data, task)


def check_unlabelled(data: DataConfig, task: Task) -> None:
    """Check that unlabelled classes are classes of the task, and that there is a background.

    Raises:
        ConfigError: If they are not.
    """
    _check_names(data, task)
    if not task.can_be_nothing:
        raise ConfigError(
            "a class that was not annotated may be where the background is, and this task has no "
            "background; map the pixels that are open to void or to several classes "
            "(data.mask_values)",
            "not-for-task",
            setting="data.unlabelled",
        )


def _check_names(data: DataConfig, task: Task) -> None:
    """Raise `ConfigError` if a setting names other classes than those of the task."""
    labels = [task.classes[index] for index in task.foreground]
    named = {"unlabelled": data.unlabelled, "labelled_classes": data.labelled_classes}
    for setting, names in named.items():
        unknown = [name for name in names or () if name not in labels]
        if unknown:
            raise ConfigError(
                f"must be names of {', '.join(labels)}; found {', '.join(unknown)}",
                "unknown-name",
                setting=f"data.{setting}",
            )
