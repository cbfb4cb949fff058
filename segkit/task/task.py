"""What a pixel can be. Only this folder knows the kinds of tasks and their heads; everything else asks a `Task`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from segkit.errors import ConfigError, DataError
from segkit.system.terminal import has_controls, shown
from segkit.task.explain import explain
from segkit.task.hints import few, hint_for_values
from segkit.task.html import as_html
from segkit.task.palette import Colour, default_palette
from segkit.task.readable import validated
from segkit.task.weights import weights_of

VOID = 255
"""The target value of a pixel that nobody labelled. No loss and no metric ever sees such a pixel."""
YES_NO = ("absent", "present")
"""What 0 and 1 are called in a mask that answers yes or no."""

Size = TypeVar("Size", int, int | None)


class Task(BaseModel):
    """What one pixel can be, said once; head, target, loss, metrics, decoding and files follow from it.

    | kind | one pixel is | head | target (uint8) | decoded mask (uint8) |
    |---|---|---|---|---|
    | binary | the class, or not | sigmoid, 1 channel | (H, W, 1) 0/1 | (H, W) 0/1 |
    | multilabel | any set of classes | sigmoid, C channels | (H, W, C) 0/1 | (H, W, C) 0/1 |
    | multiclass | exactly one class | softmax, C channels | (H, W) 0..C-1 | (H, W) 0..C-1 |
    | multiclass, head="sigmoid" | one class, asked one against the rest | sigmoid, C channels | (H, W) | (H, W) |

    Target pixels of value `VOID` (255) are unlabelled. Use `binary`, `multilabel` or `multiclass` to make one.

    >>> Task.multiclass(["background", "liver", "tumour"]).activation
    'softmax'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["binary", "multilabel", "multiclass"]
    classes: tuple[str, ...]
    head: Literal["sigmoid", "softmax"]
    background: str | None
    thresholds: tuple[float, ...] | None
    """The probability from which each class holds; None where the mask is the most probable class."""
    palette: tuple[Colour, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def binary(cls, name: str = "object", *, threshold: float = 0.5, **settings: Any) -> Task:
        """One class that a pixel is or is not; `threshold` is the probability from which it is."""
        return validated(
            cls, {"kind": "binary", "classes": [name], "thresholds": threshold, **settings}, "task"
        )

    @classmethod
    def multilabel(
        cls, classes: list[str], *, thresholds: float | list[float] = 0.5, **settings: Any
    ) -> Task:
        """Classes that may hold together at one pixel, each with its own threshold."""
        given = {"kind": "multilabel", "classes": classes, "thresholds": thresholds, **settings}
        return validated(cls, given, "task")

    @classmethod
    def multiclass(cls, classes: list[str], *, head: str = "softmax", **settings: Any) -> Task:
        """Classes of which exactly one holds. A class called "background" is the background unless told otherwise."""
        return validated(
            cls, {"kind": "multiclass", "classes": classes, "head": head, **settings}, "task"
        )

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        filled = {
            key: value for key, value in given.items() if value is not None or key == "background"
        }
        classes = filled.get("classes", [])
        classes = [classes] if isinstance(classes, str) else classes
        if not isinstance(classes, list | tuple):
            raise ConfigError(f"a list of names; found {classes!r}", setting="task.classes")
        classes = list(classes)
        exclusive = filled.get("kind") == "multiclass"
        filled["classes"] = classes
        filled.setdefault("head", "softmax" if exclusive else "sigmoid")
        filled.setdefault(
            "background", "background" if exclusive and "background" in classes else None
        )
        filled.setdefault("palette", default_palette(classes, filled["background"]))
        thresholds = filled.get("thresholds", None if exclusive else 0.5)
        filled["thresholds"] = (
            [thresholds] * len(classes) if isinstance(thresholds, int | float) else thresholds
        )
        return filled

    @model_validator(mode="after")
    def _check(self) -> Task:
        self._check_classes()
        self._check_head()
        self._check_thresholds()
        self._check_palette()
        paired = [name for pair in self.flip_pairs for name in pair]
        _require(
            set(paired) <= set(self.classes) and len(set(paired)) == len(paired),
            "task.flip_pairs",
            f"pairs of different classes out of {list(self.classes)}; found {self.flip_pairs}",
        )
        return self

    def _check_classes(self) -> None:
        count = len(self.classes)
        wanted = {
            "binary": "exactly one class",
            "multilabel": "one class or more",
            "multiclass": "two classes or more",
        }
        enough = {"binary": count == 1, "multilabel": count >= 1, "multiclass": count >= 2}
        _require(
            enough[self.kind],
            "task.classes",
            f"a {self.kind} task has {wanted[self.kind]}; found {count}: {list(self.classes)}",
        )
        _require(
            count <= VOID,
            "task.classes",
            f"at most {VOID} classes ({VOID} marks unlabelled pixels in an 8-bit mask); found {count}",
        )
        different = len(set(self.classes)) == count and all(self.classes)
        _require(
            different, "task.classes", f"class names must differ and not be empty: {self.classes}"
        )
        controls = ", ".join(shown(name) for name in self.classes if has_controls(name))
        message = f"a class name is one line of text without control characters; found {controls}"
        _require(not controls, "task.classes", message, "unsafe-name")

    def _check_head(self) -> None:
        _require(
            self.head == "sigmoid" or self.kind == "multiclass",
            "task.head",
            f"softmax makes classes exclude each other; in a {self.kind} task each channel "
            f"answers yes or no (sigmoid). Two exclusive classes under softmax are "
            f"Task.multiclass(['background', 'object'])",
            "not-for-task",
        )
        _require(
            self.background is None
            or (self.kind == "multiclass" and self.background in self.classes),
            "task.background",
            f"only a multiclass task has one, and it is one of its classes; found {self.background!r}",
        )

    def _check_palette(self) -> None:
        count = len(self.classes)
        _require(
            len(self.palette) == count,
            "task.palette",
            f"one colour a class ({count}); found {len(self.palette)}",
        )
        in_range = all(0 <= v <= 255 for c in self.palette for v in c)
        _require(in_range, "task.palette", "each colour is three numbers from 0 to 255")

    def _check_thresholds(self) -> None:
        if self.kind == "multiclass":
            _require(
                self.thresholds is None,
                "task.thresholds",
                "a multiclass mask is the most probable class; it has none",
                "not-for-task",
            )
            return
        thresholds = self.thresholds or ()
        _require(
            len(thresholds) == len(self.classes) and all(0 < t < 1 for t in thresholds),
            "task.thresholds",
            f"one number between 0 and 1 a class ({len(self.classes)}); found {list(thresholds)}",
        )

    @property
    def channels(self) -> int:
        """Channels of the head: one a class."""
        return len(self.classes)

    @property
    def activation(self) -> str:
        """The head's activation as Keras calls it, "sigmoid" or "softmax"."""
        return self.head

    @property
    def cross_entropy(self) -> str:
        """The function of `keras.ops` that goes with the head."""
        return {"sigmoid": "binary_crossentropy", "softmax": "categorical_crossentropy"}[self.head]

    @property
    def classes_compete(self) -> bool:
        """Whether the classes share one probability, so that a pixel is one question and not one a channel."""
        return self.head == "softmax"

    @property
    def exclusive(self) -> bool:
        """Whether exactly one class holds at a pixel. Other folders ask for what follows from it, such as `stores_ids`."""
        return self.kind == "multiclass"

    @property
    def stores_ids(self) -> bool:
        """Whether targets and masks store class ids (H, W); otherwise they store 0 (no) and 1 (yes)."""
        return self.exclusive

    @property
    def layered(self) -> bool:
        """Whether a mask has one plane a class, (H, W, C), and its files one band or one file a class."""
        return self.kind == "multilabel"

    @property
    def planes(self) -> int:
        """How many planes (H, W) a decoded mask has."""
        return self.channels if self.layered else 1

    @property
    def layer_task(self) -> Task:
        """The task of the mask of one class alone, which answers yes or no."""
        return self if self.kind == "binary" else Task.binary()

    @property
    def can_overlap(self) -> bool:
        """Whether two classes may hold at one pixel."""
        return self.kind == "multilabel" and self.channels > 1

    @property
    def can_be_nothing(self) -> bool:
        """Whether a pixel may be none of the foreground classes."""
        return not self.exclusive or self.background is not None

    @property
    def implies_background(self) -> bool:
        """Whether what is not the only class is the background, which then has no channel of its own."""
        return self.kind == "binary"

    @property
    def background_index(self) -> int | None:
        """The channel of the background; None if no class is the background."""
        return None if self.background is None else self.classes.index(self.background)

    @property
    def foreground(self) -> tuple[int, ...]:
        """Channels that enter Dice-like losses and mean scores: all but the background."""
        return tuple(i for i, name in enumerate(self.classes) if name != self.background)

    @property
    def sided(self) -> tuple[str, ...]:
        """Classes called left or right something that no flip pair names: a mirrored image would teach them wrong."""
        paired = {name for pair in self.flip_pairs for name in pair}
        side = re.compile(r"(?i)(^|[\W_])(left|right)([\W_]|$)")
        return tuple(name for name in self.classes if name not in paired and side.search(name))

    @property
    def weighted(self) -> tuple[str, ...]:
        """The names that class weights go by: the classes, in a binary task also "background"."""
        return ("background", *self.classes) if self.implies_background else self.classes

    @property
    def named_values(self) -> dict[str, int]:
        """What the values of a mask are called, and the value that each name stands for.

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

    def trains_like(self, other: Task) -> bool:
        """Return whether a loss made for another task is the loss of this one: classes and head are the same."""
        own = (self.kind, self.classes, self.head, self.background)
        return own == (other.kind, other.classes, other.head, other.background)

    def weights(self, given: Mapping[str, float] | None) -> tuple[float, ...]:
        """Return class weights in the order of `weighted`, 1 where none is given. Raises `ConfigError` for other names."""
        return weights_of(self.weighted, given)

    def target_shape(self, height: Size, width: Size) -> tuple[Size, ...]:
        """Shape of the encoded target of an image of `height` x `width` pixels."""
        return (height, width) if self.stores_ids else (height, width, self.channels)

    def encode(self, mask: Any, where: str = "mask", void: int | None = None) -> np.ndarray:
        """Return the mask as the uint8 target of the table above, after checking its shape and values.

        `mask` is (H, W) of 0/1 (binary) or class ids (multiclass), or (H, W, C) of 0/1 (multilabel); bool or integer.
        `void` is the value that means "unlabelled". Without it 255 is, except in a yes/no mask that holds 255 and
        no 1: that is most often a 0/255 mask, in which 255 is the object, and is refused.

        Raises `DataError`, naming `where`, the values found and the values allowed.
        """
        mask = self._as_target_shape(np.asarray(mask), where)
        allowed = self.channels if self.exclusive else 2
        unlabelled = VOID if void is None else void
        names = f"0 to {allowed - 1}" if self.exclusive else "0 (no) and 1 (yes)"
        if mask.dtype == np.uint8 and mask.max(initial=0) < allowed and unlabelled == VOID:
            return mask.copy()  # most masks are as they should be
        found = values_of(mask)
        wrong = found[((found < 0) | (found >= allowed)) & (found != unlabelled)]
        if wrong.size:
            raise DataError(
                f"{where}: allowed values are {names}, and {unlabelled} for unlabelled; found also "
                f"{few(wrong)}{hint_for_values(found, self.exclusive, VOID)}",
                "mask-values",
            )
        if not self.exclusive and void is None and VOID in found and 1 not in found:
            raise DataError(
                f"{where}: holds 255 but no 1. If 255 means the class, pass `mask > 0`; if it means unlabelled, say "
                f"void=255",
                "mask-values",
            )
        return np.where(mask == unlabelled, VOID, mask).astype(np.uint8)

    def _as_target_shape(self, mask: np.ndarray, where: str) -> np.ndarray:
        if mask.dtype != bool and not np.issubdtype(mask.dtype, np.integer):
            raise DataError(
                f"{where}: a mask holds whole numbers or true/false; found {mask.dtype}",
                "mask-values",
            )
        if mask.dtype == bool:
            mask = mask.astype(np.uint8)
        if self.kind == "multilabel":
            if mask.ndim == 3 and mask.shape[-1] == self.channels:
                return mask
            raise DataError(
                f"{where}: a multilabel mask has shape (height, width, {self.channels}), one channel a class; "
                f"found {mask.shape}",
                "mask-channels",
            )
        if mask.ndim == 3 and mask.shape[-1] == 1:
            mask = mask[..., 0]
        if mask.ndim != 2:
            raise DataError(
                f"{where}: a {self.kind} mask has shape (height, width); found {mask.shape}. Where several classes may "
                f"hold at one pixel the task is multilabel; a one-hot mask becomes ids by mask.argmax(-1)",
                "mask-channels",
            )
        return mask[..., None] if self.kind == "binary" else mask

    def decode(self, probabilities: Any) -> np.ndarray:
        """Return the masks (uint8) of probabilities of shape (..., H, W, C): threshold or argmax, as the task says.

        A class holds from its threshold on (p >= threshold). Raises `DataError` for values outside 0..1 (logits?).
        """
        values = np.asarray(probabilities)
        if values.ndim < 3 or values.shape[-1] != self.channels:
            raise DataError(
                f"probabilities have shape (..., height, width, {self.channels}); found {values.shape}",
                "channels",
            )
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise DataError(
                f"probabilities lie between 0 and 1; found {low:.3g} to {high:.3g} (logits? NaN?)",
                "probabilities",
            )
        if self.exclusive:
            return values.argmax(-1).astype(np.uint8)
        kind = (
            values.dtype if np.issubdtype(values.dtype, np.floating) else np.float32
        )  # 0.5 as an integer is 0
        mask = (values >= np.asarray(self.thresholds, kind)).astype(np.uint8)
        return mask[..., 0] if self.kind == "binary" else mask

    def as_distributions(self, channels: Any) -> np.ndarray:
        """Return probabilities (..., C) as (..., questions, answers): softmax asks one with C, sigmoid C with yes and no."""
        values = np.asarray(channels, np.float32)
        return (
            values[..., None, :]
            if self.classes_compete
            else np.stack([values, 1 - values], axis=-1)
        )

    def from_distributions(self, answers: np.ndarray) -> np.ndarray:
        """Return the probabilities (..., C) that `as_distributions` took."""
        return answers[..., 0, :] if self.classes_compete else answers[..., 0]

    @property
    def mirrored(self) -> np.ndarray:
        """For each class the one that it becomes in a mirrored image, by number: (C,) uint8."""
        swapped = dict([*self.flip_pairs, *(pair[::-1] for pair in self.flip_pairs)])
        return np.array(
            [self.classes.index(swapped.get(name, name)) for name in self.classes], np.uint8
        )

    def mirror(self, target: np.ndarray) -> np.ndarray:
        """Return an encoded target with the classes of each flip pair swapped, as a mirrored image needs it."""
        if not self.exclusive:
            return target[..., self.mirrored]
        return np.append(self.mirrored, np.arange(self.channels, VOID + 1, dtype=np.uint8))[target]

    def explain(self) -> str:
        """Return in words why this head, for the person who asks "sigmoid or softmax?"."""
        return explain(self.kind, self.head, self.classes, self.thresholds, self.background)

    def _repr_html_(self) -> str:
        return as_html(
            self.kind, self.head, self.classes, self.palette, self.background, self.explain()
        )


def values_of(mask: np.ndarray) -> np.ndarray:
    """Return the different values of a whole-number mask, in order: those of the few pixels at which it changes."""
    flat = mask.ravel()
    changes = np.concatenate([flat[:1], flat[1:][flat[1:] != flat[:-1]]])
    return (
        np.flatnonzero(np.bincount(changes, minlength=256))
        if mask.dtype == np.uint8
        else np.unique(changes)
    )


def _require(condition: bool, setting: str, message: str, code: str = "wrong-value") -> None:
    if not condition:
        raise ConfigError(message, code, setting=setting)
