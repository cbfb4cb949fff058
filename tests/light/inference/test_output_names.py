"""Whatever the names are, no format writes outside its folder, and no table has a formula."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segkit import ConfigError, DataError, Task, catalog
from segkit.config import Config
from segkit.data.convert import to_folder
from segkit.data.sources.source import Sample, Subset
from segkit.inference.files import predict_files
from segkit.inference.outputs.instances import COLUMNS, columns_of
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.summary import (
    header,
    read_summary,
    row_of_files,
    write_summary,
)
from segkit.inference.outputs.writer import Outputs, Results
from segkit.io.coding import segkit_coding
from segkit.io.images import write_picture
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.extras import installed_outputs
from tests.helpers.stand_in import answer_of, config_of, network, picture

HOSTILE = [
    "../up",
    "../../up",
    "/tmp/segkit-up",
    "a/../../up",
    "C:\\up",
    "c:up",
    "nul",
    "a\0b",
    "a\nb",
    "a./b",
    ".up",
]
WRITERS = [
    *(pytest.param({"formats": (name,)}, id=name) for name in installed_outputs()),
    *(pytest.param({"probabilities": name}, id=name) for name in catalog.PROBABILITIES),
    pytest.param({"overlays": True}, id="overlays"),
    pytest.param({"uncertainty": True}, id="uncertainty"),
    pytest.param({}, id="masks"),
]


def named(task: Task, name: str) -> PredictedImage:
    answer = answer_of(task, picture(0, 8, 9))
    return PredictedImage(
        task,
        name,
        Path("a.png"),
        answer.image,
        answer.probabilities,
        answer.mask,
        answer.compute_uncertainty,
    )


@pytest.mark.parametrize("writes", WRITERS)
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_trap_48_no_format_makes_a_file_of_a_hostile_image_name(
    tmp_path: Path, writes: dict[str, object], name: str, kind: str
) -> None:
    task = task_of(kind)
    outputs = Outputs(tmp_path / "far" / "below" / "masks", **writes)  # type: ignore[arg-type]
    results = Results(config_of(task), outputs)
    with fails(DataError, "unsafe-name"):
        results.paths(name)
    with fails(DataError, "unsafe-name"):
        results.write(named(task, name))
    with fails(DataError, "unsafe-name"):
        segkit_coding(task).paths(tmp_path, name, tiff=True)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("writes", WRITERS)
@pytest.mark.parametrize(
    "label", [name for name in HOSTILE if "\0" not in name and "\n" not in name]
)
def test_trap_48_nor_of_a_hostile_class_name(
    tmp_path: Path, writes: dict[str, object], label: str
) -> None:
    outputs = Outputs(tmp_path / "far" / "below" / "masks", **writes)  # type: ignore[arg-type]
    with fails(ConfigError, "unsafe-name", setting="task.classes"):
        Results(config_of(Task.multilabel(["road/path", label])), outputs)
    assert not list(tmp_path.rglob("*"))
    task = Task.multiclass(["background", label])  # no file is called by it
    results = Results(config_of(task), outputs)
    results.write(named(task, "a"))
    results.finish(["a"])
    made = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert made
    assert all(path.startswith("far/below/masks") for path in made)


@pytest.mark.parametrize("writes", WRITERS)
def test_a_class_called_by_a_path_has_folders_in_each_other(
    tmp_path: Path, writes: dict[str, object]
) -> None:
    task = Task.multilabel(["road/path", "house"])
    outputs = Outputs(tmp_path / "masks", **writes)  # type: ignore[arg-type]
    results = Results(config_of(task), outputs)
    results.write(named(task, "sub/a"))
    results.finish(["sub/a"])
    assert (tmp_path / "masks" / "road" / "path" / "sub" / "a.png").is_file()
    assert (tmp_path / "masks" / "house" / "sub" / "a.png").is_file()


def source_of(names: Sequence[str]) -> Subset:
    class Source:
        parts: dict[str, list[str]] = {}

        def __init__(self) -> None:
            self.names = list(names)

        def read(self, name: str) -> Sample:
            return Sample(name, np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))

    return Subset(Source(), list(names))


@pytest.mark.parametrize("name", [*HOSTILE, "A"], ids=ascii)
def test_trap_48_nothing_is_converted_into_a_folder_under_such_names(
    tmp_path: Path, name: str
) -> None:
    code = "duplicate-name" if name == "A" else "unsafe-name"
    with fails(DataError, code):
        to_folder(
            Task.binary(), {"train": source_of(["a"]), "test": source_of([name])}, tmp_path / "out"
        )
    with fails(ConfigError, "unsafe-name", setting="task.classes"):
        to_folder(Task.multilabel(["x", "../up"]), {"train": source_of(["a"])}, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_classes_that_cannot_be_folders_are_refused_before_the_training() -> None:
    config = Config.model_validate(
        {"task": {"kind": "multilabel", "classes": ["a", "../up"]}, "data": {"source": "shapes"}}
    )
    with fails(ConfigError, "unsafe-name", setting="task.classes"):
        prepare_data(config, Progress())


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_no_formulas_and_find_their_images_again(tmp_path: Path, kind: str) -> None:
    task = task_of(kind)
    task = Task.model_validate(
        {**task.model_dump(), "classes": [f"={name}" for name in task.classes], "background": None}
    )
    names = ["=1+1", "+a", "-b", "@c", "'=d", "plain"]
    for name in names:
        write_picture(tmp_path / "in" / f"{name}.png", picture(1, 8, 9))
    images = {name: tmp_path / "in" / f"{name}.png" for name in names}
    outputs = Outputs(tmp_path / "masks", formats=("instances",))
    summary = predict_files(lambda batch: network(batch, task), config_of(task), images, outputs)
    assert (summary.written, summary.failed) == (len(names), [])
    tables = [tmp_path / "masks-summary.csv", tmp_path / "masks-instances.csv"]
    for table in tables:
        with table.open(encoding="utf-8", newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert sorted(read_summary(task, tables[0])) == sorted(names)


def test_rows_that_no_call_can_have_written_are_not_reused(tmp_path: Path) -> None:
    task = Task.binary("crack")
    table = tmp_path / "masks-summary.csv"
    head = ",".join(header(task)) + "\n"
    rest = ",72,0.041667,1,1"
    good = f"a,8,9,3,0.041667{rest}\n"
    for bad in (
        f"../../a,8,9,3,0.1{rest}\n",
        f"b,8,9,=cmd(),0.1{rest}\n",
        "c\n",
        f"nul,8,9,3,0.1{rest}\n",
        f'"d\ne",8,9,3,0.1{rest}\n',
        "f,8,9,3,0.1,,0.1,1,1\n",
    ):
        table.write_text(head + good + bad)
        assert list(read_summary(task, table)) == ["a"]
    for damaged in (
        b"\xff\xfe",
        b"",
        b"\0" * 100,
        head.encode() + b'"' + b"x" * 200_000,
        os.urandom(1000),
    ):
        table.write_bytes(damaged)
        assert read_summary(task, table) == {}
        write_summary(segkit_coding(task), tmp_path / "masks", table, [], {})
        assert table.read_text().splitlines() == head.splitlines()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"a,b\n",
        b"",
        b"image,number\n1,2\n",
        ",".join(COLUMNS).encode() + b"\nonly one\n",
        b'"' + b"x" * 200_000,
    ],
    ids=["bytes", "other columns", "empty", "fewer columns", "short row", "one long cell"],
)
def test_a_table_that_no_call_wrote_is_named_and_the_masks_stay(
    tmp_path: Path, content: bytes
) -> None:
    write_picture(tmp_path / "in" / "a.png", picture(1, 8, 9))
    (tmp_path / "masks-instances").mkdir()
    strange = tmp_path / "masks-instances" / "strange.csv"
    strange.write_bytes(content)
    task = task_of("binary")
    images = {"a": tmp_path / "in" / "a.png"}
    outputs = Outputs(tmp_path / "masks", formats=("instances",))
    summary = predict_files(lambda batch: network(batch, task), config_of(task), images, outputs)
    assert summary.written == 1
    assert [str(strange) in why for _, why in summary.failed] == [True]


def test_formulas_of_older_tables_are_quoted(tmp_path: Path) -> None:
    task = task_of("binary")
    results = Results(config_of(task), Outputs(tmp_path / "masks", formats=("instances",)))
    results.write(named(task, "a"))
    part = tmp_path / "masks-instances" / "a.csv"
    part.write_text(
        ",".join(columns_of(1))
        + "\n=1+1,1,liver,0,0,1,1,1,0.5,,,0.5,0.5,-7\n-2,1,@x,0,0,1,1,=1,0.5,,,0,0,7\n"
    )
    results.finish(["a"])
    rows = (tmp_path / "masks-instances.csv").read_text().splitlines()
    assert "'=1+1,1,liver,0,0,1,1,1,0.5,,,0.5,0.5,-7" in rows
    assert "'-2,1,'@x,0,0,1,1,'=1,0.5,,,0,0,7" in rows


def test_tiles_that_claim_to_be_huge_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((2, 2), np.uint8),
        photometric="minisblack",
        compression="zlib",
        tile=(16, 16),
    )
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        offsets = [tiff.pages[0].tags[name].valueoffset for name in ("TileWidth", "TileLength")]
        sizes = [tiff.pages[0].tags[name].dtype.value for name in ("TileWidth", "TileLength")]
    damaged = bytearray(content)
    for offset, size in zip(offsets, sizes, strict=True):
        damaged[offset : offset + (2 if size == 3 else 4)] = (65520).to_bytes(
            2 if size == 3 else 4, "little"
        )
    path.write_bytes(damaged)
    with fails(DataError, "too-large", path):
        row_of_files(segkit_coding(Task.binary()), "a", [path])
