"""Augmentation: seeds, image and mask together, VOID outside the image, swapped flip pairs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest

from segkit import VOID, Task
from segkit.config import AugmentConfig, InputConfig
from segkit.data.batches.augment import A, Augment, Curve, apply_curve, sample_curve
from segkit.data.batches.patch import Turn, map_of, warp

CROP = (16, 24)
NOTHING: dict[str, Any] = {
    "flip_horizontal": False,
    "flip_vertical": False,
    "rotate": 0.0,
    "scale": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
}
EVERYTHING = AugmentConfig(
    flip_vertical=True, rotate=180.0, scale=0.5, elastic=6.0, gamma=0.3, noise=0.1, blur=1.5
)
RANGES = {"uint8": (0, 255), "uint16": (300, 5000), "float32": (-3, 7)}
BINARY, SOFTMAX = Task.binary("crack"), Task.multiclass(["background", "liver", "tumour"])
MANY = Task.multilabel([f"class {i}" for i in range(7)])


def only(**settings: Any) -> AugmentConfig:
    """Return settings that only make the named changes."""
    return AugmentConfig(**{**NOTHING, **settings})


def input_config(channels: int = 3, dtype: str = "uint8") -> InputConfig:
    low, high = RANGES[dtype]
    mean = tuple(low + (i + 1) * (high - low) / (channels + 1) for i in range(channels))
    return InputConfig(
        channels=channels, dtype=dtype, mean=mean, std=(1.0,) * channels, low=low, high=high
    )


def sample(
    task: Task, size: tuple[int, int], channels: int = 3, dtype: str = "uint8"
) -> tuple[np.ndarray, np.ndarray]:
    """Return a random image and a random encoded target without VOID."""
    rng = np.random.default_rng(0)
    image = rng.uniform(*RANGES[dtype], (*size, channels)).astype(dtype)
    classes = task.channels if task.exclusive else 2
    return image, rng.integers(0, classes, task.target_shape(*size)).astype(np.uint8)


def blobs(size: tuple[int, int]) -> np.ndarray:
    """Return ids 0 to 2 in large areas."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return ((rows // 9 + columns // 11) % 3).astype(np.uint8)


@pytest.mark.parametrize(
    "settings", [AugmentConfig(), EVERYTHING, only()], ids=["default", "everything", "nothing"]
)
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("task", [BINARY, SOFTMAX, MANY], ids=["binary", "softmax", "many"])
def test_any_image_becomes_a_patch_of_its_dtype_and_range(
    settings: AugmentConfig, dtype: str, channels: int, task: Task
) -> None:
    augment = Augment(task, settings, input_config(channels, dtype), CROP)
    low, high = RANGES[dtype]
    room = (
        0 if dtype == "uint8" else (high - low) / 2
    )  # a usual range is not the end of what can be
    low, high = max(low - room, 0 if dtype == "uint16" else -np.inf), high + room
    for size in ((9, 11), (70, 50)):
        image, target = sample(task, size, channels, dtype)
        kept = image.copy(), target.copy()
        for seed in range(3):
            patch, mask = augment(image, target, seed)
            assert patch.shape == (*CROP, channels)
            assert mask.shape == task.target_shape(*CROP)
            assert (patch.dtype, mask.dtype) == (image.dtype, np.uint8)
            assert low - 1e-3 <= patch.min() < patch.max() <= high + 1e-3
            assert set(np.unique(mask)) <= {*np.unique(target).tolist(), VOID}
        np.testing.assert_array_equal(image, kept[0])  # it may be a cached one
        np.testing.assert_array_equal(target, kept[1])


def test_the_same_seed_gives_the_same_patch() -> None:
    augment, (image, target) = (
        Augment(SOFTMAX, EVERYTHING, input_config(), CROP),
        sample(SOFTMAX, (60, 60)),
    )
    patches = [augment(image, target, seed)[0] for seed in range(12)]
    other = Augment(SOFTMAX, EVERYTHING, input_config(), CROP)
    for seed in reversed(range(12)):
        np.testing.assert_array_equal(other(image, target, seed)[0], patches[seed])
    assert len({patch.tobytes() for patch in patches}) == 12


def test_several_threads_give_the_patches_of_one_thread() -> None:
    augment, (image, target) = (
        Augment(SOFTMAX, EVERYTHING, input_config(), CROP),
        sample(SOFTMAX, (60, 60)),
    )
    wanted = [augment(image, target, seed) for seed in range(60)]
    with ThreadPoolExecutor(12) as pool:  # more than there are pipelines
        found = list(pool.map(lambda seed: augment(image, target, seed), range(60)))
    for (patch, mask), (same_patch, same_mask) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(patch, same_patch)
        np.testing.assert_array_equal(mask, same_mask)


@pytest.mark.parametrize(
    "settings",
    [
        only(flip_horizontal=True, flip_vertical=True),
        only(rotate=180.0, scale=0.4),
        only(elastic=8.0),
        AugmentConfig(flip_vertical=True, rotate=45.0, brightness=0.0, contrast=0.0),
    ],
    ids=["flips", "turns", "elastic", "all"],
)
def test_image_and_mask_stay_together(settings: AugmentConfig) -> None:
    target = blobs((60, 80))
    image = np.repeat(target[..., None] * np.uint8(100), 3, axis=-1)
    augment, changed = Augment(SOFTMAX, settings, input_config(), (48, 48)), 0
    for seed in range(20):
        patch, mask = augment(image, target, seed)
        known = mask != VOID
        assert known.mean() > 0.5
        read_back = np.abs(patch[..., :1].astype(int) - [0, 100, 200]).argmin(axis=-1)
        # linear resampling blurs edges, so edges may differ but areas may not
        assert (read_back == mask)[known].mean() > 0.9
        changed += not np.array_equal(mask, target[:48, :48])
    assert changed > 5


def test_without_augmentation_a_patch_is_cut_out_of_the_image() -> None:
    target = np.zeros((30, 40), np.uint8)
    image = np.stack(
        [np.arange(1200).reshape(30, 40) // 256, np.arange(1200).reshape(30, 40) % 256], axis=-1
    )
    augment = Augment(SOFTMAX, only(), input_config(2), CROP)
    starts = set()
    for seed in range(80):
        patch, mask = augment(image.astype(np.uint8), target, seed)
        row, column = divmod(int(patch[0, 0, 0]) * 256 + int(patch[0, 0, 1]), 40)
        np.testing.assert_array_equal(patch, image[row : row + 16, column : column + 24])
        assert not mask.any()
        starts.add((row, column))
    rows, columns = zip(*starts, strict=True)
    assert min(rows) <= 2 <= 12 <= max(rows)  # anywhere in the image
    assert min(columns) <= 3 <= 13 <= max(columns)


@pytest.mark.parametrize("settings", [AugmentConfig(), EVERYTHING], ids=["default", "everything"])
def test_a_large_image_is_seen_everywhere(settings: AugmentConfig) -> None:
    rows, columns = np.mgrid[:200, :300]
    image = np.stack([rows, columns // 2, rows * 0], axis=-1).astype(np.uint8)
    plain = settings.model_copy(
        update={"brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "noise": 0.0}
    )
    augment = Augment(SOFTMAX, plain, input_config(), CROP)
    patches = [augment(image, np.zeros((200, 300), np.uint8), seed) for seed in range(60)]
    middles = np.array([patch[8, 12, :2] for patch, mask in patches if mask[8, 12] != VOID])
    assert len(middles) > 45
    assert np.all(np.ptp(middles, axis=0) > [130, 100])


def test_every_place_is_as_likely() -> None:
    image = np.broadcast_to(np.arange(34, dtype=np.uint8)[None, :, None], (16, 34, 3)).copy()
    augment = Augment(SOFTMAX, only(), input_config(), CROP)
    starts = [
        int(augment(image, np.zeros((16, 34), np.uint8), seed)[0][0, 0, 0]) for seed in range(1100)
    ]
    counts = np.bincount(starts, minlength=11)
    assert len(counts) == 11  # 34 columns, 24 of them in a patch
    assert counts.min() > 60 and counts.max() < 140  # 100 each but for chance  # noqa: PT018


@pytest.mark.parametrize(
    "settings", [only(), AugmentConfig(), only(rotate=90.0, scale=0.9)], ids=["cut", "usual", "far"]
)
@pytest.mark.parametrize(
    "task", [BINARY, SOFTMAX, Task.multilabel(["a", "b"])], ids=["binary", "softmax", "labels"]
)
def test_foreground_patches_contain_a_foreground_pixel(task: Task, settings: AugmentConfig) -> None:
    image, target = (
        np.zeros((200, 300, 3), np.uint8),
        np.zeros(task.target_shape(200, 300), np.uint8),
    )
    target[199, 0] = 1  # a corner, one pixel
    for share, wanted in ((1.0, 40), (0.5, 20)):
        augment = Augment(task, settings, input_config(), CROP, foreground=share)
        found = sum(bool((augment(image, target, seed)[1] == 1).any()) for seed in range(40))
        assert abs(found - wanted) <= 8 * (share < 1)
    assert not (
        Augment(task, only(), input_config(), CROP, 1.0)(image, np.zeros_like(target), 0)[1] == 1
    ).any()


TURNS = {
    "rotate": only(rotate=90.0),
    "scale": only(scale=0.5),
    "elastic": only(elastic=10.0),
    "padding": only(),
    "everything": EVERYTHING,
}


@pytest.mark.parametrize("settings", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("classes", [1, 3, 7])
def test_trap_30_new_mask_pixels_are_void_in_every_channel(
    settings: AugmentConfig, classes: int
) -> None:
    task = Task.multilabel([f"class {i}" for i in range(classes)]) if classes > 1 else BINARY
    size = (10, 12) if settings == only() else (16, 24)
    image, target = np.full((*size, 3), 200, np.uint8), np.ones((*size, classes), np.uint8)
    augment = Augment(task, settings, input_config(), CROP)
    masks = [augment(image, target, seed)[1] for seed in range(20)]
    for mask in masks:
        assert set(np.unique(mask)) <= {1, VOID}  # Keras' RandomRotation: 17.6 % of class 0
        assert (mask == mask[..., :1]).all()
    assert any((mask == VOID).any() for mask in masks)


def test_elastic_works_on_the_smallest_patches() -> None:
    image, target = sample(SOFTMAX, (10, 12))
    patch, mask = Augment(SOFTMAX, only(elastic=3.0), input_config(), (8, 8))(image, target, 0)
    assert patch.shape == (8, 8, 3)
    assert mask.shape == (8, 8)


@pytest.mark.parametrize("settings", TURNS.values(), ids=TURNS)
def test_trap_30_no_id_is_invented_between_two(settings: AugmentConfig) -> None:
    task = Task.multiclass([f"class {i}" for i in range(200)])
    size = (10, 12) if settings == only() else (16, 24)
    target = np.where(np.indices(size).sum(axis=0) % 5 < 2, 199, 3).astype(np.uint8)
    augment, image = (
        Augment(task, settings, input_config(), CROP),
        np.full((*size, 3), 200, np.uint8),
    )
    masks = [augment(image, target, seed)[1] for seed in range(20)]
    assert {value for mask in masks for value in np.unique(mask).tolist()} == {3, 199, VOID}


SIDES = ["background", "left lung", "right lung"]
PAIRS = (("left lung", "right lung"),)


@pytest.mark.parametrize("direction", ["flip_horizontal", "flip_vertical"])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_trap_31_a_flip_swaps_the_sides(direction: str, kind: str) -> None:
    ids = np.zeros((*CROP,), np.uint8)
    ids[2:6, 2:9], ids[8:15, 12:20] = 1, 2
    ids[0, 0] = VOID
    exclusive = kind == "multiclass"
    task = (
        Task.multiclass(SIDES, flip_pairs=PAIRS)
        if exclusive
        else Task.multilabel(SIDES, flip_pairs=PAIRS)
    )
    target = (
        ids
        if exclusive
        else np.where((ids == VOID)[..., None], VOID, ids[..., None] == np.arange(3)).astype(
            np.uint8
        )
    )
    image = np.repeat(ids[..., None] * np.uint8(50), 3, axis=-1)
    augment = Augment(task, only(**{direction: True}), input_config(), CROP)
    axis, flipped = {"flip_horizontal": 1, "flip_vertical": 0}[direction], 0
    for seed in range(12):
        patch, mask = augment(image, target, seed)
        if np.array_equal(patch, image):
            np.testing.assert_array_equal(mask, target)
            continue
        flipped += 1
        np.testing.assert_array_equal(patch, np.flip(image, axis))
        mirrored = np.flip(target, axis)
        swapped = (
            mirrored[..., [0, 2, 1]]
            if not exclusive
            else np.choose(np.minimum(mirrored, 3), [0, 2, 1, VOID])
        )
        np.testing.assert_array_equal(mask, swapped)
    assert 0 < flipped < 12


def test_trap_31_both_flips_are_a_half_turn_and_swap_nothing() -> None:
    task = Task.multiclass(SIDES, flip_pairs=PAIRS)
    ids = np.zeros(CROP, np.uint8)
    ids[2:6, 2:9] = 1
    image = np.repeat(ids[..., None] * np.uint8(50), 3, axis=-1)
    augment = Augment(task, only(flip_horizontal=True, flip_vertical=True), input_config(), CROP)
    found = [augment(image, ids, seed) for seed in range(24)]
    turned = [mask for patch, mask in found if np.array_equal(patch, image[::-1, ::-1])]
    assert turned
    assert all(np.array_equal(mask, ids[::-1, ::-1]) for mask in turned)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [-40.0, 15.0, 90.0])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_the_geometry_is_the_one_of_albumentations(angle: float, scale: float, flip: bool) -> None:
    """A warp of the whole image by albumentations, then cut, gives the same patch."""
    rows, columns = np.mgrid[:60, :90]
    image = np.stack([rows * 4, columns * 2, rows + columns], axis=-1).astype(np.uint8)
    target = blobs((60, 90))
    steps = [
        A.Affine(rotate=(angle, angle), scale=(scale, scale), fill=50, fill_mask=VOID, p=1),
        A.CenterCrop(16, 24),
    ]
    whole = A.Compose([*steps, A.HorizontalFlip(p=float(flip))])(image=image, mask=target)
    matrix = map_of((22, 33), CROP, Turn(np.radians(angle), scale, -1 if flip else 1))
    patch = warp(image, matrix, CROP, np.full(3, 50.0), cv2.INTER_LINEAR)
    mask = warp(target, matrix, CROP, np.full(4, VOID), cv2.INTER_NEAREST)
    assert np.abs(patch.astype(int) - whole["image"]).max() <= 2
    assert (mask == whole["mask"]).mean() > 0.97  # at an edge both round to another side


@pytest.mark.parametrize(
    "settings", [Curve(1.2, -0.1), Curve(0.8, 0.15), Curve(1.1, 0.05, 0.7), Curve()]
)
@pytest.mark.parametrize("dtype", RANGES)
def test_intensities_change_as_the_formula_says(settings: Curve, dtype: str) -> None:
    info, (low, high) = input_config(3, dtype), RANGES[dtype]
    image = np.linspace(low, high, 16 * 16 * 3).reshape(16, 16, 3).astype(dtype)
    unit = (image.astype(np.float64) - low) / (high - low)
    room = 0 if dtype == "uint8" else 10
    changed = np.clip(unit * settings.contrast + settings.brightness, -room, 1 + room)
    bent = np.where((changed > 0) & (changed < 1), np.abs(changed) ** settings.gamma, changed)
    wanted = bent * (high - low) + low
    wanted = wanted.clip(0, 65535) if dtype == "uint16" else wanted
    found = apply_curve(image, settings, info)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, atol=1e-5 if dtype == "float32" else 0.51)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("curve", [Curve(1.3, 0.2, 1.4), Curve(0.7, -0.2, 0.6)])
def test_trap_36_values_outside_the_usual_range_stay_different(dtype: str, curve: Curve) -> None:
    """Values a little outside the usual range stay different; only far ones are clipped."""
    low, high = RANGES[dtype]
    steps = np.array([low, high, high + (high - low), high + 3 * (high - low)], dtype)
    found = apply_curve(steps.reshape(2, 2, 1), curve, input_config(1, dtype)).ravel().astype(float)
    assert (np.diff(found) > 0).all()
    assert found[3] - found[1] == pytest.approx(curve.contrast * 3 * (high - low), rel=0.3)
    far = apply_curve(
        np.full((1, 1, 1), 65535 if dtype == "uint16" else 1e9, dtype),
        curve,
        input_config(1, dtype),
    )
    assert far.max() <= input_config(1, dtype).limits[1]
    if dtype == "uint16":
        ends = input_config(1, dtype).model_copy(update={"high": 60000})
        assert apply_curve(np.full((1, 1, 1), 65535, dtype), curve, ends).max() >= 40000


def test_noise_is_a_share_of_the_usual_range() -> None:
    image = np.full((*CROP, 1), 2.0, np.float32)
    augment = Augment(SOFTMAX, only(noise=0.1), input_config(1, "float32"), CROP)
    deviations = [augment(image, np.zeros(CROP, np.uint8), seed)[0].std() for seed in range(40)]
    assert 0.7 < max(deviations) <= 1.05  # a tenth of -3 to 7
    assert np.mean(np.array(deviations) == 0) == pytest.approx(0.5, abs=0.25)


def test_curves_stay_within_the_settings_and_fill_them() -> None:
    settings, rng = AugmentConfig(brightness=0.2, contrast=0.3, gamma=0.4), np.random.default_rng(0)
    drawn = np.array([sample_curve(settings, rng) for _ in range(3000)]) - Curve()
    np.testing.assert_allclose(np.abs(drawn).max(axis=0), [0.3, 0.2, 0.4], atol=0.005)
    np.testing.assert_allclose((drawn == 0).mean(axis=0), [0.2, 0.2, 0.5], atol=0.03)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.02)


def test_pixels_keep_their_depth_where_nothing_needs_floats() -> None:
    """A flip does not convert 16-bit values to floats, which would change them."""
    image = np.arange(16 * 24, dtype=np.uint16).reshape(*CROP, 1) * 170
    augment = Augment(SOFTMAX, only(flip_horizontal=True), input_config(1, "uint16"), CROP)
    for seed in range(6):
        patch = augment(image, np.zeros(CROP, np.uint8), seed)[0]
        assert patch.dtype == np.uint16
        assert np.array_equal(patch, image) or np.array_equal(patch, image[:, ::-1])


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize(
    "settings", [AugmentConfig(), EVERYTHING, only()], ids=["default", "everything", "nothing"]
)
def test_the_strong_view_and_its_target_are_those_of_a_training_without_views(
    settings: AugmentConfig, dtype: str
) -> None:
    augment = Augment(SOFTMAX, settings, input_config(3, dtype), CROP)
    image, target = sample(SOFTMAX, (40, 50), 3, dtype)
    for seed in range(20):
        patch, mask = augment(image, target, seed)
        strong, weak, mask_of_views = augment.views(image, target, seed)
        np.testing.assert_array_equal(strong, patch)
        np.testing.assert_array_equal(mask_of_views, mask)
        assert weak.dtype == image.dtype
        assert weak.shape == patch.shape


@pytest.mark.parametrize("elastic", [0.0, 6.0])
def test_both_views_show_the_same_places(elastic: float) -> None:
    places = {"rotate": 180.0, "scale": 0.5, "flip_vertical": True, "elastic": elastic}
    image = np.repeat((80 + 60 * blobs((60, 70)))[..., None], 3, axis=-1).astype(np.uint8)
    target = blobs((60, 70))
    without = Augment(SOFTMAX, only(**places), input_config(), CROP)
    slight = only(**places, brightness=0.02, contrast=0.02, gamma=0.02, noise=0.002, blur=0.01)
    augment = Augment(SOFTMAX, slight, input_config(), CROP)
    changed = 0
    for seed in range(40):
        strong, weak, _ = without.views(image, target, seed)
        np.testing.assert_array_equal(strong, weak)
        strong, weak, _ = augment.views(image, target, seed)
        difference = np.abs(strong.astype(int) - weak.astype(int))
        assert difference.max() < 30  # classes differ by 60
        changed += bool(difference.any())
    assert changed > 20


def test_the_weak_view_has_the_intensities_of_the_image() -> None:
    image = np.full((40, 50, 3), 117, np.uint8)
    settings = AugmentConfig(brightness=0.5, contrast=0.5, gamma=0.5, noise=0.2)
    augment = Augment(SOFTMAX, settings, input_config(), CROP)
    target = np.zeros((40, 50), np.uint8)
    differences = []
    for seed in range(10):
        strong, weak, mask = augment.views(image, target, seed)
        assert (weak[2:-2, 2:-2][mask[2:-2, 2:-2] != VOID] == 117).mean() > 0.9
        differences.append(np.abs(strong.astype(int) - weak.astype(int)).mean())
    assert np.mean(differences) > 10
