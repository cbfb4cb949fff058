"""Imports after another module, and registration of segkit's classes in any order of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

FAKE_KERAS = """
from abc import ABCMeta

class _Kind(ABCMeta):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

class Anything(metaclass=_Kind):
    def __init__(self, *args, **settings):
        pass

    def __call__(self, decorated=None, *args, **settings):
        return decorated

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything
"""


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process in which the modules of a folder come first."""
    start = f"import sys\nsys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n"
    command = [sys.executable, "-c", start + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_followers_are_imported_once_the_module_is(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("value = 1\n")
    (tmp_path / "follower.py").write_text("from slow import value\n")
    code = """
from segkit.system.after_import import import_after
import_after("slow", ["follower"])
assert "slow" not in sys.modules and "follower" not in sys.modules
finders = len(sys.meta_path)
import slow
assert sys.modules["follower"].value == 1
assert len(sys.meta_path) == finders - 1
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_followers_of_an_imported_module_are_imported_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("value = 1\n")
    (tmp_path / "follower.py").write_text("from slow import value\n")
    code = """
import slow
from segkit.system.after_import import import_after
import_after("slow", ["follower"])
assert "follower" in sys.modules
"""
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_missing_or_fails_can_be_imported_later(tmp_path: Path) -> None:
    (tmp_path / "follower.py").write_text("from slow import value\n")
    code = """
import importlib, pathlib
from segkit.system.after_import import import_after
import_after("slow", ["follower"])
file = pathlib.Path(sys.argv[1])
for text, error in ((None, ModuleNotFoundError), ("raise RuntimeError('not yet')", RuntimeError)):
    if text is not None:
        file.write_text(text)
        importlib.invalidate_caches()
    try:
        import slow
    except error:
        continue
    raise AssertionError(error)
file.write_text("value = 'at last'")
importlib.invalidate_caches()
import slow
assert sys.modules["follower"].value == "at last"
"""
    done = python(code, tmp_path, str(tmp_path / "slow.py"))
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_trap_49_classes_are_registered_whichever_module_imports_keras_first(
    tmp_path: Path,
) -> None:
    """Use a Keras that does nothing, because only the order of imports matters."""
    (tmp_path / "keras.py").write_text(FAKE_KERAS)
    folders = [ROOT / "segkit" / "losses", ROOT / "segkit" / "models"]
    names = ["keras", "segkit.metrics"]
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            names.append(
                ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            )
    code = """
import importlib
for name in sys.argv[1:]:
    for loaded in [each for each in sys.modules if each.split(".")[0] in ("segkit", "keras")]:
        del sys.modules[loaded]
    importlib.import_module("segkit")
    importlib.import_module(name)
    if "keras" in sys.modules:
        for follower in (
            "segkit.models.layers",
            "segkit.losses",
            "segkit.metrics",
            "segkit.models.trainer",
        ):
            assert follower in sys.modules, (name, follower)
        print(name)
"""
    done = python(code, tmp_path, *names)
    assert done.returncode == 0, done.stderr
    assert {
        "keras",
        "segkit.losses.targets",
        "segkit.models.blocks",
        "segkit.models.trainer",
    } <= set(done.stdout.split())
