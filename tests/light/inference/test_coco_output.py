"""segkit's own source and pycocotools read the masks back from predicted COCO files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from segkit import DataError, Task
from segkit.config import DataConfig
from segkit.data.run_lengths import compressed, run_lengths
from segkit.data.sources.coco import CocoSource
from segkit.inference.files import predict_files
from segkit.inference.inputs import find_images
from segkit.inference.outputs.coco import LARGEST, merge_parts, part_of
from segkit.inference.outputs.writer import Outputs, Results
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails, holds
from tests.helpers.stand_in import answer_of, config_of, network, picture, write_pictures

SIZES = {"a": (20, 33), "sub/b": (31, 9), "sub/c.1": (1, 1), "ö": (64, 70)}


@given(
    arrays.arrays(
        np.int32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=7),
        elements=st.integers(0, 4),
    )
)
def test_run_lengths_are_those_of_pycocotools(numbers: np.ndarray) -> None:
    found = run_lengths(numbers)
    assert set(found) == set(np.unique(numbers).tolist()) - {0}
    for number, counts in found.items():
        whole = coco_mask.encode(np.asfortranarray(numbers == number, np.uint8))
        assert compressed(counts, *numbers.shape)["counts"].encode() == whole["counts"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_coco_source_reads_the_masks_back(tmp_path: Path, kind: str) -> None:
    task = task_of(kind)
    write_pictures(tmp_path / "in", SIZES)
    images = find_images([tmp_path / "in"]).images
    outputs = Outputs(tmp_path / "masks", formats=("coco",))
    summary = predict_files(lambda batch: network(batch, task), config_of(task), images, outputs)
    assert (summary.written, summary.failed, summary.stopped) == (len(SIZES), [], None)
    path = tmp_path / "masks-coco" / "annotations.json"
    source = CocoSource(tmp_path / "in", path, task, DataConfig())
    assert source.names == sorted(SIZES)
    occurring = set()
    for seed, (name, size) in enumerate(SIZES.items()):
        sample = source.read(name)
        expected = answer_of(task, picture(seed, *size)).mask
        np.testing.assert_array_equal(sample.image, picture(seed, *size))
        np.testing.assert_array_equal(sample.mask, expected)
        occurring |= set(np.unique(expected).tolist())
    assert len(occurring) > 1
    check_by_pycocotools(path, task)


def check_by_pycocotools(path: Path, task: Task) -> None:
    coco = COCO(str(path))
    for annotation in coco.loadAnns(coco.getAnnIds()):
        pixels = coco.annToMask(annotation)
        rows, columns = np.nonzero(pixels)
        assert annotation["area"] == pixels.sum()
        assert annotation["bbox"] == [
            columns.min(),
            rows.min(),
            np.ptp(columns) + 1,
            np.ptp(rows) + 1,
        ]
        assert 0 <= annotation["score"] <= 1
    names = [category["name"] for category in coco.loadCats(coco.getCatIds())]
    assert names == [task.classes[label] for label in task.foreground]


def test_shards_in_any_order_and_reruns_make_the_same_file(tmp_path: Path) -> None:
    task = task_of("multiclass")
    predicted = {
        name: answer_of(task, picture(seed, 16, 12), Path(f"{name}.png"))
        for seed, name in enumerate("abcde")
    }
    for folder, calls in (("whole", ["abcde"]), ("shards", ["db", "e", "ca"])):
        for names in calls:
            results = Results(config_of(task), Outputs(tmp_path / folder, formats=("coco",)))
            results.prepare()
            for name in names:
                results.write(predicted[name])
            results.finish("abcde")
    for ending in ("coco/annotations.json", "summary.csv"):
        whole, shards = (
            (tmp_path / f"{folder}-{ending}").read_bytes() for folder in ("whole", "shards")
        )
        assert whole == shards
        assert whole.count(b"\n") > 5
    assert not [
        path for path in tmp_path.rglob("*") if ".part" in path.name or ".merging" in path.name
    ]


def test_without_images_the_merged_file_is_empty(tmp_path: Path) -> None:
    merge_parts(Task.binary("a"), {}, tmp_path / "annotations.json")
    content = json.loads((tmp_path / "annotations.json").read_text())
    assert content == {"categories": [{"id": 1, "name": "a"}], "images": [], "annotations": []}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "coco-file"),
        ("[]", "coco-file"),
        ('{"image": {}, "annotations": []}', "coco-file"),
        ('{"image": {"file_name": "a"}, "annotations": [{"category": "cat"}]}', "coco-category"),
    ],
)
def test_the_error_names_a_file_that_is_no_part_and_the_merged_one_stays(
    tmp_path: Path, text: str, code: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "annotations.json").write_text("before")
    with fails(DataError, code, tmp_path / "a.json") as problem:
        merge_parts(Task.binary("dog"), {"a": tmp_path / "a.json"}, tmp_path / "annotations.json")
    assert holds(str(problem.value), "cat") == (code == "coco-category")
    assert (tmp_path / "annotations.json").read_text() == "before"


def test_an_image_too_large_for_run_lengths_is_refused() -> None:
    answer = answer_of(Task.binary("a"), np.zeros((1, 1, 3), np.uint8))
    large = np.broadcast_to(np.zeros((1, 1), np.uint8), (2**15, LARGEST // 2**15))
    object.__setattr__(answer, "mask", large)
    with fails(DataError, "too-large", "a.png", "16384 x 32768"):
        part_of(answer)
