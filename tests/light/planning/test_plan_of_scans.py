"""A plan for scans reads them again: the direction of the slices is in its config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit.config import read
from segkit.data.parts import open_parts
from segkit.inspection.inspect import inspect_data
from segkit.planning.rules import draft
from segkit.planning.yaml_text import as_yaml
from tests.helpers.scans import REASON, save_nifti, voxels

pytest.importorskip("nibabel", reason=REASON)


def test_the_config_of_a_plan_reads_the_same_slices(tmp_path: Path) -> None:
    for number in range(5):
        mask = np.zeros((16, 14, 4), np.uint8)
        mask[4:9, 3:8, 1:] = 1
        values = (voxels(mask.shape, number) + 300.0 * mask).astype(np.int16)
        save_nifti(tmp_path / "imagesTr" / f"{number}.nii.gz", values)
        save_nifti(tmp_path / "labelsTr" / f"{number}.nii.gz", mask)
    inspection = inspect_data(tmp_path, classes=["liver"], settings=["data.neighbours=1"])
    assert inspection.config is not None
    assert inspection.verdict is not None
    facts = inspection.survey.facts
    plan = draft(inspection.config, inspection.verdict, facts, inspection.guess)
    text = as_yaml(plan, "segkit plan", "scans.yaml", tmp_path)
    (tmp_path / "scans.yaml").write_text(text)
    config = read(tmp_path / "scans.yaml")
    assert (config.data.source, config.data.axis, config.data.neighbours) == ("scans", "axial", 1)
    assert config.input is not None
    assert (config.input.channels, config.input.dtype) == (3, "float32")
    parts = open_parts(config)
    assert sum(len(part) for part in parts.values()) == 20
    volumes = [{name.partition("/")[0] for name in part.names} for part in parts.values()]
    assert not volumes[0] & volumes[1]
    for setting in ("axis", "source", "images"):
        assert "data." + setting in plan.reasons
