"""A planted cause of bad scores is found; without one nothing stands out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from segkit.evaluation.image_facts import describe, find_difference, image_facts
from segkit.task import Task

pytestmark = pytest.mark.long

CELL = Task.binary("cell")


def test_facts_are_those_of_numpy_and_scipy() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (40, 50, 3)).astype(np.uint8)
    mask = (random.random((40, 50)) > 0.8).astype(np.uint8)
    facts = image_facts(CELL, image, CELL.encode(mask, "a"))
    grey = image.mean(axis=-1)
    assert facts["brightness"] == pytest.approx(grey.mean(), rel=1e-5)
    assert facts["contrast"] == pytest.approx(grey.std(), rel=1e-5)
    laplacian = ndimage.laplace(grey.astype(np.float64), mode="mirror")
    assert facts["sharpness"] == pytest.approx(laplacian.std() / grey.std(), rel=1e-4)
    numbers, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(numbers.ravel())[1:]
    assert facts["objects of cell"] == count
    assert facts["object size of cell"] == np.median(sizes)
    assert facts["share of cell"] == pytest.approx(mask.mean())


def test_a_blurred_image_is_less_sharp() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 1)).astype(np.uint8)
    blurred = cv2.GaussianBlur(image, (5, 5), 2)[..., None]
    target = CELL.encode(np.zeros((64, 64), np.uint8), "a")
    sharp = image_facts(CELL, image, target)["sharpness"]
    assert image_facts(CELL, blurred, target)["sharpness"] < sharp / 2


def noise(seed: int, images: int = 100) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return scores, and facts that have nothing to do with them."""
    random = np.random.default_rng(seed)
    names = ("brightness", "contrast", "sharpness", "objects of cell", "share of cell")
    return random.random(images), {name: random.random(images) for name in names}


def test_the_planted_fact_is_found() -> None:
    scores, facts = noise(0)
    facts["sharpness"] = scores + 0.1 * facts["sharpness"]
    found = find_difference(scores, facts)
    assert found is not None
    assert found.fact == "sharpness"
    assert found.worst < found.others
    assert found.images == 10
    assert found.p < 0.01
    assert "sharpness" in describe(found)


def test_very_dark_and_very_bright_images_are_found_together() -> None:
    scores, facts = noise(0)
    facts["brightness"] = np.where(scores < 0.12, np.round(facts["brightness"]) * 3 - 1, 0.5)
    facts["brightness"] += noise(1)[0] / 10
    found = find_difference(scores, facts)
    assert found is not None
    assert found.fact == "distance of brightness from its median"
    assert found.worst > 1
    assert found.others < 0.1


def test_a_group_of_bad_images_is_found() -> None:
    scores, facts = noise(1)
    groups = [f"patient {number // 10}" for number in range(100)]
    scores[30:40] -= 2
    found = find_difference(scores, facts, groups)
    assert found is not None
    assert found.fact == "group patient 3"
    assert (found.worst, found.others) == (1, 0)
    assert "100%" in describe(found)


def test_facts_without_a_cause_stand_out_in_a_twentieth_of_the_data_sets() -> None:
    found = [find_difference(*noise(seed), seed=seed) is not None for seed in range(60)]
    assert sum(found) <= 9  # the binomial distribution of p = 0.05 exceeds 9 once in 1,500 times


def test_few_images_facts_without_variation_and_missing_values_are_no_finding() -> None:
    scores, facts = noise(0, images=19)
    facts["sharpness"] = scores
    assert find_difference(scores, facts) is None
    scores, _ = noise(0)
    missing = np.full(100, np.nan)
    assert find_difference(scores, {"a": np.ones(100), "b": missing}) is None
    assert "Nothing" in describe(None)


def test_images_without_a_score_are_left_out() -> None:
    scores, facts = noise(0)
    facts["sharpness"] = scores.copy()
    scores[:50] = np.nan
    found = find_difference(scores, facts)
    assert found is not None
    assert found.images == 5
