"""Names that become files: none leads out of its folder, and two never are one file."""

from __future__ import annotations

import ntpath
import os
import posixpath
import string
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.io.images import write_image
from segkit.io.masks import write_mask
from segkit.io.names import (
    cell,
    cell_name,
    check_class_folders,
    check_file_names,
    file_in,
    same_files,
    why_unsafe,
)
from segkit.system.terminal import has_controls, shown
from tests.helpers.errors import fails

LEADING_OUT = [
    "../a",
    "a/../../b",
    "..",
    "/etc/a",
    "//host/a",
    "C:a",
    "c:/a",
    "C:\\a",
    "..\\a",
    "a\\b",
    "\\\\host\\a",
    "a/..",
    ".",
]
DEVICES = [
    "con",
    "CON",
    "nul",
    "a/NUL",
    "aux.tar",
    "com1",
    "LPT9.x",
    "prn/a",
    "COM¹",
    "CONIN$",
    "con .x",
]
CHARACTERS = [
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[2J",
    "\x7f",
    "\x9b2J",
    "a\udcff",
    "a\u2028b",
    "a\u202eb",
]
ENDINGS = ["a./b", "a /b", "a//b", "/", "a/", "", ".hidden", "a/.hidden", "..."]
UNSAFE = [*LEADING_OUT, *DEVICES, *CHARACTERS, *ENDINGS]
SAFE = [
    "a",
    "monday/a",
    "a.b",
    "a b",
    "ü",
    "日本",
    "a'b",
    "=1",
    "-a",
    "console",
    "com10",
    "a..b",
    "null",
    "x" * 200,
    "at 12:30",
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_trap_48_a_name_that_is_no_file_below_its_folder_is_refused(
    tmp_path: Path, name: str
) -> None:
    with fails(DataError, "unsafe-name"):
        file_in(tmp_path, name, ".png")
    with fails(DataError, "unsafe-name"):
        write_image(tmp_path / "in" / "here", name, np.zeros((2, 2, 3), np.uint8))
    with fails(DataError, "unsafe-name"):
        write_mask(Task.binary(), np.zeros((2, 2), np.uint8), tmp_path / "in" / "here", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*UNSAFE, "a.", "a "], ids=ascii)
def test_trap_48_an_unsafe_name_is_not_the_folder_of_a_class(tmp_path: Path, name: str) -> None:
    if not name or has_controls(name):
        return  # no class is called so at all
    task = Task.multilabel(["crack", name])
    with fails(ConfigError, "unsafe-name", setting="task.classes"):
        check_class_folders(task)
    with fails(DataError, "unsafe-name"):
        write_mask(task, np.zeros((2, 2, 2), np.uint8), tmp_path / "in", "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in SAFE if os.name != "nt" or ":" not in name])
def test_usual_names_are_files(tmp_path: Path, name: str) -> None:
    path = file_in(tmp_path, name, ".png")
    assert path == tmp_path / f"{name}.png"
    check_class_folders(Task.multilabel([name, "another"]))


def test_class_names_that_make_no_folder_may_be_any_line(tmp_path: Path) -> None:
    for name in ("../../up", "con", "a/b", "50 %"):
        task = Task.multiclass(["background", name])
        check_class_folders(task)
        assert write_mask(task, np.zeros((2, 2), np.uint8), tmp_path, "a") == [tmp_path / "a.png"]


@pytest.mark.parametrize("name", CHARACTERS, ids=ascii)
def test_no_class_is_called_by_control_characters(name: str) -> None:
    with fails(ConfigError, "unsafe-name", shown(name), setting="task.classes"):
        Task.binary(name)


@pytest.mark.parametrize(
    "classes",
    [
        ["car", "Car"],
        ["é", "e\u0301"],
        ["road", "road/path"],
        ["Road/path", "road"],
        ["a/b", "A/B"],
    ],
    ids=ascii,
)
def test_two_classes_never_share_a_folder(classes: list[str]) -> None:
    with fails(ConfigError, "duplicate-name", *classes, setting="task.classes"):
        check_class_folders(Task.multilabel(classes))
    check_class_folders(Task.multiclass(classes))


def test_classes_in_one_folder_are_not_in_each_other(tmp_path: Path) -> None:
    task = Task.multilabel(["road/path", "road/lane", "roadside"])
    check_class_folders(task)
    made = write_mask(task, np.zeros((2, 2, 3), np.uint8), tmp_path, "a")
    assert [path.relative_to(tmp_path).as_posix() for path in made] == [
        "road/path/a.png",
        "road/lane/a.png",
        "roadside/a.png",
    ]


@pytest.mark.parametrize("names", [["a", "A"], ["x/É", "x/e\u0301"], ["ﬀ", "FF"]], ids=ascii)
def test_two_names_never_are_one_file(names: list[str]) -> None:
    assert same_files(["other", *names, "more"]) == [names]
    with fails(DataError, "duplicate-name", *names):
        check_file_names(names)
    check_file_names(["other", names[0], "more"])


NAMES = st.text(st.sampled_from("ab./\\: \0\n\u0301éCONnul1\udcffß") | st.characters(), max_size=12)


@given(NAMES)
def test_a_name_stays_below_its_folder_or_is_refused(name: str) -> None:
    """The oracle is the operating system's own rule for joining paths, on both systems."""
    if why_unsafe(name) is not None:
        return
    for system in (ntpath, posixpath):
        joined = system.normpath(system.join("root", name))
        assert joined.replace("\\", "/") == "root/" + name
    assert name.encode("utf-8")
    assert not set(name) & set(map(chr, range(32)))
    assert all(part == part.rstrip(". ") and not part.startswith(".") for part in name.split("/"))


@given(st.lists(st.text(st.sampled_from("aAßsSéÉ\u0301e/"), min_size=1, max_size=4), unique=True))
def test_names_are_equal_if_a_disk_without_case_says_so(names: list[str]) -> None:
    def on_disk(name: str) -> str:
        return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).upper().lower())

    same = {frozenset(group) for group in same_files(names)}
    for one in names:
        for other in names:
            if one != other and on_disk(one) == on_disk(other):
                assert any({one, other} <= group for group in same)


@given(
    st.text(st.sampled_from("=+-@'\t\ra1") | st.characters(exclude_categories=["Cs"]), max_size=8)
)
def test_no_cell_is_a_formula_and_each_gives_its_text_back(text: str) -> None:
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell_name(cell(text)) == text


@given(st.text())
def test_what_is_shown_is_one_line_without_control_characters(text: str) -> None:
    line = shown(text)
    assert not has_controls(line)
    assert len(line.splitlines()) <= 1
    assert shown(string.printable[:95]) == string.printable[:95]
    assert shown("a\nb\x1b", lines=True) == "a\nb\\x1b"
