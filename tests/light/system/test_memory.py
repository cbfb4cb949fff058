"""How much memory a container leaves."""

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
def test_files_that_were_read_once_leave_room_in_a_container(
    limit: str, used: str, stat: str, tmp_path: Path
) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text("1000\n")
    (tmp_path / used).write_text("900\n")
    assert container_room(tmp_path) == 2**62  # only some of its files are no container's
    (tmp_path / stat).write_text("active_file 5\ninactive_file 300\ntotal_inactive_file 7\n")
    assert container_room(tmp_path) == 400
    (tmp_path / stat).write_text("file 5\n")
    assert container_room(tmp_path) == 100
    (tmp_path / used).write_text("1200\n")
    assert container_room(tmp_path) == 0


def test_without_a_limit_there_is_room(tmp_path: Path) -> None:
    assert container_room(tmp_path) == 2**62
    for name, text in (("max", "max"), ("current", "900"), ("stat", "inactive_file 1")):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    assert container_room(tmp_path) == 2**62
