"""The section `loss`: the settings of each loss, and weights that change during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, ValidationError

from segkit import catalog
from segkit.config.section import Positive, Section, Share, joined
from segkit.errors import ConfigError

LARGEST = 1e12
"""Upper limit of weights, smoothing and factors. Float32 can compute with it on the largest
images."""
LARGEST_GAMMA = 100.0
"""Upper limit of an exponent."""
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
"""A number from 0 to `LARGEST`."""
AboveZero = Annotated[float, Field(gt=0, le=LARGEST)]
"""A number above 0, at most `LARGEST`."""
Exponent = Annotated[float, Field(ge=0, le=LARGEST_GAMMA)]
"""A number from 0 to `LARGEST_GAMMA`."""
ExponentAboveZero = Annotated[float, Field(gt=0, le=LARGEST_GAMMA)]
"""A number above 0, at most `LARGEST_GAMMA`."""


def checked_weight(weight: Any) -> float | list[float]:
    """Return the weight of a loss after checking it.

    Args:
        weight: A number from 0 to `LARGEST`, or a list of two or more of them.

    Raises:
        ValueError: For anything else.
    """
    is_list = isinstance(weight, list | tuple)
    points = weight if is_list else [weight]
    try:
        numbers = [float(point) for point in points]
    except (TypeError, ValueError):
        numbers = []
    fewest = 2 if is_list else 1
    if len(numbers) < fewest or not all(0 <= number <= LARGEST for number in numbers):
        raise ValueError(
            "a weight is a number from 0 on, or a list of two or more numbers for equally spaced "
            "moments of the training"
        )
    return numbers if is_list else numbers[0]


class Term(Section):
    """The settings of every loss in the sum; a loss of your own has these alone."""

    weight: Annotated[Any, AfterValidator(checked_weight)] = 1.0
    """The weight in the sum, from 0 on: one number, or a list of weights at equally spaced moments
    of the training, between which it changes linearly."""


class CrossEntropyTerm(Term):
    """The settings of `cross_entropy`."""

    label_smoothing: Share = 0.0
    """The share e by which a target t is smoothed: to (1 - e) * t + e / C, where C is the number of
    classes under softmax and 2 under sigmoid."""


class FocalTerm(CrossEntropyTerm):
    """The settings of `focal`."""

    gamma: Exponent = 2.0
    """The exponent of 1 - p, where p is the probability of the true class; the higher it is, the
    less easy pixels count."""


class TopKTerm(CrossEntropyTerm):
    """The settings of `top_k_cross_entropy`."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The share of an image's pixels that count: those with the highest cross-entropy."""


class GeneralizedDiceTerm(Term):
    """The settings of `generalized_dice`."""

    smooth: AboveZero = 1.0
    """The smoothing term in pixels, which is added to the numerator and the denominator."""


class ClassTerm(Term):
    """The settings of losses that are computed per class and averaged, such as `boundary`."""

    include_background: bool = False
    """Whether the average includes the background of a multiclass task."""


class OverlapTerm(ClassTerm):
    """The settings of `dice`, `jaccard` and `log_cosh_dice`."""

    smooth: NotNegative = 1.0
    """The smoothing term in pixels, which is added to the numerator and the denominator."""


class LovaszTerm(ClassTerm):
    """The settings of `lovasz`."""

    smooth: AboveZero = 1.0
    """The smoothing term in pixels; at values near 0 only the worst false positive counts in an
    image without the class."""


class TverskyTerm(OverlapTerm):
    """The settings of `tversky`."""

    false_positives: NotNegative = 0.3
    """The weight of false positives in the denominator."""
    false_negatives: NotNegative = 0.7
    """The weight of false negatives in the denominator; the higher it is, the more is found."""


class FocalTverskyTerm(TverskyTerm):
    """The settings of `focal_tversky`."""

    gamma: ExponentAboveZero = 0.75
    """The exponent of the Tversky loss."""


class ClDiceTerm(ClassTerm):
    """The settings of `cl_dice`."""

    smooth: AboveZero = 1.0
    """The smoothing term in pixels, which is added to the numerators and the denominators."""
    iterations: Positive = 5
    """The number of erosions that find a centreline; use half the width of the thickest structure,
    in pixels."""


TERMS: dict[str, type[Term]] = {
    "boundary": ClassTerm,
    "cl_dice": ClDiceTerm,
    "cross_entropy": CrossEntropyTerm,
    "dice": OverlapTerm,
    "focal": FocalTerm,
    "focal_tversky": FocalTverskyTerm,
    "generalized_dice": GeneralizedDiceTerm,
    "jaccard": OverlapTerm,
    "log_cosh_dice": OverlapTerm,
    "lovasz": LovaszTerm,
    "top_k_cross_entropy": TopKTerm,
    "tversky": TverskyTerm,
}
"""The settings of each loss in the catalog.

They are repeated here so that a config can be checked before Keras is loaded.
"""


SOFT = (
    "cross_entropy",
    "dice",
    "focal_tversky",
    "generalized_dice",
    "jaccard",
    "log_cosh_dice",
    "tversky",
)
"""The losses of the catalog that are defined for soft targets (`Task.soft`)."""


def not_for_soft(name: str) -> ConfigError:
    """Return the error for a loss that is not defined for soft targets.

    Args:
        name: The loss.
    """
    return ConfigError(
        f"is not defined for soft labels; losses that are: {', '.join(SOFT)}",
        "not-for-task",
        setting=f"loss.{name}",
    )


def check_soft(loss: Mapping[str, Any]) -> None:
    """Check that all losses of the section `loss` are defined for soft targets.

    Losses of your own ("module:attribute") are not checked.

    Args:
        loss: The section.

    Raises:
        ConfigError: If a loss is not, or if labels are smoothed, too.
    """
    for name, term in loss.items():
        if name not in TERMS:
            continue
        if name not in SOFT:
            raise not_for_soft(name)
        if term_settings(term).get("label_smoothing"):
            raise smoothed_twice(f"loss.{name}.label_smoothing")


def smoothed_twice(setting: str) -> ConfigError:
    """Return the error for label smoothing of soft labels.

    Args:
        setting: The setting of label smoothing.
    """
    return ConfigError(
        "soft labels say themselves how sure they are, so they are not smoothed; leave out the "
        "setting",
        "contradiction",
        setting=setting,
    )


def term_settings(term: Any) -> dict[str, Any]:
    """Return the settings of a loss in a config, including its weight.

    Args:
        term: A weight, or a table of settings.

    >>> term_settings(0.5), term_settings([0, 1]), term_settings({"gamma": 3})
    ({'weight': 0.5}, {'weight': [0, 1]}, {'weight': 1.0, 'gamma': 3})
    """
    if isinstance(term, Mapping):
        return {"weight": 1.0, **term}
    return {"weight": term}


def parse_terms(loss: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `loss` with checked settings and with numbers as floats.

    Only the weight of a loss of your own ("module:attribute") is checked.

    Args:
        loss: A weight or a table of settings by the name of each loss.

    Raises:
        ConfigError: If a loss or a setting is unknown, or if a value is out of range.
    """
    return {name: _checked(name, term) for name, term in loss.items()}


def _checked(name: str, term: Any) -> Any:
    """Return the weight or the settings of one loss after checking them."""
    catalog.find(catalog.LOSSES, name, "loss")
    known = TERMS.get(name, Term)
    settings = term_settings(term)
    if name not in TERMS:
        settings = {"weight": settings["weight"]}
    try:
        found = known.model_validate(settings)
    except ValidationError as problem:
        raise joined([_describe(name, known, error) for error in problem.errors()]) from problem
    if isinstance(term, Mapping):
        return {**term, **found.model_dump(include=set(term))}
    return found.weight


LossTerms = Annotated[dict[str, Any], AfterValidator(parse_terms), Field(min_length=1)]
"""The section `loss` of a config."""


def changes(loss: Mapping[str, Any]) -> bool:
    """Return whether a weight in the section `loss` changes during training."""
    return any(isinstance(term_settings(term)["weight"], Sequence) for term in loss.values())


def needs_distances(loss: Mapping[str, Any]) -> bool:
    """Return whether a loss in the section `loss` needs distances to outlines in the targets."""
    return "boundary" in loss


def weight_at(weight: float | Sequence[float], share: float) -> float:
    """Return the weight of a loss at a moment of the training.

    Args:
        weight: The weight, or weights at equally spaced moments.
        share: The share of the training that is over, from 0 to 1.

    >>> weight_at(0.5, 0.9), weight_at([0, 1], 0.25), weight_at([1, 0, 0], 0.25)
    (0.5, 0.25, 0.5)
    """
    points = np.atleast_1d(np.asarray(weight, np.float64))
    moments = np.linspace(0, 1, len(points))
    return float(np.interp(share, moments, points))


def _describe(name: str, known: type[Term], error: Any) -> ConfigError:
    """Return the error for one wrong setting of a loss."""
    setting = f"loss.{name}.{error['loc'][0]}"
    if error["type"] == "extra_forbidden":
        message = f"there is no such setting; known are {', '.join(known.model_fields)}"
        return ConfigError(message, "unknown-setting", setting=setting)
    allowed = error["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{allowed[:1].lower()}{allowed[1:]}; found {error['input']!r}",
        setting=setting,
    )
