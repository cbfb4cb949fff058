"""Several data sets in one training (`data.sets`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import VOID, ConfigError, DataError, inspect
from segkit.config import Config, as_config, read
from segkit.data.groups import groups_of
from segkit.data.parts import open_data, open_parts
from segkit.data.sources.data_sets import set_of
from segkit.data.sources.source import open_source
from tests.helpers import coco_json
from tests.helpers.errors import fails
from tests.helpers.label_sets import labelme_file, labelme_shape, picture, write_json
from tests.helpers.scans import need, save_nifti

CLASSES = ["background", "liver", "kidney"]
TASK: dict[str, Any] = {"kind": "multiclass", "classes": CLASSES}
SIZE = (8, 10)


def folder(root: Path, names: list[str], value: int, seed: int = 0, top: int = 2) -> dict[str, Any]:
    """Save images and masks with a value in the rows from `top` on, and return their settings."""
    for number, name in enumerate(names):
        mask = np.zeros(SIZE, np.uint8)
        mask[top:] = value
        for where, content in (("images", picture(*SIZE, seed + number)), ("masks", mask)):
            path = root / where / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(path)
    return {"images": str(root / "images"), "masks": str(root / "masks")}


def config_of(sets: dict[str, Any], task: Any = None, **data: Any) -> Config:
    return Config.model_validate({"task": task or TASK, "data": {"sets": sets, **data}})


def meant(config: Config, mask: np.ndarray) -> list[list[set[str]]]:
    found = config.task.possible[config.task.encode(mask, void=VOID)]
    names = np.array(CLASSES)
    return [[set(names[pixel].tolist()) for pixel in row] for row in found]


def two(root: Path, **more: Any) -> dict[str, Any]:
    """Return a set of livers in a folder of ids, and one of kidneys with the value 1."""
    livers = folder(root / "l", [f"p{i}" for i in range(6)], 1)
    kidneys = folder(root / "k", [f"p{i}" for i in range(4)], 1, seed=20)
    values = {0: "background", 1: "kidney"}
    return {
        "livers": {**livers, "labelled_classes": ["liver"]},
        "kidneys": {**kidneys, "labelled_classes": ["kidney"], "mask_values": values, **more},
    }


def test_classes_that_a_set_did_not_annotate_are_open_there(tmp_path: Path) -> None:
    config, parts = open_data(config_of(two(tmp_path)))
    assert set(config.task.sets) == {("background", "kidney"), ("background", "liver")}
    names = [name for subset in parts.values() for name in subset.names]
    assert sorted(names) == sorted(
        [*(f"livers/p{i}" for i in range(6)), *(f"kidneys/p{i}" for i in range(4))]
    )
    for subset in parts.values():
        for sample in subset:
            own, other = ("liver", "kidney")
            if set_of(sample.name) == "kidneys":
                own, other = other, own
            found = meant(config, sample.mask)
            assert found[0][0] == {"background", other}
            assert found[-1][-1] == {own}


def test_each_source_has_its_own_way_of_reading(tmp_path: Path) -> None:
    root = tmp_path / "tool"
    root.mkdir()
    Image.fromarray(picture(*SIZE)).save(root / "a.png")
    box = labelme_shape("kidney", [[1, 1], [4, 4]], "rectangle")
    write_json(root / "a.json", labelme_file([box], "a.png", SIZE))
    (tmp_path / "coco").mkdir()
    values = coco_json.content(coco_json.annotation(1, [coco_json.box(0, 0, 3, 4)]))
    values["categories"] = [{"id": 1, "name": "liver"}]
    coco = coco_json.save(tmp_path / "coco", values).model_dump(
        mode="json", include={"source", "images", "annotations"}
    )
    sets = {
        "tool": {"source": "labelme", "images": str(root), "boxes": "bounds"},
        "coco": {**coco, "labelled_classes": ["liver"]},
        "files": folder(tmp_path / "f", ["a"], 2),
    }
    config, parts = open_data(config_of(sets, validation=0.0, test=0.0))
    read = {sample.name: meant(config, sample.mask) for sample in parts["train"]}
    assert read["tool/a"][1][1] == {"background", "kidney"}
    assert read["tool/a"][0][0] == {"background"}
    assert read["coco/a"][0][0] == {"liver"}
    assert read["coco/a"][0][5] == {"background", "kidney"}
    assert read["files/a"][0][0] == {"background"}
    assert read["files/a"][-1][0] == {"kidney"}
    source: Any = parts["train"].source
    assert source.image_file("files/a") == tmp_path / "f" / "images" / "a.png"
    assert [path.name for path in source.files("coco/a")] == ["a.png", "coco.json"]


def test_sets_of_single_images_have_one_value_in_all_sources(tmp_path: Path) -> None:
    sets = {}
    for name, labels, seed in (("one", "liver", 0), ("two", "kidney", 9)):
        folder(tmp_path / name, ["a"], CLASSES.index(labels), seed)
        lines = f"image,mask,labelled_classes\nimages/a.png,masks/a.png,{labels}\n"
        (tmp_path / name / "list.csv").write_text(lines, encoding="utf-8")
        sets[name] = {"list_file": str(tmp_path / name / "list.csv")}
    config = config_of(sets, validation=0.0, test=0.0)
    source: Any = open_source(config.data, config.task)
    own = config.model_copy(update={"task": source.task})
    assert meant(own, source.read("one/images/a").mask)[0][0] == {"background", "kidney"}
    assert meant(own, source.read("two/images/a").mask)[0][0] == {"background", "liver"}


def test_settings_that_a_set_leaves_out_are_those_of_the_section(tmp_path: Path) -> None:
    sets = two(tmp_path)
    sets["livers"]["mask_suffix"] = ""
    config = config_of(sets, mask_values={0: "background", 1: "liver", 9: "void"})
    found = open_source(config.data, config.task).read("livers/p0").mask
    assert set(np.unique(found).tolist()) <= {1, 3, 4}
    again = as_config(config.model_dump(mode="json"))
    assert again == config
    assert len(config.as_yaml()) < 6000


def test_paths_of_sets_start_where_those_of_the_section_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "own", ["a"], 1)
    text = "task: {kind: binary, classes: [liver]}\ndata:\n  validation: 0\n  test: 0\n"
    text += "  relative_to: %s\n  sets: {one: {images: own/images, masks: own/masks}}\n"
    config = tmp_path / "config.yaml"
    config.write_text(text % "config", encoding="utf-8")
    assert open_parts(read(config))["train"].names == ["one/a"]
    config.write_text(text % "current", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    kept = read(config)
    monkeypatch.chdir("/")
    assert open_parts(kept)["train"].names == ["one/a"]
    assert open_parts(as_config(kept.model_dump(mode="json")))["train"].names == ["one/a"]


def test_a_group_in_two_sets_stays_in_one_part(tmp_path: Path) -> None:
    config = config_of(two(tmp_path), groups=r"p\d+", validation=0.3, test=0.3)
    assert groups_of(["kidneys/p1", "livers/p3"], config) == ["p1", "p3"]
    parts = open_parts(config)
    place = {}
    for part, subset in parts.items():
        for name in subset.names:
            person = name.partition("/")[2]
            assert place.setdefault(person, part) == part
    assert len({*place.values()}) == 3


def test_each_set_may_have_its_own_groups(tmp_path: Path) -> None:
    sets = two(tmp_path, groups={"folder": 1})
    folder(tmp_path / "k", ["x/a", "x/b"], 1, seed=40)
    for path in (tmp_path / "k").glob("*/p*.png"):
        path.unlink()
    config = config_of(sets)
    names = ["kidneys/x/b", "livers/p1", "kidneys/x/a"]
    assert groups_of(names, config) == ["x", "livers/p1", "x"]


def test_groups_of_a_column_are_looked_up_in_the_list_of_each_set(tmp_path: Path) -> None:
    sets = {}
    for number, name in enumerate(("one", "two")):
        folder(tmp_path / name, ["a", "b"], 1, seed=10 * number)
        lines = ["image,mask,patient"]
        for image in ("a", "b"):
            lines.append(f"images/{image}.png,masks/{image}.png,{image}{number % 2}")
        (tmp_path / name / "list.csv").write_text("\n".join(lines), encoding="utf-8")
        sets[name] = {"list_file": str(tmp_path / name / "list.csv")}
    config = config_of(sets, groups={"column": "patient"}, validation=0.0, test=0.0)
    names = list(open_parts(config)["train"].names)
    assert dict(zip(names, groups_of(names, config) or [], strict=True)) == {
        "one/images/a": "a0",
        "one/images/b": "b0",
        "two/images/a": "a1",
        "two/images/b": "b1",
    }


def test_one_image_in_two_sets_stays_in_one_part(tmp_path: Path) -> None:
    sets = {}
    for label in ("liver", "kidney"):  # the same images, each annotated for one class
        own = folder(tmp_path / label, [f"{label}{i}" for i in range(12)], CLASSES.index(label))
        sets[label] = {**own, "labelled_classes": [label]}
    config = config_of(sets, validation=0.3, test=0.3)
    path = tmp_path / "config.yaml"
    path.write_text(config.as_yaml(), encoding="utf-8")
    found = inspect(path)
    assert "leak" not in [problem.code for problem in found.problems]
    place = {}
    for part, subset in found.parts.items():
        for name in subset.names:
            number = name.removeprefix("liver/liver").removeprefix("kidney/kidney")
            assert place.setdefault(number, part) == part
    assert len(place) == 12


def test_parts_that_one_set_lists_are_kept(tmp_path: Path) -> None:
    livers = folder(tmp_path / "l", ["train/a", "train/b", "val/c", "test/d"], 1)
    kidneys = folder(tmp_path / "k", ["e", "f"], 2, seed=20)
    config = config_of({"livers": livers, "kidneys": kidneys})
    parts = {name: sorted(subset.names) for name, subset in open_parts(config).items()}
    assert parts == {
        "train": ["kidneys/e", "kidneys/f", "livers/train/a", "livers/train/b"],
        "validation": ["livers/val/c"],
        "test": ["livers/test/d"],
    }


def test_a_part_with_files_of_its_own_belongs_to_no_set(tmp_path: Path) -> None:
    own = folder(tmp_path / "t", ["z"], 1)
    config = config_of(two(tmp_path), test=own, groups=r"[a-z]\d*$")
    parts = open_parts(config)
    assert parts["test"].names == ["z"]
    assert meant(config, parts["test"].read("z").mask)[0][0] == {"background"}


def test_blocks_of_a_set_know_their_image(tmp_path: Path) -> None:
    big = np.zeros((64, 200, 3), np.uint8)
    sets = {"one": folder(tmp_path / "o", ["a"], 1), "two": folder(tmp_path / "w", ["a"], 1)}
    for where, content in (("images", big), ("masks", big[..., 0])):
        Image.fromarray(content).save(tmp_path / "o" / where / "a.png")
    config = config_of(sets, blocks=64, validation=0.0, test=0.0)
    source: Any = open_parts(config)["train"].source
    blocks = [name for name in source.names if name.startswith("one/")]
    assert len(blocks) > 1
    assert {source.image_of(name) for name in blocks} == {"one/a"}
    assert source.image_of("two/a") == "two/a"
    assert not hasattr(source, "image_file")


def test_values_of_a_class_that_was_not_annotated_are_refused(tmp_path: Path) -> None:
    sets = two(tmp_path)
    del sets["kidneys"]["mask_values"]  # so its 1 would be liver
    _, parts = open_data(config_of(sets, validation=0.0, test=0.0))
    assert parts["train"].read("livers/p0").mask.max() < VOID
    with fails(DataError, "mask-values", "kidneys", "p0", "liver", "data.mask_values"):
        parts["train"].read("kidneys/p0")


def test_missing_folders_of_classes_are_no_error_if_the_class_was_not_annotated(
    tmp_path: Path,
) -> None:
    sets = {}
    for label in ("liver", "kidney"):
        own = folder(tmp_path / label, ["a"], 1, seed=len(label))
        masks = tmp_path / label / "masks"
        (masks / label).mkdir()
        (masks / "a.png").rename(masks / label / "a.png")
        sets[label] = {**own, "labelled_classes": [label]}
    task = {"kind": "multilabel", "classes": CLASSES[1:]}
    _, parts = open_data(config_of(sets, task, validation=0.0, test=0.0))
    found = parts["train"].read("liver/a").mask
    assert set(np.unique(found[..., 0]).tolist()) == {0, 1}
    assert set(np.unique(found[..., 1]).tolist()) == {VOID}


def test_run_lengths_without_labels_are_of_the_annotated_class(tmp_path: Path) -> None:
    sets = {}
    for label in ("liver", "kidney"):
        root = tmp_path / label
        root.mkdir()
        Image.fromarray(picture(2, 3, len(label))).save(root / "a.png")
        (root / "runs.csv").write_text("ImageId,EncodedPixels\na.png,1 2\n", encoding="utf-8")
        own = {"images": str(root), "annotations": str(root / "runs.csv")}
        sets[label] = {**own, "labelled_classes": [label]}
    config = config_of(sets, source="rle", run_lengths={"order": "row"}, validation=0.0, test=0.0)
    config, parts = open_data(config)
    found = meant(config, parts["train"].read("kidney/a").mask)
    assert found[0] == [{"kidney"}, {"kidney"}, {"background", "liver"}]


def test_scans_of_sets_are_grouped_by_volume_and_cut_in_one_direction(tmp_path: Path) -> None:
    need("nibabel")
    sets = {}
    for number, label in enumerate(("liver", "kidney")):
        root = tmp_path / label
        masks = root / "masks" / label
        volume = np.random.default_rng(number).integers(-900, 900, (4, 5, 3)).astype(np.int16)
        save_nifti(root / "images" / "a.nii", volume)
        save_nifti(masks / "a.nii", (volume > 0).astype(np.uint8))
        own = {"images": str(root / "images"), "masks": str(root / "masks")}
        sets[label] = {**own, "labelled_classes": [label]}
    config = config_of(sets, source="scans", validation=0.0, test=0.0)
    config, parts = open_data(config)
    names = list(parts["train"].names)
    assert names[0] == "liver/a/slice_001"
    assert len(names) == 6
    groups = groups_of(names, config)
    assert groups == ["liver/a"] * 3 + ["kidney/a"] * 3
    source: Any = parts["train"].source
    assert source.plane == "axial"
    sample = parts["train"].read("kidney/a/slice_002")
    assert {2} < set(np.unique(sample.mask).tolist())


@pytest.mark.parametrize(
    ("own", "code", "setting", "values"),
    [
        ({"imagess": "x"}, "unknown-setting", "imagess", ["images"]),
        ({"mask_threshold": "many"}, "wrong-value", "mask_threshold", []),
        ({"fold": "1/2"}, "contradiction", "fold", ["data.fold"]),
        ({"trust": True}, "contradiction", "trust", ["data.trust"]),
        ({"bands": [2, 1]}, "missing-setting", "bands", ["data.bands"]),
        ({"source": "foldr"}, "unknown-name", "source", ["folder"]),
    ],
)
def test_a_wrong_setting_of_a_set_is_named(
    own: dict[str, Any], code: str, setting: str, values: list[str]
) -> None:
    with fails(ConfigError, code, *values, setting=f"data.sets.one.{setting}"):
        config_of({"one": own})


@pytest.mark.parametrize("name", ["", "a/b", "..", " a", "a\n"])
def test_a_name_of_a_set_begins_names_of_samples(name: str) -> None:
    with fails(ConfigError, "wrong-value", setting="data.sets"):
        config_of({name: {}})


def test_sets_contradict_folders_of_the_section_and_other_sources(tmp_path: Path) -> None:
    with fails(ConfigError, "missing-setting", setting="data.sets"):
        config_of({})
    with fails(ConfigError, "contradiction", setting="data.images"):
        config_of({"one": {}}, images="images")
    with fails(ConfigError, "contradiction", "folder", "scans", setting="data.sets"):
        config_of({"one": {"source": "scans"}})
    with fails(ConfigError, "missing-setting", "one"):
        open_parts(config_of({"one": {}}))
    with fails(ConfigError, "contradiction", "one", "folder", setting="data.boxes"):
        open_parts(config_of({"one": {"boxes": "bounds"}}))
    sets = two(tmp_path)
    sets["livers"]["masks"] = str(tmp_path / "none")
    with fails(DataError, "unpaired", "livers"):
        open_parts(config_of(sets))
    sets["livers"]["labelled_classes"] = ["spleen"]
    sets["livers"]["masks"] = sets["kidneys"]["masks"]
    with fails(ConfigError, "unknown-name", "spleen", "livers", setting="data.labelled_classes"):
        open_parts(config_of(sets))


def test_code_that_a_set_names_is_not_imported(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "task: {kind: binary, classes: [liver]}\ndata: {sets: {one: {source: 'own:thing'}}}\n",
        encoding="utf-8",
    )
    with fails(ConfigError, "untrusted", "own:thing", setting="data.sets.one.source"):
        read(config)
    made = read(config, trust=True)
    with fails(ConfigError, "not-importable", "own:thing"):
        open_parts(made)
