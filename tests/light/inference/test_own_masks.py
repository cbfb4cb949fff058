"""Predicted masks use the values of the data set: scored against itself, a run is perfect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig, ModelConfig, RunConfig
from segkit.data.sources.coding import coding_of
from segkit.data.sources.source import open_source
from segkit.evaluation.evaluate import evaluate
from segkit.inference.ensemble import joint
from segkit.inference.files import predict_files
from segkit.inference.inputs import find_images
from segkit.inference.large.predict import predict_large
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.summary import read_summary
from segkit.inference.outputs.writer import Outputs
from segkit.inference.predict import predict
from segkit.io.coding import segkit_coding
from segkit.io.coding_record import read_record, record_of
from segkit.run.exports import ExportRecord, record_text
from tests.helpers.errors import fails
from tests.helpers.every_source import (
    CRACK,
    LABELS,
    MAKERS,
    MORE,
    NAMES,
    ORGANS,
    Made,
    ids,
    image,
    in_folders,
    save,
    scans,
    scans_of_dicom,
    tfds,
    video,
)
from tests.helpers.large_cases import ROOM
from tests.helpers.stand_in import config_of, network, picture, write_pictures

pytestmark = pytest.mark.long

SIZES = {"a": (20, 30), "b": (70, 90), "sub/c": (9, 9)}
Make = Callable[[Path], Made]


def ids_from_one(root: Path) -> Made:
    """As `segkit plan` reads ids 1 to n."""
    meant = {0: "void", 1: "background", 2: "liver", 3: "tumour"}
    return in_folders(
        root, ORGANS, lambda name: {f"{name}.png": (ids(name, 3) + 1) % 4}, mask_values=meant
    )


def deep_ids(root: Path) -> Made:
    meant = {7: "tumour", 300: "background", 40_000: "liver"}
    values = np.array([300, 40_000, 7], np.uint16)
    return in_folders(
        root, ORGANS, lambda name: {f"{name}.png": values[ids(name, 2)]}, mask_values=meant
    )


def minus_one_is_void(root: Path) -> Made:
    meant = {-1: "void", 0: "background", 1: "liver", 2: "tumour"}
    return in_folders(
        root,
        ORGANS,
        lambda name: {f"{name}.tif": ids(name, 3).astype(np.int16) - 1},
        mask_values=meant,
    )


def inverted(root: Path) -> Made:
    meant = {0: "present", 255: "absent"}
    return in_folders(
        root, CRACK, lambda name: {f"{name}.png": ids(name, 1) * 255}, mask_values=meant
    )


def zero_and_one(root: Path) -> Made:
    return in_folders(root, CRACK, lambda name: {f"{name}.png": ids(name, 1)})


def zero_and_65535(root: Path) -> Made:
    return in_folders(root, CRACK, lambda name: {f"{name}.png": ids(name, 1) * np.uint16(65535)})


def grey_edges(root: Path) -> Made:
    return in_folders(
        root, CRACK, lambda name: {f"{name}.png": ids(name, 9) * 28}, mask_threshold=128
    )


def with_a_suffix(root: Path) -> Made:
    return in_folders(
        root, CRACK, lambda name: {f"{name}_mask.png": ids(name, 1) * 255}, mask_suffix="_mask"
    )


def with_two_suffixes(root: Path) -> Made:
    for name in NAMES:
        save(root / "images" / f"{name}_sat.png", image(name))
        save(root / "masks" / f"{name}_mask.png", ids(name, 1) * 255)
    folders = {
        "images": root / "images",
        "masks": root / "masks",
        "image_suffix": "_sat",
        "mask_suffix": "_mask",
    }
    return Made(CRACK, DataConfig.model_validate(folders), "a_sat", None)


def numbered_objects(root: Path) -> Made:
    return in_folders(root, CRACK, lambda name: {f"{name}.png": ids(name, 9)}, mask_ids="instances")


def regions(root: Path) -> Made:
    made = in_folders(root, CRACK, lambda name: {f"{name}.png": ids(name, 1)})
    return made._replace(data=made.data.model_copy(update={"blocks": 32}))


def classes_that_hold_9(root: Path) -> Made:
    def masks(name: str) -> dict[str, np.ndarray]:
        return {
            f"liver/{name}.png": (ids(name, 2) == 1) * np.uint8(9),
            f"tumour/{name}.png": (ids(name, 2) == 2) * np.uint8(9),
        }

    return in_folders(root, ORGANS, masks, mask_values={0: "absent", 9: "present"})


def classes_in_colours(root: Path) -> Made:
    table = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    return in_folders(
        root,
        LABELS,
        lambda name: {
            f"{label}/{name}.png": table[(ids(name, 3) >> i) & 1]
            for i, label in enumerate(LABELS.classes)
        },
        mask_colours={"#000000": "absent", "#ff0000": "present"},
    )


def bands_that_hold_9(root: Path) -> Made:
    return in_folders(
        root,
        LABELS,
        lambda name: {
            f"{name}.tif": np.stack([ids(name, 1), 1 - ids(name, 1)], axis=-1) * np.uint8(9)
        },
        mask_values={0: "absent", 9: "present"},
    )


def a_column_for_each_class(root: Path) -> Made:
    made = in_folders(
        root, LABELS, lambda name: {f"{label}/{name}.png": ids(name, 1) for label in LABELS.classes}
    )
    lines = [
        ",".join([f"images/{name}.png", *[f"masks/{label}/{name}.png" for label in LABELS.classes]])
        for name in NAMES
    ]
    (root / "list.csv").write_text(
        "\n".join([",".join(["image", *LABELS.classes]), *lines]), encoding="utf-8"
    )
    return made._replace(data=DataConfig(list_file=root / "list.csv"))


def tfds_by_values(root: Path) -> Made:
    made = tfds(root)
    meant = {0: "void", 1: "liver", 2: "background"}
    task = Task.multiclass(["background", "liver"])
    return made._replace(task=task, data=made.data.model_copy(update={"mask_values": meant}))


OTHERS = (scans, scans_of_dicom, video)
OF_PICTURES = [make for make in (*MAKERS.values(), *MORE) if make not in OTHERS]
"""Sets whose images are pictures; test_scan_outputs.py and test_film_outputs.py read the masks of
scans and films back."""
SETS: list[Make] = [
    *OF_PICTURES,
    ids_from_one, deep_ids, minus_one_is_void, inverted, zero_and_one, zero_and_65535, grey_edges,
    with_a_suffix, with_two_suffixes, numbered_objects, regions, classes_that_hold_9,
    classes_in_colours, bands_that_hold_9, a_column_for_each_class, tfds_by_values,
]  # fmt: skip


def run_of(made: Made) -> RunConfig:
    """Return the config of a run on a data set, as training saves it."""
    source = open_source(made.data, made.task)
    for name in source.names:
        source.read(name)
    stored = getattr(source, "stored", None)
    config = config_of(made.task).model_copy(update={"data": made.data, "mask_files": stored})
    return RunConfig.model_validate(config.model_dump(mode="json"))  # after its way through a file


def scores(
    config: RunConfig, images: Path, masks: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """Return the Dice of each class of a run on images with masks, None where it is absent."""
    opened = LoadedRun(lambda batch: network(batch, config.task), config, "a stand-in", "weights")
    monkeypatch.setattr("segkit.evaluation.evaluate.open_together", lambda *asked: opened)
    report = evaluate("run", images, masks)
    return {name: values["dice"] for name, values in report["classes"].items()}


@pytest.mark.parametrize("make", SETS, ids=lambda make: make.__name__)
def test_trap_38_a_run_scored_against_its_own_masks_is_perfect(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path)
    config = run_of(made)
    write_pictures(
        tmp_path / "new", {f"{name}{made.data.image_suffix}": size for name, size in SIZES.items()}
    )
    outputs = Outputs(tmp_path / "predicted")
    images = find_images([tmp_path / "new"]).images
    summary = predict_files(lambda batch: network(batch, made.task), config, images, outputs)
    assert (summary.written, summary.failed) == (len(SIZES), [])
    assert scores(config, tmp_path / "new", outputs.masks, monkeypatch) == dict.fromkeys(
        made.task.classes, 1.0
    )
    assert set(read_summary(made.task, tmp_path / "predicted-summary.csv")) == set(images)
    no_network: Any = None
    again = predict_files(no_network, config, images, outputs, skip_existing=True)
    assert again.skipped == len(SIZES)
    if made.data.masks is not None:
        if made.data.axes is None:  # the masks of stacks are in folders, those of pictures are not
            assert files_of_a(outputs.masks) == files_of_a(made.data.masks)
        ends = {0, 255} if made.data.mask_threshold or made.data.mask_ids else set()
        assert contents(outputs.masks) <= contents(made.data.masks) | ends


def files_of_a(masks: Path) -> set[str]:
    """Return the mask files of the image "a" without suffix."""
    return {path.relative_to(masks).with_suffix("").as_posix() for path in masks.rglob("a*.*")}


def contents(masks: Path) -> set[object]:
    """Return all values or colours of the masks in a folder."""
    found: set[object] = set()
    for path in masks.rglob("*.*"):
        stored = tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))
        colours = stored.shape[2:] == (3,)
        found |= (
            set(map(tuple, stored.reshape(-1, 3).tolist()))
            if colours
            else set(stored.astype(int).ravel().tolist())
        )
    return found


BY_WINDOWS = [
    ids_from_one,
    deep_ids,
    MORE[1],
    MORE[2],
    MORE[3],
    classes_that_hold_9,
    classes_in_colours,
    zero_and_one,
]


@pytest.mark.parametrize("make", BY_WINDOWS, ids=lambda make: make.__name__)
def test_masks_of_large_images_are_stored_in_the_same_way(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(tmp_path)
    config = run_of(made)
    path = save(tmp_path / "new" / "a.tif", picture(0, 150, 610))
    written = predict_large(
        lambda batch: network(batch, made.task), config, path, tmp_path / "predicted", "a", ROOM
    )
    assert {path.suffix for path in written} == {".tif"}
    assert files_of_a(tmp_path / "predicted") == files_of_a(made.data.masks or Path())
    assert contents(tmp_path / "predicted") <= contents(made.data.masks or Path())
    assert scores(config, tmp_path / "new", tmp_path / "predicted", monkeypatch) == dict.fromkeys(
        made.task.classes, 1.0
    )


def test_segkit_s_own_coding_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_of(ids_from_one(tmp_path))
    write_pictures(tmp_path / "new", SIZES)
    opened = LoadedRun(lambda batch: network(batch, ORGANS), config, "a stand-in", "weights")
    monkeypatch.setattr("segkit.inference.predict.open_together", lambda *asked: opened)
    expected = ORGANS.decode(
        network(np.asarray(Image.open(tmp_path / "new" / "a.png"))[None], ORGANS)[0]
    )
    for coding, name, shift in (("segkit", "plain", 0), ("data", "own", 1)):
        predict("run", tmp_path / "new", tmp_path / name, coding=coding)
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / name / "a.png")), expected + shift
        )
        record = read_record(tmp_path / name)
        assert record is not None
        assert record.meanings["0"] == ("void" if shift else "background")
    with fails(ConfigError, "mismatch", tmp_path / "own", setting="--out"):
        predict("run", tmp_path / "new", tmp_path / "own", coding="segkit", skip_existing=True)
    with fails(ConfigError, "unknown-name", "own", "data", "segkit", setting="--coding"):
        predict("run", tmp_path / "new", tmp_path / "third", coding="own")


def test_two_images_with_the_same_mask_file_are_refused(tmp_path: Path) -> None:
    config = run_of(with_two_suffixes(tmp_path))
    write_pictures(tmp_path / "new", {"a": (9, 9), "a_sat": (9, 9)})
    images = find_images([tmp_path / "new"]).images
    with fails(DataError, "duplicate-name", "a", "a_sat", "_sat"):
        predict_files(
            lambda batch: network(batch, CRACK), config, images, Outputs(tmp_path / "out")
        )
    assert not (tmp_path / "out").exists()


def test_an_ensemble_stores_masks_as_its_first_run_does(tmp_path: Path) -> None:
    first = run_of(ids_from_one(tmp_path))
    second = config_of(ORGANS).model_copy(
        update={"model": ModelConfig(depth=5)}
    )  # its windows are those of both
    for together, expected in (((first, second), first), ((second, first), second)):
        config = joint(together, ["one", "other"])
        assert (config.data, config.mask_files) == (expected.data, expected.mask_files)
        assert config.model.depth == 5


@pytest.mark.parametrize(
    "make", [ids_from_one, bands_that_hold_9, zero_and_one], ids=lambda make: make.__name__
)
def test_an_export_stores_masks_as_its_run_does(tmp_path: Path, make: Make) -> None:
    config = run_of(make(tmp_path))
    record = ExportRecord(
        format="onnx", precision="float32", segkit="0", model_sha256="", config=config
    )
    exported = ExportRecord.model_validate_json(record_text(record)).config
    assert record_of(coding_of(exported)) == record_of(coding_of(config))
    assert record_of(coding_of(exported)) != record_of(segkit_coding(config.task))
