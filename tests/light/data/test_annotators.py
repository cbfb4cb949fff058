"""Images with the masks of several annotators (`data.annotators`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, ConfigError, DataError
from segkit.config import Config, InputConfig
from segkit.data.batches.cache import Read, open_samples
from segkit.data.convert import convert
from segkit.data.parts import open_data
from segkit.data.sources.source import Sample, Source, Subset, open_source
from segkit.task.soft import LEVELS, as_probabilities, mean_of_masks, soft_of_mask
from tests.helpers import coco_json
from tests.helpers.errors import fails
from tests.helpers.label_sets import labelme_file, labelme_shape, picture, write_json
from tests.helpers.listings import listing
from tests.helpers.scans import need, save_nifti

CRACK: dict[str, Any] = {"kind": "binary", "classes": ["crack"]}
ORGANS: dict[str, Any] = {"kind": "multiclass", "classes": ["background", "liver", "kidney"]}
LAYERS: dict[str, Any] = {"kind": "multilabel", "classes": ["liver", "kidney"]}
SIZE = (6, 9)
ANNOTATORS = ("anna", "ben", "cleo")
INPUT = InputConfig(channels=3, dtype="uint8", mean=(0.0,) * 3, std=(1.0,) * 3, low=0.0, high=255.0)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def mask_of(annotator: str, name: str, top: int = 2) -> np.ndarray:
    """Return the values of an annotator's mask: 0 to `top`."""
    seed = [ANNOTATORS.index(annotator), ord(name)]
    return np.random.default_rng(seed).integers(0, top + 1, SIZE).astype(np.uint8)


def folders(root: Path, top: int = 2, names: str = "ab") -> dict[str, Any]:
    """Save images and the masks of three annotators, and return the settings."""
    for number, name in enumerate(names):
        save(root / "images" / f"{name}.png", picture(*SIZE, number))
        for annotator in ANNOTATORS:
            save(root / annotator / f"{name}.png", mask_of(annotator, name, top))
    where = [str(root / annotator) for annotator in ANNOTATORS]
    return {"images": str(root / "images"), "annotators": where, "validation": 0, "test": 0}


def opened(data: dict[str, Any], task: dict[str, Any]) -> tuple[Config, Source]:
    config, parts = open_data(Config.model_validate({"task": task, "data": data}))
    return config, parts["train"].source


def read(data: dict[str, Any], task: dict[str, Any], name: str = "a") -> Sample:
    return opened(data, task)[1].read(name)


def shares(sample: Sample, config: Config) -> np.ndarray:
    """Return the probabilities of a sample, NaN at VOID."""
    assert sample.soft is not None
    found = as_probabilities(config.task, sample.soft)
    return np.where(found == VOID, np.nan, found)


def test_a_label_is_the_share_of_the_annotators_who_chose_the_class(tmp_path: Path) -> None:
    config, source = opened(folders(tmp_path), ORGANS)
    assert list(source.names) == ["a", "b"]
    for name in source.names:
        sample = source.read(name)
        masks = np.stack([mask_of(annotator, name) for annotator in ANNOTATORS])
        expected = np.stack([(masks == label).mean(axis=0) for label in range(3)], axis=-1)
        np.testing.assert_allclose(shares(sample, config), expected, atol=1 / LEVELS)
        np.testing.assert_array_equal(sample.mask, expected.argmax(axis=-1))
        np.testing.assert_array_equal(sample.annotations, masks)
        np.testing.assert_array_equal(sample.image, picture(*SIZE, "ab".index(name)))


def test_a_binary_mask_is_yes_from_one_half_on(tmp_path: Path) -> None:
    data = folders(tmp_path, top=1)
    data["annotators"] = data["annotators"][:2]
    config, source = opened(data, CRACK)
    sample = source.read("a")
    masks = np.stack([mask_of(annotator, "a", 1) for annotator in ANNOTATORS[:2]])
    np.testing.assert_array_equal(shares(sample, config)[..., 0], masks.mean(axis=0))
    np.testing.assert_array_equal(sample.mask, masks.max(axis=0))


def test_annotators_who_agree_are_read_as_ordinary_masks(tmp_path: Path) -> None:
    data = folders(tmp_path)
    plain = {**data, "masks": data["annotators"][1], "annotators": None}
    for annotator in ANNOTATORS:
        for name in "ab":
            save(tmp_path / annotator / f"{name}.png", mask_of("ben", name))
    _, source = opened(data, ORGANS)
    ordinary, of_one = opened(plain, ORGANS)
    for name in source.names:
        mask = of_one.read(name).mask
        sample = source.read(name)
        np.testing.assert_array_equal(sample.mask, mask)
        np.testing.assert_array_equal(sample.soft, soft_of_mask(ordinary.task, mask))


def test_void_of_one_annotator_leaves_the_others(tmp_path: Path) -> None:
    data = folders(tmp_path)
    masks = [np.full(SIZE, VOID), np.full(SIZE, 1), np.full(SIZE, 2)]
    masks[1][0] = VOID
    masks[2][0, 0] = VOID
    for annotator, mask in zip(ANNOTATORS, masks, strict=True):
        save(tmp_path / annotator / "a.png", mask)
    config, source = opened(data, ORGANS)
    sample = source.read("a")
    assert shares(sample, config)[1, 0].tolist() == [0.0, 0.5, 0.5]
    assert shares(sample, config)[0, 1].tolist() == [0.0, 0.0, 1.0]
    assert np.isnan(shares(sample, config)[0, 0]).all()
    assert sample.mask[:2, :2].tolist() == [[VOID, 2], [1, 1]]


def test_an_annotator_may_have_values_and_tools_of_its_own(tmp_path: Path) -> None:
    data = folders(tmp_path)
    for name in "ab":
        save(tmp_path / "anna" / f"{name}.png", np.where(mask_of("ben", name) == 2, 7, 0))
        box = labelme_shape("kidney", [[2, 1], [5, 3]], "rectangle")
        content = labelme_file([box], f"{name}.png", SIZE)
        write_json(tmp_path / "cleo" / f"{name}.json", content)
    data["annotators"] = {
        "anna": {"masks": str(tmp_path / "anna"), "mask_values": {0: "background", 7: "kidney"}},
        "ben": str(tmp_path / "ben"),
        "cleo": {"source": "labelme", "annotations": str(tmp_path / "cleo")},
    }
    config, source = opened(data, ORGANS)
    sample = source.read("a")
    drawn = np.zeros(SIZE, bool)
    drawn[1:3, 2:5] = True
    ben = mask_of("ben", "a")
    kidney = ((ben == 2).astype(int) + (ben == 2) + drawn) / 3
    np.testing.assert_allclose(shares(sample, config)[..., 2], kidney, atol=1 / LEVELS)


def test_folders_of_classes_and_classes_that_one_annotator_left_out(tmp_path: Path) -> None:
    data = folders(tmp_path, names="a")
    for annotator in ANNOTATORS:
        for label in ("liver", "kidney"):
            save(tmp_path / "by_class" / annotator / label / "a.png", np.full(SIZE, 255))
    places = {annotator: str(tmp_path / "by_class" / annotator) for annotator in ANNOTATORS}
    own = {"masks": places["anna"], "unlabelled": {"liver": "void"}}
    save(tmp_path / "by_class" / "anna" / "liver" / "a.png", np.zeros(SIZE))
    config, source = opened({**data, "annotators": {**places, "anna": own}}, LAYERS)
    assert (shares(source.read("a"), config) == 1).all()
    config, source = opened({**data, "annotators": places}, LAYERS)
    np.testing.assert_allclose(shares(source.read("a"), config)[0, 0], [2 / 3, 1], atol=1 / LEVELS)
    with fails(ConfigError, "contradiction", "liver"):
        opened({**data, "annotators": {**places, "anna": own}}, ORGANS)


def test_a_class_that_a_list_says_was_not_annotated_is_refused(tmp_path: Path) -> None:
    data = folders(tmp_path, names="a")
    rows = [("image", "mask", "labelled_classes"), ("images/a.png", "anna/a.png", "liver")]
    own = {"list_file": str(listing(tmp_path, *rows).list_file)}
    data["annotators"] = {"anna": own, "ben": str(tmp_path / "ben")}
    with fails(ConfigError, "contradiction", "anna", "kidney"):
        opened(data, ORGANS)


def test_a_missing_mask_is_an_error_unless_the_config_says_so(tmp_path: Path) -> None:
    data = folders(tmp_path)
    (tmp_path / "ben" / "b.png").unlink()
    with fails(DataError, "unpaired", "ben", "b", "data.missing_masks"):
        opened(data, ORGANS)
    config, source = opened({**data, "missing_masks": "leave_out"}, ORGANS)
    both = [mask_of(annotator, "b") for annotator in ("anna", "cleo")]
    np.testing.assert_array_equal(source.read("b").soft, mean_of_masks(config.task, both))
    assert len(source.read("a").annotations) == 3
    for annotator in ("anna", "cleo"):
        (tmp_path / annotator / "b.png").unlink()
    config, source = opened({**data, "missing_masks": "leave_out"}, ORGANS)
    assert list(source.names) == ["a"]
    left_out: Any = source
    assert [entry.path.name for entry in left_out.left_out] == ["b.png"]


def test_an_image_that_a_tool_of_one_annotator_lacks_is_an_error(tmp_path: Path) -> None:
    data = folders(tmp_path)
    content = labelme_file([labelme_shape("liver", [[2, 1], [5, 3]], "rectangle")], "a.png", SIZE)
    write_json(tmp_path / "tool" / "a.json", content)
    tool = {"source": "labelme", "annotations": str(tmp_path / "tool")}
    data["annotators"] = {"anna": str(tmp_path / "anna"), "tool": tool}
    with fails(DataError, "unpaired", "tool", "b", "data.missing_masks"):
        opened(data, ORGANS)
    _, source = opened({**data, "missing_masks": "leave_out"}, ORGANS)
    assert len(source.read("b").annotations) == 1


def test_images_without_a_mask_are_left_out_with_a_report(tmp_path: Path) -> None:
    data = {**folders(tmp_path), "masks": str(tmp_path / "ben"), "annotators": None}
    (tmp_path / "ben" / "b.png").unlink()
    with fails(DataError, "unpaired", "b"):
        opened(data, ORGANS)
    _, source = opened({**data, "missing_masks": "leave_out"}, ORGANS)
    assert list(source.names) == ["a"]
    found: Any = source
    assert [entry.path.name for entry in found.left_out] == ["b.png"]
    rows = [("image", "mask"), ("images/a.png", "ben/a.png"), ("images/b.png", "")]
    listed = {**data, "list_file": str(listing(tmp_path, *rows).list_file)}
    listed |= {"images": None, "masks": None}
    with fails(DataError, "list"):
        opened(listed, ORGANS)
    _, source = opened({**listed, "missing_masks": "leave_out"}, ORGANS)
    assert list(source.names) == ["images/a"]


def test_errors_name_the_annotator(tmp_path: Path) -> None:
    data = folders(tmp_path)
    _, source = opened(data, ORGANS)
    save(tmp_path / "ben" / "a.png", np.full(SIZE, 9))
    with fails(DataError, "mask-values", "ben", 9):
        source.read("a")
    save(tmp_path / "ben" / "a.png", np.zeros((3, 3)))
    with fails(DataError, "mask-size", "ben"):
        source.read("a")
    with fails(DataError, "unpaired", "ben"):
        opened(
            {**data, "annotators": [*data["annotators"][:1], str(tmp_path / "nobody" / "ben")]},
            ORGANS,
        )


def test_all_files_of_a_sample_are_named_once(tmp_path: Path) -> None:
    _, source = opened(folders(tmp_path), ORGANS)
    found: Any = source
    names = [path.relative_to(tmp_path).as_posix() for path in found.files("a")]
    assert names == ["images/a.png", "anna/a.png", "ben/a.png", "cleo/a.png"]
    assert found.image_file("a").name == "a.png"
    assert found.stored.layout == "file"


def test_blocks_and_sets_keep_soft_labels(tmp_path: Path) -> None:
    data = folders(tmp_path, names="a")
    save(tmp_path / "images" / "a.png", picture(40, 72, 1))
    masks = {}
    for annotator in ANNOTATORS:
        masks[annotator] = np.random.default_rng(len(annotator)).integers(0, 3, (40, 72))
        save(tmp_path / annotator / "a.png", masks[annotator])
    config, source = opened(data, ORGANS)
    whole = source.read("a")
    blocks = opened({**data, "blocks": 32}, ORGANS)[1]
    assert list(blocks.names) == ["a@0-0", "a@0-1"]
    assert whole.soft is not None
    part = blocks.read("a@0-1")
    np.testing.assert_array_equal(part.soft, whole.soft[:, -part.image.shape[1] :])
    np.testing.assert_array_equal(part.annotations[2], masks["cleo"][:, -part.image.shape[1] :])
    hard = {"images": data["images"], "masks": str(tmp_path / "ben")}
    soft = {"images": data["images"], "annotators": data["annotators"]}
    sets = {"sets": {"hard": hard, "soft": soft}, "validation": 0, "test": 0}
    config, source = opened(sets, ORGANS)
    assert config.task.soft
    samples = Read(Subset(source, source.names), config.task, INPUT)
    np.testing.assert_array_equal(samples("soft/a")[1], whole.soft)
    expected = soft_of_mask(config.task, masks["ben"].astype(np.uint8))
    np.testing.assert_array_equal(samples("hard/a")[1], expected)


@pytest.mark.parametrize("task", [ORGANS, LAYERS])
def test_a_labelled_area_holds_for_every_annotator(task: dict[str, Any], tmp_path: Path) -> None:
    data = folders(tmp_path, names="a")
    if task is LAYERS:
        for annotator in ANNOTATORS:
            for label in ("liver", "kidney"):
                save(tmp_path / "by_class" / annotator / label / "a.png", np.ones(SIZE))
        data["annotators"] = [str(tmp_path / "by_class" / annotator) for annotator in ANNOTATORS]
    area = np.zeros(SIZE)
    area[:, 4:] = 1
    save(tmp_path / "area" / "a.png", area)
    sample = read({**data, "labelled_area": {"masks": str(tmp_path / "area")}}, task)
    assert sample.soft is not None
    assert (sample.soft[:, :4] == VOID).all()
    assert (sample.soft[:, 4:] != VOID).all()


def test_parts_that_annotators_list_must_agree(tmp_path: Path) -> None:
    data = folders(tmp_path)
    own = {}
    for annotator, part in (("anna", "test"), ("ben", "train")):
        rows = [("image", "mask", "split")]
        rows.append(("images/a.png", f"{annotator}/a.png", part))
        rows.append(("images/b.png", f"{annotator}/b.png", "train"))
        list_file = tmp_path / f"{annotator}.csv"
        list_file.write_text("\n".join(",".join(row) for row in rows))
        own[annotator] = {"list_file": str(list_file)}
    with fails(DataError, "list", "ben", "images/a", "test", "train"):
        opened({**data, "annotators": own}, ORGANS)
    anna = tmp_path / "anna.csv"
    (tmp_path / "ben.csv").write_text(anna.read_text().replace("anna/", "ben/"))
    _, source = opened({**data, "annotators": own}, ORGANS)
    assert dict(source.parts) == {"test": ["images/a"], "train": ["images/b"]}


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_every_cache_keeps_soft_targets(cache: str, tmp_path: Path) -> None:
    data = {**folders(tmp_path), "cache": cache, "cache_folder": str(tmp_path / "cache")}
    config, source = opened(data, ORGANS)
    part = Subset(source, source.names)
    for _ in range(2):
        samples = open_samples(part, config.data, config.task, INPUT)
        for name in source.names:
            np.testing.assert_array_equal(samples(name)[1], source.read(name).soft)


def test_converted_soft_labels_are_the_most_probable_classes(tmp_path: Path) -> None:
    data = folders(tmp_path / "from")
    config, source = opened(data, ORGANS)
    convert(config, tmp_path / "to", to="folder")
    found: dict[str, Any] = {"validation": 0, "test": 0}
    found |= {"images": str(tmp_path / "to" / "images"), "masks": str(tmp_path / "to" / "masks")}
    plain = opened(found, ORGANS)[1]
    for name in source.names:
        np.testing.assert_array_equal(plain.read(name).mask, source.read(name).mask)


def test_a_source_of_hard_masks_may_train_a_soft_task() -> None:
    shapes = {"source": "shapes", "count": 2, "size": [16, 16], "validation": 0, "test": 0}
    task = {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]}
    config = Config.model_validate({"task": {**task, "soft": True}, "data": shapes})
    source = open_source(config.data, config.task)
    name = source.names[0]
    found = Read(Subset(source, source.names), config.task, INPUT)(name)[1]
    np.testing.assert_array_equal(found, soft_of_mask(config.task, source.read(name).mask))


def test_coco_files_of_two_annotators(tmp_path: Path) -> None:
    boxes = {"anna": (0, 0, 4, 2), "ben": (2, 0, 6, 2)}
    own = {}
    for annotator, box in boxes.items():
        region = coco_json.annotation(coco_json.PERSON_ID, [coco_json.box(*box)])
        data = coco_json.save(tmp_path, coco_json.content(region))
        file = tmp_path / f"{annotator}.json"
        (tmp_path / "coco.json").rename(file)
        own[annotator] = {"annotations": str(file)}
    section = {"source": "coco", "images": str(data.images), "annotators": own}
    config, source = opened(
        {**section, "validation": 0, "test": 0}, {"kind": "binary", "classes": ["person"]}
    )
    found = shares(source.read("a"), config)[..., 0]
    expected = np.mean([coco_json.filled(box) for box in boxes.values()], axis=0)
    np.testing.assert_array_equal(found, expected)


def test_scans_of_two_annotators(tmp_path: Path) -> None:
    need("nibabel")
    volume = np.random.default_rng(0).integers(0, 2, (6, 5, 3)).astype(np.int16)
    save_nifti(tmp_path / "images" / "a.nii", volume)
    for annotator, mask in (("anna", volume), ("ben", 1 - volume)):
        save_nifti(tmp_path / annotator / "a.nii", mask.astype(np.uint8))
    where = [str(tmp_path / annotator) for annotator in ("anna", "ben")]
    data = {"source": "scans", "images": str(tmp_path / "images"), "annotators": where}
    config, source = opened({**data, "validation": 0, "test": 0}, CRACK)
    assert len(source.names) == 3
    for name in source.names:
        sample = source.read(name)
        assert (shares(sample, config) == 0.5).all()
        assert sample.geometry is not None
    found: Any = source
    assert found.plane is not None
