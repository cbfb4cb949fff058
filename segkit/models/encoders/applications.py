"""The networks of keras.applications as encoders: their features before each halving."""

from __future__ import annotations

from typing import Any

import keras

from segkit.config import ModelConfig, networks
from segkit.models import weights
from segkit.models.blocks import Tensor
from segkit.models.encoders.pretrained import in_its_units, load_weights, set_batchnorm_momentum
from segkit.models.levels import by_halving


def convnext_tiny(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 4 levels, from 1/4 to 1/32 of the resolution.

    Source: Liu et al., A ConvNet for the 2020s, 2022.
    """
    return _levels("convnext_tiny", x, settings)


def densenet121(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Huang et al., DenseNet, 2017.
    """
    return _levels("densenet121", x, settings)


def efficientnetv2_b0(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Tan and Le, EfficientNetV2, 2021.
    """
    return _levels("efficientnetv2_b0", x, settings)


def efficientnetv2_b1(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Tan and Le, EfficientNetV2, 2021.
    """
    return _levels("efficientnetv2_b1", x, settings)


def efficientnetv2_b2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Tan and Le, EfficientNetV2, 2021.
    """
    return _levels("efficientnetv2_b2", x, settings)


def efficientnetv2_b3(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Tan and Le, EfficientNetV2, 2021.
    """
    return _levels("efficientnetv2_b3", x, settings)


def efficientnetv2_s(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Tan and Le, EfficientNetV2, 2021.
    """
    return _levels("efficientnetv2_s", x, settings)


def mobilenetv2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Sandler et al., MobileNetV2, 2018.
    """
    return _levels("mobilenetv2", x, settings)


def mobilenetv3_large(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Howard et al., Searching for MobileNetV3, 2019.
    """
    return _levels("mobilenetv3_large", x, settings)


def mobilenetv3_small(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: Howard et al., Searching for MobileNetV3, 2019.
    """
    return _levels("mobilenetv3_small", x, settings)


def resnet50(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: He et al., Deep residual learning, 2016.
    """
    return _levels("resnet50", x, settings)


def resnet50v2(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 5 levels, from 1/2 to 1/32 of the resolution.

    Source: He et al., Identity mappings in ResNets, 2016.
    """
    return _levels("resnet50v2", x, settings)


def vgg16(x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Return 6 levels, from 1/1 to 1/32 of the resolution.

    Source: Simonyan and Zisserman, VGG, 2015.
    """
    return _levels("vgg16", x, settings)


def _levels(name: str, x: Tensor, settings: ModelConfig) -> list[Tensor]:
    """Apply a network to x, and load the weights that the settings name.

    For pretrained weights x must run from -1 to 1; it is scaled as in the network's own training.
    """
    network = networks.NETWORKS[name]
    file = weights.find_weights(settings)
    if file:
        x = in_its_units(x, network.scaling)
    arguments: dict[str, Any] = {"input_tensor": x}
    if network.scales_itself:
        arguments["include_preprocessing"] = False
    applied = _make(network, **arguments)
    set_batchnorm_momentum(applied, settings.momentum)
    if file:
        source = _make(network, input_shape=(None, None, 3))
        load_weights(applied, source, file, network.scaling)
    return by_halving(applied, x)


def _make(network: networks.Network, **settings: Any) -> keras.Model:
    return getattr(keras.applications, network.maker)(include_top=False, weights=None, **settings)
