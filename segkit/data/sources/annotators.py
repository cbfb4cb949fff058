"""Images with the masks of several annotators, whose mean is the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.config.soft_labels import annotator_configs
from segkit.data.sources.source import Sample, Source, open_source, task_of_source
from segkit.errors import DataError, SegkitError
from segkit.task import VOID, Task
from segkit.task.soft import as_soft, hard_target, mean_of_masks

OF_THE_IMAGE = ("geometry", "image_file", "is_page")
"""Methods that take the name of a sample and are about its image, which is one for all."""
MOST_LISTED = 5
"""Names that a message lists at most."""


class Annotators:
    """The samples of several sources that share their images and their names.

    Args:
        sources: The source of each annotator by name.
        task: The task of all masks, with `soft`.
        may_miss: Whether a sample may lack the masks of some annotators.

    Raises:
        DataError: If a sample lacks a mask and may not, or is in different parts.
    """

    def __init__(self, sources: Mapping[str, Source], task: Task, *, may_miss: bool) -> None:
        self.sources = sources
        self.task = task
        self._annotators: dict[str, list[str]] = {}
        for annotator, source in sources.items():
            for name in source.names:
                self._annotators.setdefault(name, []).append(annotator)
        self.names = list(self._annotators)
        if not may_miss:
            self._check_complete()
        self.parts = self._joined_parts()

    def __getattr__(self, name: str) -> Any:
        """Return a method that takes the name of a sample, if all sources have it."""
        methods: dict[str, Callable[[str], Any]] = {"files": self._files}
        for method in OF_THE_IMAGE:
            methods[method] = self._of_image(method)
        if name not in methods or not all(hasattr(x, name) for x in self.sources.values()):
            raise AttributeError(name)
        return methods[name]

    def _of_image(self, method: str) -> Callable[[str], Any]:
        def call(sample: str) -> Any:
            first = self._annotators[sample][0]
            return getattr(self.sources[first], method)(sample)

        return call

    def _files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from, each once."""
        found: dict[Path, None] = {}
        for annotator in self._annotators[name]:
            source: Any = self.sources[annotator]
            found.update(dict.fromkeys(source.files(name)))
        return list(found)

    def _check_complete(self) -> None:
        """Raise `DataError` if a sample lacks the mask of an annotator."""
        for annotator in self.sources:
            without = [name for name in self.names if annotator not in self._annotators[name]]
            if without:
                listed = ", ".join(without[:MOST_LISTED])
                raise DataError(
                    f"annotator {annotator}: {len(without)} images have no mask, but others "
                    f"annotated them: {listed}. If an image needs the mask of one annotator only, "
                    f"set data.missing_masks: leave_out",
                    "unpaired",
                )

    def _joined_parts(self) -> dict[str, list[str]]:
        """Return the parts that the sources list."""
        part_of: dict[str, str] = {}
        for annotator, source in self.sources.items():
            for part, names in source.parts.items():
                for name in names:
                    if part_of.setdefault(name, part) != part:
                        raise DataError(
                            f"annotator {annotator}: {name} is in the part {part}, but in "
                            f"{part_of[name]} for another annotator",
                            "list",
                        )
        parts: dict[str, list[str]] = {}
        for name, part in part_of.items():
            parts.setdefault(part, []).append(name)
        return parts

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The sample with its soft target, and with the masks of the annotators.

        Raises:
            DataError: If a source raises it, or if masks have different sizes; the message names
                the annotator.
        """
        samples = []
        targets = []
        for annotator in self._annotators[name]:
            try:
                sample = self.sources[annotator].read(name)
                targets.append(self.task.encode(sample.mask, name, void=VOID))
            except DataError as problem:
                raise problem.with_message(f"annotator {annotator}: {problem}") from problem
            samples.append(sample)
            if sample.mask.shape != samples[0].mask.shape:
                raise DataError(
                    f"annotator {annotator}: the mask of {name} has the shape "
                    f"{sample.mask.shape}, that of {self._annotators[name][0]} "
                    f"{samples[0].mask.shape}",
                    "mask-size",
                )
        return self._mean(samples[0], targets)

    def _mean(self, sample: Sample, targets: list[np.ndarray]) -> Sample:
        soft = mean_of_masks(self.task, targets)
        mask = hard_target(self.task, soft).reshape(sample.mask.shape)
        return sample._replace(mask=mask, soft=soft, annotations=tuple(targets))

    @property
    def skipped(self) -> dict[str, int]:
        """Number of entries that the sources left out, by the code of their problem."""
        counts: Counter[str] = Counter()
        for source in self.sources.values():
            counts.update(getattr(source, "skipped", {}))
        return dict(counts)

    @property
    def left_out(self) -> list[Any]:
        """Files that look like images and that no source reads."""
        of_each = [getattr(source, "left_out", []) for source in self.sources.values()]
        return [entry for entry in of_each[0] if all(entry in others for others in of_each)]

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        found: list[tuple[str, str]] = []
        for name, source in self.sources.items():
            for code, sentence in getattr(source, "decisions", []):
                found.append((code, f"annotator {name}: {sentence}"))
        return found

    @property
    def read_as(self) -> str:
        """How the sources read their files, in words."""
        words = [getattr(source, "read_as", "") for source in self.sources.values()]
        return "; ".join(dict.fromkeys(word for word in words if word))

    @property
    def stored(self) -> Any:
        """How all masks are stored; None if the annotators differ."""
        return self._same("stored")

    @property
    def plane(self) -> Any:
        """The direction of the slices of volumes; None if it is unknown."""
        return self._same("plane")

    def _same(self, attribute: str) -> Any:
        """Return an attribute that is equal in all sources, otherwise None."""
        values = [getattr(source, attribute, None) for source in self.sources.values()]
        return values[0] if all(value == values[0] for value in values) else None


def open_annotators(data: DataConfig, task: Task) -> Annotators:
    """Open the source of each annotator.

    Args:
        data: The section `data`, with `annotators`.
        task: The task of the masks.

    Raises:
        ConfigError: If a setting of an annotator does not fit; the message names the annotator.
        DataError: If the masks of an annotator cannot be opened.
    """
    task = as_soft(task)
    sources = {}
    for name, section in annotator_configs(data).items():
        try:
            source = open_source(section, task)
            task_of_source(task, source)  # refuses masks in which a pixel may have several classes
        except SegkitError as problem:
            raise problem.with_message(f"annotator {name}: {problem}") from problem
        sources[name] = source
    return Annotators(sources, task, may_miss=data.missing_masks == "leave_out")
