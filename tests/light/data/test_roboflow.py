"""Roboflow's folders of COCO files (https://roboflow.com/formats/coco-json)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit import DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    filled,
    roboflow,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
BOX = (1, 1, 7, 5)
EXPECTED = filled([BOX], SIZE)


def test_the_folders_of_roboflow_are_parts(tmp_path: Path) -> None:
    sizes = dict.fromkeys("abc", SIZE)
    made = roboflow(tmp_path, sizes, {name: [("cat", BOX)] for name in "abc"})
    source = open_source(DataConfig.model_validate(made), CAT)
    assert source.parts == {"train": ["train/a"], "validation": ["valid/b"], "test": ["test/c"]}
    for names in source.parts.values():
        np.testing.assert_array_equal(source.read(names[0]).mask == 1, EXPECTED)
    with fails(DataError, "empty", tmp_path / "train" / "x"):
        open_source(DataConfig(source="roboflow", images=tmp_path / "train" / "x"), CAT)
