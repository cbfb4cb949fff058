"""Run folders and exports that hold no real network, to test what is chosen and refused without
one.
"""

from __future__ import annotations

from pathlib import Path

from segkit import Task
from segkit.config import InputConfig, RunConfig
from segkit.run import Run
from segkit.run.exports import FILES, Checked, ExportRecord, record_text, sha256

GIVEN = InputConfig(channels=3, dtype="uint8", mean=(0, 0, 0), std=(1, 1, 1), low=0, high=255)
CONFIG = RunConfig(task=Task.binary("a"), input=GIVEN)


def make_run(folder: Path) -> Run:
    run = Run(folder)
    run.create(CONFIG)
    run.model.write_bytes(b"a network")
    return run


def checked(ratio: float) -> Checked:
    return Checked(
        images=3,
        largest_difference=0,
        decided_alike=1,
        dice_keras=0.9,
        dice_export=0.9,
        seconds_keras=2.0,
        seconds_export=2.0 * ratio,
    )


def add_export(run: Run, form: str, precision: str = "float32", ratio: float = 0.5) -> Path:
    """Write an export that took `ratio` of Keras' time; return its folder."""
    folder = run.path / "exports" / f"{form}-{precision}"
    folder.mkdir(parents=True)
    record = ExportRecord(
        format=form,
        precision=precision,
        segkit="0",
        model_sha256=sha256(run.model),
        config=CONFIG,
        checked=checked(ratio),
    )
    (folder / "export.json").write_text(record_text(record))
    (folder / FILES[form]).write_bytes(b"")
    return folder
