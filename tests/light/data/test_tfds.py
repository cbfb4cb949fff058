"""Ready maps, splits and record offsets; tests/heavy has tests that write data sets."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from segkit import ConfigError, Task
from segkit.config import DataConfig
from segkit.data.sources.tfds import chosen_splits
from segkit.data.sources.tfds_labels import (
    CITYSCAPES,
    CITYSCAPES_CLASSES,
    READY,
    SCENE_PARSE,
    find_ready,
    values_for,
)
from segkit.data.sources.tfds_records import record_offsets
from tests.helpers.errors import fails

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", READY)
def test_ready_maps_name_features_of_the_installed_builders(name: str) -> None:
    found = importlib.util.find_spec("tensorflow_datasets")
    assert found is not None
    [builder] = Path(str(found.origin)).parent.glob(f"datasets/{name}/*builder.py")
    text = builder.read_text(encoding="utf-8")
    assert f'"{READY[name].image_key}"' in text.replace("'", '"')
    assert f'"{READY[name].mask_key}"' in text.replace("'", '"')


def test_cityscapes_has_19_classes_and_scene_parse_100() -> None:
    cityscapes = values_for(
        CITYSCAPES, Task.multiclass(list(CITYSCAPES_CLASSES.values())), "cityscapes"
    )
    assert list(cityscapes) == list(range(34))
    assert len(set(cityscapes.values()) - {"void"}) == 19
    labelled = [value for value, name in cityscapes.items() if name != "void"]
    assert labelled == [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert [cityscapes[value] for value in (7, 21, 33)] == ["road", "vegetation", "bicycle"]
    names = list(SCENE_PARSE.values.values())
    assert len(set(names)) == 101
    assert (names[1], names[8], names[100]) == ("bed", "chair", "flag")


def test_classes_that_a_task_leaves_out_are_background_and_void_stays_void() -> None:
    values = values_for(CITYSCAPES, Task.multiclass(["background", "car"]), "cityscapes")
    assert (values[26], values[7], values[0]) == ("car", "background", "void")
    binary = values_for(CITYSCAPES, Task.binary("car"), "cityscapes")
    assert (binary[26], binary[7], binary[0]) == ("car", "background", "void")
    beds = values_for(SCENE_PARSE, Task.binary("bed"), "scene_parse150")
    assert (beds[0], beds[1], beds[2]) == ("background", "bed", "background")
    assert (
        values_for(
            SCENE_PARSE, Task.multiclass(list(SCENE_PARSE.values.values())[1:]), "scene_parse150"
        )[0]
        == "void"
    )
    ground = values_for(
        READY["oxford_iiit_pet"], Task.multiclass(["ground", "pet"], background="ground"), "pets"
    )
    assert ground == {1: "pet", 2: "ground", 3: "void"}


@pytest.mark.parametrize(
    ("task", "values"),
    [
        (Task.binary("dog"), ("pet, background, border", "binary", "dog")),
        (Task.multiclass(["pet", "border"]), ("background", "task.classes")),
        (
            Task.multilabel(["pet", "border"]),
            ("pet, background, border", "multilabel", "pet, border"),
        ),
    ],
)
def test_a_task_with_other_classes_than_a_ready_map_is_refused(
    task: Task, values: tuple[str, ...]
) -> None:
    with fails(
        ConfigError, "mismatch", "oxford_iiit_pet", *values, "data.mask_values", setting="data"
    ):
        values_for(READY["oxford_iiit_pet"], task, "oxford_iiit_pet")


def test_the_metadata_of_convert_give_the_meaning_of_values() -> None:
    metadata = {"segkit": {"kind": "binary", "classes": ["crack"]}}
    ready = find_ready("segkit", metadata)
    assert ready is not None
    assert values_for(ready, Task.binary("crack"), "segkit") == {
        0: "background",
        1: "crack",
        255: "void",
    }
    assert find_ready("my_data", {}) is None


def test_parts_are_the_splits_of_the_data_set_that_have_masks() -> None:
    every = ["test", "val", "extra", "train"]
    assert list(chosen_splits(every, DataConfig(), ()).items()) == [
        ("train", "train"),
        ("validation", "val"),
        ("test", "test"),
    ]
    assert "test" not in chosen_splits(every, DataConfig(), CITYSCAPES.without_masks)
    assert chosen_splits(every, DataConfig(split="extra"), ()) == {"train": "extra"}
    assert chosen_splits(["train"], DataConfig(split="train[:50%]"), ()) == {"train": "train[:50%]"}


def test_record_offsets_stop_at_the_first_record_that_is_not_whole(tmp_path: Path) -> None:
    def record(length: int) -> bytes:
        return length.to_bytes(8, "little") + bytes(4 + length + 4)

    path = tmp_path / "a.tfrecord"
    path.write_bytes(record(5) + record(0) + record(7))
    assert record_offsets(path) == [(12, 5), (33, 0), (49, 7)]
    path.write_bytes(path.read_bytes()[:-1])
    assert record_offsets(path) == [(12, 5), (33, 0)]
    path.write_bytes(b"")
    assert record_offsets(path) == []


def test_the_source_is_imported_without_tensorflow_datasets() -> None:
    code = "import sys, segkit.data.sources.tfds, segkit.data.convert; "
    code += "print([n for n in sys.modules if n.startswith('tensorflow')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
