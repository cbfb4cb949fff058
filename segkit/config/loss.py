"""The `loss` section of a config: the settings of each loss, and weights that change during the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, ValidationError

from segkit import catalog
from segkit.config.section import Positive, Section, Share, joined
from segkit.errors import ConfigError

LARGEST = 1e12
"""Bound of smoothing and of factors, far above any use: float32 can compute with it on the largest images."""
LARGEST_GAMMA = 100.0
NotNegative = Annotated[float, Field(ge=0, le=LARGEST)]
AboveZero = Annotated[float, Field(gt=0, le=LARGEST)]
Exponent = Annotated[float, Field(ge=0, le=LARGEST_GAMMA)]
ExponentAboveZero = Annotated[float, Field(gt=0, le=LARGEST_GAMMA)]


def checked_weight(given: Any) -> float | list[float]:
    """Return the weight of a term, a number or a list of numbers. Raises `ValueError` for anything else."""
    points = given if isinstance(given, list | tuple) else [given]
    try:
        numbers = [float(point) for point in points]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) < 1 + (points is given) or not all(
        0 <= number <= LARGEST for number in numbers
    ):
        raise ValueError(
            "a number from 0 on, or a list of two or more for equally spaced moments of the training"
        )
    return numbers if points is given else numbers[0]


class Term(Section):
    """What every term of the sum has."""

    weight: Annotated[Any, AfterValidator(checked_weight)] = 1.0
    """One for the whole training, or those at equally spaced moments of it, with straight lines between."""


class CrossEntropyTerm(Term):
    label_smoothing: Share = 0.0


class FocalTerm(CrossEntropyTerm):
    gamma: Exponent = 2.0


class TopKTerm(CrossEntropyTerm):
    share: Annotated[float, Field(gt=0, le=1)] = 0.1


class GeneralizedDiceTerm(Term):
    smooth: AboveZero = 1.0


class ClassTerm(Term):
    include_background: bool = False


class OverlapTerm(ClassTerm):
    smooth: NotNegative = 1.0


class LovaszTerm(ClassTerm):
    smooth: AboveZero = 1.0


class TverskyTerm(OverlapTerm):
    false_positives: NotNegative = 0.3
    false_negatives: NotNegative = 0.7


class FocalTverskyTerm(TverskyTerm):
    gamma: ExponentAboveZero = 0.75


class ClDiceTerm(LovaszTerm):
    iterations: Positive = 5


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
"""Settings of the catalog's losses, said here too so that a config is checked before Keras is loaded."""


def term_settings(term: Any) -> dict[str, Any]:
    """Return a term of a config's `loss` as settings, its weight among them.

    >>> term_settings(0.5), term_settings([0, 1]), term_settings({"gamma": 3})
    ({'weight': 0.5}, {'weight': [0, 1]}, {'weight': 1.0, 'gamma': 3})
    """
    return {"weight": 1.0, **term} if isinstance(term, Mapping) else {"weight": term}


def parse_terms(loss: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of a config's `loss`, numbers as numbers.

    Raises `ConfigError` for a loss that nobody knows, and for a setting that it lacks or that is out of range. Of a loss of
    one's own ("module:attribute") only the weight is checked.
    """
    return {name: _checked(name, term) for name, term in loss.items()}


def _checked(name: str, term: Any) -> Any:
    catalog.find(catalog.LOSSES, name, "loss")
    known, settings = TERMS.get(name, Term), term_settings(term)
    try:
        found = known.model_validate(settings if name in TERMS else {"weight": settings["weight"]})
    except ValidationError as problem:
        raise joined([_describe(name, known, error) for error in problem.errors()]) from problem
    return (
        {**term, **found.model_dump(include=set(term))}
        if isinstance(term, Mapping)
        else found.weight
    )


LossTerms = Annotated[dict[str, Any], AfterValidator(parse_terms), Field(min_length=1)]


def changes(loss: Mapping[str, Any]) -> bool:
    """Whether a weight changes during the training."""
    return any(isinstance(term_settings(term)["weight"], Sequence) for term in loss.values())


def needs_distances(loss: Mapping[str, Any]) -> bool:
    """Whether a term is made of distances to outlines, which the targets must carry."""
    return "boundary" in loss


def weight_at(weight: float | Sequence[float], share: float) -> float:
    """Return a term's weight when `share` (0 to 1) of the training is over.

    >>> weight_at(0.5, 0.9), weight_at([0, 1], 0.25), weight_at([1, 0, 0], 0.25), weight_at([0, 1], 2.0)
    (0.5, 0.25, 0.5, 1.0)
    """
    points = np.atleast_1d(np.asarray(weight, np.float64))
    return float(np.interp(share, np.linspace(0, 1, len(points)), points))


def _describe(name: str, known: type[Term], error: Any) -> ConfigError:
    setting = f"loss.{name}.{error['loc'][0]}"
    if error["type"] == "extra_forbidden":
        message = f"there is no such setting; known are {', '.join(known.model_fields)}"
        return ConfigError(message, "unknown-setting", setting=setting)
    wanted = error["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{wanted[:1].lower()}{wanted[1:]}; found {error['input']!r}",
        setting=setting,
    )
