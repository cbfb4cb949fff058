"""The cache of decoded samples: chosen by settings and room, and checked in advance."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from segkit import ConfigError
from segkit.data.batches import cache as samples
from segkit.data.batches.cache import InMemory, Read, check_memory, open_samples
from segkit.data.batches.disk_cache import OnDisk
from tests.helpers.command_line import assert_fails
from tests.helpers.counting_source import GIVEN, Counting
from tests.helpers.errors import fails
from tests.helpers.every_source import Made, folder, save


def chosen(
    made: Made,
    cache: str,
    where: Path | None,
    monkeypatch: pytest.MonkeyPatch,
    memory: float,
    disk: float,
) -> Any:
    monkeypatch.setattr(samples.memory, "free_memory", lambda: memory)
    monkeypatch.setattr(
        samples.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk + samples.SPARE)
    )
    data = made.data.model_copy(update={"cache": cache})
    return open_samples(Counting(made), data, made.task, GIVEN, where)


def test_auto_takes_memory_then_disk_then_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, where = folder(tmp_path), tmp_path / "cache"
    size = sum(
        array.nbytes
        for name in ("a", "b", "c d/ä")
        for array in Read(Counting(made), made.task, GIVEN)(name)
    )
    much, little = 4.1 * size, 3.9 * size
    kinds = [
        type(chosen(made, "auto", folder, monkeypatch, memory, disk))
        for folder, memory, disk in (
            (where, much, 0),
            (where, little, much),
            (where, little, little),
            (None, little, much),
        )
    ]
    assert kinds == [InMemory, OnDisk, InMemory, InMemory]
    assert isinstance(chosen(made, "none", where, monkeypatch, much, much), Read)


def test_too_little_room_is_reported_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, where = folder(tmp_path), tmp_path / "cache"
    with fails(ConfigError, "no-space", "memory", "data.cache: disk", setting="data.cache"):
        chosen(made, "memory", where, monkeypatch, 100, 10**9)
    with fails(ConfigError, "no-space", where, "data.cache: memory", setting="data.cache"):
        chosen(made, "disk", where, monkeypatch, 10**9, 100)
    with fails(ConfigError, "missing-setting", setting="data.cache_folder"):
        chosen(made, "disk", None, monkeypatch, 10**9, 10**9)
    assert not where.exists()
    cached = chosen(made, "disk", where, monkeypatch, 100, 10**6)
    for name in ("a", "b", "c d/ä"):
        cached(name)
    assert isinstance(
        chosen(made, "disk", where, monkeypatch, 100, 0), OnDisk
    )  # all is there already


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_all_parts_have_to_fit_together(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, where = folder(tmp_path), tmp_path / "cache"
    part = Counting(made)
    size = sum(array.nbytes for name in part.names for array in Read(part, made.task, GIVEN)(name))
    data = made.data.model_copy(update={"cache": cache})
    share = samples.MOST if cache == "memory" else 1
    for fits, free in ((1, 1.9 * size), (2, 2.1 * size)):
        monkeypatch.setattr(samples.memory, "free_memory", lambda free=free: free / share)
        monkeypatch.setattr(
            samples.shutil,
            "disk_usage",
            lambda path, free=free: SimpleNamespace(free=free + samples.SPARE),
        )
        check_memory([part] * fits, data, made.task, GIVEN, where)
        with fails(ConfigError, "no-space", f"data.cache: {cache}", setting="data.cache"):
            check_memory([part] * (fits + 1), data, made.task, GIVEN, where)
    check_memory([part] * 9, made.data.model_copy(update={"cache": "auto"}), made.task, GIVEN, None)


def test_a_part_in_memory_uses_little_more_than_its_estimated_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is for the other parts; images that were not looked at may be larger."""
    made = folder(tmp_path)
    size = sum(array.nbytes for array in Read(Counting(made), made.task, GIVEN)("a"))
    data = made.data.model_copy(update={"cache": "memory"})
    monkeypatch.setattr(samples.memory, "free_memory", lambda: 10**9)
    for room, times_read in ((size + 1, 1), (size - 1, 3)):
        monkeypatch.setattr(
            samples, "check_memory", lambda parts, *_, room=room: room / samples.MARGIN
        )
        part = Counting(made)
        cached = open_samples(part, data, made.task, GIVEN)
        for _ in range(3):
            cached("a")
        assert part.reads == times_read


def test_a_source_that_lists_no_files_is_not_cached_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(tmp_path)
    monkeypatch.delattr("segkit.data.sources.folder.FolderSource.files")
    assert isinstance(chosen(made, "auto", tmp_path, monkeypatch, 1, 10**9), InMemory)
    with fails(ConfigError, "contradiction", "files(name)", setting="data.cache"):
        chosen(made, "disk", tmp_path, monkeypatch, 10**9, 10**9)


def test_training_checks_the_room_before_it_begins_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40, 3), np.uint8)
        save(tmp_path / "images" / f"{i}.png", pixels)
        save(tmp_path / "masks" / f"{i}.png", pixels[..., 0] // 128)
    folders = {
        "images": str(tmp_path / "images"),
        "masks": str(tmp_path / "masks"),
        "cache": "memory",
    }
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"task": {"kind": "binary", "classes": ["a"]}, "data": folders})
    )
    monkeypatch.setattr(samples.memory, "free_memory", lambda: 1000)
    command = ["train", str(tmp_path / "config.yaml"), "--run", str(tmp_path / "run")]
    assert_fails(command, ConfigError, "no-space", "memory", setting="data.cache")
    assert not (tmp_path / "run").exists()
