from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, ConfigError, DataError, Task
from segkit.data.sources.labels import as_ids, as_yes_no, check_mapped_names
from tests.helpers.errors import fails

CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])


@pytest.mark.parametrize(
    ("stored", "expected", "yes"),
    [
        (np.array([[0, 1]], np.uint8), [0, 1], 1),
        (np.array([[0, 255]], np.uint8), [0, 1], 255),
        (np.array([[255, 255]], np.uint8), [1, 1], 255),
        (np.array([[0, 65535]], np.uint16), [0, 1], 65535),
        (np.array([[0, 255]], np.uint16), [0, 1], 255),
        (np.array([[0, 255]], np.int32), [0, 1], 255),
        (np.array([[0, 0]], np.uint8), [0, 0], None),
    ],
)
def test_trap_06_yes_is_1_or_the_brightest_value(
    stored: np.ndarray, expected: list[int], yes: int | None
) -> None:
    mask, found = as_yes_no(stored, CRACK, None, "a.png")
    assert mask.tolist() == [expected]
    assert found == yes


@pytest.mark.parametrize(
    ("values", "code", "advice"),
    [
        ([0, 1, 255], "mask-values", "data.mask_values: {0: absent, 1: present, 255: void}"),
        ([0, 2], "mask-values", "data.mask_values: {0: ?, 2: ?}"),
        ([0, 40, 200, 255], "mask-soft-edges", "data.mask_threshold: 128"),
    ],
)
def test_trap_06_other_values_of_a_yes_no_mask_are_refused_with_advice(
    values: list[int], code: str, advice: str
) -> None:
    with fails(DataError, code, "a.png", 255, len(values), ", ".join(map(str, values)), advice):
        as_yes_no(np.array([values], np.uint8), CRACK, None, "a.png")


def test_trap_28_grey_edges_of_many_values_are_refused_by_the_first_few() -> None:
    with fails(DataError, "mask-soft-edges", 100, "0, 1, 2, 3, 4, 5, 6, 7, ..."):
        as_yes_no(np.arange(100, dtype=np.uint8)[None], CRACK, None, "a.png")


def test_mask_values_decide_what_values_mean() -> None:
    mask, yes = as_yes_no(
        np.array([[0, 1, 255]]), CRACK, {0: "absent", 1: "present", 255: "void"}, "a.png"
    )
    assert mask.tolist() == [[0, 1, VOID]]
    assert yes is None
    names = {10: "liver", 20: "tumour", 0: "background", 7: "void", 8: "liver"}
    assert as_ids(np.array([[0, 10, 20, 7, 8]]), ORGANS, names, "a.png").tolist() == [
        [0, 1, 2, VOID, 1]
    ]


def test_trap_26_16_bit_ids_map_to_classes() -> None:
    stored = np.array([[0, 100, 300]], np.uint16)
    ids = as_ids(stored, ORGANS, {0: "background", 100: "liver", 300: "tumour"}, "a.png")
    assert (ids.tolist(), ids.dtype) == ([[0, 1, 2]], np.uint8)


def test_values_without_a_name_are_refused() -> None:
    with fails(DataError, "mask-values", "a.png", "7, 99", "data.mask_values", [0, 10]):
        as_ids(np.array([[0, 10, 99, 7]]), ORGANS, {0: "background", 10: "liver"}, "a.png")


def test_without_mask_values_ids_are_ids_and_255_is_unlabelled() -> None:
    assert as_ids(np.array([[0, 2, 255]]), ORGANS, None, "a.png").tolist() == [[0, 2, VOID]]
    with fails(DataError, "mask-values", "a.png", "0 to 2", 3):
        as_ids(np.array([[0, 3]]), ORGANS, None, "a.png")


@given(
    st.dictionaries(
        st.integers(0, 65535),
        st.sampled_from(["background", "liver", "tumour", "void"]),
        min_size=1,
    )
)
def test_mapping_equals_a_loop_over_the_pixels(names: dict[int, str]) -> None:
    stored = np.array([list(names), list(names)[::-1]], np.uint16)
    ids = as_ids(stored, ORGANS, names, "a.png")
    meant = {"background": 0, "liver": 1, "tumour": 2, "void": VOID}
    assert ids.tolist() == [[meant[names[int(value)]] for value in row] for row in stored]


def test_names_in_mask_values_must_be_classes_or_void() -> None:
    known = "background, liver, tumour, void"
    with fails(ConfigError, "unknown-name", known, "livr, present", setting="data.mask_values"):
        check_mapped_names({1: "livr", 2: "void", 3: "present"}, ORGANS)
    for task in (Task.binary("liver"), Task.multilabel(["liver", "tumour"])):
        check_mapped_names({0: "absent", 1: "present", 2: "void"}, task)
    check_mapped_names({0: "background", 1: "liver"}, Task.binary("liver"))
    with fails(
        ConfigError, "unknown-name", "absent, present, void", "liver", setting="data.mask_values"
    ):
        check_mapped_names({1: "liver"}, Task.multilabel(["liver", "tumour"]))
