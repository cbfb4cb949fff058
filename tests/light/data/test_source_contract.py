"""What every source of the catalog keeps to."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import VOID, DataError
from segkit.catalog import SOURCES
from segkit.data.sources.source import Sample, Source, open_source
from tests.helpers.every_source import (
    MAKERS,
    Made,
    every_source,
    scans_of_dicom,
)
from tests.helpers.extras import has_geo


def test_every_source_of_the_catalog_is_tested_here() -> None:
    assert set(MAKERS) == set(SOURCES)


def opened(made: Made) -> Source:
    return open_source(made.data, made.task)


def same(one: Sample, other: Sample) -> bool:
    return one.name == other.name and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in ((one.image, other.image), (one.mask, other.mask))
    )


@every_source
def test_reading_a_sample_again_gives_the_same_bits(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    made = make(tmp_path)
    source, again = opened(made), opened(made)
    first = {name: source.read(name) for name in source.names}
    for other in (source, again):
        assert all(same(other.read(name), first[name]) for name in reversed(source.names))
    with ThreadPoolExecutor(4) as pool:
        assert all(
            same(sample, first[sample.name])
            for sample in pool.map(opened(made).read, list(first) * 4)
        )


@every_source
def test_changing_a_sample_does_not_change_the_next_read(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    made = make(tmp_path)
    source = opened(made)
    before = source.read(made.name)
    for array in (sample := source.read(made.name)).image, sample.mask:
        if array.flags.writeable:
            array[:] = 7
    assert same(source.read(made.name), before)


@pytest.mark.long
@every_source
def test_memory_does_not_grow_with_the_samples_read(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    if make is scans_of_dicom:
        pytest.skip("1200 DICOM files take long to decode; the other scans are as good here")
    source = opened(make(tmp_path))

    def memory_after(reads: int) -> int:
        for i in range(reads):
            source.read(source.names[i % len(source.names)])
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        grown = -memory_after(800) + memory_after(400)  # tables of the interpreter grow at first
    finally:
        tracemalloc.stop()
    assert grown < 400 * 150  # the smallest sample holds some 500 bytes


@every_source
def test_names_are_unique_and_parts_consist_of_them(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    made = make(tmp_path)
    source = opened(made)
    assert len(source.names) > 2
    assert len(set(source.names)) == len(source.names)
    assert all(isinstance(name, str) and name for name in source.names)
    assert made.name in source.names
    assert set(source.parts) <= {"train", "validation", "test"}
    listed = [name for names in source.parts.values() for name in names]
    assert set(listed) <= set(source.names)
    assert len(set(listed)) == len(listed)
    assert list(opened(made).names) == list(source.names)


@every_source
def test_the_task_can_encode_every_mask(tmp_path: Path, make: Callable[[Path], Made]) -> None:
    made = make(tmp_path)
    source = opened(made)
    seen: set[int] = set()
    for name in source.names:
        sample = source.read(name)
        assert sample.name == name
        assert sample.image.ndim == 3
        assert sample.image.dtype in (np.uint8, np.uint16, np.float32)
        target = made.task.encode(sample.mask, name, void=VOID)
        assert target.shape == made.task.target_shape(*sample.image.shape[:2])
        seen |= set(target.ravel().tolist())
    assert {0, 1} <= seen


@every_source
def test_an_error_names_the_file(tmp_path: Path, make: Callable[[Path], Made]) -> None:
    made = make(tmp_path)
    if made.file is None:
        return
    source = opened(made)
    before, content = source.read(made.name), made.file.read_bytes()
    for broken in (content[:-45], b""):
        made.file.write_bytes(broken)
        for read in (source.read, lambda name: opened(made).read(name)):
            with pytest.raises(DataError) as problem:
                read(made.name)
            assert names(problem.value, made)
    made.file.write_bytes(content)
    assert same(opened(made).read(made.name), before)


@every_source
def test_a_file_that_is_gone_since_the_source_was_opened_is_named(
    tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    made = make(tmp_path)
    source = opened(made)
    source.read(made.name)
    if made.file is None:
        return
    made.file.unlink()
    with pytest.raises(DataError) as problem:
        source.read(made.name)
    assert names(problem.value, made)


def names(problem: DataError, made: Made) -> bool:
    """Return whether an error names the sample's file, or the data set's folder and record."""
    file, message = str(made.file), str(problem)
    return file in message or f"{Path(file).parent}: {made.name}" in message


OPEN = """
import json, sys
from segkit import Task
from segkit.data.sources.source import open_source
from segkit.config.data import DataConfig
for name, data, task in json.loads(sys.argv[1]):
    source = open_source(DataConfig.model_validate(data), Task.model_validate(task))
    source.read(source.names[0])
    heavy = {"keras", "tensorflow", "albumentations", "jax", "torch"}
    print(name, sorted(heavy & set(sys.modules)))
"""


def test_opening_and_reading_need_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    settings: list[Any] = []
    opened_names = [name for name in MAKERS if name != "scans" or find_spec("nibabel")]
    if not has_geo():
        opened_names.remove("vector")
    if not find_spec("imageio_ffmpeg"):
        opened_names.remove("video")
    for name in opened_names:
        make = MAKERS[name]
        (tmp_path / name).mkdir()
        made = make(tmp_path / name)
        settings.append(
            [name, made.data.model_dump(mode="json"), made.task.model_dump(mode="json")]
        )
    done = subprocess.run(
        [sys.executable, "-c", OPEN, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} []" for name in opened_names]
