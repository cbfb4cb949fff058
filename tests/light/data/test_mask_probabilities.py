"""Masks that store the probability of each class (`data.mask_probabilities`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID, DataError, inspect
from segkit.config import Config
from segkit.data.parts import open_data
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Sample, Source
from segkit.errors import ConfigError
from segkit.task.soft import LEVELS, as_probabilities
from tests.helpers.errors import fails
from tests.helpers.label_sets import picture
from tests.helpers.listings import listing

CRACK: dict[str, Any] = {"kind": "binary", "classes": ["crack"]}
ORGANS: dict[str, Any] = {"kind": "multiclass", "classes": ["background", "liver", "kidney"]}
LAYERS: dict[str, Any] = {"kind": "multilabel", "classes": ["liver", "kidney"]}
SIZE = (6, 9)
HALF = 0.51 / LEVELS
"""The largest change by 8 bits."""


def values_of(classes: int, exclusive: bool, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0, 1, (*SIZE, classes)).astype(np.float32)
    if exclusive:
        values /= values.sum(axis=-1, keepdims=True)
    return values


def config_of(root: Path, task: dict[str, Any], **data: Any) -> Config:
    """Save the image "a", and return a config that reads the masks in the folder "masks"."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "masks").mkdir(exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(root / "images" / "a.png")
    section = {"images": str(root / "images"), "masks": str(root / "masks")}
    section |= {"mask_probabilities": True, "validation": 0, "test": 0, **data}
    return Config.model_validate({"task": task, "data": section})


def opened(config: Config) -> Source:
    return open_data(config)[1]["train"].source


def read(root: Path, task: dict[str, Any], **data: Any) -> tuple[Sample, np.ndarray]:
    """Return the sample "a" and its probabilities, NaN at VOID."""
    config = config_of(root, task, **data)
    source = opened(config)
    sample = source.read(source.names[0])
    assert sample.soft is not None
    found = as_probabilities(config.task, sample.soft)
    return sample, np.where(found == VOID, np.nan, found)


def save_bands(path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")


def write(root: Path, values: np.ndarray, kind: str) -> None:
    """Save probabilities as masks/a with a type."""
    (root / "masks").mkdir(parents=True, exist_ok=True)
    path = root / "masks" / "a"
    whole = {"8": np.uint8, "16": np.uint16}
    if kind in ("npy", "npy16"):
        np.save(path.with_suffix(".npy"), values.astype("f8" if kind == "npy" else "f2"))
    elif kind in whole:
        stored = np.rint(values * np.iinfo(whole[kind]).max).astype(whole[kind])
        save_bands(path.with_suffix(".tif"), stored)
    else:
        stored = np.moveaxis(values, -1, 0) if kind == "planar" else values
        how = "separate" if kind == "planar" else "contig"
        tifffile.imwrite(
            path.with_suffix(".tif"), stored, photometric="minisblack", planarconfig=how
        )


@pytest.mark.parametrize("kind", ["npy", "npy16", "float", "planar", "8", "16"])
@pytest.mark.parametrize("task", [ORGANS, LAYERS], ids=["exclusive", "layers"])
def test_one_file_has_a_band_per_class(kind: str, task: dict[str, Any], tmp_path: Path) -> None:
    values = values_of(len(task["classes"]), task is ORGANS)
    write(tmp_path, values, kind)
    sample, found = read(tmp_path, task)
    np.testing.assert_allclose(found, values, atol=2 / LEVELS if kind == "8" else 1 / LEVELS)
    if task is ORGANS:
        is_clear = np.sort(values, axis=-1)[..., -1] - np.sort(values, axis=-1)[..., -2] > 0.02
        np.testing.assert_array_equal(sample.mask[is_clear], values.argmax(-1)[is_clear])
    else:
        is_clear = np.abs(values - 0.5) > 0.01
        np.testing.assert_array_equal(sample.mask[is_clear], (values >= 0.5)[is_clear])


def test_a_binary_mask_is_one_band(tmp_path: Path) -> None:
    values = values_of(1, False)
    write(tmp_path, values[..., 0], "npy")
    np.testing.assert_allclose(read(tmp_path, CRACK)[1], values, atol=HALF)
    (tmp_path / "masks" / "a.npy").unlink()
    Image.fromarray(np.rint(values[..., 0] * 255).astype(np.uint8)).save(
        tmp_path / "masks" / "a.png"
    )
    np.testing.assert_allclose(read(tmp_path, CRACK)[1], values, atol=HALF + 0.51 / 255)


def by_class(root: Path, values: np.ndarray, names: list[str]) -> None:
    for index, name in enumerate(names):
        (root / "masks" / name).mkdir(parents=True, exist_ok=True)
        stored = np.rint(values[..., index] * 255).astype(np.uint8)
        Image.fromarray(stored).save(root / "masks" / name / "a.png")


def test_each_class_may_have_a_folder_and_the_background_is_the_rest(tmp_path: Path) -> None:
    values = values_of(3, True)
    by_class(tmp_path, values[..., 1:], ["liver", "kidney"])
    np.testing.assert_allclose(read(tmp_path, ORGANS)[1], values, atol=2 / LEVELS)
    layers = values_of(2, False)
    by_class(tmp_path, layers, ["liver", "kidney"])
    np.testing.assert_allclose(read(tmp_path, LAYERS)[1], layers, atol=HALF + 0.51 / 255)
    with fails(DataError, "probabilities", "a.png"):
        read(tmp_path, ORGANS)  # two classes sum to more than 1
    without = {"kind": "multiclass", "classes": ["liver", "kidney"]}
    with fails(DataError, "probabilities", "a.png"):
        read(tmp_path, without)


def test_a_list_may_name_the_files(tmp_path: Path) -> None:
    values = values_of(3, True)
    write(tmp_path, values, "npy")
    list_file = listing(tmp_path, ("image", "mask"), ("images/a.png", "masks/a.npy")).list_file
    data = {"images": None, "masks": None, "list_file": str(list_file)}
    np.testing.assert_allclose(read(tmp_path, ORGANS, **data)[1], values, atol=1 / LEVELS)


@pytest.mark.parametrize(
    ("values", "found"), [(1.5, "1.5"), (-0.25, "-0.25"), (np.nan, "nan"), (np.inf, "inf")]
)
@pytest.mark.parametrize("kind", ["npy", "float"])
def test_other_numbers_are_refused(values: float, found: str, kind: str, tmp_path: Path) -> None:
    wrong = values_of(2, False)
    wrong[2, 3, 1] = values
    write(tmp_path, wrong, kind)
    file = "a.npy" if kind == "npy" else "a.tif"
    shown = [found] if kind == "npy" or np.isfinite(values) else []
    with fails(DataError, "probabilities", file, *shown):
        read(tmp_path, LAYERS)


def test_pixels_without_data_are_void(tmp_path: Path) -> None:
    values = values_of(3, True)
    values[1, 2] = -9
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(
        tmp_path / "masks" / "a.tif",
        values,
        photometric="minisblack",
        planarconfig="contig",
        extratags=[(42113, "s", 0, "-9", True)],
    )
    sample, found = read(tmp_path, ORGANS)
    assert np.isnan(found[1, 2]).all()
    assert sample.mask[1, 2] == VOID
    assert np.isnan(found).sum() == 3
    np.testing.assert_allclose(found[2:], values[2:], atol=1 / LEVELS)


def test_a_labelled_area_makes_the_rest_void(tmp_path: Path) -> None:
    write(tmp_path, values_of(2, False), "npy")
    (tmp_path / "areas").mkdir()
    area = np.zeros(SIZE, np.uint8)
    area[:, 4:] = 255
    Image.fromarray(area).save(tmp_path / "areas" / "a.png")
    sample, found = read(tmp_path, LAYERS, labelled_area={"masks": str(tmp_path / "areas")})
    assert np.isnan(found[:, :4]).all()
    assert not np.isnan(found[:, 4:]).any()
    assert (sample.mask[:, :4] == VOID).all()
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = {"masks": str(empty), "missing": "nothing"}
    assert np.isnan(read(tmp_path, LAYERS, labelled_area=nothing)[1]).all()


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, values_of(2, False), "npy")
    with fails(DataError, "mask-channels", "a.npy", 3, 2):
        read(tmp_path, ORGANS)
    np.save(tmp_path / "masks" / "a.npy", np.zeros((3, 3, 2), np.float32))
    with fails(DataError, "mask-size", "a.npy"):
        read(tmp_path, LAYERS)
    np.save(tmp_path / "masks" / "a.npy", np.zeros((*SIZE, 2), np.int64))
    with fails(DataError, "mask-channels", "a.npy", "int64"):
        read(tmp_path, LAYERS)
    np.save(tmp_path / "masks" / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(DataError):
        read(tmp_path, LAYERS)
    (tmp_path / "masks" / "a.npy").write_bytes(b"\x93NUMPY damaged")
    with pytest.raises(DataError):
        read(tmp_path, LAYERS)
    write(tmp_path, values_of(2, False), "float")
    with fails(DataError, "duplicate-name", "a.npy", "a.tif"):
        read(tmp_path, LAYERS)


def test_class_numbers_instead_of_probabilities_are_suspected(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 2, (*SIZE, 2)).astype(np.uint8)
    (tmp_path / "masks").mkdir()
    save_bands(tmp_path / "masks" / "a.tif", ids)
    source: Any = opened(config_of(tmp_path, LAYERS))
    source.read("a")
    assert [code for code, _ in source.decisions] == ["probabilities"]
    write(tmp_path, values_of(2, False), "8")
    source = opened(config_of(tmp_path, LAYERS))
    source.read("a")
    assert source.decisions == []


def test_inspect_needs_a_config_for_soft_labels(tmp_path: Path) -> None:
    write(tmp_path, values_of(3, True), "npy")
    config = config_of(tmp_path, ORGANS)
    (tmp_path / "c.yaml").write_text(config.as_yaml())
    found = inspect(tmp_path / "c.yaml")
    assert found.summary().classes["liver"].pixels > 0
    assert not [problem for problem in found.problems if problem.code == "unreadable"]
    with fails(ConfigError, "missing-setting", setting="data.mask_probabilities"):
        inspect(
            tmp_path / "images",
            tmp_path / "masks",
            settings=["data.mask_probabilities=true"],
        )


def test_other_folders_are_read_in_the_same_way(tmp_path: Path) -> None:
    values = values_of(3, True)
    write(tmp_path, values, "npy")
    config = config_of(tmp_path, ORGANS)
    source = in_folders(tmp_path / "images", tmp_path / "masks", config.task, config.data)
    np.testing.assert_array_equal(source.read("a").mask, opened(config).read("a").mask)
