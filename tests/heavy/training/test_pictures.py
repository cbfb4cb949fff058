"""The pictures that a training draws."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.training.callbacks import Pictures


@pytest.mark.parametrize("rows", [2, 16])
def test_strokes_have_a_background_in_pictures(rows: int) -> None:
    task = Task.binary("disc")
    target = np.full((20, 20, 1), VOID, np.uint8)
    target[:rows] = 0
    image = np.full((20, 20, 3), 255, np.uint8)
    network: Any = SimpleNamespace(predict_on_batch=lambda batch: np.zeros((1, 20, 20, 1)))
    config: Any = SimpleNamespace(task=task)
    pictures = Pictures(network, config, SimpleNamespace(), lambda name: (image, target), ["a"])  # type: ignore[arg-type]
    sheet = pictures.draw()
    truth = sheet[24 : 24 + 224, 236 : 236 + 224]
    assert (truth.min() < 100) == (rows == 2)
    prediction = sheet[24 : 24 + 224, 466 : 466 + 224]
    assert prediction.min() == 255
