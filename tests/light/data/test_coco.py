"""What a valid COCO file becomes. Broken ones: test_coco_hostile.py."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from segkit import VOID, ConfigError, DataError, Task
from segkit.data.sources.coco import CocoSource, open_coco
from segkit.data.sources.coco_json import category_names
from segkit.data.sources.coco_segmentation import counts_of, runs_of
from segkit.data.sources.source import open_source
from segkit.errors import SegkitError
from tests.helpers.coco_json import (
    BOTH,
    CATEGORIES,
    DOG_ID,
    KITE_ID,
    PERSON,
    PERSON_ID,
    annotation,
    box,
    content,
    filled,
    save,
)
from tests.helpers.errors import fails

pytestmark = pytest.mark.long

ONE = Task.multiclass(["background", "person", "dog"])


def mask_of(root: Path, task: Task, *annotations: dict[str, Any], **data: object) -> np.ndarray:
    """Return the mask of one image of 6 x 4 pixels with these annotations."""
    settings = save(root, content(*annotations)).model_copy(update=data)
    return open_coco(settings, task).read("a").mask


def lengths(mask: np.ndarray) -> list[int]:
    """The oracle of run lengths: a plain loop down the columns, starting with the zeros."""
    counts, current = [0], 0
    for value in mask.T.ravel().tolist():
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    return counts


def test_a_polygon_is_filled(tmp_path: Path) -> None:
    mask = mask_of(tmp_path, PERSON, annotation(PERSON_ID, [box(1, 1, 4, 3)]))
    np.testing.assert_array_equal(mask, filled((1, 1, 4, 3)))


def test_an_object_of_several_polygons_is_all_of_them(tmp_path: Path) -> None:
    mask = mask_of(tmp_path, PERSON, annotation(PERSON_ID, [box(0, 0, 2, 1), box(4, 2, 6, 4)]))
    np.testing.assert_array_equal(mask, filled((0, 0, 2, 1), (4, 2, 6, 4)))


def test_polygons_are_clipped_at_the_image(tmp_path: Path) -> None:
    mask = mask_of(tmp_path, PERSON, annotation(PERSON_ID, [box(-20, 1, 2, 30)]))
    np.testing.assert_array_equal(mask, filled((0, 1, 2, 4)))


@given(st.data())
def test_rectangles_are_as_pillow_fills_them(data: st.DataObject) -> None:
    """Pillow fills the edges, too, so its rectangle ends a pixel earlier."""
    width, height = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    picture = Image.new("L", (width, height))
    ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=1)
    decoded = coco_mask.decode(runs_of([box(left, top, right, bottom)], height, width))[..., 0]
    np.testing.assert_array_equal(decoded, np.asarray(picture))


BITS = st.integers(1, 9).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 1), min_size=width, max_size=width), min_size=1, max_size=9
    )
)


@given(BITS)
def test_run_lengths_come_back_as_they_were_drawn(bits: list[list[int]]) -> None:
    mask = np.array(bits, np.uint8)
    counts, size = lengths(mask), list(mask.shape)
    packed = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    assert counts_of(packed).tolist() == counts
    for form in (counts, packed):
        decoded = coco_mask.decode(runs_of({"size": size, "counts": form}, *mask.shape))[..., 0]
        np.testing.assert_array_equal(decoded, mask)


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=30))
def test_compressed_run_lengths_are_read_as_pycocotools_writes_them(counts: list[int]) -> None:
    runs = coco_mask.frPyObjects({"size": [sum(counts), 1], "counts": counts}, sum(counts), 1)
    assert counts_of(runs["counts"].decode()).tolist() == counts


@pytest.mark.parametrize("form", ["polygon", "list", "text"])
def test_each_form_gives_the_same_mask(tmp_path: Path, form: str) -> None:
    truth = filled((1, 0, 5, 2))
    packed = coco_mask.encode(np.asfortranarray(truth))["counts"].decode()
    runs = {"list": lengths(truth), "text": packed}
    segmentation = (
        [box(1, 0, 5, 2)] if form == "polygon" else {"size": [4, 6], "counts": runs[form]}
    )
    np.testing.assert_array_equal(
        mask_of(tmp_path, PERSON, annotation(PERSON_ID, segmentation)), truth
    )


def test_categories_are_matched_by_name_and_others_are_ignored(tmp_path: Path) -> None:
    regions = [
        annotation(PERSON_ID, [box(0, 0, 2, 2)], 1),
        annotation(DOG_ID, [box(1, 1, 4, 3)], 2),
        annotation(KITE_ID, [box(5, 3, 6, 4)], 3),
    ]
    person, dog = filled((0, 0, 2, 2)), filled((1, 1, 4, 3))
    np.testing.assert_array_equal(mask_of(tmp_path, PERSON, *regions), person)
    np.testing.assert_array_equal(
        mask_of(tmp_path, BOTH, *regions), np.stack([person, dog], axis=-1)
    )


def test_a_category_called_background_is_the_background(tmp_path: Path) -> None:
    values = content(annotation(PERSON_ID, [box(0, 0, 2, 2)]), annotation(5, [box(0, 0, 6, 4)], 2))
    values["categories"] = [*CATEGORIES, {"id": 5, "name": "background"}]
    np.testing.assert_array_equal(
        open_coco(save(tmp_path, values), ONE).read("a").mask, filled((0, 0, 2, 2))
    )


def test_overlaps_of_exclusive_classes_are_decided_by_on_top(tmp_path: Path) -> None:
    regions = [
        annotation(PERSON_ID, [box(0, 0, 3, 2)], 1),
        annotation(DOG_ID, [box(2, 1, 5, 3)], 2),
    ]
    with fails(
        DataError, "overlap", tmp_path / "coco.json", 7, "'a.png'", 1, "person, dog", "data.on_top"
    ):
        mask_of(tmp_path, ONE, *regions)
    mask = mask_of(tmp_path, ONE, *regions, on_top=("dog",))
    expected = filled((0, 0, 3, 2))
    expected[1:3, 2:5] = 2
    np.testing.assert_array_equal(mask, expected)
    with fails(
        ConfigError, "unknown-name", "background, person, dog", "cat", setting="data.on_top"
    ):
        mask_of(tmp_path, ONE, *regions, on_top=("cat",))


def test_a_crowd_is_void_where_no_object_of_the_class_lies(tmp_path: Path) -> None:
    crowd = {"size": [4, 6], "counts": lengths(filled((0, 0, 4, 4)))}
    regions = [
        annotation(PERSON_ID, crowd, 1, iscrowd=1),
        annotation(PERSON_ID, [box(1, 1, 3, 3)], 2),
        annotation(DOG_ID, [box(3, 0, 6, 1)], 3),
    ]
    person, dog = filled((0, 0, 4, 4), value=VOID), filled((3, 0, 6, 1))
    person[1:3, 1:3] = 1
    np.testing.assert_array_equal(mask_of(tmp_path, PERSON, *regions, crowds="void"), person)
    both = np.stack([person, dog], axis=-1)
    np.testing.assert_array_equal(mask_of(tmp_path, BOTH, *regions, crowds="void"), both)
    exclusive = person.copy()
    exclusive[0, 3:6] = 2
    np.testing.assert_array_equal(mask_of(tmp_path, ONE, *regions, crowds="void"), exclusive)


COCO_INFO: dict[str, dict[str, Any]] = {
    "url": {"info": {"url": "http://cocodataset.org"}},
    "description": {"info": {"description": "COCO 2017 Dataset"}},
    "images": {"images": [{"coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg"}]},
}
"""What marks a file as one of COCO's own."""
CVAT_INFO = {
    "info": {"contributor": "", "description": "", "url": ""},
    "images": [{"coco_url": "", "flickr_url": ""}],
}


def brushed(about: dict[str, Any]) -> dict[str, Any]:
    """Return a file of one region with `iscrowd: 1`, with more about the file and its image."""
    runs = {"size": [4, 6], "counts": lengths(filled((0, 0, 4, 4)))}
    values = content(annotation(PERSON_ID, runs, iscrowd=1))
    values["images"][0] |= about.get("images", [{}])[0]
    return values | {"info": about.get("info", {})}


@pytest.mark.parametrize("about", COCO_INFO)
def test_crowds_of_cocos_own_files_are_unlabelled(tmp_path: Path, about: str) -> None:
    source = open_coco(save(tmp_path, brushed(COCO_INFO[about])), PERSON)
    np.testing.assert_array_equal(source.read("a").mask, filled((0, 0, 4, 4), value=VOID))
    assert source.decisions == []
    assert "1 regions" in source.read_as


@pytest.mark.parametrize("about", [{}, CVAT_INFO], ids=["nothing", "CVAT"])
def test_trap_42_crowds_of_other_files_are_objects_and_inspection_asks_about_them(
    tmp_path: Path, about: dict[str, Any]
) -> None:
    settings = save(tmp_path, brushed(about))
    source = open_coco(settings, PERSON)
    np.testing.assert_array_equal(source.read("a").mask, filled((0, 0, 4, 4)))
    [(code, message)] = source.decisions
    assert code == "coco-crowd"
    assert all(setting in message for setting in ("data.crowds: void", "data.crowds: objects"))
    for crowds, value in (("void", VOID), ("objects", 1)):
        chosen = open_coco(settings.model_copy(update={"crowds": crowds}), PERSON)
        np.testing.assert_array_equal(chosen.read("a").mask, filled((0, 0, 4, 4), value=value))
        assert chosen.decisions == []


@pytest.mark.parametrize("stray", [[], [3.0, 3.0], [0, 0, 5, 3]], ids=len)
def test_trap_42_a_stray_point_beside_a_polygon_does_not_matter(
    tmp_path: Path, stray: list[float]
) -> None:
    mask = mask_of(tmp_path, PERSON, annotation(PERSON_ID, [box(1, 1, 4, 3), stray]))
    np.testing.assert_array_equal(mask, filled((1, 1, 4, 3)))
    with fails(DataError, "coco-polygon", len(stray)):
        mask_of(tmp_path, PERSON, annotation(PERSON_ID, [stray]))


def test_headings_are_not_classes(tmp_path: Path) -> None:
    values = content(annotation(1, [box(0, 0, 2, 2)]))
    values["categories"] = [
        {"id": 0, "name": "roofs-dAtA", "supercategory": "none"},
        {"id": 1, "name": "roof", "supercategory": "roofs-dAtA"},
        {"id": 2, "name": "person", "supercategory": "person"},
        {"id": 3, "name": "background", "supercategory": "roofs-dAtA"},
    ]
    settings = save(tmp_path, values)
    assert settings.annotations
    assert category_names(settings.annotations) == ["roof", "person"]
    values["annotations"] += [
        annotation(0, [box(3, 3, 5, 4)], 2),
        annotation(3, [box(3, 3, 5, 4)], 3),
    ]
    save(tmp_path, values)
    assert category_names(settings.annotations) == ["roofs-dAtA", "roof", "person", "background"]


@pytest.mark.parametrize(("task", "shape"), [(PERSON, (4, 6)), (BOTH, (4, 6, 2)), (ONE, (4, 6))])
def test_an_image_without_annotations_is_background(
    tmp_path: Path, task: Task, shape: tuple[int, ...]
) -> None:
    assert mask_of(tmp_path, task).tolist() == np.zeros(shape).tolist()


def test_a_sample_is_called_by_its_file_name_without_suffix(tmp_path: Path) -> None:
    values = content(name="monday/b.c.png")
    values["images"].append({"id": "x", "file_name": "./a.jpg", "width": 6, "height": 4})
    values["annotations"].append(annotation(PERSON_ID, [box(0, 0, 1, 1)]) | {"image_id": "x"})
    source = open_source(save(tmp_path, values), PERSON)
    assert isinstance(source, CocoSource)
    assert (source.names, source.parts, source.skipped) == (["a", "monday/b.c"], {}, {})
    sample = source.read("a")
    assert (sample.name, sample.image.shape, int(sample.mask.sum())) == ("a", (4, 6, 3), 1)
    assert source.read("monday/b.c").mask.sum() == 0


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    source = open_coco(save(tmp_path, content(annotation(PERSON_ID, [box(1, 1, 4, 3)]))), PERSON)
    assert source.read("a").mask.tolist() == source.read("a").mask.tolist()


def test_opening_ten_thousand_images_reads_no_image_file(tmp_path: Path) -> None:
    """Not one of the images exists, so nothing was opened or looked up to find them."""
    names = [f"{i:05d}" for i in range(10_000)]
    images = [
        {"id": i, "file_name": f"{name}.jpg", "width": 640, "height": 480}
        for i, name in enumerate(names)
    ]
    regions = [annotation(PERSON_ID, [box(1, 1, 400.5, 300.25)], i, i) for i in range(10_000)]
    settings = save(tmp_path, {"images": [], "annotations": [], "categories": CATEGORIES})
    assert settings.annotations
    settings.annotations.write_text(
        json.dumps({"images": images, "annotations": regions, "categories": CATEGORIES})
    )
    assert open_coco(settings, PERSON).names == names


SAMPLE = content(
    annotation(PERSON_ID, [box(1, 1, 4, 3), box(0, 0, 2, 2)], 1),
    annotation(DOG_ID, {"size": [4, 6], "counts": [2, 3, 19]}, 2, iscrowd=1),
    annotation(PERSON_ID, {"size": [4, 6], "counts": "83="}, 3),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just([[1]]),
)


def test_the_file_that_the_next_test_changes_is_valid(tmp_path: Path) -> None:
    settings = save(tmp_path, SAMPLE).model_copy(update={"crowds": "void"})
    assert open_coco(settings, ONE).read("a").mask.max() == VOID


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a JSON document."""
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at] * bool(at) + [place for key, inner in inside for place in places(inner, (*at, key))]


@given(
    st.lists(
        st.tuples(st.sampled_from(places(SAMPLE)), ODD, st.booleans()), min_size=1, max_size=3
    ),
    st.booleans(),
)
def test_any_change_of_the_file_gives_samples_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[tuple[Any, ...], Any, bool]],
    skip: bool,
) -> None:
    values = copy.deepcopy(SAMPLE)
    for place, odd, remove in changes:
        _change(values, place, odd, remove)
    root = tmp_path_factory.getbasetemp() / "mutated"
    root.mkdir(exist_ok=True)
    settings = save(root, content()).model_copy(update={"skip_broken": skip})
    assert settings.annotations
    settings.annotations.write_text(json.dumps(values), encoding="utf-8")
    for task in (PERSON, BOTH, ONE):
        try:
            source = open_coco(settings, task)
            for name in source.names:
                mask = source.read(name).mask
                assert mask.dtype == np.uint8
                assert mask.shape[:2] == (4, 6)
        except SegkitError as problem:
            _check_message(str(problem))


def _check_message(message: str) -> None:
    assert "\n" not in message
    assert len(message) < 1000


def _change(values: Any, place: tuple[Any, ...], odd: Any, remove: bool) -> None:
    """Replace or remove what stands at a place, if earlier changes left the way to it."""
    try:
        for key in place[:-1]:
            values = values[key]
        if remove:
            del values[place[-1]]
        else:
            values[place[-1]] = odd
    except (KeyError, IndexError, TypeError):
        pass


def test_meanings_of_labels_are_refused_because_categories_are_matched_by_name(
    tmp_path: Path,
) -> None:
    data = save(tmp_path, content()).model_copy(update={"labels": {"puppy": "dog"}})
    with fails(ConfigError, "contradiction", setting="data.labels"):
        open_coco(data, PERSON)
