"""`data.other_values: void` in every source whose masks store values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segkit import VOID, DataError, Task
from segkit.data.sources.source import open_source
from tests.helpers.errors import fails
from tests.helpers.every_source import Made, folder_of_ids, listed, scans, tfds, video

MAKERS = [folder_of_ids, listed, scans, tfds, video]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_values_without_an_entry_are_void(tmp_path: Path, make: Callable[[Path], Made]) -> None:
    made = make(tmp_path)
    plain = open_source(made.data, made.task).read(made.name).mask
    assert set(np.unique(plain).tolist()) & {1, 2}
    data = made.data.model_copy(update={"mask_values": {0: "one"}})
    task = Task.multiclass(["one", "two"])
    with fails(DataError, "mask-values"):
        open_source(data, task).read(made.name)
    data = data.model_copy(update={"other_values": "void"})
    found = open_source(data, task).read(made.name).mask
    np.testing.assert_array_equal(found, np.where(plain == 0, 0, VOID))
