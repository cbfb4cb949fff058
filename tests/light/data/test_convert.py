from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.cli import main
from segkit.data.convert import convert, image_kind, require_empty, to_folder, to_tfds
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Sample, Subset
from segkit.errors import RunError
from tests.helpers.errors import fails
from tests.helpers.samples import InMemory, in_memory

CRACK = Task.binary("crack")


def made(*kinds: tuple[str, int]) -> Subset:
    """Return samples whose images have the given depths and channels."""
    samples = [
        Sample(
            f"{dtype} {bands}",
            np.full((2, 3, bands), 7, dtype),
            np.array([[0, 1, 1]] * 2, np.uint8),
        )
        for dtype, bands in kinds
    ]
    return in_memory(samples)


def test_a_folder_reads_back_as_the_same_samples(tmp_path: Path) -> None:
    part, counted = (
        made(("uint8", 1), ("uint8", 3), ("uint8", 5), ("uint16", 1), ("float32", 2)),
        [],
    )
    to_folder(
        CRACK,
        {"train": part, "test": Subset(part.source, [])},
        tmp_path / "out",
        lambda: counted.append(1),
    )
    assert len(counted) == 5
    source = in_folders(tmp_path / "out" / "images", tmp_path / "out" / "masks", CRACK)
    assert sorted(source.names) == sorted(part.names)
    for sample in part:
        np.testing.assert_array_equal(source.read(sample.name).image, sample.image)
        np.testing.assert_array_equal(source.read(sample.name).mask, sample.mask)


def test_samples_of_one_name_in_two_parts_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    part = made(("uint8", 1), ("uint8", 3))
    with fails(ConfigError, "given-twice", 2, "uint8 1, uint8 3", "--part"):
        to_folder(CRACK, {"train": part, "test": part}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_are_converted_without_a_config(tmp_path: Path) -> None:
    part = made(("uint8", 1), ("uint8", 3))
    to_folder(CRACK, {"train": part}, tmp_path / "one")
    folders = [str(tmp_path / "one" / name) for name in ("images", "masks")]
    assert main(["convert", *folders, "--classes", "crack", "--out", str(tmp_path / "two")]) == 0
    source = in_folders(tmp_path / "two" / "images", tmp_path / "two" / "masks", CRACK)
    for sample in part:
        np.testing.assert_array_equal(source.read(sample.name).image, sample.image)
        np.testing.assert_array_equal(source.read(sample.name).mask, sample.mask)


@pytest.mark.parametrize("write", [to_folder, to_tfds])
def test_only_a_new_or_empty_folder_is_written_into(tmp_path: Path, write: object) -> None:
    require_empty(tmp_path)
    require_empty(tmp_path / "new")
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file"):
        with fails(RunError, "exists-already", out):
            write(CRACK, {"train": made(("uint8", 3))}, out)  # type: ignore[operator]


def test_depth_and_channels_are_those_of_all_images() -> None:
    assert image_kind(iter(made(("uint8", 3), ("uint8", 3)))) == (np.uint8, 3)
    assert image_kind(iter(made(("uint16", 3), ("uint16", 1)))) == (np.uint16, None)
    with fails(DataError, "depth", "uint8 3 is uint8", "uint16 3 is uint16"):
        image_kind(iter(made(("uint8", 3), ("uint16", 3))))


def test_a_data_set_without_samples_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "empty"):
        to_tfds(CRACK, {"train": Subset(InMemory([]), [])}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_the_new_folder_is_followed(tmp_path: Path, there: bool) -> None:
    config = {
        "task": {"kind": "multilabel", "classes": ["disc", "square", "triangle"]},
        "data": {"source": "shapes", "count": 3, "size": [8, 8]},
    }
    (tmp_path / "link").symlink_to(tmp_path / "store" / "out")
    if there:
        (tmp_path / "store" / "out").mkdir(parents=True)
    convert(config, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(list((tmp_path / "store" / "out" / "images").iterdir())) == 3
