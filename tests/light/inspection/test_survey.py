"""The fingerprint of a sample, compared with plain NumPy and scipy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segkit import VOID, DataError, Task
from segkit.data.sources.source import Sample, Subset
from segkit.inspection import fingerprint as module
from segkit.inspection.fingerprint import (
    SampleFingerprint,
    Survey,
    UnreadableSample,
    facts_of,
    survey,
)
from segkit.inspection.intensities import PERCENTILES
from tests.helpers.draws import masks, tasks
from tests.helpers.errors import holds

CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])
LABELS = Task.multilabel(["liver", "tumour"])


class Memory:
    """Samples in memory; an error in place of a sample is raised when it is read."""

    def __init__(self, samples: Mapping[str, Sample | DataError], seconds: float = 0.0) -> None:
        self.samples, self.names, self.seconds = samples, list(samples), seconds
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        time.sleep(self.seconds)
        found = self.samples[name]
        if isinstance(found, DataError):
            raise found
        return found


def subset(samples: Mapping[str, Sample | DataError], seconds: float = 0.0) -> Subset:
    return Subset(Memory(samples, seconds), list(samples))


def sample(name: str, value: int = 1) -> Sample:
    pixels = np.random.default_rng(len(name)).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    return Sample(name, pixels, np.full((4, 6), value, np.uint8))


def facts(
    image: np.ndarray, task: Task = CRACK, mask: np.ndarray | None = None
) -> SampleFingerprint:
    given_mask = np.zeros(image.shape[:2], np.uint8) if mask is None else mask
    return facts_of(
        task, "train", Sample("a", image, given_mask), task.encode(given_mask, "a", void=VOID)
    )


@st.composite
def images(draw: st.DrawFn) -> np.ndarray:
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    dtype = draw(st.sampled_from((np.uint8, np.uint16, np.float32)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.random((height, width, draw(st.sampled_from((1, 3, 5)))))
    top = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    return (values * top).astype(dtype)


@given(images())
def test_measures_of_an_image_are_numpys(image: np.ndarray) -> None:
    found, pixels = facts(image), image.reshape(-1, image.shape[-1]).astype(np.float64)
    assert (found.size, found.pixels) == (image.shape[:2], image.shape[0] * image.shape[1])
    assert (found.bands, found.dtype) == (image.shape[2], str(image.dtype))
    np.testing.assert_allclose(
        found.sums, [pixels.sum(0), (pixels**2).sum(0)], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(
        found.percentiles, np.percentile(pixels, PERCENTILES, axis=0), rtol=1e-6
    )
    assert (found.low, found.high) == (pixels.min(), pixels.max())
    assert found.percentiles.shape == (len(PERCENTILES), image.shape[2])


def test_percentiles_of_a_large_image_are_close_to_those_of_all_pixels() -> None:
    image = np.random.default_rng(0).normal(1000, 100, (700, 900, 2)).astype(np.float32)
    exact = np.percentile(image.reshape(-1, 2), PERCENTILES, axis=0)
    np.testing.assert_allclose(facts(image).percentiles, exact, atol=15)


@pytest.mark.parametrize("shape", [(512, 512, 3), (304, 784, 1), (528, 1040, 3), (240, 256, 3)])
def test_the_small_copy_holds_the_means_of_its_cells(shape: tuple[int, ...]) -> None:
    image = cv2.resize(
        np.random.default_rng(0).random((5, 7), np.float32),
        shape[1::-1],
        interpolation=cv2.INTER_CUBIC,
    )
    image = (image[..., None] * np.linspace(150, 250, shape[-1])).clip(0, 255).astype(np.uint8)
    rows, columns = (np.arange(17) * side // 16 for side in shape[:2])
    means = [
        [image[top:bottom, left:right].mean() for left, right in pairwise(columns)]
        for top, bottom in pairwise(rows)
    ]
    np.testing.assert_allclose(facts(image).thumbnail, means, atol=1.1)


@pytest.mark.parametrize("shape", [(512, 512, 3), (301, 512, 1), (513, 511, 3), (600, 1030, 3)])
def test_the_small_copy_is_that_of_one_step(shape: tuple[int, ...]) -> None:
    image = cv2.resize(
        np.random.default_rng(1).random((9, 9, shape[2]), np.float32), shape[1::-1]
    ).reshape(shape)
    image = (255 * image).astype(np.uint8)
    once = (
        cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).reshape(16, 16, -1).astype(float)
    )
    np.testing.assert_allclose(facts(image).thumbnail, once.mean(-1), atol=1.1)


def plain_classes(task: Task, mask: np.ndarray) -> tuple[list[int], list[int]]:
    """Pixels of each class, in all and in the left half, counted one by one."""
    counts, left = [0] * task.channels, [0] * task.channels
    for row, column in np.ndindex(*mask.shape[:2]):
        held = np.atleast_1d(mask[row, column])
        for index in range(task.channels):
            has = held[0] == index if task.exclusive else held[index] == 1
            counts[index] += bool(has)
            left[index] += bool(has) and column < mask.shape[1] // 2
    return counts, left


def plain_cover(task: Task, mask: np.ndarray) -> tuple[int, int, int]:
    """Labelled pixels, those of no class, those of several, counted one by one."""
    labelled = nothing = overlap = 0
    for row, column in np.ndindex(*mask.shape[:2]):
        held = np.atleast_1d(mask[row, column]).tolist()
        known = any(value != VOID for value in held)
        labelled += known
        if not task.exclusive:
            nothing += known and held.count(1) == 0
            overlap += held.count(1) > 1
    return labelled, nothing, overlap


@given(st.data())
def test_pixels_of_a_mask_are_a_plain_count(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task))
    found = facts(np.zeros((*mask.shape[:2], 1), np.uint8), task, mask)
    counts, left = plain_classes(task, mask)
    assert (found.classes.tolist(), found.left.tolist()) == (counts, left)
    assert (found.labelled, found.nothing, found.overlap) == plain_cover(task, mask)


@pytest.mark.parametrize("count", [3, 8, 9, 255])
def test_many_classes_are_counted_as_well_as_few(count: int) -> None:
    task = Task.multiclass([f"class {i}" for i in range(count)])
    mask = np.random.default_rng(count).integers(0, count + 1, (60, 61)).astype(np.uint8)
    mask[mask == count] = VOID
    found = facts(np.zeros((60, 61, 1), np.uint8), task, mask)
    assert found.classes.tolist() == [int((mask == i).sum()) for i in range(count)]
    assert found.left.tolist() == [int((mask[:, :30] == i).sum()) for i in range(count)]


@given(st.data())
def test_sizes_are_those_of_pieces_connected_at_a_side_or_corner(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task))
    found = facts(np.zeros((*mask.shape[:2], 1), np.uint8), task, mask).objects
    for index in range(task.channels):
        layer = mask == index if task.exclusive else np.atleast_3d(mask)[..., index] == 1
        pieces, count = ndimage.label(layer, structure=np.ones((3, 3)))
        areas = (
            ndimage.sum_labels(layer, pieces, range(1, count + 1))
            if index in task.foreground
            else []
        )
        assert sorted(found[index].tolist()) == sorted(areas)


def test_sizes_in_a_large_mask_are_measured_on_a_subsampled_one() -> None:
    mask = np.zeros((1024, 768), np.uint8)
    mask[100:300, 50:250] = 1
    mask[500:600, 400:700] = 2
    found = facts(np.zeros((1024, 768, 1), np.uint8), ORGANS, mask).objects
    assert [areas.size for areas in found] == [0, 1, 1]
    np.testing.assert_allclose([found[1][0], found[2][0]], [40_000, 30_000], rtol=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("task", [CRACK, ORGANS, LABELS], ids=lambda task: task.kind)
@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_the_smallest_images_have_a_fingerprint(
    shape: tuple[int, int], task: Task, bands: int
) -> None:
    mask = np.ones((*shape, 2) if task.kind == "multilabel" else shape, np.uint8)
    found = facts(np.full((*shape, bands), 7, np.uint8), task, mask)
    pixels = shape[0] * shape[1]
    assert found.thumbnail.shape == (16, 16)
    assert (found.thumbnail == 7).all()
    assert found.sums.tolist() == [[7 * pixels] * bands, [49 * pixels] * bands]
    assert found.classes.sum() == pixels * (2 if task.kind == "multilabel" else 1)


def test_a_mask_without_a_label_has_none() -> None:
    for task in (CRACK, ORGANS, LABELS):
        mask = np.full((3, 4, 2) if task.kind == "multilabel" else (3, 4), VOID, np.uint8)
        found = facts(np.zeros((3, 4, 1), np.uint8), task, mask)
        assert (found.labelled, found.nothing, found.overlap, found.classes.sum()) == (0, 0, 0, 0)


def test_a_pixel_that_one_class_leaves_open_is_labelled() -> None:
    mask = np.array([[[VOID, 0], [VOID, 1], [VOID, VOID], [1, 1]]], np.uint8)
    found = facts(np.zeros((1, 4, 1), np.uint8), LABELS, mask)
    assert (found.labelled, found.nothing, found.overlap) == (3, 1, 1)


def test_the_digest_depends_on_pixels_shape_and_depth() -> None:
    zeros = np.zeros((4, 6, 1), np.uint8)
    other = zeros.copy()
    other[3, 5] = 1
    kinds = [zeros, other, zeros.reshape(6, 4, 1), zeros.reshape(4, 2, 3), zeros.astype(np.float32)]
    kinds.append(np.zeros((2, 6, 1), np.uint16))  # as many bytes as the first
    assert len({facts(image).digest for image in kinds}) == len(kinds)
    assert facts(zeros).digest == facts(np.asfortranarray(zeros.copy())).digest


def test_broken_samples_have_a_code_and_the_others_keep_their_order() -> None:
    train = {f"t{i}": sample(f"t{i}") for i in range(20)} | {"torn": DataError("torn.png: cut off")}
    values = {"seven": sample("seven", 7), "v": sample("v")}
    calls: list[int] = []
    found = survey(
        CRACK, {"train": subset(train), "validation": subset(values)}, lambda: calls.append(1)
    )
    assert [(fact.name, fact.part) for fact in found.facts] == [
        *((f"t{i}", "train") for i in range(20)),
        ("v", "validation"),
    ]
    assert found.broken[0] == UnreadableSample("torn", "train", "unreadable", "torn.png: cut off")
    assert (found.broken[1].name, found.broken[1].part) == ("seven", "validation")
    assert found.broken[1].code == "mask-values"
    assert holds(found.broken[1].message, "seven")
    assert (len(calls), found.total) == (23, 23)


def test_the_survey_stops_after_patience_only_if_a_sample_is_broken() -> None:
    samples: dict[str, Any] = {f"t{i}": sample(f"t{i}") for i in range(40)}
    whole = survey(CRACK, {"train": subset(samples, 0.001)}, patience=0.0)
    assert len(whole.facts) == whole.total == 40
    samples = {"torn": DataError("torn.png: cut off")} | samples
    part = survey(CRACK, {"train": subset(samples, 0.001)}, patience=0.0)
    assert len(part.broken) == 1
    assert len(part.facts) < part.total == 41
    assert len(survey(CRACK, {"train": subset(samples)}).facts) == 40


def test_no_sample_gives_an_empty_survey() -> None:
    assert survey(CRACK, {"train": subset({})}) == Survey([], [], 0)


def test_opencv_has_its_threads_again_afterwards() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    seen = []
    survey(CRACK, {"train": subset({"a": sample("a")})}, lambda: seen.append(cv2.getNumThreads()))
    assert (seen, cv2.getNumThreads()) == ([1], 3)
    cv2.setNumThreads(before)


def test_few_samples_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    begun: list[str] = []
    counted: list[int] = []

    def done() -> None:
        if not counted:
            time.sleep(0.05)
        counted.append(len(begun))

    class Counting(Memory):
        def read(self, name: str) -> Sample:
            begun.append(name)
            return super().read(name)

    samples = {str(i): sample(str(i)) for i in range(50)}
    survey(CRACK, {"train": Subset(Counting(samples), list(samples))}, done)
    assert counted[0] <= 5
    assert len(counted) == len(begun) == 50
