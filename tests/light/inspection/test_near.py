"""Copies that were saved again, resized or made brighter are found; other images are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import combinations

import cv2
import numpy as np
import pytest
from PIL import Image

from segkit import Task
from segkit.data.sources.source import Sample
from segkit.inspection import near_duplicates as near
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.inspection.near_duplicates import ALIKE, near_pairs, same_images

pytestmark = pytest.mark.long

CRACK = Task.binary("crack")


def facts(name: str, image: np.ndarray, part: str = "train") -> SampleFingerprint:
    return facts_of(
        CRACK,
        part,
        Sample(name, image, np.zeros(image.shape[:2], np.uint8)),
        np.zeros((*image.shape[:2], 1), np.uint8),
    )


def photograph(seed: int, slope: float = 1.5, size: int = 128) -> np.ndarray:
    """Return smooth random fields with noise in correlated colours.

    Finer scales are weaker by `slope`.
    """
    rng = np.random.default_rng(seed)

    def field(channels: int) -> np.ndarray:
        layers = np.zeros((size, size, channels), np.float32)
        for cells in (2, 4, 8, 16, 32, 64):
            coarse = rng.normal(size=(cells, cells, channels)).astype(np.float32)
            fine = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
            layers += fine.reshape(size, size, channels) * cells**-slope
        return layers

    mixed = field(1) + 0.4 * field(3)
    mixed = (mixed - mixed.mean()) / mixed.std()
    return np.clip(110 + 50 * mixed + rng.normal(0, 2, mixed.shape), 0, 255).astype(np.uint8)


def saved_anew(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=60)
    return np.array(Image.open(stream))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "saved as JPEG": saved_anew,
    "half the size": lambda image: np.array(
        Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC)
    ),
    "brighter by a fifth": lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8),
    "darker by a fifth": lambda image: (image * 0.8).astype(np.uint8),
    "grey": lambda image: image.mean(-1, keepdims=True).astype(np.uint8),
    "deeper": lambda image: image.astype(np.uint16) * 257,
}


@pytest.mark.parametrize("change", COPIES)
@pytest.mark.parametrize("slope", [0.5, 1.5, 3.0])
def test_changed_copies_are_found(change: str, slope: float) -> None:
    images = [photograph(seed, slope) for seed in range(6)]
    found = near_pairs([facts(f"{i}", image) for i, image in enumerate(images)] + [
        facts(f"{i}'", COPIES[change](image), "test") for i, image in enumerate(images)
    ])  # fmt: skip
    assert [(one.name, other.name) for one, other in found] == [(f"{i}", f"{i}'") for i in range(6)]


@pytest.mark.parametrize("slope", [0.5, 1.5, 2.0])
def test_independent_images_are_not_taken_for_copies(slope: float) -> None:
    assert (
        list(near_pairs([facts(str(seed), photograph(seed, slope)) for seed in range(100)])) == []
    )


def test_equal_images_are_groups_and_not_near_pairs() -> None:
    one, other = photograph(1), photograph(2)
    named = {"a": one, "b": other, "c": one.copy(), "d": one.copy(), "e": one.transpose(1, 0, 2)}
    found = [facts(name, image) for name, image in named.items()]
    assert [[fact.name for fact in group] for group in same_images(found)] == [["a", "c", "d"]]
    assert list(near_pairs(found)) == []
    assert same_images([]) == []
    assert list(near_pairs([])) == []


@pytest.mark.parametrize("value", [0, 7, 255])
def test_flat_images_are_not_near_duplicates(value: int) -> None:
    flat = np.full((32, 32, 3), value, np.uint8)
    speck = flat.copy()
    speck[0, 0] = 128
    assert (
        list(near_pairs([facts("flat", flat), facts("speck", speck), facts("a", photograph(1))]))
        == []
    )


def test_images_with_hardly_any_contrast_are_not_near_duplicates() -> None:
    one = np.full((128, 128, 1), 100, np.uint8)
    one[:8, :8] = 101
    other = one.copy()
    other[100, 100] = 101
    assert list(near_pairs([facts("a", one), facts("b", other)])) == []


def test_images_of_small_floats_are_compared_too() -> None:
    image = photograph(1).astype(np.float32) * 1e-6
    assert len(list(near_pairs([facts("a", image), facts("b", image * 1.01)]))) == 1


@pytest.mark.parametrize("block", [1, 7, 90, 10_000])
def test_blocks_give_the_pairs_of_a_double_loop(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    images = [photograph(seed // 3) + np.uint8(seed % 3) for seed in range(30)]
    found = [facts(str(i), image, ("train", "test")[i % 2]) for i, image in enumerate(images)]
    plain = {
        (one.name, other.name)
        for one, other in combinations(found, 2)
        if np.corrcoef(one.thumbnail.ravel(), other.thumbnail.ravel())[0, 1] >= ALIKE
    }
    monkeypatch.setattr(near, "BLOCK", block)
    pairs = [(one.name, other.name) for one, other in near_pairs(found)]
    assert len(plain) == 30
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == plain


def test_a_film_gives_a_bounded_number_of_pairs_across_and_within_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near, "MOST", 5)
    frames = [
        facts(str(i), photograph(1) // 2 + np.uint8(i), "test" if i > 20 else "train")
        for i in range(24)
    ]
    across = [one.part != other.part for one, other in near_pairs(frames)]
    assert (across.count(True), across.count(False)) == (5, 5)
