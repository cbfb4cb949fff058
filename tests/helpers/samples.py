"""Samples in memory, as a source gives them."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.data.sources.source import Sample, Subset


class InMemory:
    """A source of the samples given."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = {sample.name: sample for sample in samples}
        self.names = list(self.samples)
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        return self.samples[name]


def in_memory(samples: Sequence[Sample]) -> Subset:
    """Return the samples as a part."""
    source = InMemory(samples)
    return Subset(source, source.names)
