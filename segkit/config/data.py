"""The section `data`: where samples come from, how masks are read, and how samples are split."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from segkit.config.data_sets import checked_sets, set_configs
from segkit.config.groups import Groups
from segkit.config.image_parts import ImageParts
from segkit.config.label_files import LabelMeanings, RunLengthsConfig
from segkit.config.mask_meanings import HexColour, StoredMeaning
from segkit.config.partial_labels import PartialLabels
from segkit.config.section import Positive, Section, Share
from segkit.config.soft_labels import SoftLabels, check_probability_masks, checked_annotators
from segkit.config.vector import AbsolutePath, VectorConfig
from segkit.errors import ConfigError
from segkit.io.geometry import METRES, as_unit


def _fold(text: str) -> str:
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    is_fold = False
    if match:
        number = int(match[1])
        count = int(match[2])
        is_fold = count >= 2 and 1 <= number <= count
    if not is_fold:
        raise ValueError(
            f"a fold has the form k/n, such as 2/5 for the second of five; found {text!r}"
        )
    return text


def _unit(text: str) -> str:
    unit = as_unit(text)
    if unit is None:
        raise ValueError(f"units are {', '.join(METRES)}; found {text!r}")
    return unit


PATH_SETTINGS = (
    "images",
    "masks",
    "annotations",
    "area",
    "list_file",
    "data_dir",
    "cache_folder",
    "unlabelled",
)
"""The settings of the sections `data` and `train`, and of parts of the data, that are paths."""
WITHOUT_BANDS = ("scans", "shapes", "tfds", "video")
"""Sources whose images are no files, so that `bands` cannot be chosen."""
Fold = Annotated[str, AfterValidator(_fold)]
"""A fold such as "2/5"."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number."""
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A number above 0."""
PixelSize = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""One side of a pixel, in any unit."""
Unit = Annotated[str, AfterValidator(_unit)]
"""A unit of length, as `segkit.io.geometry.METRES` calls it."""


class PartConfig(Section):
    """Files of the validation or the test part. Settings that are left out are those of `data`."""

    images: AbsolutePath | None = None
    """The folder of the images."""
    masks: AbsolutePath | None = None
    """The folder of the masks, or of one folder of masks per class."""
    annotations: AbsolutePath | None = None
    """The COCO JSON file, or the vector file."""
    list_file: AbsolutePath | None = None
    """The CSV file that lists images and masks."""
    split: str | None = None
    """The split of the TensorFlow data set."""

    @model_validator(mode="after")
    def _check(self) -> PartConfig:
        if not self.model_dump(exclude_none=True):
            raise ConfigError(
                f"a part with files of its own needs at least one of "
                f"{', '.join(type(self).model_fields)}",
                "missing-setting",
                setting="data",
            )
        return self


class DataConfig(PartialLabels, SoftLabels, ImageParts):
    """Where the samples come from, how masks are read, and how samples are split into parts."""

    source: str = "folder"
    """The kind of the data: "folder" for image files, "coco" for a COCO JSON file, "vector" for
    maps with vector labels (extra `geo`), "scans" for DICOM, NIfTI, NRRD and MetaImage (extra
    `medical`), "video" for frames of films (extra `video`), "tfds" for a TensorFlow data set,
    "cityscapes", "cvat", "labelme", "labelstudio", "qupath", "rle", "roboflow", "supervisely",
    "via", "voc" or "yolo" for files of labelling tools, "shapes" for generated images, or a source
    of your own as "module:function"."""
    relative_to: Literal["current", "config"] = "current"
    """Whether relative paths start at the current folder or at the folder of the config file."""
    trust: bool = Field(default=False, exclude=True)
    """Whether Python code that the config or the data set names may be imported; it is set on the
    command line (--trust) or in Python, never in a file, and is not saved with a run."""
    images: AbsolutePath | None = None
    """The folder of the images."""
    masks: AbsolutePath | None = None
    """The folder of the masks, or of one folder of masks per class."""
    mask_suffix: str = ""
    """The end of a mask's name that its image's name does not have: "_mask" pairs a.jpg with
    a_mask.png, which may be in the same folder."""
    image_suffix: str = ""
    """The end of an image's name that its mask's name does not have: "_sat", with a mask_suffix of
    "_mask", pairs a_sat.jpg with a_mask.png."""
    list_file: AbsolutePath | None = None
    """A CSV file with the columns image and mask, or image and one column per class, and optionally
    the column split."""
    mask_values: dict[int, StoredMeaning] | None = None
    """The meaning of each value in a mask file: a class, void for unlabelled, or in masks of yes
    and no absent or present. A pixel whose class is not known exactly is a list of classes, a name
    of `task.parents`, or "not NAME"."""
    mask_colours: dict[HexColour, StoredMeaning] | None = None
    """The meaning of each colour in RGB masks, as in {"#ff0000": car, "#000000": background,
    "#ffffff": void}; the meanings are those of `mask_values`."""
    colour_tolerance: Annotated[int, Field(ge=0, le=127)] = 0
    """The largest difference in each channel at which a pixel still has a colour of `mask_colours`;
    the nearest colour wins."""
    mask_threshold: Positive | None = None
    """The value from which on a pixel of a mask is yes, for masks of yes and no with grey edges or
    in JPEG."""
    mask_ids: Literal["classes", "instances"] | None = None
    """Whether the numbers in a mask are classes, or single objects of one class, where all numbers
    above 0 are the object; null means classes, and `segkit inspect` and `segkit plan` then detect
    which."""
    on_top: tuple[str, ...] | None = None
    """The classes of an exclusive task in the order in which they hide each other where they
    overlap, the topmost first; without it an overlap is an error."""
    annotations: AbsolutePath | None = None
    """The COCO JSON file, the file or folder of labels that a labelling tool wrote, or the vector
    file with the labels of a map (GeoPackage, GeoJSON, Shapefile)."""
    vector: VectorConfig | None = None
    """How the vector labels of a map are read; null means that every feature of a file with one
    layer is the one class of the task."""
    labels: LabelMeanings | None = None
    """The meaning of labels of a labelling tool that are not called like a class: a class, void for
    unlabelled, background, or skip for shapes that are left out, as in {tabby: cat, glare: void};
    "*" stands for all other labels."""
    label_attribute: str | None = None
    """The attribute of a shape that is its label, in files of tools whose shapes have several."""
    line_width: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """The width in pixels with which lines and points of labelling tools are drawn; without it they
    are an error, because they have no area."""
    overlaps: Literal["auto", "last", "error"] = "auto"
    """Whether the shape that is last in the file hides the others where shapes of exclusive classes
    overlap, or whether an overlap is an error unless `on_top` decides; auto means last for tools
    that define an order of drawing."""
    without_labels: Literal["auto", "leave_out", "background", "error"] = "auto"
    """What happens to images without a label file or without an entry in it: they are left out with
    a warning, they are all background, or they are an error; auto means background in YOLO's
    format and left out in others."""
    use_predictions: bool = False
    """Whether the prediction of a model counts as labels in tasks of Label Studio that nobody has
    annotated, as in the files of `segkit predict --format labelstudio` (source labelstudio)."""
    run_lengths: RunLengthsConfig | None = None
    """The columns of a CSV file of run lengths, and the order of its pixels."""
    crowds: Literal["auto", "void", "objects"] = "auto"
    """The meaning of `iscrowd: 1` in COCO files: unlabelled pixels (void) as in COCO's own files,
    or objects, which labelling tools mark so; auto means void in COCO's own files and objects in
    others."""
    name: str | None = None
    """The TensorFlow data set by its name in `tfds.builder`; null if `data_dir` is the folder of a
    prepared one."""
    data_dir: AbsolutePath | None = None
    """The folder with TensorFlow data sets, or without `name` the folder of a prepared one; by
    default that of TensorFlow Datasets."""
    split: str = "train"
    """The split of the TensorFlow data set."""
    image_key: str | None = None
    """The feature of the TensorFlow data set that is the image; by default it is chosen by name and
    shape."""
    mask_key: str | None = None
    """The feature of the TensorFlow data set that is the mask; by default it is chosen by name and
    shape."""
    download: bool = False
    """Whether a TensorFlow data set that is not prepared is downloaded."""
    blocks: Annotated[int, Field(ge=32)] | None = None
    """The side in pixels of the blocks into which large images are cut, each of which is a sample,
    so that one image can be in several parts; between two blocks an eighth of it is unused."""
    skip_broken: bool = False
    """Whether samples that cannot be read or do not fit are left out with a warning, instead of an
    error."""
    pages: Literal["samples", "channels", "first"] | None = None
    """Whether the pages of a TIFF, GIF or WebP file are separate samples or the channels of one
    image, or whether only the first is read; by default a file with several pages of equal size is
    refused unless it calls them channels."""
    axis: Literal["axial", "coronal", "sagittal"] | None = None
    """The direction of the slices of volumes (source scans); null means that of the scanner, which
    is across the largest spacing."""
    neighbours: Annotated[int, Field(ge=0, le=16)] = 0
    """The number of slices of a volume before and after each slice that become further channels;
    at the ends the last slice is repeated (source scans)."""
    window: tuple[Finite, PositiveFloat] | None = None
    """The centre and the width of the range that the values of scans are limited to, such as
    [40, 400] for soft tissue in CT; null keeps all values (source scans)."""
    bands: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    """The bands of an image that are read, in this order and counted from 1: [4, 3, 2]; null means
    all bands."""
    max_pixels: Positive | None = None
    """The size in pixels of the largest image that is opened; by default 178,956,970, which is
    Pillow's limit against decompression bombs."""
    pixel_size: tuple[PixelSize, PixelSize] | None = None
    """The height and width of a pixel of all images, in which `segkit evaluate --boundary` then
    measures distances; null means the size that the files state, or pixels if they do not."""
    pixel_unit: Unit | None = None
    """The unit of `pixel_size`: nm, µm, mm, cm, m or km. Sizes of objects in a unit need it."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where decoded samples are cached; auto means in memory if they fit, else on disk if they fit,
    else as many as fit in memory."""
    cache_folder: AbsolutePath | None = None
    """The folder of the disk cache, which several runs may share; by default one in the run folder,
    which is deleted at the end."""
    count: Positive = 600
    """The number of generated images of the source shapes."""
    size: tuple[Positive, Positive] = (128, 128)
    """The height and width of generated images of the source shapes, in pixels."""
    sets: dict[str, dict[str, Any]] | None = None
    """Several data sets for one training, by names that begin the names of their samples; each has
    settings of this section, such as images and labelled_classes, and those that it leaves out are
    the ones of this section."""
    seed: int = 0
    """The random seed of generated images of the source shapes; it does not affect other
    sources."""
    validation: Share | PartConfig = 0.15
    """The share of the samples in the validation part, or the files of that part."""
    test: Share | PartConfig = 0.15
    """The share of the samples in the test part, or the files of that part."""
    fold: Fold | None = None
    """The fold k/n of a cross-validation: all samples outside the test part are divided into n
    equal folds, and the k-th is the validation part."""
    on_all: bool = False
    """Whether all samples are in the training part, also those that a data set lists for validation
    or test; `segkit train --on-all` sets it, and such a run has no score of its own."""
    groups: Groups | None = None
    """The samples that belong together, such as the slices of a patient: a regular expression on
    the name, {folder: 1}, or {column: patient} of the CSV list; a group is never divided among
    parts or folds."""
    keep_together: tuple[tuple[str, ...], ...] = ()
    """Lists of names of samples that stay in one part, together with their groups; `segkit plan`
    and `segkit train` list copies here. Names that the data do not have are ignored."""

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        shares = [share for share in (self.validation, self.test) if isinstance(share, float)]
        if sum(shares) >= 1:
            raise ConfigError(
                f"validation and test leave no samples for training; their shares are {shares}",
                "too-few-samples",
                setting="data",
            )
        self._check_mask_reading()
        self.check_outside()
        # The model is frozen, and pydantic ignores another object that a validator returns.
        if self.sets is not None:
            self.__dict__["sets"] = checked_sets(self)
        self.__dict__["annotators"] = checked_annotators(self)
        check_probability_masks(self)
        self._check_scan_settings()
        self.check_image_parts(self.source, self.pages)
        self._check_combinations()
        if self.on_all:
            self._check_on_all()
        if self.sets is None and self.groups is not None:
            self.groups.check_list(self._has_list)
        return self

    def _check_combinations(self) -> None:
        """Raise `ConfigError` if one setting contradicts another one."""
        if self.bands is not None and self.source in WITHOUT_BANDS:
            raise ConfigError(
                f"bands are chosen in image files; the source {self.source} has none",
                "contradiction",
                setting="data.bands",
            )
        if self.pixel_unit is not None and self.pixel_size is None:
            raise ConfigError(
                "is the unit of data.pixel_size, which is not set",
                "missing-setting",
                setting="data.pixel_unit",
            )
        if self.fold and isinstance(self.validation, PartConfig):
            raise ConfigError(
                f"the fold {self.fold} takes the validation part from the training part; leave out "
                f"data.validation",
                "contradiction",
                setting="data.fold",
            )

    def _check_on_all(self) -> None:
        """Raise `ConfigError` if another setting holds samples back from a training on all."""
        if self.fold:
            raise ConfigError(
                f"a training on all samples has no fold; found {self.fold}. Train the folds first, "
                f"without data.on_all",
                "contradiction",
                setting="data.on_all",
            )
        for part, setting in (("validation", self.validation), ("test", self.test)):
            if isinstance(setting, PartConfig):
                raise ConfigError(
                    f"data.{part} has files of its own, and a training on all samples uses the "
                    f"files of the section data alone. Add them there, or keep them as a test: "
                    f"set data.{part}=0, and score the run on them with `segkit evaluate`",
                    "contradiction",
                    setting="data.on_all",
                )

    @property
    def _has_list(self) -> bool:
        """Whether the samples, or those of a part, are in a CSV list."""
        own = [part for part in (self.validation, self.test) if isinstance(part, PartConfig)]
        return self.list_file is not None or any(part.list_file for part in own)

    def _check_mask_reading(self) -> None:
        """Raise `ConfigError` if two settings say what a mask file means."""
        names = ("mask_values", "mask_colours", "mask_threshold")
        used = [name for name in names if getattr(self, name) is not None]
        if len(used) > 1:
            raise ConfigError(
                f"{' and '.join(used)} exclude each other; use one setting to say what a mask file "
                f"means",
                "contradiction",
                setting="data",
            )
        if used and self.mask_ids == "instances":
            raise ConfigError(
                f"instances and {used[0]} exclude each other; use one setting to say what a mask "
                f"file means",
                "contradiction",
                setting="data.mask_ids",
            )

    def _check_scan_settings(self) -> None:
        """Raise `ConfigError` for a setting of scans with another source."""
        if self.source == "scans" or ":" in self.source:
            return
        for name in ("axis", "neighbours", "window"):
            if getattr(self, name):
                raise ConfigError(
                    f"is a setting of scans (data.source: scans); found the source {self.source}",
                    "contradiction",
                    setting=f"data.{name}",
                )

    @property
    def origin(self) -> str:
        """The kind of the data in words, such as "folder", or those of all sets."""
        if self.sets is None:
            return self.source
        kinds = [f"{name} ({section.source})" for name, section in set_configs(self).items()]
        return f"{len(kinds)} sets: {', '.join(kinds)}"

    @property
    def vector_labels(self) -> VectorConfig:
        """The section `vector`, with its defaults if it is not set."""
        return self.vector or VectorConfig()

    @property
    def pages_of_an_image(self) -> Literal["channels", "first"] | None:
        """How the pages of a file are read that is one image.

        None if the file itself says so, or if each page is an image.
        """
        return None if self.pages == "samples" else self.pages

    def part(self, own: PartConfig) -> DataConfig:
        """Return these settings with the files of a part.

        Args:
            own: The files of the part.
        """
        changed = own.model_dump(exclude_none=True)
        changed["sets"] = None
        if not changed.keys().isdisjoint(("masks", "annotations", "list_file")):
            changed["annotators"] = None  # the files of the part are masks of one kind
        if "images" in changed:
            changed.setdefault(
                "list_file", None
            )  # the list of the whole data set lacks these images
        return self.model_copy(update=changed)
