"""Facts of single decoders, and levels of any channels and number. Runs on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import segkit
from segkit import catalog
from segkit.config import ModelConfig
from segkit.models.decoders.attention_unet import gate
from tests.helpers.loss_cases import TASKS

IRREGULAR = (6, 5, 10, 28, 240)
"""Channels that no rule gives, as those of networks made for something else."""
one_backend = pytest.mark.one_backend
every_decoder = pytest.mark.parametrize("decoder", sorted(catalog.DECODERS))


def on_levels(decoder: str, channels: tuple[int, ...], **settings: Any) -> keras.Model:
    """Return a decoder as a model: levels of these channels, finest first -> features."""
    keras.utils.set_random_seed(0)
    levels = [keras.Input((None, None, count)) for count in channels]
    chosen = ModelConfig(width=4, depth=len(channels) - 1, decoder=decoder, **settings)
    return keras.Model(levels, catalog.load_part(catalog.DECODERS, decoder)(list(levels), chosen))


def levels_for(
    channels: tuple[int, ...], height: int, width: int, seed: int = 0
) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(2, height >> i, width >> i, c)).astype(np.float32)
        for i, c in enumerate(channels)
    ]


def answer(model: keras.Model, inputs: Any) -> np.ndarray:
    return ops.convert_to_numpy(model(inputs, training=False))


@every_decoder
@pytest.mark.parametrize(
    "channels",
    [
        IRREGULAR,
        pytest.param(IRREGULAR[1:], marks=one_backend),
        pytest.param((5, 3), marks=one_backend),
    ],
    ids=str,
)
@pytest.mark.parametrize("upsampling", ["transpose", pytest.param("nearest", marks=one_backend)])
def test_levels_of_any_channels_come_back_at_the_finest(
    decoder: str, channels: tuple[int, ...], upsampling: str
) -> None:
    model = on_levels(decoder, channels, upsampling=upsampling)
    found = answer(model, levels_for(channels, 32, 48))
    refined_last = decoder == "deeplabv3plus" and len(channels) < 4
    assert found.shape == (2, 32, 48, 32 if refined_last else 4)
    assert np.ptp(found) > 1e-3
    widest = max(
        layer.filters
        for layer in model.layers
        if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose))
    )
    assert widest <= 4 * 2**4  # widths of its own, not the encoder's 240


@every_decoder
@pytest.mark.one_backend
def test_every_level_changes_the_result_except_those_that_deeplab_does_not_use(
    decoder: str,
) -> None:
    model = on_levels(decoder, IRREGULAR)
    before = answer(model, levels_for(IRREGULAR, 32, 32))
    other = levels_for(IRREGULAR, 32, 32, seed=1)
    for i in range(len(IRREGULAR)):
        levels = levels_for(IRREGULAR, 32, 32)
        levels[i] = other[i]
        changed = np.abs(answer(model, levels) - before).max() > 1e-4
        assert changed == (decoder != "deeplabv3plus" or i in (2, 4)), i


def test_a_closed_gate_of_the_attention_unet_hides_the_encoder() -> None:
    channels = (6, 8)
    model = on_levels("attention_unet", channels)
    one, two = levels_for(channels, 8, 8), levels_for(channels, 8, 8, seed=1)
    two[1] = one[1]
    assert np.abs(answer(model, one) - answer(model, two)).max() > 1e-3
    last = next(layer for layer in model.layers if isinstance(layer, layers.Activation)).input
    psi = next(layer for layer in model.layers if layer.output is last)
    for bias, same in ((-1e4, True), (1e4, False)):
        psi.set_weights([np.zeros_like(psi.get_weights()[0]), np.full(1, bias, np.float32)])
        assert (np.abs(answer(model, one) - answer(model, two)).max() < 1e-6) == same


def test_a_gate_is_one_number_between_0_and_1_a_pixel() -> None:
    skip, coarse = keras.Input((None, None, 6)), keras.Input((None, None, 8))
    model = keras.Model([skip, coarse], gate(skip, coarse, 3, ModelConfig()))
    found = answer(model, [30 * values for values in levels_for((6, 8), 8, 12)])
    assert found.shape == (2, 8, 12, 1)
    assert 0 <= found.min() < 0.1 < 0.9 < found.max() <= 1


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_unetplusplus_joins_all_earlier_columns_of_a_level(depth: int) -> None:
    model = on_levels("unetplusplus", IRREGULAR[: depth + 1])
    joined = sorted(
        len(layer.input) for layer in model.layers if isinstance(layer, layers.Concatenate)
    )
    columns = range(
        1, depth + 1
    )  # node X(i, j) joins X(i, 0) to X(i, j - 1) and the one from below
    assert joined == sorted(j + 1 for j in columns for _ in range(depth + 1 - j))
    if depth == 1:
        assert model.count_params() == on_levels("unet", IRREGULAR[:2]).count_params()


@pytest.mark.parametrize(
    ("depth", "stem", "rates"),
    [(4, 1, {6, 12, 18}), (5, 1, {3, 6, 9}), (3, 4, {3, 6, 9}), (8, 1, {1})],
)
def test_deeplab_spreads_its_taps_by_the_stride(depth: int, stem: int, rates: set[int]) -> None:
    model = segkit.unet(
        TASKS["softmax"], width=2, widest=2, depth=depth, stem=stem, decoder="deeplabv3plus"
    )
    atrous = [layer for layer in model.layers if isinstance(layer, layers.DepthwiseConv2D)]
    assert {layer.dilation_rate[0] for layer in atrous} - {1} == rates - {1}
    assert len(atrous) == 5  # three in the pyramid, two after the fine features are joined


@pytest.mark.one_backend
def test_deeplab_depends_on_the_whole_input() -> None:
    channels = (4, 4, 4, 4, 4)
    one = levels_for(channels, 512, 16)
    two = [level.copy() for level in one]
    two[-1][:, -1] += 3.0  # the last row, beyond the reach of every tap from the first
    for decoder, told in (("deeplabv3plus", True), ("unet", False)):
        model = on_levels(decoder, channels)
        first = [answer(model, levels)[:, 0] for levels in (one, two)]
        assert (np.abs(first[0] - first[1]).max() > 1e-5) == told


def test_instance_normalisation_does_not_take_the_mean_away_from_deeplab() -> None:
    model, levels = (
        on_levels("deeplabv3plus", (4, 4, 4), normalization="instance"),
        levels_for((4, 4, 4), 16, 16),
    )
    before = answer(model, levels)
    pool = next(layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D))
    seen = next(layer for layer in model.layers if layer.input is pool.output)
    seen.set_weights([2 * seen.get_weights()[0], seen.get_weights()[1] + 1])
    assert np.abs(answer(model, levels) - before).max() > 1e-2


def test_linknet_adds_and_fpn_has_one_width() -> None:
    light = on_levels("linknet", IRREGULAR)
    assert not any(isinstance(layer, layers.Concatenate) for layer in light.layers)
    pyramid = on_levels("fpn", IRREGULAR, upsampling="nearest")
    assert {layer.filters for layer in pyramid.layers if isinstance(layer, layers.Conv2D)} == {
        4,
        16,
    }
