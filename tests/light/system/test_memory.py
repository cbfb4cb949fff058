"""The free memory of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from segkit.system.memory import container_room


@pytest.mark.parametrize(
    ("limit", "used", "stat"),
    [
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ],
)
def test_cached_files_count_as_free_memory_of_a_container(
    limit: str, used: str, stat: str, tmp_path: Path
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text("1000\n")
    (tmp_path / used).write_text("900\n")
    assert container_room(tmp_path) == 2**62  # some of the files are missing
    (tmp_path / stat).write_text("active_file 5\ninactive_file 300\ntotal_inactive_file 7\n")
    assert container_room(tmp_path) == 400
    (tmp_path / stat).write_text("file 5\n")
    assert container_room(tmp_path) == 100
    (tmp_path / used).write_text("1200\n")
    assert container_room(tmp_path) == 0


def test_without_a_limit_memory_is_unlimited(tmp_path: Path) -> None:
    assert container_room(tmp_path) == 2**62
    for name, text in (("max", "max"), ("current", "900"), ("stat", "inactive_file 1")):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    assert container_room(tmp_path) == 2**62
