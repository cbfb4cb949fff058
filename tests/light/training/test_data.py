"""The way that training reads its data is saved with the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from segkit import RunError
from segkit.config import Config, MaskFilesConfig, read
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from tests.helpers import every_source
from tests.helpers.errors import fails
from tests.helpers.every_source import Made

STORED = {
    "folder": MaskFilesConfig(layout="file", yes=255),
    "folder_of_ids": MaskFilesConfig(layout="file"),
    "folder_of_classes": MaskFilesConfig(layout="folders", yes=1),
    "folder_of_bands": MaskFilesConfig(layout="bands", yes=1),
    "coco": None,
}


@pytest.mark.parametrize("name", STORED)
def test_how_the_masks_are_stored_is_saved_with_the_run(tmp_path: Path, name: str) -> None:
    made: Made = getattr(every_source, name)(tmp_path)
    data = made.data.model_copy(update={"validation": 0.0, "test": 0.0})
    config, _ = prepare_data(Config(task=made.task, data=data), Progress())
    assert config.mask_files == STORED[name]
    run = Run(tmp_path / "run")
    run.create(config)
    assert read(run.config_file).mask_files == STORED[name]
    run.check_made_with(Config(task=made.task, data=data))  # so it can be resumed


def test_the_direction_of_slices_is_saved_with_the_run(tmp_path: Path) -> None:
    made = every_source.scans(tmp_path)
    data = made.data.model_copy(update={"validation": 0.0, "test": 0.0})
    assert data.axis is None
    config, _ = prepare_data(Config(task=made.task, data=data), Progress())
    assert config.data.axis == "axial"
    run = Run(tmp_path / "run")
    run.create(config)
    run.check_made_with(Config(task=made.task, data=data))
    other = data.model_copy(update={"axis": "coronal"})
    with fails(RunError, "mismatch", "axial", "coronal"):
        run.check_made_with(Config(task=made.task, data=other))


def test_a_run_of_an_older_version_is_resumed(tmp_path: Path) -> None:
    made = every_source.folder_of_bands(tmp_path)
    data = made.data.model_copy(update={"validation": 0.0, "test": 0.0})
    config, _ = prepare_data(Config(task=made.task, data=data), Progress())
    run = Run(tmp_path / "run")
    run.create(config.model_copy(update={"mask_files": None}))
    run.check_made_with(config)
    assert run.config().mask_files is None
