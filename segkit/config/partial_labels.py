"""Settings of the section `data` about labels that say less than one class for every pixel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segkit import catalog
from segkit.config.section import Section
from segkit.config.vector import AbsolutePath
from segkit.errors import ConfigError

OF_SHAPES = (*catalog.LABELS, "coco", "roboflow")
"""The sources whose masks are drawn from shapes."""


class LabelledAreaConfig(Section):
    """The part of each image that was labelled; all pixels outside of it are unlabelled."""

    label: str | None = None
    """The label of the shapes that enclose the area, or their category in a COCO file."""
    masks: AbsolutePath | None = None
    """A folder of masks with the names of the images, in which all values above 0 are the area."""
    missing: Literal["error", "all", "nothing"] = "error"
    """Whether an image without such a shape or mask is an error, was labelled completely (all), or
    was not labelled (nothing)."""

    @model_validator(mode="after")
    def _check(self) -> LabelledAreaConfig:
        if (self.label is None) == (self.masks is None):
            raise ConfigError(
                "needs one of label, the label of shapes around the area, and masks, a folder of "
                "masks",
                "missing-setting",
                setting="data.labelled_area",
            )
        return self


class PartialLabels(Section):
    """Which labels are missing, and what the pixels without a label can be."""

    unlabelled: dict[str, Literal["void"]] | None = None
    """The classes that nobody annotated, as in {vessel: void}: background may be such a class
    everywhere, and in tasks of yes and no a no becomes void. A column labelled_classes in
    `list_file` says it for each image."""
    labelled_classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The classes that were annotated; all others are unlabelled, as `unlabelled` describes it, and
    a mask that contains one of them is an error. Null means all classes."""
    missing_masks: Literal["error", "void", "leave_out"] = "error"
    """Whether an image without the mask of a class, where each class has a folder or a column of
    its own, is an error, or the class was not annotated in this image (void); leave_out leaves out
    images without any mask, and with `annotators` an image needs the mask of one of them only."""
    transparent: Literal["error", "void"] = "error"
    """Whether a mask file with transparent pixels is an error, or pixels that are not opaque are
    unlabelled (void), as around strokes on a layer of a paint program."""
    other_values: Literal["error", "void"] = "error"
    """Whether a value or colour that no entry of `mask_values` or `mask_colours` names is an error,
    or its pixels are unlabelled (void), as where strokes of a smooth brush cross."""
    outside_shapes: Literal["auto", "background", "void"] = "auto"
    """Whether pixels outside all shapes are background or unlabelled (void); auto means background,
    except for tools that define it."""
    point_radius: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] | None = None
    """The radius in pixels of the discs to which points grow over unlabelled pixels, but not over
    other labels. Points are those of labelling tools, keypoints of COCO files, and dots of at most
    3 x 3 pixels in masks that are unlabelled around them."""
    boxes: Literal["auto", "areas", "bounds"] = "auto"
    """Whether all of a box is its class (areas), or only says that its class is nowhere outside of
    the boxes, so that each pixel inside is the class or background (bounds). Auto means areas for
    labelling tools, and an error for boxes without a segmentation in COCO files and YOLO's."""
    labelled_area: LabelledAreaConfig | None = None
    """The part of each image that was labelled; all pixels outside of it are unlabelled."""

    @property
    def others_void(self) -> bool:
        """Whether values and colours that no entry names are unlabelled."""
        return self.other_values == "void"

    def check_outside(self) -> None:
        """Check that no two settings say what pixels outside of shapes are.

        Raises:
            ConfigError: If two of them do.
        """
        others = {
            "boxes: bounds": self.boxes == "bounds",
            "labelled_area": self.labelled_area is not None,
        }
        for words, is_set in others.items():
            if is_set and self.outside_shapes == "void":
                raise ConfigError(
                    f"void says that nothing is known about pixels outside of shapes, but "
                    f"data.{words} says what is known about them; use one of both",
                    "contradiction",
                    setting="data.outside_shapes",
                )

    @property
    def area_label(self) -> str | None:
        """The label of the shapes around the labelled area; None if there is none."""
        if self.labelled_area is None:
            return None
        return self.labelled_area.label

    def check_shapes(self, source: str) -> None:
        """Check that no setting is about shapes if the source has none.

        Args:
            source: The name of the source, or "module:attribute".

        Raises:
            ConfigError: If a setting is.
        """
        of_shapes = {
            "outside_shapes": self.outside_shapes != "auto",
            "boxes": self.boxes != "auto",
            "labelled_area.label": self.area_label is not None,
        }
        for name, is_set in of_shapes.items():
            if is_set and source not in OF_SHAPES and ":" not in source:
                raise ConfigError(
                    f"is about shapes that people drew, and the source {source} has none; sources "
                    f"with shapes are {', '.join(sorted(OF_SHAPES))}",
                    "contradiction",
                    setting=f"data.{name}",
                )
