"""A source that counts how often each sample is read, and samples kept on disk."""

from __future__ import annotations

from pathlib import Path

from segkit.config import InputConfig
from segkit.data.batches.cache import Read
from segkit.data.batches.disk_cache import OnDisk
from segkit.data.sources.source import Sample, Subset, open_source
from tests.helpers.every_source import Made

GIVEN = InputConfig(channels=3, dtype="uint8", mean=(0.0,) * 3, std=(1.0,) * 3, low=0, high=255)


class Counting(Subset):
    """The samples of a source, with the number of times that one was read."""

    def __init__(self, made: Made) -> None:
        source = open_source(made.data, made.task)
        super().__init__(source, source.names)
        self.reads = 0
        read = source.read

        def counted(name: str) -> Sample:
            self.reads += 1
            return read(name)

        source.read = counted  # type: ignore[method-assign]


def on_disk(made: Made, part: Subset, where: Path) -> OnDisk:
    return OnDisk(Read(part, made.task, GIVEN), part, made.data, made.task, GIVEN, where)
