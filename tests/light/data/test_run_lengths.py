"""Run lengths of CVAT, Kaggle and Label Studio, compared with plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segkit import DataError
from segkit.data import rle_pack
from segkit.data.run_lengths import Order, mask_of_counts, mask_of_pairs, pairs_of
from tests.helpers.errors import assert_is, fails
from tests.helpers.label_sets import run_pairs
from tests.oracles.brush import unpack

pytestmark = pytest.mark.long

MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
SIZE = (3, 4)


@settings(deadline=None)
@given(MASKS)
def test_pairs_count_pixels_from_1_down_the_columns_or_along_the_rows(mask: np.ndarray) -> None:
    assert " ".join(map(str, pairs_of(mask, "column"))) == run_pairs(mask)
    assert " ".join(map(str, pairs_of(mask, "row"))) == run_pairs(mask.T)
    for order in ("column", "row"):
        pairs = np.array(pairs_of(mask, order), np.int64)  # type: ignore[arg-type]
        np.testing.assert_array_equal(
            mask_of_pairs(pairs, mask.shape, order),  # type: ignore[arg-type]
            mask,
        )


def test_runs_may_overlap_and_be_unsorted() -> None:
    mask = mask_of_pairs(np.array([5, 2, 1, 3, 2, 4]), SIZE, "row")
    assert np.flatnonzero(mask).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("pairs", "values"),
    [
        ([1], (1,)),
        ([0, 2], (12, 0, 2)),
        ([12, 2], (12, 2)),
        ([-3, 2], (-3,)),
        ([1, 0], (1, 0)),
        ([1, -5], (-5,)),
        ([1, 2**62], (2**62,)),
        ([2**62, 2**62], (2**62,)),
    ],
)
@pytest.mark.parametrize("order", ["row", "column"])
def test_runs_outside_the_image_are_refused(
    pairs: list[int], values: tuple[int, ...], order: Order
) -> None:
    with fails(DataError, "label-rle", *values):
        mask_of_pairs(np.array(pairs, np.int64), SIZE, order)


def test_counts_of_cvat_begin_with_the_pixels_outside() -> None:
    """The counts are those of the example in CVAT's documentation."""
    text = "3,5,7,7,5,9,3,11,2,11,2,12,1,12,1,26,1,12,1,12,2,11,3,9,5,7,7,5,3"
    counts = np.array([int(word) for word in text.split(",")])
    flat: list[bool] = []
    for number, count in enumerate(counts.tolist()):
        flat += [number % 2 == 1] * count
    width = 13
    height = len(flat) // width
    mask = mask_of_counts(counts, (height, width))
    assert mask.ravel().tolist() == flat


@pytest.mark.parametrize("counts", [[12, 1], [11], [-1, 13], [2**62, 2**62], [13]])
def test_counts_of_another_size_are_refused(counts: list[int]) -> None:
    with fails(DataError, "label-rle", 12):
        mask_of_counts(np.array(counts, np.int64), SIZE)


def test_the_oracle_decodes_the_example_of_label_studio() -> None:
    """The numbers are those of tests/test_brush.py in label-studio-converter."""
    packed = [0, 0, 0, 18, 57, 27, 252, 96, 32, 1, 0, 6, 0, 40, 0, 192, 3, 128, 17, 56, 32]
    assert unpack(packed) == [1, 1, 1, 1, 2, 3, 5, 6, 7, 8, *[4] * 8]


@pytest.mark.parametrize(
    ("alphas", "inside"),
    [
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([100, 100, 0, 0], [1, 1, 0, 0]),
        ([255, 128, 127, 3], [1, 1, 0, 0]),
        ([1, 0, 1, 0], [1, 0, 1, 0]),
    ],
)
def test_the_smoothed_edge_of_a_stroke_is_cut_in_the_middle(
    alphas: list[int], inside: list[int]
) -> None:
    values = [value for alpha in alphas for value in (alpha, alpha, alpha, alpha)]
    packed = pack(values, (3, 4, 8, 16), [(False, 16)])
    assert rle_pack.decode_brush(packed, (1, 4)).ravel().tolist() == inside


def pack(values: list[int], sizes: tuple[int, ...], groups: list[tuple[bool, int]]) -> list[int]:
    """Encode values in groups of a run or of single values, as the description says."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    start = 0
    for is_run, count in groups:
        number = next(i for i, size in enumerate(sizes) if count <= 1 << size)
        bits += f"{int(is_run)}{number:02b}{count - 1:0{sizes[number]}b}"
        taken = values[start : start + 1] if is_run else values[start : start + count]
        bits += "".join(f"{value:08b}" for value in taken)
        start += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


@settings(deadline=None)
@given(MASKS)
def test_label_studio_reads_what_is_encoded(mask: np.ndarray) -> None:
    packed = rle_pack.encode_brush(mask)
    assert unpack(packed) == np.repeat(mask.ravel() * 255, 4).tolist()
    np.testing.assert_array_equal(rle_pack.decode_brush(packed, mask.shape), mask)


def test_a_run_longer_than_16_bits_is_divided() -> None:
    mask = np.ones((200, 300), bool)
    mask[-1, -1] = False
    packed = rle_pack.encode_brush(mask)
    assert unpack(packed) == np.repeat(mask.ravel() * 255, 4).tolist()
    np.testing.assert_array_equal(rle_pack.decode_brush(packed, mask.shape), mask)


@pytest.mark.parametrize("sizes", [(3, 4, 8, 16), (1, 2, 5, 9)])
def test_runs_and_single_values_of_colours_are_decoded(sizes: tuple[int, ...]) -> None:
    colours = [[200, 17, 33, 255], [0, 0, 0, 0], [1, 2, 3, 128], [9, 9, 9, 0]]
    values = [value for colour in colours for value in colour]
    groups = [(False, 4), (True, 4), (False, 5), (True, 2), (False, 1)]
    values[13:15] = [9, 9]
    packed = pack(values, sizes, groups)
    assert unpack(packed) == values
    expected = [[True, False], [True, False]]
    assert rle_pack.decode_brush(packed, (2, 2)).tolist() == expected


GOOD = rle_pack.encode_brush(np.array([[True, False], [False, True]]))


@pytest.mark.parametrize(
    "packed",
    [
        [],
        GOOD[:4],
        GOOD[:-2],
        ["x"],
        [256, *GOOD],
        [-1],
        None,
        [255] * 40,
        rle_pack.encode_brush(np.ones((3, 2), bool)),
        pack([0] * 16, (3, 4, 8, 16), [(True, 17)]),
    ],
)
def test_damaged_run_lengths_of_label_studio_are_refused(packed: list[int]) -> None:
    with fails(DataError, "label-rle"):
        rle_pack.decode_brush(packed, (2, 2))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=30))
def test_any_bytes_are_decoded_or_refused(content: bytes) -> None:
    header = GOOD[:7]
    try:
        mask = rle_pack.decode_brush([*header, *content], (2, 2))
    except DataError as problem:
        assert_is(problem, DataError, "label-rle")
    else:
        assert mask.shape == (2, 2)
