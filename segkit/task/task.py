"""The `Task`. Only this folder distinguishes the kinds of tasks and their heads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from segkit.task import checks
from segkit.task.defaults import with_defaults
from segkit.task.encoding import VOID as VOID
from segkit.task.encoding import decode_probabilities, encode_mask
from segkit.task.encoding import values_of as values_of
from segkit.task.explain import explain
from segkit.task.html import as_html
from segkit.task.palette import Colour
from segkit.task.readable import validated
from segkit.task.sets import (
    check_parents,
    check_sets,
    known_by_value,
    mirrored_values,
    plain_values,
    possible_by_value,
)
from segkit.task.weights import weights_of

YES_NO = ("absent", "present")
"""The names of the values 0 and 1 in a mask of yes and no."""
SIDE = re.compile(r"(?i)(^|[\W_])(left|right)([\W_]|$)")
"""Matches class names that contain the word "left" or "right"."""

Size = TypeVar("Size", int, int | None)


class Task(BaseModel):
    """What one pixel can be. Head, target, loss, metrics, decoding and files follow from it.

    | kind | one pixel is | head | target (uint8) | decoded mask (uint8) |
    |---|---|---|---|---|
    | binary | the class, or not | sigmoid, 1 channel | (H, W, 1) 0/1 | (H, W) 0/1 |
    | multilabel | any set of classes | sigmoid, C channels | (H, W, C) 0/1 | (H, W, C) 0/1 |
    | multiclass | exactly one class | softmax, C channels | (H, W) 0..C-1 | (H, W) 0..C-1 |
    | multiclass, head="sigmoid" | exactly one class | sigmoid, C channels | (H, W) | (H, W) |

    In the last row each channel separates one class from all others. Target pixels of value `VOID`
    (255) are unlabelled. In a multiclass task, target values from C on name sets of classes that a
    pixel can still be (`sets`); in other tasks each channel can be VOID.

    Make a task by `binary`, `multilabel` or `multiclass`.

    >>> Task.multiclass(["background", "liver", "tumour"]).activation
    'softmax'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["binary", "multilabel", "multiclass"]
    """What one pixel can be: one class or not (binary), any set of classes (multilabel), or exactly
    one class (multiclass)."""
    classes: tuple[str, ...]
    """The names of the 1 to 255 classes, in the order of their channels and mask values."""
    head: Literal["sigmoid", "softmax"]
    """The activation of the network's output; by default softmax in a multiclass task, else
    sigmoid."""
    background: str | None
    """The class of a multiclass task that does not enter Dice and mean scores; by default the class
    called "background", if there is one."""
    thresholds: tuple[float, ...] | None
    """The lowest probability at which a pixel belongs to a class, above 0 and below 1: one number
    or one per class, by default 0.5, and none in a multiclass task."""
    palette: tuple[Colour, ...]
    """The colour of each class as red, green and blue from 0 to 255; by default different
    colours."""
    flip_pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of classes that mirroring exchanges, such as [left lung, right lung]."""
    parents: dict[str, tuple[str, ...]] = {}
    """Groups of classes, as in {organ: [liver, kidney]}. A mask value may name a parent where
    nobody looked closer, and scores are given for parents, too."""
    sets: tuple[tuple[str, ...], ...] = ()
    """The sets of classes to which target values of a multiclass task may point: value C + i is the
    i-th set. A config adds the sets that its section `data` and the data need."""
    soft: bool = False
    """Whether targets for losses are probabilities (H, W, C) instead of masks. A config sets it for
    masks of several annotators and for masks of probabilities."""

    @classmethod
    def binary(cls, name: str = "object", *, threshold: float = 0.5, **settings: Any) -> Task:
        """Return a task in which a pixel belongs to one class or not.

        Args:
            name: The name of the class.
            threshold: The probability from which on a pixel belongs to the class, between 0 and 1.
            settings: `palette`.

        Raises:
            ConfigError: If a setting is unknown or does not fit.
        """
        values = {"kind": "binary", "classes": [name], "thresholds": threshold, **settings}
        return validated(cls, values, "task")

    @classmethod
    def multilabel(
        cls, classes: list[str], *, thresholds: float | list[float] = 0.5, **settings: Any
    ) -> Task:
        """Return a task in which a pixel belongs to any set of classes.

        Args:
            classes: The names of the classes.
            thresholds: The probability from which on a pixel belongs to a class, between 0 and 1:
                one for all classes, or one per class.
            settings: `palette` and `flip_pairs`.

        Raises:
            ConfigError: If a setting is unknown or does not fit.
        """
        values = {"kind": "multilabel", "classes": classes, "thresholds": thresholds, **settings}
        return validated(cls, values, "task")

    @classmethod
    def multiclass(cls, classes: list[str], *, head: str = "softmax", **settings: Any) -> Task:
        """Return a task in which a pixel belongs to exactly one of several classes.

        Args:
            classes: The names of the classes. One called "background" is the background unless
                `background` names another class or is None.
            head: "softmax" for one probability distribution over the classes, or "sigmoid" for one
                probability per class.
            settings: `background`, `palette` and `flip_pairs`.

        Raises:
            ConfigError: If a setting is unknown or does not fit.
        """
        values = {"kind": "multiclass", "classes": classes, "head": head, **settings}
        return validated(cls, values, "task")

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, values: Any) -> Any:
        return with_defaults(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check(self) -> Task:
        checks.check_classes(self.kind, self.classes)
        checks.check_head(self.kind, self.head)
        checks.check_background(self.kind, self.background, self.classes)
        checks.check_thresholds(self.kind, self.thresholds, self.classes)
        checks.check_palette(self.palette, self.classes)
        checks.check_flip_pairs(self.flip_pairs, self.classes)
        check_parents(self.kind, self.parents, self.classes)
        check_sets(self.kind, self.sets, self.classes, self.soft)
        return self

    @property
    def channels(self) -> int:
        """Number of channels of the head, one per class."""
        return len(self.classes)

    @property
    def activation(self) -> str:
        """Activation of the head by its name in Keras: "sigmoid" or "softmax"."""
        return self.head

    @property
    def cross_entropy(self) -> str:
        """Name of the function in `keras.ops` that belongs to the head."""
        return {"sigmoid": "binary_crossentropy", "softmax": "categorical_crossentropy"}[self.head]

    @property
    def classes_compete(self) -> bool:
        """Whether the probabilities of the classes sum to 1."""
        return self.head == "softmax"

    @property
    def exclusive(self) -> bool:
        """Whether a pixel belongs to exactly one class.

        Other folders ask for what follows from it, such as `stores_ids`.
        """
        return self.kind == "multiclass"

    @property
    def stores_ids(self) -> bool:
        """Whether targets and masks store class ids (H, W) instead of 0 (no) and 1 (yes)."""
        return self.exclusive

    @property
    def layered(self) -> bool:
        """Whether a mask has one plane per class, (H, W, C), and one band or file for each."""
        return self.kind == "multilabel"

    @property
    def planes(self) -> int:
        """Number of planes (H, W) of a decoded mask."""
        return self.channels if self.layered else 1

    @property
    def layer_task(self) -> Task:
        """Task of a mask of a single class."""
        return self if self.kind == "binary" else Task.binary()

    @property
    def can_overlap(self) -> bool:
        """Whether a pixel may belong to two classes."""
        return self.kind == "multilabel" and self.channels > 1

    @property
    def can_be_nothing(self) -> bool:
        """Whether a pixel may belong to no foreground class."""
        return not self.exclusive or self.background is not None

    @property
    def implies_background(self) -> bool:
        """Whether all pixels outside the only class are background, which then has no channel."""
        return self.kind == "binary"

    @property
    def background_index(self) -> int | None:
        """Channel of the background; None if no class is the background."""
        return None if self.background is None else self.classes.index(self.background)

    @property
    def foreground(self) -> tuple[int, ...]:
        """Channels of all classes but the background; they enter Dice losses and mean scores."""
        return tuple(i for i, name in enumerate(self.classes) if name != self.background)

    def sure_background(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return probabilities (*shape, channels) float32 that are surely no foreground class."""
        probabilities = np.zeros((*shape, self.channels), np.float32)
        if self.background_index is not None:
            probabilities[..., self.background_index] = 1
        return probabilities

    @property
    def sided(self) -> tuple[str, ...]:
        """Classes whose name contains "left" or "right" and that are in no flip pair.

        Mirrored training images would be labelled wrong for them.
        """
        paired: set[str] = set().union(*self.flip_pairs)
        return tuple(name for name in self.classes if name not in paired and SIDE.search(name))

    @property
    def weighted(self) -> tuple[str, ...]:
        """Names of class weights: the classes, and in a binary task also "background"."""
        return ("background", *self.classes) if self.implies_background else self.classes

    @property
    def named_values(self) -> dict[str, int]:
        """The mask value that each name stands for.

        >>> Task.binary("crack").named_values
        {'absent': 0, 'present': 1, 'background': 0, 'crack': 1}
        """
        if self.stores_ids:
            return {name: value for value, name in enumerate(self.classes)}
        values = {name: value for value, name in enumerate(YES_NO)}
        if self.implies_background:
            values["background"] = 0
            values.setdefault(self.classes[0], 1)
        return values

    @property
    def target_values(self) -> int:
        """Number of values of a target besides VOID: the classes and sets, or no and yes."""
        return self.channels + len(self.sets) if self.stores_ids else 2

    @property
    def possible(self) -> np.ndarray:
        """The classes that each value of an exclusive target leaves possible, (256, C) bool."""
        return possible_by_value(self.classes, self.sets)

    @property
    def known(self) -> np.ndarray:
        """The classes of which each value of an exclusive target says yes or no, (256, C) bool."""
        return known_by_value(self.classes, self.sets)

    @property
    def has_partial_labels(self) -> bool:
        """Whether a target can say yes or no for some classes of a pixel and not for others."""
        return bool(self.sets) or not self.stores_ids

    @property
    def without_sets(self) -> Task:
        """The task without sets, for masks whose values are class ids only."""
        return self.model_copy(update={"sets": ()}) if self.sets else self

    def trains_like(self, other: Task) -> bool:
        """Return whether a loss for another task is also right for this one."""
        names = ("kind", "classes", "head", "background", "sets", "soft")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def weights(self, given: Mapping[str, float] | None) -> tuple[float, ...]:
        """Return class weights in the order of `weighted`.

        Args:
            given: Weights by names; classes without one have weight 1.

        Raises:
            ConfigError: If a name is unknown, or if a weight is negative or out of range.
        """
        return weights_of(self.weighted, given)

    def target_shape(self, height: Size, width: Size) -> tuple[Size, ...]:
        """Return the shape of the encoded target of an image.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.
        """
        return (height, width) if self.stores_ids else (height, width, self.channels)

    def encode(self, mask: Any, where: str = "mask", void: int | None = None) -> np.ndarray:
        """Return a mask as the training target, after checking its shape and values.

        Args:
            mask: Bool or integer of shape (H, W) with 0/1 (binary) or class ids (multiclass), or of
                shape (H, W, C) with 0/1 (multilabel). Values from C on are those of `sets`.
            where: A name for the mask in errors, such as its file.
            void: The value of unlabelled pixels. By default this is 255, but a mask of yes and no
                with 255 and without 1 is refused, because 255 then usually means the object.

        Returns:
            The target as in the table above, uint8. Unlabelled pixels are `VOID`.

        Raises:
            DataError: If type, shape or values do not fit the task.
        """
        values = self.target_values
        target = encode_mask(np.asarray(mask), self.kind, self.channels, where, void, values)
        simplest = plain_values(self.classes, self.sets) if self.sets else None
        return target if simplest is None else simplest[target]

    def decode(self, probabilities: Any) -> np.ndarray:
        """Return probabilities as masks, by thresholds or, in a multiclass task, by argmax.

        A pixel belongs to a class if its probability is at least the threshold.

        Args:
            probabilities: Array of shape (..., H, W, C) with values from 0 to 1.

        Returns:
            The masks as in the table above, uint8, of shape (..., H, W) or (..., H, W, C).

        Raises:
            DataError: If the shape does not fit, or if a value is NaN or outside 0 to 1.
        """
        return decode_probabilities(probabilities, self.kind, self.channels, self.thresholds)

    def as_distributions(self, channels: Any) -> np.ndarray:
        """Return probabilities as probability distributions, whatever the head.

        Args:
            channels: Probabilities of shape (..., C).

        Returns:
            float32: one distribution over the C classes under softmax, (..., 1, C); C distributions
            [p, 1 - p] under sigmoid, (..., C, 2).
        """
        values = np.asarray(channels, np.float32)
        if self.classes_compete:
            return values[..., None, :]
        return np.stack([values, 1 - values], axis=-1)

    def from_distributions(self, distributions: np.ndarray) -> np.ndarray:
        """Return the probabilities (..., C) of distributions as `as_distributions` returns them."""
        return distributions[..., 0, :] if self.classes_compete else distributions[..., 0]

    @property
    def mirrored(self) -> np.ndarray:
        """The class that each class becomes in a mirrored image, as channels: (C,) uint8."""
        channels = list(range(self.channels))
        for first, second in self.flip_pairs:
            channels[self.classes.index(first)] = self.classes.index(second)
            channels[self.classes.index(second)] = self.classes.index(first)
        return np.array(channels, np.uint8)

    def mirror(self, target: np.ndarray) -> np.ndarray:
        """Return the target of a mirrored image with the classes of each flip pair exchanged.

        Args:
            target: The target of a loss, whose pixels are already mirrored.
        """
        if self.soft or not self.exclusive:
            return target[..., self.mirrored]
        return mirrored_values(self.classes, self.sets, self.flip_pairs)[target]

    def explain(self) -> str:
        """Return a paragraph on why the head of this task is a sigmoid or softmax."""
        return explain(self.kind, self.head, self.classes, self.thresholds, self.background)

    def _repr_html_(self) -> str:
        return as_html(
            self.kind, self.head, self.classes, self.palette, self.background, self.explain()
        )
