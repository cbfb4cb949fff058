"""examples/brain_mri/prepare.py on a tiny generated scan."""

from __future__ import annotations

import gzip
import runpy
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit.data.sources.folder import in_folders

SCRIPT = Path(__file__).parents[2] / "examples" / "brain_mri" / "prepare.py"
SHAPE = (40, 44, 32)


@pytest.fixture
def prepare() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def write_nifti(path: Path, voxels: np.ndarray) -> None:
    header = bytearray(352)
    header[40:56] = struct.pack("<8h", 3, *voxels.shape, 1, 1, 1, 1)
    header[70:72] = struct.pack("<h", {"uint8": 2, "int16": 4}[str(voxels.dtype)])
    header[108:112] = struct.pack("<f", 352.0)
    path.write_bytes(gzip.compress(bytes(header) + voxels.tobytes(order="F")))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_voxels_are_read_in_their_order(
    prepare: dict[str, Any], tmp_path: Path, dtype: str
) -> None:
    voxels = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(dtype)
    write_nifti(tmp_path / "a.nii.gz", voxels)
    np.testing.assert_array_equal(prepare["read_nifti"](tmp_path / "a.nii.gz"), voxels)


def test_parts_are_blocks_with_gaps(prepare: dict[str, Any]) -> None:
    block = prepare["BLOCK"]
    places = {
        part: {i for i, found in enumerate(block * 2) if found == part}
        for part in ("train", "validation", "test")
    }
    for part in ("validation", "test"):
        assert min(abs(i - j) for i in places[part] for j in places["train"]) >= 4


def test_slices_of_all_three_tasks_are_written_and_read_back(
    prepare: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
    for name, volume in {
        "ch2": labels * 60 + 60,
        "ch2bet": labels,
        "aal": labels,
        "brodmann": labels,
    }.items():
        write_nifti(tmp_path / f"{name}.nii.gz", volume.astype(np.uint8))
    (tmp_path / "aal.nii.txt").write_text("1 Frontal_L 2001\n2 Cerebelum_R 9002\n")
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(tmp_path), str(tmp_path / "out")])
    prepare["main"]()
    part = tmp_path / "out" / "train"
    samples = {
        kind: in_folders(part / "images", part / kind, task).read("slice_000")
        for kind, task in prepare["TASKS"].items()
    }
    plane = np.swapaxes(labels[:, :, 0], 0, 1)[::-1]
    np.testing.assert_array_equal(samples["brain"].mask, plane > 0)
    np.testing.assert_array_equal(samples["lobes"].mask, np.array([0, 1, 8])[plane])
    left = np.broadcast_to(np.arange(SHAPE[0]) < SHAPE[0] // 2, plane.shape)
    np.testing.assert_array_equal(samples["regions"].mask[..., 3], (plane > 0) & left)
