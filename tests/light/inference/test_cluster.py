"""What the workers of a cluster do, and what is refused before they start; without Ray."""

from __future__ import annotations

import json
import platform
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from segkit import ConfigError, RunError, SegkitWarning, Task
from segkit.cli import main
from segkit.config import InputConfig
from segkit.errors import SegkitError
from segkit.inference import cluster
from segkit.inference.cluster import (
    Worker,
    WorkerPlan,
    WorkerTask,
    connected,
    plan_of,
    plan_workers,
    predict_and_write_on_cluster,
)
from segkit.inference.files import Outcome, predict_files, write_files
from segkit.inference.inputs import find_images
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.predict import Cluster, predict
from segkit.io import atomic
from segkit.io.atomic import remove_leftovers
from segkit.io.masks import read_mask
from segkit.system import memory
from segkit.system.threads import cores
from tests.helpers.draws import task_of
from tests.helpers.errors import fails, holds
from tests.helpers.large_cases import config_of as large_config
from tests.helpers.large_cases import network as large_network
from tests.helpers.large_cases import noise, write_tiled
from tests.helpers.stand_in import config_of, network, picture, write_pictures
from tests.helpers.visible_files import visible

TASK = task_of("multiclass")
SIZES = {f"i{i}": (20, 30) for i in range(9)}


def opened() -> LoadedRun:
    return LoadedRun(lambda batch: network(batch, TASK), config_of(TASK), "a stand-in", "weights")


class Ray:
    """The part of Ray that plans workers, without processes."""

    def __init__(self, nodes: list[float], free: list[float]) -> None:
        self._nodes, self._free, self.waits = nodes, free, list[float]()
        self.util = SimpleNamespace(
            placement_group=self._placed, remove_placement_group=lambda group: None
        )

    def _placed(self, bundles: list[dict[str, float]]) -> SimpleNamespace:
        """Ray places a bundle on one machine."""
        [bundle] = bundles
        fits = any(free >= bundle["CPU"] for free in self._free)
        return SimpleNamespace(wait=lambda seconds: (self.waits.append(seconds), fits)[1])

    def nodes(self) -> list[dict[str, object]]:
        dead = {"Alive": False, "Resources": {"CPU": 64.0}}
        return [dead, *({"Alive": True, "Resources": {"CPU": node}} for node in self._nodes)]

    def available_resources(self) -> dict[str, float]:
        return {"CPU": sum(self._free)}


def pieces(images: dict[str, Path], size: int) -> list[dict[str, np.ndarray]]:
    texts = [json.dumps([name, str(path)]) for name, path in images.items()]
    return [{"image": np.array(texts[i : i + size], object)} for i in range(0, len(texts), size)]


def messages_of(
    work: WorkerTask, images: dict[str, Path], size: int = 2
) -> list[dict[str, object]]:
    worker = Worker(work)
    found = [worker(piece)["message"] for piece in pieces(images, size)]
    assert all(message.shape == (1,) for message in found)
    return [json.loads(message[0]) for message in found]


def test_workers_write_what_one_machine_writes_and_open_the_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "in", SIZES)
    (tmp_path / "in" / "i3.png").write_bytes(b"")
    images, calls = find_images([tmp_path / "in"]).images, []

    def counted() -> LoadedRun:
        calls.append(1)
        return opened()

    expected = predict_files(
        *opened()[:2], images, Outputs(tmp_path / "one" / "out", formats=("coco",))
    )
    monkeypatch.setattr(
        cluster, "messages_of_workers", lambda ray, work, plan, todo: messages_of(work, todo)
    )
    outputs, reported = Outputs(tmp_path / "many" / "out", formats=("coco",)), []

    def each(todo, results):  # type: ignore[no-untyped-def]
        return predict_and_write_on_cluster(
            None, WorkerTask(counted, outputs), WorkerPlan(1, 1, 1), reported.append, todo, results
        )

    assert write_files(each, Results(config_of(TASK), outputs), images) == expected
    assert visible(tmp_path / "many") == visible(tmp_path / "one")
    assert not list((tmp_path / "many").rglob(".*"))  # the mark is gone
    assert (len(calls), reported) == (1, ["a stand-in"])


def test_a_worker_predicts_large_images_in_windows(tmp_path: Path) -> None:
    config = large_config(Task.binary("a"))
    path = write_tiled(tmp_path / "in" / "a.tif", noise(300, 200))
    work = WorkerTask(
        lambda: LoadedRun(large_network(1), config, "", "weights"),
        Outputs(tmp_path / "out"),
        memory.peak() + 10**9,
    )
    work.outputs.masks.mkdir()
    whole = Worker(work._replace(mark=path, outputs=Outputs(tmp_path / "whole")))
    row = json.loads(whole(pieces({"a": path}, 1)[0])["message"][0])["outcomes"][0][1]
    (tmp_path / "out" / ".a.part").mkdir()  # begun by windows
    [message] = messages_of(work._replace(mark=path), {"a": path})
    assert message["outcomes"] == [["a", row, "", False]]
    stored = read_mask(tmp_path / "out" / "a.tif")
    np.testing.assert_array_equal(stored, read_mask(tmp_path / "whole" / "a.png"))


UNIT = InputConfig(channels=3, dtype="float32", mean=(0.4,) * 3, std=(0.2,) * 3, low=0, high=1)


def float_run() -> LoadedRun:
    """Return a run that was trained on values from 0 to 1."""
    config = config_of(TASK).model_copy(update={"input": UNIT})
    return LoadedRun(lambda batch: network(batch, TASK), config, "a stand-in", "weights")


@pytest.mark.parametrize("factor", [1, 1 / 255])
def test_trap_47_a_cluster_warns_of_another_scale_as_one_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(7):
        image = picture(seed, 20, 30).astype(np.float32) * np.float32(factor)
        tifffile.imwrite(tmp_path / "in" / f"i{seed}.tif", image, photometric="rgb")
    monkeypatch.setattr("segkit.inference.predict.open_together", lambda *arguments: float_run())
    monkeypatch.setattr(
        "segkit.inference.predict.config_together", lambda *arguments: (float_run().config, [])
    )
    monkeypatch.setattr(cluster, "connected", lambda address: nullcontext(None))
    monkeypatch.setattr(cluster, "plan_of", lambda ray, cpus: WorkerPlan(1, 1, 1))
    monkeypatch.setattr(
        cluster, "messages_of_workers", lambda ray, task, plan, images: messages_of(task, images)
    )

    def warnings_of(out: str, engine: Cluster | None) -> list[SegkitWarning]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            summary = predict("run", tmp_path / "in", tmp_path / out, cluster=engine)
        assert (summary.written, summary.failed) == (7, [])
        return [each.message for each in caught if isinstance(each.message, SegkitWarning)]

    for out, engine in (("many", Cluster()), ("one", None)):
        found = warnings_of(out, engine)
        assert [warning.code for warning in found] == ["other-scale"] * (factor == 1)
        assert all(holds(str(warning), "7 images") for warning in found)


def refused() -> LoadedRun:
    raise ConfigError("openvino is not installed", "missing-package", setting="--runtime")


@pytest.mark.parametrize(
    ("error", "open_runs", "marked", "code", "setting"),
    [
        (ConfigError, refused, True, "missing-package", "--runtime"),
        (RunError, opened, False, "not-shared", None),
    ],
)
def test_errors_of_a_worker_are_raised_by_the_driver(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[SegkitError],
    open_runs: Callable[[], LoadedRun],
    marked: bool,
    code: str,
    setting: str | None,
) -> None:
    def send_messages(
        ray: object, work: WorkerTask, plan: WorkerPlan, todo: dict[str, Path]
    ) -> list[dict[str, object]]:
        return messages_of(work if marked else work._replace(mark=tmp_path / "nowhere"), todo)

    monkeypatch.setattr(cluster, "messages_of_workers", send_messages)
    outputs = Outputs(tmp_path)
    outcomes = predict_and_write_on_cluster(
        None,
        WorkerTask(open_runs, outputs),
        WorkerPlan(1, 1, 1),
        print,
        {"a": tmp_path / "a.png"},
        Results(config_of(TASK), outputs),
    )
    with fails(error, code, platform.node(), setting=setting):
        list(outcomes)
    assert not list(tmp_path.iterdir())


def test_without_images_no_worker_starts(tmp_path: Path) -> None:
    found: list[Outcome] = list(
        predict_and_write_on_cluster(
            None,
            WorkerTask(refused, Outputs(tmp_path)),
            WorkerPlan(1, 1, 1),
            print,
            {},
            Results(config_of(TASK), Outputs(tmp_path)),
        )
    )
    assert found == []


@pytest.mark.parametrize(
    ("nodes", "cpus", "found"),
    [
        ([1], None, WorkerPlan(1, 1, 1)),
        ([1, 1], None, WorkerPlan(2, 1, 1)),
        ([16, 16, 0], None, WorkerPlan(8, 4, 4)),
        ([3, 8], None, WorkerPlan(3, 3, 2)),
        ([8, 2], 4, WorkerPlan(2, 4, 2)),
        ([0.5, 2], None, WorkerPlan(1, 2, 1)),
    ],
)
def test_workers_fit_their_machines(
    nodes: list[float], cpus: int | None, found: WorkerPlan
) -> None:
    assert plan_workers(nodes, cpus) == found
    assert plan_of(Ray(nodes, nodes), cpus) == found


@pytest.mark.parametrize(("nodes", "cpus"), [([], None), ([0], None), ([2, 2], 3)])
def test_a_cluster_without_room_for_a_worker_is_refused(
    nodes: list[float], cpus: int | None
) -> None:
    with fails(ConfigError, "missing-hardware", cpus or 1, setting="--worker-cpus"):
        plan_of(Ray(nodes, nodes), cpus)


def test_cpus_of_other_jobs_are_waited_for_and_then_reported() -> None:
    ray = Ray([2, 2], [1, 1])  # two in all, and no room for a worker of two
    with fails(RunError, "busy", "2 CPU", "(2 in all)", "--worker-cpus"):
        plan_of(ray, None)
    assert 0 < sum(ray.waits) <= 60


def test_an_address_where_nobody_listens_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens to nobody
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with fails(ConfigError, "no-cluster", address, setting="--address"), connected(address):
            pass


def test_without_ray_the_error_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with fails(ConfigError, "missing-package", 'pip install "keras-segkit[ray]"'), connected(None):
        pass


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        (["--address", "auto"], ["--address", "--engine ray"]),
        (["--worker-cpus", "2"], ["--worker-cpus", "--engine ray"]),
        (["--worker-cpus", "0", "--engine", "ray"], ["--worker-cpus", 1, 0]),
    ],
)
def test_settings_of_a_cluster_are_checked_first(
    flags: list[str], values: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "run", "images", "--out", str(tmp_path), *flags]) == 2
    err = capsys.readouterr().err
    assert all(holds(err, value) for value in values)


def test_a_worker_uses_no_more_cores_than_ray_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    all_cores = cores()
    for text, found in (
        ("1", 1),
        ("0", all_cores),
        ("", all_cores),
        ("two", all_cores),
        (f"{all_cores + 1}", all_cores),
    ):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert cores() == found


def test_a_mark_lasts_while_its_writer_lives(tmp_path: Path) -> None:
    with atomic.marked(tmp_path) as mark:
        remove_leftovers(tmp_path)
        assert mark.exists()
        assert mark.name.startswith(".")
    assert not list(tmp_path.iterdir())
