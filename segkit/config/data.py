"""The `data` section of a config: where samples come from, how their masks are read, how they are split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from segkit.config.section import Positive, Section, Share
from segkit.errors import ConfigError


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as problem:  # ~name of nobody
        raise ValueError(str(problem)) from problem


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(f"a colour is written '#rrggbb', as in '#ff0000' for red; found {text!r}")
    return text.lower()


def _fold(text: str) -> str:
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) or int(found[2]) < 2:
        raise ValueError(f"a fold is written k/n, as in 2/5 for the second of five; found {text!r}")
    return text


PATH_SETTINGS = ("images", "masks", "annotations", "list_file", "data_dir", "cache_folder")
"""The settings of the section `data` and of its parts that are paths."""
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
HexColour = Annotated[str, AfterValidator(_colour)]
Fold = Annotated[str, AfterValidator(_fold)]


class PartConfig(Section):
    """A part of the data in files of its own; what is not given is as in the training part."""

    images: AbsolutePath | None = None
    masks: AbsolutePath | None = None
    annotations: AbsolutePath | None = None
    list_file: AbsolutePath | None = None
    split: str | None = None

    @model_validator(mode="after")
    def _check(self) -> PartConfig:
        if not self.model_dump(exclude_none=True):
            raise ConfigError(
                f"a part of its own needs at least one of {', '.join(type(self).model_fields)}",
                "missing-setting",
                setting="data",
            )
        return self


class DataConfig(Section):
    """Where the samples come from and how they are split."""

    source: str = "folder"
    relative_to: Literal["current", "config"] = "current"
    """Where relative paths start: at the current folder, or at the folder of the config file."""
    trust: bool = Field(default=False, exclude=True)
    """Whether Python that the config or the data set names may be imported. It is said on the command line or in Python,
    never in a file, and never saved with a run.
    """
    images: AbsolutePath | None = None
    masks: AbsolutePath | None = None
    mask_suffix: str = ""
    """What a mask's name has more than its image's: "_mask" pairs a.jpg with a_mask.png, also in one folder."""
    image_suffix: str = ""
    """What an image's name has more than the part that its mask's name shares: "_sat" and "_mask" pair a_sat with a_mask."""
    list_file: AbsolutePath | None = None
    """A CSV file with the columns image, mask (or one a class) and, if wanted, split."""
    mask_values: dict[int, str] | None = None
    """What each value of a mask file means: a class (absent/present in yes/no masks) or void."""
    mask_colours: dict[HexColour, str] | None = None
    """What each colour of RGB masks means: {"#ff0000": car, "#000000": background, "#ffffff": void}."""
    colour_tolerance: Annotated[int, Field(ge=0, le=127)] = 0
    """Largest difference of a channel at which a pixel still counts as a named colour; the nearest one wins."""
    mask_threshold: Positive | None = None
    """Read yes/no masks with grey edges, or JPEG, as value >= mask_threshold."""
    mask_ids: Literal["classes", "instances"] | None = None
    """What numbers in a mask are: classes, or single objects of one class, where any number above 0 is the object.

    None means classes; `segkit inspect` and `segkit plan` then look which of both the numbers seem to be.
    """
    on_top: tuple[str, ...] | None = None
    """Where classes of an exclusive task overlap, the first of these wins; without it an overlap is an error."""
    annotations: AbsolutePath | None = None
    """The COCO JSON file."""
    crowds: Literal["auto", "void", "objects"] = "auto"
    """What `iscrowd: 1` means: unlabelled places, as in COCO's own files, or objects, as labelling tools write brush strokes.

    auto: void in COCO's own files, objects in others.
    """
    name: str | None = None
    """The TensorFlow data set, as `tfds.builder` takes it; or none, with its prepared folder in `data_dir`."""
    data_dir: AbsolutePath | None = None
    split: str = "train"
    image_key: str | None = None
    mask_key: str | None = None
    download: bool = False
    blocks: Annotated[int, Field(ge=32)] | None = None
    """Side of the regions that large images are cut into, in pixels: each is a sample, so parts hold regions of one image.

    Between two regions an eighth of this lies that no sample shows.
    """
    skip_broken: bool = False
    """Leave out samples that cannot be read or do not fit, and say how many, instead of refusing to train."""
    pages: Literal["samples", "channels", "first"] | None = None
    """What the pages of TIFF, GIF or WebP files are: samples of their own, the bands of one image, or the first alone counts.
    Without it a file of several equal pages is refused unless it calls them channels."""
    max_pixels: Positive | None = None
    """Largest image that is opened; by default Pillow's limit against decompression bombs, 178,956,970."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where decoded samples are kept; auto: in memory if there is room, else on disk if there is, else as many as fit."""
    cache_folder: AbsolutePath | None = None
    """The folder for disk, which several runs may share; by default one in the run folder, removed when it is done."""
    count: Positive = 600
    size: tuple[Positive, Positive] = (128, 128)
    seed: int = 0
    validation: Share | PartConfig = 0.15
    test: Share | PartConfig = 0.15
    fold: Fold | None = None
    """k/n: of all that is not the test part, the k-th of n equal folds is the validation part, and the rest trains."""

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        shares = [share for share in (self.validation, self.test) if isinstance(share, float)]
        if sum(shares) >= 1:
            raise ConfigError(
                f"validation + test leave nothing to train on; their shares are {shares}",
                "too-few-samples",
                setting="data",
            )
        ways = [
            name
            for name in ("mask_values", "mask_colours", "mask_threshold")
            if getattr(self, name) is not None
        ]
        if len(ways) > 1:
            raise ConfigError(
                f"{' and '.join(ways)} exclude each other; say in one way what a mask file means",
                "contradiction",
                setting="data",
            )
        if ways and self.mask_ids == "instances":
            raise ConfigError(
                f"instances and {ways[0]} exclude each other; say in one way what a mask file means",
                "contradiction",
                setting="data.mask_ids",
            )
        if self.fold and isinstance(self.validation, PartConfig):
            raise ConfigError(
                f"{self.fold} takes the validation part from the training part; leave out data.validation",
                "contradiction",
                setting="data.fold",
            )
        return self

    @property
    def pages_of_an_image(self) -> Literal["channels", "first"] | None:
        """What the pages of a file are that is one image; None if the file itself decides, or each page is an image."""
        return None if self.pages == "samples" else self.pages

    def part(self, own: PartConfig) -> DataConfig:
        """Return these settings with the files of a part of its own."""
        changed = own.model_dump(exclude_none=True)
        if "images" in changed:
            changed.setdefault("list_file", None)  # the whole data set's list does not know them
        return self.model_copy(update=changed)
