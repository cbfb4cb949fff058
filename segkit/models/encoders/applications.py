"""The networks of keras.applications as encoders: their levels are what they hold before each halving."""

from __future__ import annotations

from typing import Any

import keras

from segkit.config import ModelConfig, networks
from segkit.models import weights
from segkit.models.blocks import Tensor
from segkit.models.encoders.pretrained import in_its_units, load_weights, set_batchnorm_momentum
from segkit.models.levels import by_halving


def convnext_tiny(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """4 levels, from 1/4 to 1/32. Source: Liu et al., A ConvNet for the 2020s, 2022."""
    return _levels("convnext_tiny", x, settings)


def densenet121(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Huang et al., Densely connected convolutional networks, 2017."""
    return _levels("densenet121", x, settings)


def efficientnetv2_b0(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Tan and Le, EfficientNetV2: smaller models and faster training, 2021."""
    return _levels("efficientnetv2_b0", x, settings)


def efficientnetv2_b1(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Tan and Le, EfficientNetV2, 2021."""
    return _levels("efficientnetv2_b1", x, settings)


def efficientnetv2_b2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Tan and Le, EfficientNetV2, 2021."""
    return _levels("efficientnetv2_b2", x, settings)


def efficientnetv2_b3(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Tan and Le, EfficientNetV2, 2021."""
    return _levels("efficientnetv2_b3", x, settings)


def efficientnetv2_s(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Tan and Le, EfficientNetV2, 2021."""
    return _levels("efficientnetv2_s", x, settings)


def mobilenetv2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, 2018."""
    return _levels("mobilenetv2", x, settings)


def mobilenetv3_large(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Howard et al., Searching for MobileNetV3, 2019."""
    return _levels("mobilenetv3_large", x, settings)


def mobilenetv3_small(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: Howard et al., Searching for MobileNetV3, 2019."""
    return _levels("mobilenetv3_small", x, settings)


def resnet50(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: He et al., Deep residual learning for image recognition, 2016."""
    return _levels("resnet50", x, settings)


def resnet50v2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """5 levels, from 1/2 to 1/32. Source: He et al., Identity mappings in deep residual networks, 2016."""
    return _levels("resnet50v2", x, settings)


def vgg16(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """6 levels, from full resolution to 1/32. Source: Simonyan and Zisserman, Very deep convolutional networks, 2015."""
    return _levels("vgg16", x, settings)


def _levels(name: str, x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Lay a network on x, with the weights that the settings name.

    With such weights x runs from -1, the lowest value of the data, to 1, the highest, and is given the scale that the
    network was trained with; without it stays as it is.
    """
    network, file = networks.NETWORKS[name], weights.find_weights(settings)
    if file:
        x = in_its_units(x, network.scaling)
    laid = _make(
        network,
        input_tensor=x,
        **({"include_preprocessing": False} if network.scales_itself else {}),
    )
    set_batchnorm_momentum(laid, settings.momentum)
    if file:
        load_weights(laid, _make(network, input_shape=(None, None, 3)), file, network.scaling)
    return by_halving(laid, x)


def _make(network: networks.Network, **settings: Any) -> keras.Model:
    return getattr(keras.applications, network.maker)(include_top=False, weights=None, **settings)
