"""Large images beside others: one process at a time predicts each, and the table counts them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segkit import DataError, Task
from segkit.inference.large.predict import predict_large
from segkit.inference.outputs import summary
from segkit.inference.outputs.summary import row_of, row_of_files, write_summary
from segkit.io.coding import segkit_coding
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.large_cases import ROOM, config_of, network, noise, write_tiled
from tests.helpers.masks_read import read_back


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_counts_masks_of_large_images_tile_by_tile(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, table, masks = (
        config_of(task_of(kind), 320),
        tmp_path / "masks-summary.csv",
        tmp_path / "masks",
    )
    path = write_tiled(tmp_path / "a.tif", noise(600, 531))  # beyond one tile of the mask both ways
    coding = segkit_coding(config.task)
    written = predict_large(network(config.task.channels), config, path, masks, "a", ROOM)
    expected = row_of(config.task, "a", read_back(config.task, written))
    columns = dict(zip(summary.header(config.task), expected, strict=True))
    for name in config.task.classes:
        assert 0 < int(columns[f"{name} area"]) < 600 * 531
    assert row_of_files(coding, "a", written) == expected
    write_summary(coding, masks, table, ["a", "missing"], {})
    assert summary.read_summary(config.task, table) == {"a": expected}
    monkeypatch.setattr(summary, "row_of_files", None)  # an unchanged mask is not counted again
    os.utime(table, ns=(time.time_ns(), max(p.stat().st_mtime_ns for p in written) + 1))
    write_summary(coding, masks, table, ["a"], {})
    assert summary.read_summary(config.task, table) == {"a": expected}


def test_the_masks_of_an_image_are_from_one_model_whenever_writing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.multilabel(["a", "b"])
    config, path = config_of(task), write_tiled(tmp_path / "x.tif", noise(200, 200))
    first, last = predict_large(network(2), config, path, tmp_path / "masks", "x", ROOM)
    older, replace = first.read_bytes(), os.replace

    def killed_at_the_last(source: Path, target: Path) -> None:
        if target == last:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        predict_large(
            lambda images: 1 - network(2)(images),
            config,
            path,
            tmp_path / "masks",
            "x",
            ROOM,
            "other",
        )
    assert first.read_bytes() != older
    assert not last.exists()  # so that --skip-existing predicts it anew


def test_masks_of_one_image_must_be_of_one_size(tmp_path: Path) -> None:
    task = Task.multilabel(["a", "b"])
    paths = segkit_coding(task).paths(tmp_path, "x", tiff=True)
    for path, side in zip(paths, (9, 10), strict=True):
        path.parent.mkdir()
        tifffile.imwrite(path, np.zeros((side, 9), np.uint8))
    with fails(DataError, "mask-size", paths[0]):
        row_of_files(segkit_coding(task), "x", paths)
    paths[1].write_bytes(b"II*\0")
    with fails(DataError, "unreadable", paths[1]):
        row_of_files(segkit_coding(task), "x", paths)


def test_a_second_process_gets_an_error_and_the_first_goes_on(tmp_path: Path) -> None:
    config, path = config_of(Task.binary("a")), write_tiled(tmp_path / "a.tif", noise(200, 200))
    problems: list[DataError] = []

    def second(images: np.ndarray) -> np.ndarray:
        if not problems:
            with fails(DataError, "busy", ".a.lock", f"{os.getpid()}@") as problem:
                predict_large(network(1), config, path, tmp_path / "masks", "a", ROOM)
            problems.append(problem.value)
        return network(1)(images)

    (mask,) = predict_large(second, config, path, tmp_path / "masks", "a", ROOM)
    assert len(problems) == 1
    assert mask.exists()
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["a.tif"]
