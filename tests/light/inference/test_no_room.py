"""Full or read-only disks, and files that cannot be written: a clear error, nothing lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit import Task, catalog
from segkit.inference.files import Summary, predict_files
from segkit.inference.inputs import find_images
from segkit.inference.outputs import writer
from segkit.inference.outputs.writer import Outputs, is_full
from segkit.io import images as files
from tests.helpers.disks import on_full_disk
from tests.helpers.errors import holds
from tests.helpers.extras import installed_outputs
from tests.helpers.predicting import predict
from tests.helpers.stand_in import config_of, network, write_pictures
from tests.helpers.visible_files import visible

pytestmark = pytest.mark.long

TASK = Task.binary("a")
SIZES = {"a": (20, 30), "b": (20, 30), "c": (9, 9), "d": (9, 9)}
OUTPUTS = {
    "out": {},
    "out-overlays": {"overlays": True},
    **{f"out-{name}": {"formats": (name,)} for name in installed_outputs()},
    **{f"out-probabilities {name}": {"probabilities": name} for name in catalog.PROBABILITIES},
}


def run(root: Path, **outputs: object) -> Summary:
    if not (root / "in").exists():
        write_pictures(root / "in", SIZES)
    wanted = Outputs(root / "out", **outputs)  # type: ignore[arg-type]
    return predict_files(
        lambda batch: network(batch, TASK),
        config_of(TASK),
        find_images([root / "in"]).images,
        wanted,
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_ends_a_prediction_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    folder = output.split()[0]
    before = run(tmp_path, **OUTPUTS[output])
    assert (before.written, before.failed, before.stopped) == (4, [], None)
    written = visible(tmp_path)

    full = on_full_disk(lambda path: path.stem == "c" and folder in path.parts[-3:])
    monkeypatch.setattr(writer, "together", full)
    summary = run(tmp_path, **OUTPUTS[output])
    assert (summary.written, summary.failed) == (2, [])
    assert summary.stopped is not None
    for value in (tmp_path / "out", os.strerror(errno.ENOSPC), 2, "--skip-existing"):
        assert holds(summary.stopped, value)
    assert visible(tmp_path) == written
    assert not list(tmp_path.rglob("*.part*"))


def namespace(script: str, *arguments: object) -> str:
    """Run a shell script in a mount namespace; skip the test where that is not allowed."""
    shell = ["unshare", "--map-root-user", "--mount"]
    if (
        not shutil.which("unshare")
        or subprocess.run(
            [*shell, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting is not allowed here")
    command = [*shell, "sh", "-euc", script, "sh", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.long
@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_on_a_disk_that_fills_up_all_files_are_complete(tmp_path: Path, kind: str) -> None:
    """The files on a disk of 2 MB are copied out and compared with an undisturbed run."""
    write_pictures(tmp_path / "in", {f"i{i}": (60, 70) for i in range(12)})
    predict(tmp_path / "in", tmp_path / "whole" / "out", kind)
    (tmp_path / "disk").mkdir()
    printed = namespace(
        'mount -t tmpfs -o size=2m none "$1/disk"; '
        '"$2" -m tests.helpers.predicting "$1/in" "$1/disk/out" "$3"; '
        'cp -r "$1/disk" "$1/copy"',
        tmp_path,
        sys.executable,
        kind,
    )
    summary, whole, found = (
        json.loads(printed),
        visible(tmp_path / "whole"),
        visible(tmp_path / "copy"),
    )
    assert 0 < summary["written"] < 12
    assert os.strerror(errno.ENOSPC) in summary["stopped"]
    assert summary["failed"] == []
    assert found == {path: content for path, content in whole.items() if path in found}
    masks = [path for path in found if path.startswith("out/")]
    assert len(masks) == summary["written"] * (2 if kind == "multilabel" else 1)
    again = predict(tmp_path / "in", tmp_path / "copy" / "out", kind, skip_existing=True)
    assert (again["written"], again["skipped"]) == (12 - summary["written"], summary["written"])
    assert visible(tmp_path / "copy") == whole


def test_on_a_read_only_disk_nothing_is_predicted(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", SIZES)
    (tmp_path / "disk").mkdir()
    printed = namespace(
        'mount -t tmpfs none "$1/disk"; mkdir "$1/disk/out"; mount -o remount,ro "$1/disk"; '
        '"$2" -m tests.helpers.predicting "$1/in" "$1/disk/out" binary',
        tmp_path,
        sys.executable,
    )
    summary = json.loads(printed)
    assert summary["written"] == 0
    assert os.strerror(errno.EROFS) in summary["stopped"]


def test_a_file_in_the_place_of_a_folder_is_an_error_before_the_prediction(
    tmp_path: Path,
) -> None:
    (tmp_path / "out-geojson").write_text("mine")
    summary = run(tmp_path, formats=("geojson",))
    assert summary.written == 0
    assert holds(str(summary.stopped), tmp_path / "out")
    assert os.strerror(errno.EEXIST) in str(summary.stopped)
    assert (tmp_path / "out-geojson").read_text() == "mine"


def refuse(number: int, when: Callable[[Path], bool]) -> Callable[..., object]:
    replace = os.replace

    def replaced(source: Path, target: Path) -> None:
        if when(Path(target)):
            raise OSError(number, os.strerror(number), str(source), None, str(target))
        replace(source, target)

    return replaced


def test_an_image_that_cannot_be_written_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        os, "replace", refuse(errno.EACCES, lambda path: path == tmp_path / "out" / "b.png")
    )
    summary = run(tmp_path)
    assert (summary.written, summary.stopped) == (3, None)
    image, mask = tmp_path / "in" / "b.png", tmp_path / "out" / "b.png"
    [(failed, problem)] = summary.failed
    assert failed == image
    assert all(holds(problem, value) for value in (image, mask, os.strerror(errno.EACCES)))
    assert sorted(path for path in visible(tmp_path / "out")) == ["a.png", "c.png", "d.png"]


def test_a_folder_with_the_name_of_a_mask_fails_only_that_image(tmp_path: Path) -> None:
    (tmp_path / "out" / "b.png").mkdir(parents=True)
    summary = run(tmp_path)
    assert (summary.written, summary.stopped) == (3, None)
    assert os.strerror(errno.EISDIR) in summary.failed[0][1]
    assert holds(summary.failed[0][1], tmp_path / "in" / "b.png")


def test_tables_that_cannot_be_written_are_reported_and_the_masks_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", refuse(errno.EDQUOT, lambda path: path.suffix == ".csv"))
    summary = run(tmp_path)
    assert (summary.written, summary.stopped) == (4, None)
    assert len(visible(tmp_path / "out")) == 4
    assert os.strerror(errno.EDQUOT) in summary.failed[0][1]


def test_an_error_without_a_number_does_not_stop_the_call_if_the_disk_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_full(OSError("3 requested and 0 written"), tmp_path)
    assert not is_full(ValueError(), tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert is_full(OSError("3 requested and 0 written"), tmp_path)
    assert not is_full(OSError(errno.EACCES, "no"), tmp_path)


def test_a_prediction_outside_0_to_1_is_reported_with_its_image(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", SIZES)
    images = find_images([tmp_path / "in"]).images

    def answer(batch: np.ndarray) -> np.ndarray:
        return network(batch, TASK) * (np.nan if batch.shape[1] == 9 else 1)

    summary = predict_files(answer, config_of(TASK), images, Outputs(tmp_path / "out"))
    assert (summary.written, [path.name for path, _ in summary.failed]) == (2, ["c.png", "d.png"])
    assert all(holds(summary.failed[0][1], value) for value in (images["c"], "nan"))


def test_broken_images_and_bands_that_do_not_fit_are_named_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    write_pictures(tmp_path / "in", SIZES)
    (tmp_path / "in" / "a.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:99])
    (tmp_path / "in" / "b.png").write_bytes(b"")
    files.write_tiff(tmp_path / "in" / "bands.tif", np.zeros((9, 9, 5), np.uint8))
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(tmp_path / "in" / "deep.png")
    summary = run(tmp_path, formats=installed_outputs())
    assert (summary.written, summary.stopped) == (2, None)
    failures = [
        (path.name, text.startswith(f"{path}: ") and "\n" not in text)
        for path, text in summary.failed
    ]
    assert failures == [("a.png", True), ("b.png", True), ("bands.tif", True), ("deep.png", True)]
    assert all(holds(summary.failed[2][1], value) for value in (3, 5))
    assert all(holds(summary.failed[3][1], value) for value in ("uint16", "uint8"))
    assert sorted(visible(tmp_path / "out")) == ["c.png", "d.png"]
    table = (tmp_path / "out-summary.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["image", "c", "d"]
