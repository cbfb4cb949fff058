"""Which images a report shows, and how large its pictures are."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, Task
from segkit.evaluation.counts import split_layers
from segkit.evaluation.image_scores import mean_overlaps, score_image
from segkit.evaluation.measurements import Scene
from segkit.reporting.album import BYTES, SAMPLE, Album, Case
from segkit.reporting.drawings import draw_scene, find_errors, reduced
from tests.helpers.draws import KINDS, task_of
from tests.helpers.reported import samples_of
from tests.helpers.stand_in import network

TASK = Task.binary()


def add_image(album: Album, name: str, missing: int, size: int = 40) -> float:
    """Add an image of a line of pixels, of which some are missing; return its Dice."""
    target = np.zeros((4, size, 1), np.uint8)
    target[1] = 1
    mask = target[..., 0].copy()
    mask[1, :missing] = 0
    scores = score_image(TASK, name, target, mask)
    album.add(Scene(name, np.zeros((4, size, 1), np.uint8), target, mask), scores)
    return mean_overlaps(TASK, scores)["dice"]


def opened(address: str) -> Image.Image:
    _, content = address.split(",", 1)
    return Image.open(io.BytesIO(base64.b64decode(content)))


def names(cases: list[Case]) -> list[str]:
    return [case.name for case in cases]


@pytest.mark.parametrize("seed", range(3))
def test_the_worst_and_the_best_images_are_shown_and_some_in_the_middle(seed: int) -> None:
    album = Album(TASK)
    order = np.random.default_rng(seed).permutation(200)
    dice = {str(number): add_image(album, str(number), int(number), 201) for number in order}
    worst, median, best = album.chapters()
    ranked = sorted(dice, key=lambda name: dice[name])
    assert names(worst.cases) == ranked[:12]
    assert names(best.cases) == ranked[-1:-4:-1]
    assert len(median.cases) == 6
    for case in median.cases:
        assert abs(ranked.index(case.name) - 100) < 40  # from a sample of 48 images
    assert len(album.scores) == 200


def test_up_to_the_size_of_the_sample_the_median_is_exact() -> None:
    album = Album(TASK)
    for number in range(SAMPLE):
        add_image(album, str(number), number, 60)
    _, median, _ = album.chapters()
    assert {int(case.name) for case in median.cases} == {21, 22, 23, 24, 25, 26}


def test_few_images_are_all_shown_worst_first() -> None:
    album = Album(TASK)
    for number in (3, 30, 8):
        add_image(album, str(number), number)
    (chapter,) = album.chapters()
    assert names(chapter.cases) == ["30", "8", "3"]


@pytest.mark.parametrize("pictures", [0, 1, 2, 5, 30])
def test_the_number_of_pictures_is_a_setting(pictures: int) -> None:
    album = Album(TASK, pictures)
    for number in range(35):
        add_image(album, str(number), number)
    shown = [name for chapter in album.chapters() for name in names(chapter.cases)]
    assert len(shown) == len(set(shown)) == pictures
    assert len(album.scores) == 35
    if pictures:
        assert shown[0] == "34"


def test_images_without_an_object_come_last() -> None:
    album = Album(TASK)
    nothing = np.zeros((5, 5, 1), np.uint8)
    scene = Scene("empty", np.zeros((5, 5, 3), np.uint8), nothing, nothing[..., 0])
    album.add(scene, score_image(TASK, "empty", nothing, nothing[..., 0]))
    add_image(album, "line", 3)
    (chapter,) = album.chapters()
    assert names(chapter.cases) == ["line", "empty"]
    assert math.isnan(chapter.cases[1].dice)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_the_wrong_pixels_once_each(kind: str) -> None:
    task = task_of(kind)
    sample = samples_of(task, 16)["image 15"]
    target = task.encode(sample.mask, void=VOID)
    target[:3] = VOID
    mask = task.decode(network(sample.image[None], task)[0])
    layers = split_layers(task, target, mask)
    errors = find_errors(task, layers)
    assert not (errors.missed & errors.invented).any()
    assert not (errors.missed & errors.confused).any()
    assert not (errors.invented & errors.confused).any()
    wrong = np.zeros(target.shape[:2], bool)
    for label in task.foreground:
        wrong |= layers.truth[label] != layers.predicted[label]
    assert np.array_equal(np.logical_or.reduce(errors), wrong)
    assert wrong.any()
    assert errors.confused.any() == (len(task.foreground) > 1)
    assert not wrong[:3].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (900, 500), (1, 3000)])
def test_pictures_have_the_size_of_the_image_or_fit_into_the_side(
    size: tuple[int, int], dtype: type
) -> None:
    image = np.full((*size, 1), 3, dtype)
    target = np.ones((*size, 1), np.uint8)
    drawing = draw_scene(TASK, reduced(Scene("a", image, target, target[..., 0]), 100), 100, 10_000)
    scale = min(1, 100 / max(size))
    expected = (max(1, round(size[1] * scale)), max(1, round(size[0] * scale)))
    assert (drawing.width, drawing.height) == expected
    for address in (drawing.image, drawing.truth, drawing.prediction, drawing.errors):
        assert opened(address).size == expected


@pytest.mark.parametrize(("pictures", "side"), [(21, 384), (60, 384)])
def test_pictures_of_noise_stay_below_the_limit(pictures: int, side: int) -> None:
    album = Album(TASK, pictures, side)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (400, 420, 3), np.uint8)
    target = random.integers(0, 2, (400, 420, 1), np.uint8)
    drawing = draw_scene(
        TASK, reduced(Scene("a", image, target, target[..., 0]), side), side, album.most_bytes
    )
    text = sum(len(each) for each in drawing if isinstance(each, str))
    assert text * pictures <= BYTES * 1.01
    assert opened(drawing.errors).size[0] >= 48


def test_the_pixels_of_small_images_are_exact() -> None:
    target = np.zeros((20, 30, 1), np.uint8)
    target[5:9, 5:9] = 1
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 7:12] = 1
    image = np.full((20, 30, 3), 200, np.uint8)
    drawing = draw_scene(TASK, reduced(Scene("a", image, target, mask), 100), 100, 10_000)
    errors = np.asarray(opened(drawing.errors))
    assert (errors[5:9, 5:7] == (86, 180, 233)).all()  # missed
    assert (errors[5:9, 9:12] == (213, 94, 0)).all()  # invented
    assert (errors[5:9, 7:9] == 120).all()
    assert (np.asarray(opened(drawing.image)) == 200).all()


@pytest.mark.parametrize("rows", [4, 16])
def test_known_background_is_dark_only_among_unlabelled_pixels(rows: int) -> None:
    target = np.full((20, 30, 1), VOID, np.uint8)
    target[:rows] = 0
    mask = np.zeros((20, 30), np.uint8)
    image = np.full((20, 30, 3), 200, np.uint8)
    drawing = draw_scene(TASK, reduced(Scene("a", image, target, mask), 100), 100, 10_000)
    truth = np.asarray(opened(drawing.truth))
    assert (truth[:rows].max() < 100) == (rows == 4)
    assert np.asarray(opened(drawing.prediction)).min() == 200
