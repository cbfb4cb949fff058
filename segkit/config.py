"""A run's settings: sections with defaults, read from YAML, checked before anything slow is imported."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from segkit import catalog, networks
from segkit.data_config import DataConfig, Positive, Section, Share
from segkit.decode_config import DecodeConfig
from segkit.errors import ConfigError
from segkit.loss_config import LossTerms, changes
from segkit.task import Task
from segkit.train_config import TrainConfig as TrainConfig


class AugmentConfig(Section):
    """Random changes of training samples. Each is off at 0 or false; new mask pixels are VOID."""

    flip_horizontal: bool = True
    flip_vertical: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0
    """Largest turn either way, degrees."""
    scale: Share = 0.2
    """Largest change of size: 0.2 is 1/1.2 to 1.2 times."""
    elastic: Annotated[float, Field(ge=0)] = 0.0
    """Largest displacement of a smooth random warp, pixels."""
    brightness: Share = 0.15
    contrast: Share = 0.15
    gamma: Share = 0.0
    noise: Share = 0.0
    """Largest standard deviation of Gaussian noise, as a share of the intensity range."""
    blur: Annotated[float, Field(ge=0)] = 0.0
    """Largest standard deviation of a Gaussian blur, pixels."""

    @property
    def flips(self) -> bool:
        """Whether images are mirrored."""
        return self.flip_horizontal or self.flip_vertical


class InputConfig(Section):
    """What the training images were: measured by `train`, saved with the run, and used by prediction."""

    channels: Positive
    dtype: Literal["uint8", "uint16", "float32"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: float
    high: float


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
        networks.check(self.encoder, self.weights, self.stem)
        catalog.find(catalog.DECODERS, self.decoder, "model.decoder")
        flat = self.depth < 2 and not networks.has_own_stride(self.encoder)
        if self.deep_supervision and (flat or self.decoder in catalog.WITHOUT_DEEP_SUPERVISION):
            allowed = sorted(set(catalog.DECODERS) - set(catalog.WITHOUT_DEEP_SUPERVISION))
            raise ConfigError(
                f"model.deep_supervision: needs a decoder with features between the coarsest and the finest: "
                f"{', '.join(allowed)}, of depth 2 or more; found {self.decoder} of depth {self.depth}"
            )
        return self

    @property
    def stride(self) -> int:
        """Pixels of the image to a pixel of the smallest features: sizes are padded to a multiple of it."""
        return networks.stride(self.encoder, self.stem, self.depth)


class PredictConfig(Section):
    """How images larger than `tile` are cut, and how many windows go through the network at once."""

    tile: Annotated[int, Field(ge=32)] = 1024
    overlap: Annotated[float, Field(ge=0, le=0.75)] = 0.25
    batch_size: Positive = 4


def told_sides(names: Sequence[str]) -> str:
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
                "train.monitor: the loss of two epochs cannot be compared while a weight of it changes; take "
                "dice_foreground or iou_foreground"
            )
        stride = self.model.stride
        if self.predict.tile < stride:
            raise ConfigError(
                f"predict.tile: at least {stride}, the network's stride (model.stem * 2**model.depth, or the encoder's "
                f"own); found {self.predict.tile}"
            )
        if self.class_weights is not None:
            self.task.weights(self.class_weights)
        self.decode.rules(self.task)
        if self.task.sided and self.augment.flips:
            raise ConfigError(f"augment: {told_sides(self.task.sided)}")
        return self

    def as_yaml(self) -> str:
        """Return the config as YAML that `read` takes."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def as_line(value: Any) -> str:
    """Return a value as YAML on one line.

    >>> as_line([1, None, "é"])
    '[1, null, é]'
    """
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).splitlines()[0]


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which the first would be lost."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1})
        if twice:
            raise ConfigError(f"line {node.start_mark.line + 1}: given twice: {', '.join(twice)}")
        return super().construct_mapping(node, deep)


def read(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the config in a YAML file, with overrides such as "train.epochs=5" (the value is YAML).

    Raises `ConfigError` naming the file, the setting, what is allowed and what was found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be read ({problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8 ({problem.reason})") from problem
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
        if not isinstance(values, dict):
            raise ConfigError("a config is a table of sections (task, data, model, train, ...)")
        for override in overrides:
            _override(values, override)
        return Config.model_validate(values)
    except yaml.YAMLError as problem:
        raise ConfigError(f"{path}: not YAML: {problem}") from problem
    except ValidationError as problem:
        raise ConfigError(f"{path}: " + "\n  ".join(_describe(error) for error in problem.errors())) from problem
    except ConfigError as problem:
        raise ConfigError(f"{path}: {problem}") from problem


def changed(config: Config, overrides: Sequence[str]) -> Config:
    """Return a config with overrides such as "data.mask_threshold=128". Raises `ConfigError` naming the setting."""
    values = config.model_dump(mode="json")
    try:
        for override in overrides:
            _override(values, override)
        return Config.model_validate(values)
    except ValidationError as problem:
        raise ConfigError("--set: " + "\n  ".join(_describe(error) for error in problem.errors())) from problem


def _override(values: dict[str, Any], override: str) -> None:
    keys, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {override}: is written section.setting=value, as in train.epochs=5")
    *parents, last = keys.strip().split(".")
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
    section[last] = yaml.load(value, _Loader)  # noqa: S506


def _describe(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section: Any = Config
        for part in error["loc"][:-1]:
            field = getattr(section, "model_fields", {}).get(part)
            section = field.annotation if field else None
        known = list(getattr(section, "model_fields", {}))
        close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else f"; known are {', '.join(known)}" if known else ""
        return f"{where}: there is no such setting{hint}"
    if error["type"] == "missing":
        return f"{where}: is missing"
    return f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}; found {error['input']!r}"
