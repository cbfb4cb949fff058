"""`segkit evaluate RUN IMAGES MASKS` reads scans for a run that was trained on scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit import Task
from segkit.config import DataConfig
from segkit.evaluation.evaluate import open_labels
from tests.helpers.scans import REASON, save_nifti, voxels
from tests.helpers.stand_in import config_of

pytest.importorskip("nibabel", reason=REASON)


def test_folders_of_scans_are_read_with_the_settings_of_the_run(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels((6, 5, 4)))
    save_nifti(tmp_path / "masks" / "a.nii", np.ones((6, 5, 4), np.uint8))
    elsewhere = tmp_path / "training"
    data = DataConfig(source="scans", images=elsewhere, masks=elsewhere, axis="coronal")
    config = config_of(Task.binary("liver")).model_copy(update={"data": data})
    source = open_labels(config, tmp_path / "images", tmp_path / "masks")
    assert list(source.names) == [f"a/slice_{number:03d}" for number in range(1, 6)]
    assert source.read("a/slice_001").mask.all()
