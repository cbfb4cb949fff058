"""The tasks of a developer, on Linux, macOS and Windows: python scripts/tasks.py TASK. Needs
nothing but Python.

The files beside this one call it: scripts/test is python scripts/tasks.py test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
TEST_LOCK = "requirements-test.lock"
COVERAGE = 95
"""Share of the lines of segkit that `test` must run, in %."""
BAR = 0.85
"""Foreground Dice that the run of `smoke` must reach."""
JAX_TESTS = (
    "tests/heavy/losses",
    "tests/heavy/metrics",
    "tests/heavy/training",
    "tests/processes/test_recovery.py",
    "tests/heavy/models/test_models.py",
    "tests/heavy/models/test_supervision.py",
    "tests/heavy/models/test_grid.py",
)
"""What runs on every backend. test_grid.py has every decoder in a network."""

HALF = ("data", "evaluation", "inspection", "run", "comparison", "io")
"""Folders of tests/light that `check` runs on one core; the other core runs the others."""


class Failed(Exception):
    """A task has failed; its status is that of the process."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


def call(*command: object, log: Path | None = None, **variables: str) -> None:
    """Run a command in the project's folder. Raises `Failed` unless it ends with status 0."""
    words = [str(word) for word in command]
    environment = {**os.environ, **variables}
    if log is None:
        status = subprocess.run(words, cwd=ROOT, env=environment).returncode
    else:
        with log.open("a", encoding="utf-8") as stream:
            status = subprocess.run(
                words, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
            ).returncode
    if status:
        raise Failed(status)


def environment(lock: str) -> None:
    """Make .venv from a lock file and install segkit into it, unless that is done already."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Failed(2, f"segkit needs Python 3.11 to 3.13; this is {sys.version.split()[0]}")
    if not PYTHON.exists():
        try:
            call(sys.executable, "-m", "venv", ROOT / ".venv")
        except Failed:
            shutil.rmtree(ROOT / ".venv", ignore_errors=True)
            raise Failed(2, "no venv module; on Debian: apt-get install python3-venv") from None
    stamp = ROOT / ".venv" / f"{Path(lock).name}.sha256"
    content = (ROOT / lock).read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    print(f"installing {lock} into .venv (about 2 GB, some minutes)", flush=True)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    call(*pip, "--require-hashes", "-r", lock)
    call(*pip, "--no-deps", "-e", ".")
    stamp.write_text(digest, encoding="utf-8")


def lint(fix: bool, log: Path | None = None) -> None:
    """Check format, lint, types, layers and spelling; `fix` corrects what ruff can correct."""
    ruff = (PYTHON, "-m", "ruff")
    if fix:
        call(*ruff, "format", "--quiet", ".")
        call(*ruff, "check", "--quiet", "--fix", ".")
    try:
        call(*ruff, "format", "--check", "--quiet", ".", log=log)
    except Failed:
        raise Failed(1, "run scripts/lint --fix") from None
    call(*ruff, "check", "--quiet", ".", log=log)
    call(PYTHON, "-m", "mypy", log=log)
    layers = subprocess.run([BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True)
    if layers.returncode:
        raise Failed(layers.returncode, layers.stdout + layers.stderr)
    folders = ["segkit", "tests", "docs", "examples", "benchmarks", "scripts", "configs"]
    pages = [path.name for path in ROOT.iterdir() if path.suffix in (".md", ".py")]
    call(PYTHON, "-m", "codespell_lib", *folders, *sorted(pages), log=log)


def check(fix: bool) -> None:
    """Run lint and the short tests that need no Keras, on two cores: about a minute."""
    if fix:
        lint(fix=True)
    light = ROOT / "tests" / "light"
    half = [light / name for name in HALF]
    others = []
    for path in sorted(light.iterdir()):
        if path not in half and (path.is_dir() or path.name.startswith("test_")):
            others.append(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps: list[Step] = [("lint", lambda log: lint(fix=False, log=log))]
        for group in (half, others):
            options = ("-m", "not slow and not long", *map(str, group))
            steps.append(pytest(group[0].name, folder, *options, coverage=False))
        failed = run_steps(steps, folder)
    if failed:
        raise Failed(1, f"failed: {', '.join(failed)}")


def docs(folder: Path, log: Path | None = None) -> None:
    """Build the documentation site into a folder. A broken link or a page without a place ends
    it.
    """
    build = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder)
    call(PYTHON, *build, log=log, NO_MKDOCS_2_WARNING="1")


def wheels(folder: Path) -> None:
    """Build the wheels of keras-segkit and of keras-segkit-runtime into a folder."""
    environment(TEST_LOCK)
    build = (PYTHON, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    call(*build, "--wheel-dir", folder.resolve(), ".", "./runtime")


def smoke(folder: Path, log: Path | None = None) -> None:
    """Run `segkit demo` with a small training, whose score must pass a bar."""
    out = folder / "demo"
    settings = ("--set", "train.epochs=5", "--set", "data.count=200")
    call(PYTHON, "-m", "segkit", "demo", "--out", out, *settings, log=log)
    dice = json.loads((out / "scores.json").read_text(encoding="utf-8"))["mean"]["dice_foreground"]
    if dice < BAR:
        raise Failed(1, f"foreground Dice {dice:.3f} is below the bar of {BAR}")


def quickstart(folder: str) -> None:
    """Make .venv, and run `segkit demo` in it."""
    environment("requirements.lock")
    call(PYTHON, "-m", "segkit", "demo", "--out", folder)


def test() -> None:
    """Run everything on two cores."""
    environment(TEST_LOCK)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        failed = run_steps(all_steps(folder), folder)
        try:
            report_coverage(sorted(folder.glob("*.coverage.json")), folder)
        except Failed:
            failed.append("coverage")
        call(PYTHON, ROOT / "scripts" / "count.py", *sorted(folder.glob("*.xml")))
    if failed:
        raise Failed(1, f"failed: {', '.join(failed)}")


def report_coverage(measured: list[Path], folder: Path) -> None:
    """Print the lines of segkit that no step ran. Raises `Failed` below 95 %."""
    merge = (PYTHON, "-m", "slipcover", "--merge", *measured)
    out = folder / "all.json"
    call(*merge, "--out", out, "--skip-covered", "--fail-under", COVERAGE)


Step = tuple[str, Callable[[Path], None]]
"""A name, and a function that writes its output into a file."""


def all_steps(folder: Path) -> list[Step]:
    """Return the steps of `test`, the longest first."""
    # compiling for speed would take longer than the tests themselves
    jax = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    commands = ("tests/heavy/cli", "tests/heavy/exporting", "tests/heavy/inference")
    pages = ("tests/heavy/test_docs.py", "tests/heavy/test_tutorials.py")
    doctests = ("segkit", "scripts/pages", "--doctest-modules")
    on_jax = (*JAX_TESTS, "-m", "not slow and not one_backend")
    return [
        pytest("models", folder, "tests/heavy/models", "tests/heavy/losses"),
        pytest("commands", folder, *commands, *pages),
        pytest("jax", folder, *on_jax, coverage=False, **jax),
        pytest("training", folder, "tests/heavy/training"),
        pytest("light", folder, "tests/light"),
        pytest("processes", folder, "tests/processes"),
        pytest("data", folder, "tests/heavy/data", "tests/heavy/metrics"),
        pytest("doctests", folder, *doctests, coverage=False),
        ("smoke", lambda log: smoke(folder, log)),
        ("lint", lambda log: lint(fix=False, log=log)),
        ("docs", lambda log: docs(folder / "site", log)),
    ]


def pytest(
    name: str, folder: Path, *arguments: str, coverage: bool = True, **variables: str
) -> Step:
    """Return a step that runs tests."""

    def run(log: Path) -> None:
        measured: tuple[object, ...] = ()
        if coverage:
            out = folder / f"{name}.coverage.json"
            measured = ("-m", "slipcover", "--source", "segkit", "--json", "--out", out)
        options = ("-q", "--durations=10", f"--junitxml={folder / name}.xml")
        call(PYTHON, *measured, "-m", "pytest", *options, *arguments, log=log, **variables)

    return name, run


def run_steps(steps: list[Step], folder: Path) -> list[str]:
    """Run the steps on two threads, and print the output of each when it has ended.

    Returns:
        The names of the steps that failed, with their exit status.
    """
    waiting: queue.SimpleQueue[Step] = queue.SimpleQueue()
    for step in steps:
        waiting.put(step)
    failed: list[str] = []

    def work() -> None:
        while True:
            try:
                name, run = waiting.get_nowait()
            except queue.Empty:
                return
            run_step(name, run, folder / f"{name}.txt", failed)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def run_step(name: str, run: Callable[[Path], None], log: Path, failed: list[str]) -> None:
    """Run a step and print its output; add its name to `failed` if it fails."""
    started = time.monotonic()
    try:
        run(log)
    except Failed as problem:
        failed.append(f"{name} (status {problem.status}) {problem}".strip())
    seconds = time.monotonic() - started
    output = ""
    if log.exists():
        output = log.read_text(encoding="utf-8", errors="replace")
    print(f"== {name}, {seconds:.0f} s\n{output}", flush=True)


TASKS: dict[str, Callable[..., None]] = {
    "environment": environment,
    "lint": lint,
    "check": check,
    "docs": docs,
    "wheels": wheels,
    "test": test,
    "smoke": smoke,
    "quickstart": quickstart,
}


def main() -> int:
    """Run the task that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    made = tasks.add_parser("environment", help="make .venv from a lock file")
    made.add_argument("lock")
    for name, words in (
        ("lint", "format, lint, types, layers, spelling"),
        ("check", "lint and the short tests"),
    ):
        tasks.add_parser(name, help=words).add_argument("--fix", action="store_true")
    tasks.add_parser("test", help="everything, as CI runs it")
    site = tasks.add_parser("docs", help="the documentation site")
    site.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    built = tasks.add_parser("wheels", help="the wheels of both distributions")
    built.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    tasks.add_parser("smoke", help="a small demo that must pass a bar").add_argument(
        "folder", type=Path
    )
    started = tasks.add_parser("quickstart", help="make .venv and run segkit demo")
    started.add_argument("folder", nargs="?", default="runs/quickstart")
    options = vars(parser.parse_args())
    task = TASKS[options.pop("task")]
    try:
        task(**options)
    except Failed as problem:
        if str(problem):
            print(problem, file=sys.stderr)
        return problem.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
