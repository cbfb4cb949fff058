"""The `train` section of a config: how long, how fast, in which steps, and what is kept on the way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segkit.config.section import Positive, Section, Share
from segkit.errors import ConfigError
from segkit.system.replicas import Replicas


class TrainConfig(Section):
    """How long, how fast, and what counts as best."""

    epochs: Positive = 50
    """At most, of `steps_per_epoch` steps each; not used with `steps` or `minutes`."""
    steps: Positive | None = None
    """A budget of steps instead of `epochs`; the last epoch may be shorter."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """A time budget instead of `epochs`: the learning rate falls with the clock, and training ends with it."""
    batch_size: Positive = 8
    """Patches a step, over all devices and processes."""
    devices: Positive | Literal["all"] = 1
    """Devices of this machine (of each process, if there are several) that share each batch."""
    accumulate: Positive = 1
    """Batches whose gradients are averaged to one update: 4 batches of 2 need the memory of 2 samples."""
    steps_per_epoch: Positive | None = None
    """Batches an epoch; by default one pass over the training part."""
    crop: tuple[Positive, Positive] = (256, 256)
    """Height and width of the training patches; smaller images are padded with VOID."""
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the patches that hold a foreground pixel, each class as likely; for rare classes in large images."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd has Nesterov momentum and wants a learning rate some ten times as high (nnU-Net: 0.01)."""
    momentum: Share = 0.9
    """Of sgd; nnU-Net takes 0.99 for its long trainings."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The highest, at the end of the warm-up."""
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; polynomial is nnU-Net's (1 - share)^0.9."""
    warmup: Share = 0.05
    """Share of all steps over which the learning rate rises from 0; a constant rate has no warm-up."""
    encoder_learning_rate: Annotated[float, Field(ge=0)] = 1.0
    """Factor of the learning rate in the encoder: 0.1 for weights that come from elsewhere."""
    freeze_encoder_epochs: Annotated[int, Field(ge=0)] = 0
    """First epochs in which the encoder's weights stay as they are; its batch statistics go on."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Times the learning rate, taken off every weight but biases and those of normalisation (Loshchilov and Hutter, 2019)."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """Gradients whose norm, all together, is larger are shrunk to it; 0: never."""
    ema: Share = 0.0
    """Average the weights, keeping this share of the average at each update (0.999); validation and model.keras are then of
    the average. 0: off."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better validation score; 0: never."""
    monitor: Literal["dice_foreground", "iou_foreground", "loss"] = "dice_foreground"
    """The validation score by which model.keras is the best epoch's."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """auto: mixed_bfloat16 where a step of it is measured to be 1.5 times as fast, else float32."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the first weights, patches and dropout."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 10.0
    """Minutes between checkpoints within an epoch, which `--resume` goes on from; 0: only at the end of each epoch."""
    pictures: Annotated[int, Field(ge=0)] = 5
    """Draw validation images every so many epochs; 0: never."""
    tensorboard: bool = True
    """Write the history for TensorBoard, too."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.steps is not None and self.minutes is not None:
            raise ConfigError(
                f"one budget, steps ({self.steps}) or minutes ({self.minutes:g}); leave one out",
                "contradiction",
                setting="train",
            )
        if self.devices != "all":
            Replicas(self.devices).check(self.batch_size)
        return self

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Return the steps of the whole training, None if its minutes decide."""
        if self.minutes is not None:
            return None
        return self.steps or self.epochs * steps_per_epoch

    def last_epoch(self, steps_per_epoch: int) -> int | None:
        """Return the number of epochs, the last of which may be shorter; None if the minutes decide."""
        total = self.total_steps(steps_per_epoch)
        return None if total is None else -(-total // steps_per_epoch)
