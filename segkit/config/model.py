"""The section `model`: encoder, decoder and what they are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segkit import catalog
from segkit.config import networks
from segkit.config.section import Positive, Section, Share
from segkit.errors import ConfigError


class ModelConfig(Section):
    """The network: image -> encoder -> decoder -> head. The head is the task's business."""

    encoder: str = "plain"
    decoder: str = "unet"
    width: Positive = 32
    """Channels at full resolution; doubled at each level down to `widest`."""
    widest: Positive = 512
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    """How often the resolution is halved; the networks of keras.applications have a depth of their own."""
    blocks: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 3, 4, 6)
    """Of the residual encoder: blocks at each level, and below the last number as many again."""
    weights: str = networks.NONE
    """Of an encoder that is trained already: "imagenet", or a file that Keras wrote (.weights.h5, .h5); "none": random."""
    freeze_statistics: bool = False
    """Normalise the encoder's features by the statistics that came with its weights, in training too."""
    stem: Literal[1, 2, 4] = 1
    """2 or 4: work at a half or quarter of the resolution, several times as fast, for objects that have no fine detail."""
    normalization: Literal["batch", "group", "instance", "none"] = "batch"
    """batch costs nothing in prediction, where it becomes part of the convolutions; instance and group do not depend on the
    other images of a batch, which serves small ones, but on how far a window of a large image reaches."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Of batch statistics; 0.99, Keras' default, does not keep up in short runs."""
    dropout: Share = 0.0
    upsampling: Literal["transpose", "bilinear", "nearest"] = "transpose"
    deep_supervision: bool = False
    """Train coarser features of the decoder too, each by a head of its own that the finished network does not have."""
    image_head: Annotated[float, Field(ge=0)] = 0.0
    """Weight in the loss of a head that says which classes are in the image; 0: no such head."""
    image_labels: Literal["any", "one"] = "any"
    """What that head says: any set of the foreground classes, or the one that the image shows most of."""

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if not self.encoder.startswith(networks.HUB):
            catalog.find(catalog.ENCODERS, self.encoder, "model.encoder")
        networks.check_network(self.encoder, self.weights, self.stem)
        catalog.find(catalog.DECODERS, self.decoder, "model.decoder")
        flat = self.depth < 2 and not networks.has_own_stride(self.encoder)
        if self.deep_supervision and (flat or self.decoder in catalog.WITHOUT_DEEP_SUPERVISION):
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
        """Pixels of the image to a pixel of the smallest features: sizes are padded to a multiple of it."""
        return networks.stride(self.encoder, self.stem, self.depth)
