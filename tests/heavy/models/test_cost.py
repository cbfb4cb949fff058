"""Multiply-adds: against sums made by hand, layer kind by layer kind."""

from __future__ import annotations

import keras
import pytest
from keras import layers

import segkit
from segkit.models.cost import multiply_adds


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (layers.Conv2D(5, 3, padding="same"), 8 * 12 * 3 * 3 * 4 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), 4 * 6 * 3 * 3 * 4 * 5),
        (layers.Conv2D(6, 3, groups=2, padding="same"), 8 * 12 * 3 * 3 * 2 * 6),
        (layers.DepthwiseConv2D((5, 3), padding="same"), 8 * 12 * 5 * 3 * 4),
        (layers.SeparableConv2D(7, 3, padding="same"), 8 * 12 * (3 * 3 * 4 + 4 * 7)),
        (layers.Conv2DTranspose(5, 2, strides=2), 8 * 12 * 2 * 2 * 4 * 5),
        (layers.Dense(9), 8 * 12 * 4 * 9),
        (layers.ReLU(), 0),
        (
            keras.Sequential([layers.Conv2D(5, 2, strides=2), layers.Conv2D(3, 1)]),
            4 * 6 * (2 * 2 * 4 * 5 + 5 * 3),
        ),
    ],
)
def test_a_layer_counts_what_it_multiplies(layer: layers.Layer, wanted: int) -> None:
    image = keras.Input((None, None, 4))
    x = layer(layers.Activation("linear")(image))
    assert multiply_adds(keras.Model(image, x), 8, 12) == wanted


def test_a_small_network_by_hand() -> None:
    model = segkit.unet(
        segkit.Task.multiclass(["a", "b", "c"]), width=4, depth=1, normalization="none"
    )
    encoder = 32 * 48 * 9 * (3 * 4 + 4 * 4) + 16 * 24 * 9 * (4 * 8 + 8 * 8)
    upwards = 16 * 24 * 2 * 2 * 8 * 4
    decoder = 32 * 48 * 9 * (8 * 4 + 4 * 4)
    head = 32 * 48 * 4 * 3
    assert multiply_adds(model, 32, 48) == encoder + upwards + decoder + head
    assert multiply_adds(model, 31, 47) == multiply_adds(
        model, 32, 48
    )  # padded, and cut behind the head


def test_a_published_number() -> None:
    """He et al., 2016, table 1, count 3.8 billion for 224 x 224, with the same strides as here."""
    network = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    assert multiply_adds(network, 224, 224) == pytest.approx(3.86e9, rel=0.01)
