"""The section `model`: encoder and decoder of the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segkit import catalog
from segkit.config import networks
from segkit.config.section import Positive, Section, Share
from segkit.errors import ConfigError


class ModelConfig(Section):
    """The network: encoder and decoder. The task decides the head."""

    encoder: str = "plain"
    """The encoder: a name of segkit such as "plain", "residual" or "resnet50", a KerasHub backbone
    as "keras_hub:preset", or an encoder of your own as "module:function"."""
    decoder: str = "unet"
    """The decoder: a name of segkit such as "unet" or "fpn", or a decoder of your own as
    "module:function"."""
    width: Positive = 32
    """The number of channels at full resolution, or after the stem; it doubles at each level up to
    `widest`."""
    widest: Positive = 512
    """The largest number of channels of a level."""
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    """The number of times the resolution is halved; pretrained encoders have a fixed depth."""
    blocks: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 3, 4, 6)
    """The number of blocks at each level of the residual encoder; the last one is used for all
    further levels."""
    weights: str = networks.NONE
    """The weights of a pretrained encoder: "imagenet", a file that Keras wrote (.weights.h5 or
    .h5), or "none" for random weights."""
    freeze_statistics: bool = False
    """Whether batch normalization of the encoder uses the pretrained mean and variance in training,
    too."""
    stem: Literal[1, 2, 4] = 1
    """The factor by which the first layer reduces the resolution; 2 and 4 are several times as fast
    and suit objects without fine detail."""
    normalization: Literal["batch", "group", "instance", "none"] = "batch"
    """The normalization of features: batch is the fastest in prediction; group and instance do not
    depend on the other images of a batch, but on the size of the window in a large image."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """The momentum of the moving averages in batch normalization; Keras' default of 0.99 is too
    slow for short trainings."""
    dropout: Share = 0.0
    """The share of the channels that are dropped in training."""
    upsampling: Literal["transpose", "bilinear", "nearest"] = "transpose"
    """How the decoder doubles the resolution: by a transposed convolution, or by bilinear or
    nearest interpolation."""
    deep_supervision: bool = False
    """Whether coarser features of the decoder are trained by auxiliary heads, which the finished
    network does not have."""
    image_head: Annotated[float, Field(ge=0)] = 0.0
    """The weight in the loss of a second head that predicts the classes of the whole image; 0 means
    no such head."""
    image_labels: Literal["any", "one"] = "any"
    """Whether the second head predicts any set of the foreground classes, or the one with the most
    pixels."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if not self.encoder.startswith(networks.HUB):
            catalog.find(catalog.ENCODERS, self.encoder, "model.encoder")
        networks.check_network(self.encoder, self.weights, self.stem)
        catalog.find(catalog.DECODERS, self.decoder, "model.decoder")
        is_flat = self.depth < 2 and not networks.has_own_stride(self.encoder)
        if self.deep_supervision and (is_flat or self.decoder in catalog.WITHOUT_DEEP_SUPERVISION):
            allowed = sorted(set(catalog.DECODERS) - set(catalog.WITHOUT_DEEP_SUPERVISION))
            raise ConfigError(
                f"needs a decoder with features between the coarsest and the finest: "
                f"{', '.join(allowed)}, of depth 2 or more; found {self.decoder} of depth "
                f"{self.depth}",
                "not-for-network",
                setting="model.deep_supervision",
            )
        return self

    @property
    def stride(self) -> int:
        """Pixels of the image per pixel of the coarsest features.

        Image sizes are padded to multiples of it.
        """
        return networks.stride(self.encoder, self.stem, self.depth)
