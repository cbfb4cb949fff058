"""Facts about the encoders of keras.applications that are needed before Keras is imported."""

from __future__ import annotations

from typing import NamedTuple

from segkit.errors import ConfigError

NONE = "none"
"""The value of `model.weights` for random weights."""
IMAGENET = "imagenet"
"""The value of `model.weights` for weights trained on ImageNet."""
HUB = "keras_hub:"
"""The beginning of an encoder's name that is a backbone of KerasHub."""
STRIDE = 32
"""Pixels of the image per pixel of the coarsest features; it is the same for all these encoders."""
ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"
"""Where Keras downloads weights from."""


class Scaling(NamedTuple):
    """How a network scales images with values from 0 to 255: (image - mean) / std."""

    mean: tuple[float, float, float]
    """Means of red, green and blue."""
    std: tuple[float, float, float]
    """Standard deviations of red, green and blue."""
    blue_first: bool = False
    """Whether the order of the channels becomes blue, green, red."""


CAFFE = Scaling((123.68, 116.779, 103.939), (1.0, 1.0, 1.0), blue_first=True)
SIGNED = Scaling((127.5,) * 3, (127.5,) * 3)
SIGNED_128 = Scaling((128.0,) * 3, (128.0,) * 3)
STANDARD = Scaling((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))


class Network(NamedTuple):
    """A network of keras.applications."""

    maker: str
    """The function of keras.applications that makes the network."""
    scaling: Scaling
    """How the network scales images."""
    file: str
    """The file of its ImageNet weights below `ADDRESS`."""
    digest: str = ""
    """The MD5 or SHA-256 of the file as in Keras; empty if Keras has none."""
    scales_itself: bool = False
    """Whether Keras includes the scaling in the network by default."""


NETWORKS = {
    "convnext_tiny": Network(
        "ConvNeXtTiny",
        STANDARD,
        "convnext/convnext_tiny_notop.h5",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        scales_itself=True,
    ),
    "densenet121": Network(
        "DenseNet121",
        STANDARD,
        "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "30ee3e1110167f948a6b9946edeeb738",
    ),
    **{
        f"efficientnetv2_{size}": Network(
            f"EfficientNetV2{size.upper()}",
            scaling,
            f"efficientnet_v2/efficientnetv2-{size}_notop.h5",
            digest,
            scales_itself=True,
        )
        for size, scaling, digest in (
            ("b0", STANDARD, "893217f2bb855e2983157299931e43ff"),
            ("b1", STANDARD, "0e80663031ca32d657f9caa404b6ec37"),
            ("b2", STANDARD, "1dfe2e7a5d45b6632553a8961ea609eb"),
            ("b3", STANDARD, "f6abf7b5849ac99a89b50dd3fd532856"),
            ("s", SIGNED_128, "af0682fb74e8c54910f2d4393339c070"),
        )
    },
    "mobilenetv2": Network(
        "MobileNetV2",
        SIGNED,
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    **{
        f"mobilenetv3_{size}": Network(
            f"MobileNetV3{size.title()}",
            SIGNED,
            f"mobilenet_v3/weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5",
            digest,
            scales_itself=True,
        )
        for size, digest in (
            ("small", "d3e8ec802a04aa4fc771ee12a9a9b836"),
            ("large", "07fb09a5933dd0c8eaafa16978110389"),
        )
    },
    "resnet50": Network(
        "ResNet50",
        CAFFE,
        "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "resnet50v2": Network(
        "ResNet50V2",
        SIGNED,
        "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
    "vgg16": Network(
        "VGG16",
        CAFFE,
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
}


def stride(encoder: str, stem: int, depth: int) -> int:
    """Return the pixels of the image per pixel of an encoder's coarsest features.

    Args:
        encoder: The name of the encoder.
        stem: The factor by which the stem reduces the resolution; fixed encoders ignore it.
        depth: The number of times the resolution is halved; fixed encoders ignore it.

    >>> stride("plain", stem=2, depth=3), stride("resnet50", stem=1, depth=3)
    (16, 32)
    """
    return STRIDE if has_own_stride(encoder) else stem * 2**depth


def has_own_stride(encoder: str) -> bool:
    """Return whether an encoder has a fixed depth, as those of keras.applications and KerasHub."""
    return encoder in NETWORKS or encoder.startswith(HUB)


def check_network(encoder: str, weights: str, stem: int) -> None:
    """Check that settings of the model fit together, without looking for files.

    Args:
        encoder: The name of the encoder.
        weights: The value of `model.weights`.
        stem: The value of `model.stem`.

    Raises:
        ConfigError: If they do not fit together.
    """
    known = has_own_stride(encoder)
    if known and stem != 1:
        raise ConfigError(
            f"must be 1, because {encoder} reduces the resolution itself; found {stem}",
            "not-for-network",
            setting="model.stem",
        )
    is_own = ":" in encoder and not known
    if weights == NONE or is_own:  # an encoder of your own interprets the setting itself
        return
    if not known:
        raise ConfigError(
            f"the encoder {encoder!r} has no pretrained weights; set it to {NONE}, or use one of "
            f"the encoders {', '.join(NETWORKS)}",
            "not-for-network",
            setting="model.weights",
        )
    if encoder.startswith(HUB) and weights != IMAGENET:
        raise ConfigError(
            f"must be {NONE}, or {IMAGENET} for the weights of the preset; found {weights!r}. For "
            f"a preset in a folder set model.encoder: {HUB}FOLDER",
            setting="model.weights",
        )
    if weights != IMAGENET and not weights.endswith(".h5"):
        raise ConfigError(
            f"must be {NONE}, {IMAGENET}, or a file that ends in .weights.h5 or .h5; found "
            f"{weights!r}",
            setting="model.weights",
        )
