"""The whole config of a run, and its small sections `input`, `mask_files` and `predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from segkit import catalog
from segkit.config.augment import AugmentConfig
from segkit.config.data import DataConfig, PixelSize, Unit
from segkit.config.data_sets import set_configs
from segkit.config.decode import DecodeConfig
from segkit.config.loss import LossTerms, changes, check_soft
from segkit.config.model import ModelConfig
from segkit.config.section import Positive, Section
from segkit.config.sets import task_for
from segkit.config.train import TrainConfig as TrainConfig
from segkit.errors import ConfigError
from segkit.io.coding import MaskLayout
from segkit.task import Task

FAR = 10.0
"""A value is an outlier if its distance to the usual range exceeds this many widths of the
range."""
FLOAT32 = 3.4028234e38
"""The largest float32 value."""


class InputConfig(Section):
    """Type and statistics of the training images.

    Training measures them and saves them with the run; prediction scales new images by them.
    """

    channels: Positive
    """The number of channels of an image."""
    dtype: Literal["uint8", "uint16", "float32"]
    """The type of the pixel values."""
    mean: tuple[float, ...]
    """The mean of the pixel values, one per channel; the model subtracts it."""
    std: tuple[float, ...]
    """The standard deviation of the pixel values, one per channel; the model divides by it."""
    low: float
    """The lower end of the usual range of pixel values, of which changes of brightness and contrast
    are shares; of 8-bit images the lowest value, of others about the 0.5th percentile."""
    high: float
    """The upper end of the usual range of pixel values; of 8-bit images the highest value, of
    others about the 99.5th percentile."""
    pixel_size: tuple[PixelSize, PixelSize] | None = None
    """The median height and width of a pixel, with which `segkit predict` compares those of new
    images; null if it is unknown."""
    pixel_unit: Unit | None = None
    """The unit of `pixel_size`."""

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that a model sees; it clips others to them."""
        type_limits = {
            "uint8": (0.0, 255.0),
            "uint16": (0.0, 65535.0),
            "float32": (-FLOAT32, FLOAT32),
        }
        lowest, highest = type_limits[self.dtype]
        margin = FAR * (self.high - self.low)
        if self.dtype == "uint8" or margin <= 0:  # the range is unknown if it is empty
            return lowest, highest
        return max(lowest, self.low - margin), min(highest, self.high + margin)


class MaskFilesConfig(Section):
    """The format of the training masks.

    Training detects it and saves it with the run; prediction writes masks in the same format.
    """

    layout: MaskLayout = "file"
    """One file per image ("file"), one file with a band per class ("bands"), or one folder per
    class ("folders")."""
    yes: Positive | None = None
    """The value that means yes in masks of yes and no, if no setting names it: 1, 255 or 65535, or
    null if it does not occur."""


class PredictConfig(Section):
    """How large images are cut into windows for prediction."""

    tile: Annotated[int, Field(ge=32)] = 1024
    """The side of a window in pixels; images up to this size are predicted whole."""
    overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    """The overlap of neighbouring windows as a share of their side."""
    batch_size: Positive = 4
    """The number of windows that the network predicts at once."""
    skip_glass: bool = False
    """Whether windows of a whole slide that show only glass are background without prediction."""


def describe_sided_classes(names: Sequence[str]) -> str:
    """Return the message about classes whose labels mirroring makes wrong.

    Args:
        names: The names of the classes.
    """
    return (
        f"mirroring exchanges left and right, so the labels of these classes would be wrong: "
        f"{', '.join(names)}. Set augment.flip_horizontal: false "
        f"and augment.flip_vertical: false, or name the pairs of classes: "
        f"task.flip_pairs: [[left x, right x]]"
    )


class Config(Section):
    """All settings of a run, in sections."""

    task: Task
    """What one pixel can be; head, loss, metrics and files follow from it."""
    data: DataConfig = DataConfig()
    """Where the samples come from, how masks are read, and how samples are split into parts."""
    augment: AugmentConfig = AugmentConfig()
    """Random changes of training samples."""
    input: InputConfig | None = None
    """Type and statistics of the training images; by default training measures them."""
    mask_files: MaskFilesConfig | None = None
    """The format of the training masks, which training detects; null if the masks are not files."""
    model: ModelConfig = ModelConfig()
    """The network."""
    loss: LossTerms = {"cross_entropy": 1.0, "dice": 1.0}
    """The losses that are summed, each with its weight, or with its settings as in {focal: {weight:
    0.5, gamma: 2}}; a list of weights changes during training."""
    class_weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """The weights of classes in the loss by their names, 0 or from 1e-12 to 1e12; a class without
    one has weight 1."""
    train: TrainConfig = TrainConfig()
    """Length, speed and steps of the training."""
    predict: PredictConfig = PredictConfig()
    """How large images are cut into windows for prediction."""
    decode: DecodeConfig = DecodeConfig()
    """How masks are made from probabilities."""

    @model_validator(mode="after")
    def _check(self) -> Config:
        catalog.find(catalog.SOURCES, self.data.source, "data.source")
        for name, section in set_configs(self.data).items():
            catalog.find(catalog.SOURCES, section.source, f"data.sets.{name}.source")
        if self.train.shares is not None:
            self._check_shares(self.train.shares)
        if self.train.consistency:
            self._check_consistency()
        # The model is frozen, and pydantic ignores another object that a validator returns.
        self.__dict__["task"] = task_for(self.task, self.data)
        if self.task.soft:
            check_soft(self.loss)
        if self.train.monitor == "loss" and changes(self.loss):
            raise ConfigError(
                "losses of different epochs cannot be compared while a weight of the loss changes; "
                "use dice_foreground or iou_foreground",
                "contradiction",
                setting="train.monitor",
            )
        stride = self.model.stride
        if self.predict.tile < stride:
            raise ConfigError(
                f"must be at least {stride}, the network's stride (model.stem * 2**model.depth, or "
                f"the encoder's own); found {self.predict.tile}",
                "not-for-network",
                setting="predict.tile",
            )
        if self.class_weights is not None:
            self.task.weights(self.class_weights)
        self.decode.rules(self.task)
        if self.task.sided and self.augment.flips:
            raise ConfigError(
                describe_sided_classes(self.task.sided), "not-for-task", setting="augment"
            )
        return self

    def _check_shares(self, shares: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless there is a share for each set and for nothing else."""
        names = list(self.data.sets or {})
        if set(shares) != set(names):
            raise ConfigError(
                f"has a number for each set of data.sets ({', '.join(names) or 'none'}); found "
                f"{', '.join(shares) or 'none'}",
                "contradiction",
                setting="train.shares",
            )

    def _check_consistency(self) -> None:
        """Raise `ConfigError` if augmentation or data do not fit the consistency term."""
        if not self.augment.changes_intensities:
            raise ConfigError(
                "train.consistency compares an image with its copy of other brightness, contrast, "
                "gamma, noise or blur; set one of them above 0",
                "contradiction",
                setting="augment",
            )
        if self.train.unlabelled is not None and self.data.source == "scans":
            raise ConfigError(
                "holds images in files; it cannot be used with data.source: scans",
                "contradiction",
                setting="train.unlabelled",
            )

    def with_input(self, found: InputConfig) -> RunConfig:
        """Return the config of a run.

        Args:
            found: Type and statistics of its training images.
        """
        return RunConfig.model_validate({**dict(self), "input": found})

    def as_yaml(self) -> str:
        """Return the config as YAML, which `read` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class RunConfig(Config):
    """The config of a run, whose training images have been measured."""

    input: InputConfig
    """Type and statistics of the training images."""
