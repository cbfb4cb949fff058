"""A run's settings: sections with defaults, read from YAML, checked before anything slow is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from segkit import catalog
from segkit.config.augment import AugmentConfig
from segkit.config.data import DataConfig
from segkit.config.decode import DecodeConfig
from segkit.config.loss import LossTerms, changes
from segkit.config.model import ModelConfig
from segkit.config.section import Positive, Section
from segkit.config.train import TrainConfig as TrainConfig
from segkit.errors import ConfigError
from segkit.io.coding import MaskLayout
from segkit.task import Task

FAR = 10.0
"""Times the usual range of values: what lies further outside that range is an outlier, such as a defective pixel."""
FLOAT32 = 3.4028234e38
"""The largest value of 32 bits."""


class InputConfig(Section):
    """What the training images were: measured by `train`, saved with the run, and used by prediction."""

    channels: Positive
    dtype: Literal["uint8", "uint16", "float32"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: float
    """The usual range of values goes from here to `high`; changes of brightness and contrast are shares of it. Of more than
    8 bits it is that of 99 % of the pixels, since single defective pixels can be a thousand times as bright."""
    high: float

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that the model tells apart; what lies outside is set to them."""
        if self.dtype == "uint8":
            return 0.0, 255.0
        lowest, highest = (0.0, 65535.0) if self.dtype == "uint16" else (-FLOAT32, FLOAT32)
        room = FAR * (self.high - self.low)
        if room <= 0:  # nothing is known of the range
            return lowest, highest
        return max(lowest, self.low - room), min(highest, self.high + room)


class MaskFilesConfig(Section):
    """How the training masks were stored: seen by `train`, saved with the run, so that prediction stores masks alike."""

    layout: MaskLayout = "file"
    """One file for each image ("file"), one file whose bands are the classes ("bands"), or a folder a class ("folders")."""
    yes: Positive | None = None
    """The value that meant yes in masks whose values no setting names: 1, 255 or 65535. None if it did not occur."""


class PredictConfig(Section):
    """How images larger than `tile` are cut, and how many windows go through the network at once."""

    tile: Annotated[int, Field(ge=32)] = 1024
    overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    batch_size: Positive = 4


def describe_sided_classes(names: Sequence[str]) -> str:
    """Return what to say of classes that a flip would teach wrong."""
    return (
        f"a flip makes left right, so these classes would be learned wrong: {', '.join(names)}. Say "
        f"augment.flip_horizontal: false (and vertical), or name the pairs: task.flip_pairs: [[left x, right x]]"
    )


class Config(Section):
    """Everything that a run is made from."""

    task: Task
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    input: InputConfig | None = None
    """Measured by training; see `RunConfig`."""
    mask_files: MaskFilesConfig | None = None
    """Seen by training; None where the masks were no files of their own."""
    model: ModelConfig = ModelConfig()
    loss: LossTerms = {"cross_entropy": 1.0, "dice": 1.0}
    """Weight of each loss, or its settings: {focal: {weight: 0.5, gamma: 2}}; a list is a weight that changes."""
    class_weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()
    decode: DecodeConfig = DecodeConfig()

    @model_validator(mode="after")
    def _check(self) -> Config:
        catalog.find(catalog.SOURCES, self.data.source, "data.source")
        if self.train.monitor == "loss" and changes(self.loss):
            raise ConfigError(
                "the loss of two epochs cannot be compared while a weight of it changes; take "
                "dice_foreground or iou_foreground",
                "contradiction",
                setting="train.monitor",
            )
        stride = self.model.stride
        if self.predict.tile < stride:
            raise ConfigError(
                f"at least {stride}, the network's stride (model.stem * 2**model.depth, or the "
                f"encoder's own); found {self.predict.tile}",
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

    def with_input(self, found: InputConfig) -> RunConfig:
        """Return the config of a run whose training images were measured as `found`."""
        return RunConfig.model_validate({**dict(self), "input": found})

    def as_yaml(self) -> str:
        """Return the config as YAML that `read` takes."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class RunConfig(Config):
    """The config of a run: it says what the training images were, so that prediction treats new images alike."""

    input: InputConfig
