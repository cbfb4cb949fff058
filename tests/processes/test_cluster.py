"""Prediction on a Ray cluster of two nodes: killed workers, nodes and drivers lose no mask.

All tests share one cluster. Each call runs in a process of its own: if Ray ends the driver's
process, one test fails and the others go on. `-m slow` kills again and again.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from segkit import RunError
from segkit.exporting.export import ExportRequest, export_run
from segkit.inference.files import Summary, predict_files
from segkit.inference.inputs import find_images
from segkit.inference.outputs.writer import Outputs
from tests.helpers import clustered
from tests.helpers.cluster_nodes import LOOPBACK
from tests.helpers.draws import task_of
from tests.helpers.errors import fails
from tests.helpers.exported_runs import make_run, parts_of
from tests.helpers.stand_in import config_of, network, write_pictures
from tests.helpers.visible_files import visible

ROOT = Path(__file__).parents[2]
SIZES = {("" if i % 3 else "sub/") + f"i{i:02}": (24 + i % 5, 30) for i in range(40)}
PATIENCE = 300
"""Seconds after which something has gone wrong for good."""


class Nodes:
    """The cluster that all tests here share."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.helpers.cluster_nodes"]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.raylet = 0
        self._read()

    def add(self) -> None:
        """Add a node in place of a killed one."""
        assert self.process.stdin
        self.process.stdin.write("add\n")
        self.process.stdin.flush()
        self._read()

    def end(self) -> None:
        """End all nodes."""
        self.process.communicate()
        assert self.process.returncode == 0

    def _read(self) -> None:
        assert self.process.stdout
        message = json.loads(next(line for line in self.process.stdout if line.startswith("{")))
        self.address, self.raylet = str(message["address"]), int(message["raylet"])


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    os.environ.update(LOOPBACK)  # before Ray is imported
    nodes = Nodes()
    yield nodes
    nodes.end()


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """What one machine writes of the images, which are in tmp_path/in then."""
    write_pictures(tmp_path / "in", SIZES)
    here(tmp_path, tmp_path / "whole")
    return visible(tmp_path / "whole")


def here(folder: Path, out: Path, kind: str = "multiclass") -> Summary:
    task = task_of(kind)
    images = find_images([folder / "in"]).images
    outputs = Outputs(out / "out", formats=("instances",))
    return predict_files(lambda batch: network(batch, task), config_of(task), images, outputs)


def on_cluster(*arguments: Any, **settings: Any) -> Summary:
    """Call `clustered.predict` in a process of its own; errors are raised here."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(clustered.predict, *arguments, **settings).result()


def command(*arguments: str, folder: Path) -> str:
    """Run `segkit` in a folder and return what it printed."""
    environment = {**os.environ, **LOOPBACK, "PYTHONPATH": str(ROOT)}
    called = [sys.executable, "-m", "segkit", *arguments]
    done = subprocess.run(called, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(true: Callable[[], object]) -> None:
    for _ in range(PATIENCE * 20):
        if true():
            return
        time.sleep(0.05)
    raise TimeoutError


def predicted(log: Path) -> list[int]:
    """Return which process predicted each image, in order."""
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def killing_on(nodes: Nodes, log: Path, total: int) -> None:
    """Kill a worker or a node after every 12 images, and put a new node in its place."""
    for turn, after in enumerate(range(6, total - 20, 12)):
        wait_for(lambda after=after: len(predicted(log)) > after)
        os.kill(nodes.raylet if turn % 3 == 2 else predicted(log)[-1], signal.SIGKILL)
        if turn % 3 == 2:
            nodes.add()


def killing(log: Path, raylet: int, ends: list[int]) -> None:
    """Kill a worker and later a whole node; note how many images were predicted then."""
    wait_for(lambda: len(predicted(log)) > 6)
    os.kill(predicted(log)[-1], signal.SIGKILL)
    ends.append(len(predicted(log)))
    wait_for(lambda: len(predicted(log)) > 16)
    os.kill(raylet, signal.SIGKILL)
    ends.append(len(predicted(log)))


def test_killed_workers_and_nodes_lose_no_mask(
    nodes: Nodes, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    log, ends = tmp_path / "log", list[int]()
    killer = threading.Thread(target=killing, args=(log, nodes.raylet, ends))
    killer.start()
    summary = on_cluster(
        nodes.address, tmp_path / "in", tmp_path / "many" / "out", "multiclass", log
    )
    killer.join()
    assert summary == (len(SIZES), 0, [], None)
    assert visible(tmp_path / "many") == whole
    assert len(ends) == 2
    assert max(ends) < len(SIZES)
    assert len(set(predicted(log))) >= 3  # two workers and at least one that came for the killed
    nodes.add()


@pytest.mark.slow
def test_all_masks_exist_after_many_kills(nodes: Nodes, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", {f"i{i:03}": (24, 30) for i in range(150)})
    here(tmp_path, tmp_path / "whole")
    log, many = tmp_path / "log", tmp_path / "many"
    killer = threading.Thread(target=killing_on, args=(nodes, log, 150))
    killer.start()
    assert on_cluster(nodes.address, tmp_path / "in", many / "out", "multiclass", log) == (
        150,
        0,
        [],
        None,
    )
    killer.join()
    assert visible(many) == visible(tmp_path / "whole")


def test_after_a_killed_driver_only_the_missing_are_predicted(
    nodes: Nodes, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    first, second, out = tmp_path / "first", tmp_path / "second", tmp_path / "many" / "out"
    arguments = [nodes.address, tmp_path / "in", out, "multiclass", first]
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.clustered", *map(str, arguments)], cwd=ROOT
    )
    wait_for(lambda: len(list(out.rglob("[!.]*.png"))) > 6)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    wait_for(
        lambda: not any(map(alive, set(predicted(first))))
    )  # the cluster ends the workers of a dead driver
    done = {path: path.stat().st_mtime_ns for path in out.rglob("[!.]*.png")}
    assert 6 < len(done) < len(SIZES)
    summary = on_cluster(
        nodes.address, tmp_path / "in", out, "multiclass", second, skip_existing=True
    )
    assert summary == (len(SIZES) - len(done), len(done), [], None)
    assert len(predicted(second)) == len(SIZES) - len(done)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert visible(tmp_path / "many") == whole


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().split()[2]


def test_broken_images_are_reported_as_on_one_machine(nodes: Nodes, tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", {"a": (9, 9), "b": (9, 9), "ö c": (8, 9)})
    (tmp_path / "in" / "b.png").write_bytes(b"")
    expected = here(tmp_path, tmp_path / "whole", "multilabel")
    many = on_cluster(
        nodes.address, tmp_path / "in", tmp_path / "many" / "out", "multilabel", tmp_path / "log"
    )
    assert many == expected
    assert len(many.failed) == 1
    assert visible(tmp_path / "many") == visible(tmp_path / "whole")
    with fails(RunError, "failed", platform.node()):  # the machine of the worker that met the error
        on_cluster(nodes.address, tmp_path / "in", tmp_path / "none", "none", tmp_path / "log")


def test_the_command_predicts_as_on_one_machine(nodes: Nodes, tmp_path: Path) -> None:
    """A real network in its export, paths relative to a folder that the workers do not know."""
    run = make_run(tmp_path / "run", "binary")
    export_run(run, ExportRequest("onnx", "float32", 0.002), parts_of(run), lambda line: None)
    write_pictures(tmp_path / "in", {"a": (40, 50), "sub/b": (40, 50), "large": (90, 100)})
    flags = ["predict", "run", "in", "--runtime", "onnx", "--tta", "flips"]
    command(*flags, "--out", "whole/out", folder=tmp_path)
    printed = command(
        *flags, "--out", "many/out", "--engine", "ray", "--address", nodes.address, folder=tmp_path
    )
    assert re.search(r"ray\b.*\b2 worker.*\b1 CPU", printed)
    assert printed.count("onnx float32") == 1
    assert visible(tmp_path / "many") == visible(tmp_path / "whole")
    assert len(list((tmp_path / "many/out").rglob("*.png"))) == 3
    command(
        *flags, "--out", "alone/out", "--engine", "ray", "--worker-cpus", "1", folder=tmp_path
    )  # this machine
    assert visible(tmp_path / "alone") == visible(tmp_path / "whole")
