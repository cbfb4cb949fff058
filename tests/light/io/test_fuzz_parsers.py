"""Every parser of foreign files returns a value for damaged bytes, or raises an error with a code.

PNG, JPEG and small TIFF are in test_hostile_files.py, COCO in
tests/light/data/test_coco_hostile.py, what segkit itself keeps in a run folder in
tests/light/run/test_damaged.py, TensorFlow data sets in tests/heavy/data/test_tfds_damaged.py.
SEGKIT_EXAMPLES=5000 takes longer, and finds more.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from hypothesis import HealthCheck, given, settings

from segkit import Task
from segkit.config import DataConfig, read
from segkit.data.sources.pairs import find_pairs
from segkit.errors import SegkitError
from segkit.inference.outputs.coco import merge_parts, part_of
from segkit.inference.outputs.summary import header, read_summary
from segkit.io.georeference import read_georeference
from segkit.io.images import write_picture
from segkit.io.tiff_windows import LargeImage, largest_page_size
from tests.helpers.damage import damaged
from tests.helpers.file_bytes import pixel_limit
from tests.helpers.stand_in import answer_of, picture

EXAMPLES = int(os.environ.get("SEGKIT_EXAMPLES", "200"))
TASK = Task.binary("crack")
CONFIG = {
    "task": {"kind": "multiclass", "classes": ["background", "a"]},
    "data": {"images": "images", "masks": "masks", "mask_values": {0: "background", 5: "a"}},
    "model": {"width": 8},
    "train": {"epochs": 3, "crop": [32, 64], "learning_rate": 1e-3},
}
GEOTIFF = [  # code, kind, count, value: pixel scale, tie point, keys (projected, EPSG 32633)
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0), True),
    (34735, "H", 12, (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633), True),
]


def written(folder: Path, **how: object) -> bytes:
    """Return a TIFF of 40 x 50 pixels."""
    pixels = np.arange(2000, dtype=np.uint8).reshape(40, 50)
    tifffile.imwrite(folder / "valid.tif", pixels, photometric="minisblack", **how)  # type: ignore[arg-type]
    return (folder / "valid.tif").read_bytes()


def a_list(folder: Path) -> bytes:
    for name in ("a", "b"):
        write_picture(folder / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    rows = [("image", "mask", "split"), ("a.png", "b.png", "train"), ("b.png", "a.png", "test")]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def a_table(folder: Path) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(
        [header(TASK), ("a", "4", "5", "3", "0.15"), ("sub/b", "4", "5", "0", "0")]
    )
    return text.getvalue().encode()


def read_large(path: Path) -> object:
    largest_page_size(path)
    with LargeImage(path, 1e6) as image:
        return image.read(slice(1, min(9, image.height)), slice(0, min(30, image.width)))


def merge(path: Path) -> object:
    merge_parts(TASK, {"a": path}, path.with_name("merged.json"))
    return json.loads(path.with_name("merged.json").read_text())


PARSERS: dict[str, tuple[str, Callable[[Path], list[bytes]], Callable[[Path], object]]] = {
    "config": ("a.yaml", lambda folder: [yaml.safe_dump(CONFIG).encode()], read),
    "list": (
        "a.csv",
        lambda folder: [a_list(folder)],
        lambda path: find_pairs(DataConfig(list_file=path), ()),
    ),
    "table of masks": (
        "a.csv",
        lambda folder: [a_table(folder)],
        lambda path: read_summary(TASK, path),
    ),
    "part of a COCO file": (
        "a.json",
        lambda folder: [json.dumps(part_of(answer_of(TASK, picture(0, 20, 20)))).encode()],
        merge,
    ),
    "tags of a GeoTIFF": (
        "a.tif",
        lambda folder: [written(folder, extratags=GEOTIFF)],
        read_georeference,
    ),
    "large TIFF": (
        "a.tif",
        lambda folder: [
            written(folder, rowsperstrip=7),
            written(folder, tile=(16, 16), compression="zlib", extratags=GEOTIFF),
            written(folder, tile=(16, 32), compression="lzw"),
        ],
        read_large,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_a_value_or_an_error_that_names_the_file(
    parser: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, make, parse = PARSERS[parser]
    folder = tmp_path_factory.mktemp("parser")
    valid = make(folder)
    for content in valid:
        (folder / name).write_bytes(content)
        assert parse(folder / name) is not None

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(*valid))
    def check(content: bytes) -> None:
        (folder / name).write_bytes(content)
        with pixel_limit(100_000):
            try:
                parse(folder / name)
            except SegkitError as problem:
                assert str(folder / name) in str(problem)  # noqa: PT017

    check()
