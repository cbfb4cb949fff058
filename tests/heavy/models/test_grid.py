"""The contract of every encoder with every decoder. Runs on every backend of Keras.

By default each decoder is on one of the small encoders in turn, and each other encoder has one
decoder in turn, so that every encoder, decoder and setting is in some network; -m slow runs all the
other pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import segkit
from segkit import Task, catalog
from segkit.models.layers import BatchNormalization
from tests.helpers.loss_cases import TASKS, Watching, answer, batch, picture

SMALL = ("plain", "residual")
"""Encoders that take a fraction of a second to build."""
ON_EVERY_BACKEND = ("deeplabv3plus", "unet")
"""Dilated separable convolutions and pooling; skip connections. test_decoders.py runs them all."""
WITHOUT_STATISTICS = ("convnext_tiny", "vgg16")
NORMALIZATIONS = ("batch", "group", "instance", "none")
UPSAMPLINGS = ("transpose", "bilinear", "nearest")
EAGER = (
    keras.backend.backend() == "tensorflow"
)  # there compiling a small model takes longer than training it
SOFTMAX = TASKS["softmax"]


def pairs(quick: Sequence[str], in_turn: bool) -> list[Any]:
    """Return (number, encoder, decoder) of all pairs, most of them marked slow.

    The number chooses settings.

    Not slow is each decoder with one of the quick encoders and, with `in_turn`, each other encoder
    with one decoder. The quick encoders with `ON_EVERY_BACKEND` run on every backend.
    """
    decoders = sorted(catalog.DECODERS)
    found = []
    for row, encoder in enumerate(sorted(catalog.ENCODERS)):
        for column, decoder in enumerate(decoders):
            marks = []
            if encoder not in quick or decoder not in ON_EVERY_BACKEND:
                marks.append(pytest.mark.one_backend)
            if encoder in quick:
                chosen = encoder == quick[column % len(quick)]
            else:
                chosen = in_turn and column == row % len(decoders)
            if not chosen:
                marks.append(pytest.mark.slow)
            found.append(
                pytest.param(
                    2 * row + column, encoder, decoder, marks=marks, id=f"{encoder}-{decoder}"
                )
            )
    return found


def chosen_by_default(in_turn: bool) -> list[tuple[int, str, str]]:
    """Return the pairs of small encoders, and others in turn, that are not marked slow."""
    return [param.values for param in pairs(SMALL, in_turn) if pytest.mark.slow not in param.marks]


every_pair = pytest.mark.parametrize(("number", "encoder", "decoder"), pairs(SMALL, in_turn=True))
small_pairs = pytest.mark.parametrize(("number", "encoder", "decoder"), pairs(SMALL, in_turn=False))
plain_pairs = pytest.mark.parametrize(
    ("number", "encoder", "decoder"), pairs(["plain"], in_turn=False)
)


def tiny(task: Task, **settings: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return segkit.unet(task, **{"width": 4, "depth": 2, **settings})


@every_pair
def test_odd_sizes_are_restored_and_settings_apply(number: int, encoder: str, decoder: str) -> None:
    normalization, upsampling = NORMALIZATIONS[number % 4], UPSAMPLINGS[number % 3]
    settings = {
        "normalization": normalization,
        "upsampling": upsampling,
        "width": 3,
        "dropout": 0.1,
    }
    model = tiny(SOFTMAX, encoder=encoder, decoder=decoder, **settings)
    for size in ((5, 6), (33, 17), (1, 1)):
        found = answer(model, picture(2, *size, 3))
        assert found.shape == (2, *size, 3)
        np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-5)
    after = layers_after_the_encoder(model)
    kinds = {type(layer) for layer in after}
    normal = kinds & {BatchNormalization, layers.BatchNormalization, layers.GroupNormalization}
    wanted = {"batch": {BatchNormalization}, "none": set()}.get(
        normalization, {layers.GroupNormalization}
    )
    assert normal == wanted
    if (
        encoder in SMALL
    ):  # features of the others are brought back to the image's size by a transposed convolution
        assert (layers.Conv2DTranspose in kinds) == (upsampling == "transpose")
    assert layers.SpatialDropout2D in kinds


@small_pairs
def test_gradients_reach_every_trainable_weight(number: int, encoder: str, decoder: str) -> None:
    task, images = TASKS["multilabel"], picture(2, 45, 66, 3)
    settings = {
        "normalization": ("batch", "group", "none")[number % 3],
        "upsampling": UPSAMPLINGS[number % 2],
    }
    width = (
        16  # LinkNet's quarter of 4 is one channel, whose ReLU a seed can leave without a gradient
    )
    model = tiny(task, encoder=encoder, decoder=decoder, width=width, **settings)
    for layer in model.layers:
        if isinstance(
            layer, layers.Dropout
        ):  # stochastic depth: a block that is left out has no gradient
            layer.rate = 0.0
    optimizer = Watching(0.0)
    trainer = segkit.compile(model, task, optimizer=optimizer, run_eagerly=True, jit_compile=False)
    target = (
        np.random.default_rng(1).integers(0, 2, (*images.shape[:3], task.channels)).astype(np.uint8)
    )
    trainer.train_on_batch(images, target)
    assert len(optimizer.seen) == len(model.trainable_weights) >= 10
    stuck = [
        weight.path
        for weight, slope in zip(model.trainable_weights, optimizer.seen, strict=True)
        if not np.isfinite(slope).all() or not slope.any()
    ]
    assert stuck == []


@small_pairs
def test_a_saved_model_computes_the_same_bit_for_bit(
    number: int, encoder: str, decoder: str, tmp_path: Path
) -> None:
    settings = {"mean": (90.0, 100.0, 110.0), "std": 50.0, "upsampling": UPSAMPLINGS[number % 3]}
    model, images = (
        tiny(SOFTMAX, encoder=encoder, decoder=decoder, **settings),
        picture(2, 13, 9, 3),
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(answer(loaded, images), answer(model, images))
    np.testing.assert_array_equal(
        answer(loaded, images[:, :4, :3]), answer(model, images[:, :4, :3])
    )
    assert segkit.compile(loaded, SOFTMAX).output_shape == (
        None,
        None,
        None,
        3,
    )  # its logits are still found


@small_pairs
def test_frozen_statistics_stay_and_those_of_the_decoder_move(
    number: int, encoder: str, decoder: str
) -> None:
    model = tiny(SOFTMAX, encoder=encoder, decoder=decoder, freeze_statistics=True)
    after = layers_after_the_encoder(model)
    groups = ([], [])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            groups[layer in after].append(layer)
    before = [[layer.get_weights()[-2:] for layer in group] for group in groups]
    model(picture(2, 32, 32, 3), training=True)
    frozen, free = ([layer.get_weights()[-2:] for layer in group] for group in groups)
    np.testing.assert_equal(frozen, before[0])
    assert bool(frozen) == (encoder not in WITHOUT_STATISTICS)
    assert free
    assert all(np.any(new[0] != old[0]) for new, old in zip(free, before[1], strict=True))


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.one_backend)]
)
@plain_pairs
def test_mixed_precision_ends_in_float32(
    number: int, encoder: str, decoder: str, policy: str
) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny(SOFTMAX, encoder=encoder, decoder=decoder, upsampling=UPSAMPLINGS[number % 3])
    finally:
        keras.config.set_dtype_policy("float32")
    last = model.layers[-1]
    assert (last.compute_dtype, last.input.dtype, model.output.dtype) == ("float32",) * 3
    inside = {
        layer.compute_dtype
        for layer in layers_after_the_encoder(model)
        if isinstance(layer, layers.Conv2D)
    }
    assert inside == {policy.removeprefix("mixed_"), "float32"}  # all but the last
    trainer = segkit.compile(
        model, SOFTMAX, optimizer=keras.optimizers.SGD(0.01), run_eagerly=EAGER
    )
    target, _ = batch(SOFTMAX, seed=1)
    assert np.isfinite(trainer.train_on_batch(picture(2, 5, 6, 3), target)[0])
    assert answer(model, picture(1, 5, 7, 3)).dtype == np.float32


def layers_after_the_encoder(model: keras.Model) -> list[layers.Layer]:
    """Return the layers of decoder and head."""
    before = {
        layer.name for layer in keras.Model(model.inputs, model.get_layer("encoded").output).layers
    }
    return [layer for layer in model.layers if layer.name not in before]


def test_every_encoder_decoder_and_setting_is_in_the_default_run() -> None:
    chosen, small = chosen_by_default(in_turn=True), chosen_by_default(in_turn=False)
    assert {decoder for _, _, decoder in small} == set(catalog.DECODERS)
    assert {encoder for _, encoder, _ in chosen} == set(catalog.ENCODERS)
    assert {encoder for _, encoder, _ in small} == set(SMALL)
    for count in (2, 3, 4):  # however many settings a test chooses from
        assert {number % count for number, _, _ in small} == set(range(count))
    assert len(pairs(SMALL, in_turn=True)) == len(catalog.ENCODERS) * len(catalog.DECODERS)
