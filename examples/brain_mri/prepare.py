"""Cut a real T1 head scan into PNG folders for a binary, a multiclass and a multilabel task.

The scan and its atlases come with Debian's package mricron-data:

    apt-get download mricron-data && dpkg -x mricron-data_*.deb mricron
    python examples/brain_mri/prepare.py mricron/usr/share/mricron/templates examples/brain_mri/data

OUT then holds train/, validation/ and test/, each with images/ and the masks of the tasks: brain/
(0/255), lobes/ (indexed) and regions/ (one folder a class). The three parts are blocks of
neighbouring axial slices, with gaps between.
"""

from __future__ import annotations

import argparse
import gzip
import struct
from pathlib import Path

import numpy as np

from segkit import Task
from segkit.io.images import write_picture
from segkit.io.masks import write_mask

LOBES = [
    "background",
    "frontal",
    "insula",
    "limbic",
    "occipital",
    "parietal",
    "deep grey",
    "temporal",
    "cerebellum",
]
"""The first digit of an AAL code, 2 to 9, in order (Tzourio-Mazoyer et al., 2002)."""

TASKS = {
    "brain": Task.binary("brain"),
    "lobes": Task.multiclass(LOBES),
    "regions": Task.multilabel(["brain", "aal", "brodmann", "left hemisphere", "cerebellum"]),
}
BLOCK = (
    ("train",) * 14 + (None,) * 3 + ("validation",) * 3 + (None,) * 3 + ("test",) * 4 + (None,) * 3
)
"""What becomes of 30 slices in a row, 1 mm each; then it begins again. No test slice is nearer than
4 mm to training.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "templates", type=Path, help="the folder with ch2.nii.gz, ch2bet.nii.gz, aal.nii.gz, ..."
    )
    parser.add_argument("out", type=Path, help="the folder to write")
    options = parser.parse_args()
    scan, masks = read_volumes(options.templates)
    for z in range(scan.shape[2]):
        part = BLOCK[z % len(BLOCK)]
        if part is None or (scan[:, :, z] > 30).sum() < 1000:  # above the head
            continue
        name = f"slice_{z:03d}"
        write_picture(
            options.out / part / "images" / f"{name}.png", upright(scan[:, :, z])[..., None]
        )
        for kind, task in TASKS.items():
            write_mask(task, upright(masks[kind][:, :, z]), options.out / part / kind, name)
    for part in ("train", "validation", "test"):
        print(part, len(list((options.out / part / "images").iterdir())), "slices")


def read_volumes(templates: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the scan (X, Y, Z) uint8 and the masks of the three tasks on the same voxels."""
    scan = read_nifti(templates / "ch2.nii.gz")
    brain = read_nifti(templates / "ch2bet.nii.gz") > 0
    brodmann = read_nifti(templates / "brodmann.nii.gz") > 0
    labels = read_nifti(templates / "aal.nii.gz")
    rows = [
        line.split()
        for line in (templates / "aal.nii.txt").read_text().splitlines()
        if line.strip()
    ]
    lobe_of = np.zeros(256, np.uint8)
    for index, _, code in rows:
        lobe_of[int(index)] = int(code[0]) - 1
    lobes = lobe_of[labels]
    left = (
        brain & (np.arange(scan.shape[0]) < scan.shape[0] // 2)[:, None, None]
    )  # x runs from left to right
    regions = np.stack(
        [brain, labels > 0, brodmann, left, lobes == LOBES.index("cerebellum")], axis=-1
    )
    return scan.astype(np.uint8), {
        "brain": brain.astype(np.uint8),
        "lobes": lobes,
        "regions": regions.astype(np.uint8),
    }


def read_nifti(path: Path) -> np.ndarray:
    """Return the voxels of a NIfTI-1 file, (X, Y, Z), without scaling; 8 and 16 bit whole numbers.

    Source: the NIfTI-1 header, https://nifti.nimh.nih.gov/nifti-1
    """
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack("<8h", content[40:56])[1:4]
    (code,), (offset,) = struct.unpack("<h", content[70:72]), struct.unpack("<f", content[108:112])
    dtype = {2: np.uint8, 4: np.int16, 512: np.uint16}[code]
    voxels = np.frombuffer(content, dtype, count=int(np.prod(shape)), offset=int(offset))
    return voxels.reshape(shape, order="F")


def upright(plane: np.ndarray) -> np.ndarray:
    """Return an axial plane (X, Y, ...) as a picture with the nose up and the head's left on the
    left: rows are y.
    """
    return np.ascontiguousarray(np.swapaxes(plane, 0, 1)[::-1])


if __name__ == "__main__":
    main()
