"""Damaged files of a run or an export give a value or an error with a code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from segkit.comparison.scoring import Scored
from segkit.errors import RunError, SegkitError
from segkit.run import Run, tuned
from segkit.run.checkpoint import Checkpoints, Position
from segkit.run.exports import Exported, file_digests, record_text
from tests.helpers.damage import damaged
from tests.helpers.errors import fails
from tests.helpers.exports_made import CONFIG, add_export, make_run

pytestmark = pytest.mark.long

HISTORY = (
    b"epoch,dice_foreground,loss,seconds,steps,val_loss\n"
    b"0,0.1,0.9,3.5,4,0.8\n"
    b"1,0.2,0.7,3.4,4,NA\n"
    b"2,0.3,0.6,3.5,4,0.5\n"
)
SCORES = {
    "images": 3,
    "classes": {"a": {"dice": 0.5}},
    "mean": {"dice_foreground": 0.5},
    "absent": [],
    "part": "test",
}
TUNED = {
    "made": "2025-01-02T03:04:05+00:00",
    "part": "validation",
    "images": 7,
    "goal": "dice",
    "thresholds": [0.4],
    "decode": {"temperature": 1.5},
    "before": {"mean": {}},
    "after": {"mean": {}},
}


def a_checkpoint(folder: Path) -> bytes:
    checkpoints = Checkpoints(folder)
    checkpoints.save(
        Position(2, 1, 3.5),
        {"weights": [np.arange(6.0)], "optimizer": [np.zeros((2, 2), np.float32)]},
    )
    return checkpoints.latest.read_bytes()


def scored(folder: Path) -> bytes:
    names = np.array(["a", "b"])
    made = Scored(
        names, np.ones((2, 4, 1), np.int64), np.ones((2, 5, 15)), np.ones((2, 5, 15)), 7, 2.5, 9
    )
    made.write(folder / "valid.npz")
    return (folder / "valid.npz").read_bytes()


def opened_checkpoint(path: Path) -> object:
    checkpoints = Checkpoints(path.parent)
    return checkpoints.position(), checkpoints.load()


READ: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "history": (
        "history.csv",
        lambda folder: HISTORY,
        lambda path: Run(path.parent).cut_history(2),
    ),
    "scores": (
        "scores.json",
        lambda folder: json.dumps(SCORES).encode(),
        lambda path: Run(path.parent).report(),
    ),
    "tuned": (
        "tuned.yaml",
        lambda folder: yaml.safe_dump(TUNED).encode(),
        lambda path: tuned.merged(CONFIG, path),
    ),
    "checkpoint": ("latest.npz", a_checkpoint, opened_checkpoint),
    "scores of a comparison": ("compared.npz", scored, Scored.read),
}


@pytest.mark.parametrize("kind", READ)
def test_a_damaged_file_of_a_run_is_a_value_or_an_error_with_a_code(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, make, read = READ[kind]
    folder = tmp_path_factory.mktemp("damaged")
    valid = make(folder)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(valid))
    def check(content: bytes) -> None:
        (folder / name).write_bytes(content)
        try:
            read(folder / name)
        except SegkitError as problem:
            assert str(folder) in str(problem)  # noqa: PT017
            assert problem.code in ("damaged-file", "missing-setting", "mismatch")  # noqa: PT017

    (folder / name).write_bytes(valid)
    assert read(folder / name) is not None
    check()


@pytest.mark.parametrize(
    "text",
    [
        "made: 2025-99-99\n",
        "[" * 3000,
        "made: !!binary x\n",
        "!!map 5\n",
        "made: " + "9" * 5000,
        "\xff",
        "",
    ],
)
def test_yaml_that_cannot_be_parsed_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "tuned.yaml").write_text(text)
    with fails(RunError, "damaged-file", tmp_path / "tuned.yaml"):
        tuned.read_tuned(tmp_path / "tuned.yaml")


def an_export(folder: Path) -> Path:
    """Write an export with checksums, whose model is not a real network."""
    path = add_export(make_run(folder / "run"), "onnx")
    (path / "model.onnx").write_bytes(b"a network in ONNX")
    record = Exported.read(path).record.model_copy(update={"files_sha256": file_digests(path)})
    (path / "export.json").write_text(record_text(record))
    return path


def without_checksums(text: str) -> str:
    """Return export.json in the format of older versions."""
    record = json.loads(text)
    del record["files_sha256"], record["record_sha256"]
    return json.dumps(record, indent=2)


def test_exports_open_with_checksums_and_older_ones_without(tmp_path: Path) -> None:
    path = an_export(tmp_path)
    Exported.read(path).check()
    text = (path / "export.json").read_text()
    assert json.loads(text)["files_sha256"].keys() == {"model.onnx"}
    (path / "export.json").write_text(without_checksums(text))
    (path / "model.onnx").write_bytes(b"another one")
    Exported.read(path).check()


@pytest.mark.parametrize("change", [b"a network in ONNy", b"a network in ONN", b""])
def test_a_damaged_model_of_an_export_is_refused_before_a_runtime_opens_it(
    tmp_path: Path, change: bytes
) -> None:
    path = an_export(tmp_path)
    (path / "model.onnx").write_bytes(change)
    with fails(RunError, "damaged-file", path / "model.onnx"):
        Exported.read(path).check()
    (path / "model.onnx").rename(path / "gone")
    with fails(RunError, "missing-file", path):
        Exported.read(path).check()


def test_a_changed_export_json_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A changed value in export.json is noticed; white space and key order do not matter."""
    path = an_export(tmp_path_factory.mktemp("export"))
    valid = (path / "export.json").read_bytes()
    record = Exported.read(path).record

    @settings(max_examples=300, deadline=None)
    @given(damaged(valid))
    def check(content: bytes) -> None:
        (path / "export.json").write_bytes(content)
        try:
            found = Exported.read(path).record
        except RunError as problem:
            assert problem.code in ("damaged-file", "unknown-name", "missing-file")  # noqa: PT017
            assert str(path) in str(problem)  # noqa: PT017
        else:
            assert found.model_copy(update={"record_sha256": record.record_sha256}) == record

    check()


def test_an_export_json_of_an_older_version_is_a_record_or_an_error(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = an_export(tmp_path_factory.mktemp("export"))
    valid = without_checksums((path / "export.json").read_text()).encode()

    @settings(max_examples=200, deadline=None)
    @given(damaged(valid))
    def check(content: bytes) -> None:
        (path / "export.json").write_bytes(content)
        try:
            Exported.read(path).check()
        except RunError as problem:
            assert problem.code in ("damaged-file", "unknown-name", "missing-file")  # noqa: PT017

    check()


@pytest.mark.parametrize(("key", "value"), [("format", "tape"), ("precision", "int3")])
def test_an_unknown_format_or_precision_is_named(tmp_path: Path, key: str, value: str) -> None:
    path = an_export(tmp_path)
    record = json.loads(without_checksums((path / "export.json").read_text()))
    (path / "export.json").write_text(json.dumps({**record, key: value}))
    with fails(RunError, "unknown-name", path / "export.json", value):
        Exported.read(path)
