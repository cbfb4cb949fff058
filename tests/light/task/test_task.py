from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import segkit
from segkit import VOID, ConfigError, DataError, Task
from segkit.task import values_of
from segkit.task.palette import default_palette
from tests.helpers.draws import KINDS, as_probabilities, masks, task_of, tasks
from tests.helpers.errors import fails

SHAPES = {
    "binary": (5, 7, 1),
    "multilabel": (5, 7, 2),
    "multiclass": (5, 7),
    "one against the rest": (5, 7),
}
HEADS = {
    "binary": ("sigmoid", "binary_crossentropy", 1, (0,)),
    "multilabel": ("sigmoid", "binary_crossentropy", 2, (0, 1)),
    "multiclass": ("softmax", "categorical_crossentropy", 3, (1, 2)),
    "one against the rest": ("sigmoid", "binary_crossentropy", 3, (1, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_head_loss_and_target_follow_from_the_kind(kind: str) -> None:
    task = task_of(kind)
    assert (task.activation, task.cross_entropy, task.channels, task.foreground) == HEADS[kind]
    assert task.target_shape(5, 7) == SHAPES[kind]


@given(st.data())
def test_decoding_an_encoded_mask_returns_its_known_pixels(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task))
    target = task.encode(mask, void=VOID)
    assert target.dtype == np.uint8
    assert target.shape == task.target_shape(*mask.shape[:2])
    decoded = task.decode(as_probabilities(task, target))
    known = mask != VOID
    assert decoded.shape == mask.shape
    np.testing.assert_array_equal(decoded[known], mask[known])
    np.testing.assert_array_equal(target.reshape(mask.shape) == VOID, ~known)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.int64])
def test_masks_of_all_integer_types_have_the_same_target(dtype: type) -> None:
    mask = np.array([[0, 1], [1, 0]], dtype)
    np.testing.assert_array_equal(Task.binary("crack").encode(mask)[..., 0], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(Task.multiclass(["a", "b"]).encode(mask), [[0, 1], [1, 0]])


def test_another_void_value_becomes_255() -> None:
    target = Task.multiclass(["a", "b"]).encode(np.array([[0, 1, -1]], np.int16), void=-1)
    assert target.tolist() == [[0, 1, VOID]]


@pytest.mark.parametrize(
    ("mask", "code", "values"),
    [
        (np.array([[0, 3, 9]]), "mask-values", ("0 to 2", 255, "3, 9", "data.mask_values")),
        (np.array([[0, -1]]), "mask-values", (-1,)),
        (np.arange(300).reshape(10, 30), "mask-values", ("3, 4, 5, 6, 7, 8, 9, 10, ...", 296)),
        (np.array([[0.0, 0.5]]), "mask-values", ("float64",)),
        (np.zeros((2, 2, 3), int), "mask-channels", ((2, 2, 3), "multilabel", "mask.argmax(-1)")),
    ],
)
def test_the_error_for_a_wrong_mask_says_what_is_allowed_and_what_was_found(
    mask: np.ndarray, code: str, values: tuple[object, ...]
) -> None:
    with fails(DataError, code, "a.png", *values):
        Task.multiclass(["a", "b", "c"]).encode(mask, "a.png")


def test_a_multilabel_mask_needs_one_channel_per_class() -> None:
    with fails(DataError, "mask-channels", "a.png", "(height, width, 2)", (4, 4)):
        Task.multilabel(["a", "b"]).encode(np.zeros((4, 4), np.uint8), "a.png")


def test_trap_04_overlapping_masks_are_refused_by_an_exclusive_task() -> None:
    overlapping = np.array([[[1, 1], [1, 0]]], np.uint8)
    with fails(DataError, "mask-channels", "multilabel"):
        Task.multiclass(["a", "b"]).encode(overlapping)
    np.testing.assert_array_equal(Task.multilabel(["a", "b"]).encode(overlapping), overlapping)


def test_trap_05_a_one_hot_mask_is_not_an_id_map() -> None:
    with fails(DataError, "mask-channels", "mask.argmax(-1)"):
        Task.multiclass(["a", "b", "c"]).encode(np.eye(3, dtype=np.uint8)[None])
    assert Task.multiclass(["a", "b", "c"]).encode(np.zeros((4, 5, 1), np.uint8)).shape == (4, 5)


@pytest.mark.parametrize("task", [Task.binary("crack"), Task.multilabel(["crack"])])
def test_trap_06_masks_of_0_and_255_are_refused_until_the_user_explains_255(task: Task) -> None:
    mask = np.array([[[0], [255]]], np.uint8)
    with fails(DataError, "mask-values", "a.png", 255, "mask > 0", "void=255"):
        task.encode(mask, "a.png")
    assert task.encode(mask > 0).ravel().tolist() == [0, 1]
    assert task.encode(mask, void=255).ravel().tolist() == [0, VOID]


def test_trap_11_softmax_is_never_compared_with_a_threshold() -> None:
    probabilities = np.array([[[0.4, 0.35, 0.25]]], np.float32)
    assert Task.multiclass(["a", "b", "c"]).decode(probabilities).tolist() == [[0]]
    with fails(ConfigError, "not-for-task", setting="task.thresholds"):
        Task.multiclass(["a", "b"], thresholds=0.5)


def test_trap_11_overlapping_classes_are_never_reduced_by_argmax() -> None:
    probabilities = np.array([[[0.9, 0.8], [0.3, 0.2], [0.3, 0.2]]], np.float32)
    mask = Task.multilabel(["a", "b"], thresholds=[0.5, 0.2]).decode(probabilities)
    assert mask.tolist() == [[[1, 1], [0, 1], [0, 1]]]


@given(st.data())
def test_a_pixel_belongs_to_a_class_from_its_threshold_on(data: st.DataObject) -> None:
    threshold = data.draw(st.floats(0.125, 0.875, width=32))
    probability = np.float32(data.draw(st.floats(0, 1, width=32)))
    mask = Task.binary("x", threshold=threshold).decode(np.full((1, 1, 1), probability))
    assert mask.tolist() == [[int(probability >= np.float32(threshold))]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64, bool])
def test_probabilities_of_0_and_1_decode_equally_in_every_type(dtype: type) -> None:
    mask = Task.binary("x").decode(np.array([[[0], [1]]], dtype))
    assert mask.tolist() == [[0, 1]]


@pytest.mark.parametrize("bad", [-4.0, 7.0, np.nan])
def test_logits_and_nan_are_not_decoded(bad: float) -> None:
    with fails(DataError, "probabilities", f"{bad:g}"):
        Task.multilabel(["a", "b"]).decode(np.full((2, 2, 2), bad))


def test_probabilities_of_another_number_of_classes_are_not_decoded() -> None:
    with fails(DataError, "channels", "(..., height, width, 3)", (2, 2, 2)):
        Task.multiclass(["a", "b", "c"]).decode(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("kind", "settings", "setting", "values"),
    [
        ("binary", {"classes": ["a", "b"]}, "task.classes", ("binary", 2, ["a", "b"])),
        ("multilabel", {"classes": []}, "task.classes", ("multilabel", 0, [])),
        ("multiclass", {"classes": ["a"]}, "task.classes", ("multiclass", 1, ["a"])),
        ("multiclass", {"classes": ["a", "a"]}, "task.classes", (("a", "a"),)),
        ("multiclass", {"classes": ["a", ""]}, "task.classes", (("a", ""),)),
        (
            "binary",
            {"classes": ["a"], "head": "softmax"},
            "task.head",
            ("Task.multiclass(['background', 'object'])",),
        ),
        (
            "multilabel",
            {"classes": ["a", "b"], "head": "softmax"},
            "task.head",
            ("multilabel", "sigmoid"),
        ),
        ("multilabel", {"classes": ["a", "b"], "thresholds": [0.5]}, "task.thresholds", (2, [0.5])),
        ("binary", {"classes": ["a"], "thresholds": 1.5}, "task.thresholds", ([1.5],)),
        ("binary", {"classes": ["a"], "background": "a"}, "task.background", ("multiclass", "'a'")),
        ("multiclass", {"classes": ["a", "b"], "background": "c"}, "task.background", ("'c'",)),
        ("binary", {"classes": ["a"], "palette": []}, "task.palette", (1, 0)),
        ("binary", {"classes": ["a"], "palette": [[0, 0, 256]]}, "task.palette", (0, 255)),
        (
            "multilabel",
            {"classes": ["a", "b"], "flip_pairs": [["a", "c"]]},
            "task.flip_pairs",
            (["a", "b"], "'c'"),
        ),
        (
            "multilabel",
            {"classes": ["a", "b"], "flip_pairs": [["a", "a"]]},
            "task.flip_pairs",
            ((("a", "a"),),),
        ),
    ],
)
def test_an_impossible_task_is_refused(
    kind: str, settings: dict[str, object], setting: str, values: tuple[object, ...]
) -> None:
    code = "not-for-task" if setting == "task.head" else "wrong-value"
    with fails(ConfigError, code, *values, setting=setting):
        Task.model_validate({"kind": kind, **settings})


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_trap_34_more_than_255_classes_are_refused(kind: str) -> None:
    names = [f"class {i}" for i in range(256)]
    assert Task.model_validate({"kind": kind, "classes": names[:255]}).channels == 255
    with fails(ConfigError, "wrong-value", 255, 256, setting="task.classes"):
        Task.model_validate({"kind": kind, "classes": names})


@pytest.mark.parametrize("classes", [5, {"a": 1, "b": 2}, [1, 2]])
def test_classes_must_be_a_list_of_names(
    classes: object,
) -> None:
    with pytest.raises((ValidationError, ConfigError), match="classes"):
        Task.model_validate({"kind": "multilabel", "classes": classes})


def test_trap_31_mirroring_swaps_paired_classes() -> None:
    pairs = [("left lung", "right lung")]
    exclusive = Task.multiclass(["background", "left lung", "right lung"], flip_pairs=pairs)
    assert exclusive.mirror(np.array([[0, 1, 2, VOID]], np.uint8)).tolist() == [[0, 2, 1, VOID]]
    overlapping = Task.multilabel(["heart", "left lung", "right lung"], flip_pairs=pairs)
    assert overlapping.mirror(np.array([[[1, 0, VOID]]], np.uint8)).tolist() == [[[1, VOID, 0]]]


@given(st.data())
def test_mirroring_twice_changes_nothing(data: st.DataObject) -> None:
    task = data.draw(tasks())
    task = task.model_copy(
        update={"flip_pairs": ((task.classes[0], task.classes[1]),) if task.channels > 1 else ()}
    )
    target = task.encode(data.draw(masks(task)), void=VOID)
    np.testing.assert_array_equal(task.mirror(task.mirror(target)), target)


def test_class_weights_have_the_names_of_classes() -> None:
    assert Task.multiclass(["background", "a"]).weights({"a": 3}) == (1.0, 3.0)
    assert Task.binary("a").weights({"background": 2}) == (2.0, 1.0)
    assert Task.multilabel(["a", "b"]).weights(None) == (1.0, 1.0)
    with fails(ConfigError, "unknown-name", "a, b", "c", setting="class_weights"):
        Task.multilabel(["a", "b"]).weights({"c": 1})


def test_the_class_called_background_is_the_background_only_in_exclusive_tasks() -> None:
    assert Task.multiclass(["a", "background"]).foreground == (0,)
    assert Task.multiclass(["a", "b"], background="a").foreground == (1,)
    assert Task.multiclass(["a", "b"]).foreground == (0, 1)
    assert Task.multilabel(["a", "background"]).foreground == (0, 1)


def test_255_classes_have_different_colours_and_the_background_is_black() -> None:
    names = ["background", *(f"class {i}" for i in range(254))]
    palette = default_palette(names, "background")
    assert palette[0] == (0, 0, 0)
    assert (0, 0, 0) not in palette[1:]
    assert len(set(palette[:13])) == 13


@given(st.data())
def test_values_of_equals_a_set(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=30))
    for dtype in (np.uint8, np.int32):
        assert values_of(np.array([values], dtype)).tolist() == sorted(set(values))


@pytest.mark.parametrize("kind", KINDS)
def test_explain_names_the_classes_and_the_head(kind: str) -> None:
    task = task_of(kind)
    words = task.explain()
    assert task.activation in words
    assert all(name in words for name in task.classes)


def _strings(tree: ast.Module) -> set[str]:
    """Return the string constants of a module except docstrings."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {str(node.value) for node in texts if id(node) not in alone}


def test_only_the_task_distinguishes_sigmoid_from_softmax() -> None:
    package = Path(str(segkit.__file__)).parent
    deciding = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            "sigmoid" in text or "softmax" in text
            for text in _strings(ast.parse(path.read_text("utf-8")))
        )
    }
    gate = "models/decoders/attention_unet.py"  # a sigmoid between layers, not at the output
    allowed = {"task/task.py", "task/defaults.py", "task/checks.py", "task/explain.py", gate}
    assert deciding == allowed


def test_a_class_called_background_can_be_foreground() -> None:
    assert Task.multiclass(["background", "cat"]).foreground == (1,)
    assert Task.multiclass(["background", "cat"], background=None).foreground == (0, 1)


ONE_LABEL = Task.multilabel(["liver"])
NO_BACKGROUND = Task.multiclass(["liver", "tumour"])
FOLLOWS = {
    "stores_ids": (False, False, False, True, True, True),
    "layered": (False, True, True, False, False, False),
    "planes": (1, 2, 1, 1, 1, 1),
    "can_overlap": (False, True, False, False, False, False),
    "can_be_nothing": (True, True, True, True, True, False),
    "implies_background": (True, False, False, False, False, False),
    "background_index": (None, None, None, 0, 0, None),
    "classes_compete": (False, False, False, True, False, True),
}


@pytest.mark.parametrize("question", FOLLOWS)
def test_properties_follow_from_the_kind_and_the_head(question: str) -> None:
    found = [
        getattr(task, question)
        for task in (*map(task_of, KINDS[:2]), ONE_LABEL, *map(task_of, KINDS[2:]), NO_BACKGROUND)
    ]
    assert tuple(found) == FOLLOWS[question]


def test_the_background_may_be_any_class() -> None:
    assert Task.multiclass(["a", "b", "c"], background="c").background_index == 2


@given(st.data())
def test_masks_have_the_number_of_planes_of_the_task(data: st.DataObject) -> None:
    task = data.draw(tasks() | st.just(ONE_LABEL))
    mask = data.draw(masks(task, void=False))
    decoded = task.decode(as_probabilities(task, task.encode(mask)))
    assert decoded.shape == ((*mask.shape[:2], task.planes) if task.layered else mask.shape[:2])
    assert (task.thresholds is None) == task.stores_ids


@pytest.mark.parametrize("kind", KINDS)
def test_the_task_of_one_layer_is_binary(kind: str) -> None:
    task = task_of(kind)
    assert task.layer_task == (task if kind == "binary" else Task.binary())


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task.binary("crack"), {"absent": 0, "present": 1, "background": 0, "crack": 1}),
        (Task.binary("background"), {"absent": 0, "present": 1, "background": 0}),
        (Task.multilabel(["background", "crack"]), {"absent": 0, "present": 1}),
        (Task.multiclass(["liver", "background"]), {"liver": 0, "background": 1}),
    ],
)
def test_each_value_of_a_mask_has_names(task: Task, expected: dict[str, int]) -> None:
    assert task.named_values == expected
