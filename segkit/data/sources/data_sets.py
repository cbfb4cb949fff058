"""The samples of several data sets as one source, each sample called SET/NAME."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from segkit.config import DataConfig
from segkit.config.data_sets import set_configs
from segkit.data.sources.source import Sample, Source, open_source, task_of_source
from segkit.errors import ConfigError, DataError, SegkitError
from segkit.task import Task

OF_A_SAMPLE = ("files", "geometry", "image_file", "is_page")
"""Methods that take the name of a sample; the sets have them if all their sources do."""


class DataSets:
    """The samples of several sources.

    If a data set lists parts and another one does not, all samples of the other one are in the
    training part, apart from shares of it for parts that no set lists.

    Args:
        sources: The sources by the names of their sets.
        task: The task of the masks, with all sets of classes that the sources need.
    """

    def __init__(self, sources: Mapping[str, Source], task: Task) -> None:
        self.sources = sources
        self.task = task
        self._places: dict[str, tuple[Source, str]] = {}
        for name, source in sources.items():
            for own in source.names:
                self._places[f"{name}/{own}"] = (source, own)
        self.names = list(self._places)
        self.parts = self._joined_parts()

    def __getattr__(self, name: str) -> Any:
        """Return a method of a sample if all sources have it."""
        if name not in OF_A_SAMPLE or not all(hasattr(x, name) for x in self.sources.values()):
            raise AttributeError(name)
        return self._method(name)

    def _method(self, name: str) -> Callable[[str], Any]:
        def call(sample: str) -> Any:
            source, own = self._places[sample]
            return getattr(source, name)(own)

        return call

    def _joined_parts(self) -> dict[str, list[str]]:
        """Return the parts that the data sets list."""
        parts: dict[str, list[str]] = {}
        if not any(source.parts for source in self.sources.values()):
            return parts
        for name, source in self.sources.items():
            listed = {part: list(names) for part, names in source.parts.items()}
            if "train" not in listed:
                elsewhere = {own for names in listed.values() for own in names}
                listed["train"] = [own for own in source.names if own not in elsewhere]
            for part, names in listed.items():
                parts.setdefault(part, []).extend(f"{name}/{own}" for own in names)
        return parts

    def image_of(self, name: str) -> str:
        """Return the name of the image of a sample, which may be a block of it."""
        source, own = self._places[name]
        image: str = getattr(source, "image_of", lambda sample: sample)(own)
        return f"{set_of(name)}/{image}"

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: SET/NAME.

        Returns:
            The sample, with this name.

        Raises:
            DataError: If the source of the set raises it; the message names the set.
        """
        source, own = self._places[name]
        try:
            return source.read(own)._replace(name=name)
        except DataError as problem:
            raise problem.with_message(f"set {set_of(name)}: {problem}") from problem

    @property
    def skipped(self) -> dict[str, int]:
        """Number of entries that the sources left out, by the code of their problem."""
        counts: Counter[str] = Counter()
        for source in self.sources.values():
            counts.update(getattr(source, "skipped", {}))
        return dict(counts)

    @property
    def left_out(self) -> list[Any]:
        """Files in the folders of all sets that look like images but are not read."""
        found: list[Any] = []
        for source in self.sources.values():
            found += getattr(source, "left_out", [])
        return found

    @property
    def read_as(self) -> str:
        """How the sources read their files, in words."""
        words = [getattr(source, "read_as", "") for source in self.sources.values()]
        return "; ".join(dict.fromkeys(word for word in words if word))

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        found: list[tuple[str, str]] = []
        for name, source in self.sources.items():
            for code, sentence in getattr(source, "decisions", []):
                found.append((code, f"set {name}: {sentence}"))
        return found

    @property
    def stored(self) -> Any:
        """How all masks are stored; None if the sets differ."""
        return self._same("stored")

    @property
    def plane(self) -> Any:
        """The direction of the slices of all volumes; None if the sets differ."""
        return self._same("plane")

    def _same(self, attribute: str) -> Any:
        """Return an attribute that is equal in all sources, otherwise None."""
        values = [getattr(source, attribute, None) for source in self.sources.values()]
        if all(value == values[0] for value in values):
            return values[0]
        return None


def set_of(name: str) -> str:
    """Return the set of a sample of several data sets.

    >>> set_of("livers/monday/a")
    'livers'
    """
    return name.partition("/")[0]


def open_sets(data: DataConfig, task: Task) -> DataSets:
    """Open the source of each set.

    Args:
        data: The section `data`, with `sets`.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting of a set does not fit; the message names the set.
        DataError: If the data of a set cannot be opened; the message names the set.
    """
    sources = _open_each(data, task)
    needed = task
    for source in sources.values():
        needed = task_of_source(needed, source)
    if needed != task:  # a set of classes must have one mask value in all sources
        sources = _open_each(data, needed)
    _check_planes(sources)
    return DataSets(sources, needed)


def _check_planes(sources: Mapping[str, Source]) -> None:
    """Raise `ConfigError` if the volumes of two sets were scanned in different directions."""
    planes = {name: getattr(source, "plane", None) for name, source in sources.items()}
    if len(set(planes.values())) > 1:
        listed = ", ".join(f"{name} is {plane}" for name, plane in planes.items())
        raise ConfigError(
            f"the volumes of the sets were scanned in different directions ({listed}); name the "
            f"slices to use",
            "missing-setting",
            setting="data.axis",
        )


def _open_each(data: DataConfig, task: Task) -> dict[str, Source]:
    sources = {}
    for name, section in set_configs(data).items():
        try:
            sources[name] = open_source(section, task)
        except SegkitError as problem:
            raise problem.with_message(f"set {name}: {problem}") from problem
    return sources
