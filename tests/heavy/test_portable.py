"""The form of a network that is exported gives the same answers, for every stem and way of up-sampling."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from segkit import Task, unet
from segkit.models.portable import ShuffledConvolution, portable


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
@pytest.mark.parametrize("stem", [1, 2, 4])
def test_the_portable_copy_answers_alike_without_transposed_convolutions(stem: int, upsampling: str) -> None:
    model = unet(Task.binary("a"), channels=1, width=4, depth=1, stem=stem, upsampling=upsampling)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape) if "variance" in weight.path else rng.normal(size=weight.shape))
    images = rng.integers(0, 256, (2, 13, 18, 1)).astype(np.uint8)
    copy = portable(model)
    np.testing.assert_allclose(copy.predict_on_batch(images), model.predict_on_batch(images), atol=1e-5)
    kinds = [type(layer) for layer in copy.layers]
    assert keras.layers.Conv2DTranspose not in kinds
    assert kinds.count(ShuffledConvolution) == (upsampling == "transpose") + (stem > 1)
