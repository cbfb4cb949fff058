"""The section `train`: length, speed and steps of the training, and what it writes."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from segkit.config.section import Positive, Section, Share
from segkit.config.vector import AbsolutePath
from segkit.errors import ConfigError
from segkit.system.replicas import Replicas

LARGEST_WEIGHT = 1e6
"""Upper limit of the weights of terms that need no labels."""
TermWeight = Annotated[float, Field(ge=0, le=LARGEST_WEIGHT)]
"""The weight of a term that needs no labels; 0 switches it off."""


class TrainConfig(Section):
    """Length, speed and steps of the training, and which epoch is the best."""

    epochs: Positive = 50
    """The largest number of epochs; it is ignored if `steps` or `minutes` is set."""
    steps: Positive | None = None
    """The number of training steps, in place of `epochs`; the last epoch may be shorter."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """The time budget in minutes, in place of `epochs`; the learning rate follows the clock."""
    batch_size: Positive = 8
    """The number of patches per step, over all devices and processes; a multiple of `devices`."""
    devices: Positive | Literal["all"] = 1
    """The number of devices that share each batch, on this machine or in each of several
    processes."""
    accumulate: Positive = 1
    """The number of batches whose gradients are averaged for one update of the weights; 4 batches
    of 2 samples need the memory of 2 samples."""
    steps_per_epoch: Positive | None = None
    """The number of batches per epoch; by default one pass over the training part."""
    shares: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    """The shares of the sets of `data.sets` in the samples of an epoch, as in {liver: 0.5, kidney:
    0.5}; null means that each sample occurs once in an epoch."""
    crop: tuple[Positive, Positive] = (256, 256)
    """The height and width of training patches in pixels; smaller images are padded with VOID."""
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of the patches that are placed on a foreground pixel, with all classes equally
    likely; use it for rare classes in large images."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """The optimizer: AdamW, or SGD with Nesterov momentum, which needs a learning rate about ten
    times as high (nnU-Net: 0.01)."""
    momentum: Share = 0.9
    """The momentum of sgd; nnU-Net uses 0.99 for its long trainings."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The highest learning rate, which is reached at the end of the warm-up."""
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; polynomial is (1 - share of the training)^0.9
    as in nnU-Net."""
    warmup: Share = 0.05
    """The share of the training in which the learning rate rises from 0; a constant rate has no
    warm-up."""
    encoder_learning_rate: Annotated[float, Field(ge=0)] = 1.0
    """The factor of the learning rate in the encoder; use 0.1 for pretrained weights."""
    freeze_encoder_epochs: Annotated[int, Field(ge=0)] = 0
    """The number of first epochs in which the encoder's weights do not change; its batch statistics
    still do."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """The decoupled weight decay (Loshchilov and Hutter, 2019): each step subtracts this times the
    learning rate times the weight, but not from biases and normalization layers."""
    clip_norm: Annotated[float, Field(ge=0)] = 1.0
    """The largest norm of all gradients together; larger gradients are scaled down to it, and 0
    switches this off."""
    ema: Share = 0.0
    """The decay of the exponential moving average of the weights, such as 0.999, which validation
    and model.keras then use; 0 switches it off."""
    consistency: TermWeight = 0.0
    """The weight of the consistency term, such as 1, by which pixels without a label teach: the
    prediction of the averaged weights (`ema`) for an image is the target for the image with other
    brightness, contrast, gamma, noise and blur (`augment`); 0 switches it off."""
    consistency_ramp_up: Share = 0.3
    """The share of the training in which the weight of the consistency term rises from 0."""
    unlabelled: AbsolutePath | None = None
    """The folder of images without masks for the consistency term; by default it uses the
    unlabelled pixels (VOID) of the training images."""
    smoothness: TermWeight = 0.0
    """The weight of the smoothness term, such as 1, for strokes: it makes the prediction change
    only where the image changes; 0 switches it off."""
    patience: Annotated[int, Field(ge=0)] = 0
    """The number of epochs without a better validation score after which training stops; 0 switches
    this off."""
    monitor: Literal["dice_foreground", "iou_foreground", "loss"] = "dice_foreground"
    """The validation score that chooses the best epoch, whose weights become model.keras."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "float32"
    """The type of the computations; auto means mixed_bfloat16 if a measured step is at least 1.5
    times as fast with it, else float32."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The random seed of initial weights, patches, augmentation and dropout."""
    checkpoint_minutes: Annotated[float, Field(ge=0)] = 10.0
    """The minutes between checkpoints within an epoch, from which `--resume` continues; 0 means
    only at the end of each epoch."""
    pictures: Annotated[int, Field(ge=0)] = 5
    """The number of epochs between pictures of validation images; 0 means never."""
    tensorboard: bool = True
    """Whether the history is also written for TensorBoard."""
    tracker: Literal["trackio", "wandb", "mlflow"] | None = None
    """The experiment tracker that also receives the config, the history, the pictures and the
    scores; its package must be installed."""
    tracker_project: Annotated[str, Field(min_length=1)] = "segkit"
    """The project of the tracker in which the run appears; MLflow calls it an experiment."""

    @model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.steps is not None and self.minutes is not None:
            raise ConfigError(
                f"steps ({self.steps}) and minutes ({self.minutes:g}) exclude each other; leave "
                f"one out",
                "contradiction",
                setting="train",
            )
        if self.devices != "all":
            Replicas(self.devices).check(self.batch_size)
        self._check_consistency()
        return self

    def _check_consistency(self) -> None:
        """Raise `ConfigError` if a setting that the consistency term needs is missing."""
        if self.unlabelled is not None and not self.consistency:
            raise ConfigError(
                "the images of train.unlabelled teach by the consistency term, so it needs a "
                "weight above 0, such as 1; found 0",
                "missing-setting",
                setting="train.consistency",
            )
        if self.consistency and not self.ema:
            raise ConfigError(
                "the consistency term takes its targets from averaged weights, so "
                "train.consistency needs a decay above 0, such as 0.99; found 0",
                "missing-setting",
                setting="train.ema",
            )

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Return the number of steps of the training; None with a time budget.

        Args:
            steps_per_epoch: The number of steps per epoch.
        """
        if self.minutes is not None:
            return None
        return self.steps or self.epochs * steps_per_epoch

    def last_epoch(self, steps_per_epoch: int) -> int | None:
        """Return the number of epochs, the last of which may be shorter; None with a time budget.

        Args:
            steps_per_epoch: The number of steps per epoch.
        """
        total = self.total_steps(steps_per_epoch)
        if total is None:
            return None
        return math.ceil(total / steps_per_epoch)
