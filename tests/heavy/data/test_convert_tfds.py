"""`convert --to tfds`: what is written reads back equal, by segkit and by TensorFlow."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from segkit import VOID, ConfigError, DataError, Task
from segkit.cli import main
from segkit.config import DataConfig, read
from segkit.data.convert import to_tfds
from segkit.data.sources.shapes import open_shapes
from segkit.data.sources.source import Sample, Subset
from segkit.data.sources.tfds import open_tfds
from tests.helpers.errors import fails
from tests.helpers.prepared_tfds import CRACK, ORGANS, assert_same, opened
from tests.helpers.samples import InMemory

ROOT = Path(__file__).parents[3]


class Given(InMemory):
    """Samples in memory, in two parts."""

    def in_parts(self) -> dict[str, Subset]:
        return {
            "train": Subset(self, self.names[:-1]),
            "validation": Subset(self, []),
            "test": Subset(self, self.names[-1:]),
        }


TASKS = {
    "binary": CRACK,
    "multilabel": Task.multilabel(["vessel", "tumour"]),
    "multiclass": ORGANS,
    "one against the rest": Task.multiclass(["background", "liver"], head="sigmoid"),
}


def made(task: Task, dtype: str, bands: Sequence[int]) -> Given:
    rng = np.random.default_rng(0)
    samples = []
    for i, count in enumerate(bands):
        image = (rng.random((5 + i, 7, count)) * (250 if dtype == "uint8" else 60000)).astype(dtype)
        mask = rng.integers(
            0, 2, (5 + i, 7, task.channels) if task.kind == "multilabel" else (5 + i, 7)
        ).astype(np.uint8)
        mask[0, :2] = VOID
        samples.append(Sample(f"monday/{i}", image, mask))
    return Given(samples)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(
    ("dtype", "bands"),
    [("uint8", 3), ("uint8", 1), ("uint16", 3), ("uint16", 1), ("float32", 1), ("uint8", 7)],
)
def test_a_written_data_set_reads_back_as_equal_samples(
    tmp_path: Path, kind: str, dtype: str, bands: int
) -> None:
    given = made(TASKS[kind], dtype, [bands] * 3)
    to_tfds(TASKS[kind], given.in_parts(), tmp_path / "out")
    source = opened(tmp_path / "out", TASKS[kind])
    assert source.parts == {"train": ["train/000000", "train/000001"], "test": ["test/000000"]}
    for name, original in zip(source.names, given.names, strict=True):
        assert_same(source.read(name), given.read(original))


def test_images_of_mixed_channels_are_written_as_they_are(tmp_path: Path) -> None:
    given = made(CRACK, "uint8", [3, 1, 3])
    to_tfds(CRACK, given.in_parts(), tmp_path / "out")
    source = opened(tmp_path / "out", CRACK)
    for name, original in zip(source.names, given.names, strict=True):
        assert_same(source.read(name), given.read(original))


def test_tensorflow_reads_what_was_written_and_finds_the_samples_names(tmp_path: Path) -> None:
    given = made(ORGANS, "uint16", [3, 3, 3])
    to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    loaded = tfds.builder_from_directory(tmp_path / "out").as_dataset(split="train")
    for example in loaded.as_numpy_iterator():
        sample = given.read(example["name"].decode())
        assert_same(sample, Sample("", example["image"], example["segmentation_mask"][..., 0]))


def test_a_written_data_set_is_not_read_with_channels_in_another_order(tmp_path: Path) -> None:
    given = made(TASKS["multilabel"], "uint8", [3, 3])
    to_tfds(TASKS["multilabel"], given.in_parts(), tmp_path / "out")
    with fails(ConfigError, "mismatch", "vessel, tumour", "tumour, vessel", setting="data"):
        opened(tmp_path / "out", Task.multilabel(["tumour", "vessel"]))


def test_a_written_multiclass_data_set_is_read_as_one_of_its_classes(tmp_path: Path) -> None:
    given = made(ORGANS, "uint8", [3, 3])
    to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    mask = opened(tmp_path / "out", Task.binary("liver")).read("train/000000").mask
    np.testing.assert_array_equal(mask, given.read("monday/0").mask)


def test_the_command_writes_what_the_page_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    command = [
        "convert",
        str(ROOT / "configs" / "shapes.yaml"),
        "--to",
        "tfds",
        "--out",
        "data/shapes_tfds",
    ]
    try:
        assert main([*command, "--set", "data.count=8", "--set", "data.size=[16, 24]"]) == 0
        assert main(command) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    page = (ROOT / "docs" / "how-to" / "tfds.md").read_text(encoding="utf-8")
    Path("a.yaml").write_text(
        re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[-1]
    )
    config = read(Path("a.yaml"))
    source = open_tfds(config.data, config.task)
    shapes = open_shapes(DataConfig(count=8, size=(16, 24)), config.task)
    written = sorted(
        (source.read(name) for name in source.names), key=lambda sample: sample.image.tobytes()
    )
    drawn_shapes = sorted(
        (shapes.read(name) for name in shapes.names), key=lambda sample: sample.image.tobytes()
    )
    for one, other in zip(written, drawn_shapes, strict=True):
        assert_same(one, other)


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    given = made(ORGANS, "uint8", [3, 3])
    given.samples["monday/1"].mask[2] = 9
    with fails(DataError, "mask-values", "monday/1"):
        to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
