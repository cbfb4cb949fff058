"""Unreadable files: inspect and train have the same message, before Keras is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from segkit import DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.parts import open_parts
from segkit.data.sources.source import Sample, Subset, open_source
from segkit.inspection.fingerprint import survey
from segkit.inspection.inspect import inspect_parts
from segkit.inspection.problems import find_problems
from segkit.inspection.training_check import check_training_data
from tests.helpers.errors import fails, holds
from tests.helpers.problem_data import (
    CRACK,
    LABELS,
    ORGANS,
    ROOT,
    SIZE,
    Memory,
    good,
    image,
    only,
)

pytestmark = pytest.mark.long


def opaque_half() -> np.ndarray:
    """Return an alpha channel that is opaque in its left half, (H, W, 1) uint8."""
    alpha = np.zeros((*SIZE, 1), np.uint8)
    alpha[:, : SIZE[1] // 2] = 255
    return alpha


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(
            path,
            pixels,
            photometric="minisblack",
            planarconfig="contig" if pixels.ndim == 3 else None,
        )
    else:
        Image.fromarray(pixels).save(path)
    return path


def torn(path: Path) -> None:
    content = save(path, image(1)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def bomb(path: Path) -> None:
    """Write a PNG whose header claims 50,000 x 50,000 pixels."""
    save(path, image(1))
    content = bytearray(path.read_bytes())
    content[16:24] = (50_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


# What replaces the image or mask of one sample, in a data set of 0/1 or 0..2 masks:
# the file, how, the code, and a value in the message.
BROKEN: dict[str, tuple[Task, str, Callable[[Path], Any], str, str]] = {
    "torn image": (CRACK, "images/i0.png", torn, "unreadable", "i0.png"),
    "bomb": (CRACK, "images/i0.png", bomb, "too-large", "data.max_pixels"),
    "empty file": (
        CRACK,
        "images/i0.png",
        lambda path: path.write_bytes(b""),
        "unreadable",
        "i0.png",
    ),
    "size": (
        CRACK,
        "masks/i0.png",
        lambda path: save(path, np.zeros((5, 4), np.uint8)),
        "mask-size",
        "20 wide",
    ),
    "three values": (
        CRACK,
        "masks/i0.png",
        lambda path: save(path, np.resize(np.array([0, 1, 255], np.uint8), SIZE)),
        "mask-values",
        "0: absent, 1: present, 255: void",
    ),
    "grey edges": (
        CRACK,
        "masks/i0.png",
        lambda path: save(path, np.resize(np.arange(256).astype(np.uint8), SIZE)),
        "mask-soft-edges",
        "data.mask_threshold: 128",
    ),
    "colours": (
        CRACK,
        "masks/i0.png",
        lambda path: save(path, image(3)),
        "mask-colours",
        "data.mask_colours",
    ),
    "alpha": (
        ORGANS,
        "masks/i0.png",
        lambda path: save(path, np.concatenate([image(3, 3), opaque_half()], -1)),
        "mask-alpha",
        "i0.png",
    ),
    "opacity": (
        ORGANS,
        "masks/i0.png",
        lambda path: save(path, np.concatenate([image(3, 3), opaque_half() // 2], -1)),
        "mask-opacity",
        "i0.png",
    ),
    "ids": (
        ORGANS,
        "masks/i0.png",
        lambda path: save(path, np.full(SIZE, 9, np.uint8)),
        "mask-values",
        "0 to 2",
    ),
}


def data_set(root: Path, task: Task) -> Path:
    """Write a clean data set and its config."""
    for name, (pixels, labels) in good(task, 14).items():
        save(root / "images" / f"{name}.png", pixels)
        save(root / "masks" / f"{name}.png", labels)
    data = {"images": str(root / "images"), "masks": str(root / "masks")}
    config = {"task": {"kind": task.kind, "classes": list(task.classes)}, "data": data}
    (root / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return root / "config.yaml"


@pytest.mark.parametrize("way", BROKEN)
def test_an_unreadable_file_is_an_error_with_its_path(tmp_path: Path, way: str) -> None:
    task, file, spoil, code, value = BROKEN[way]
    data_set(tmp_path, task)
    spoil(tmp_path / file)
    data = DataConfig(
        images=tmp_path / "images", masks=tmp_path / "masks", validation=0.0, test=0.0
    )
    source = open_source(data, task)
    problems = find_problems(task, survey(task, {"train": Subset(source, source.names)}))
    assert [problem.level for problem in problems] == ["error"]
    assert (problems[0].files, problems[0].number) == (("i0",), 1)
    assert str(tmp_path / file) in problems[0].message
    assert holds(problems[0].message, value)
    assert problems[0].code == code


def test_overlap_and_channels_of_masks_have_codes(tmp_path: Path) -> None:
    for label in ("liver", "tumour"):
        save(tmp_path / "masks" / label / "a.png", np.ones(SIZE, np.uint8))
    save(tmp_path / "images" / "a.png", image(1))
    folders = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks")
    source = open_source(folders, ORGANS)
    assert survey(ORGANS, {"train": Subset(source, source.names)}).broken[0].code == "overlap"
    save(tmp_path / "bands" / "a.tif", np.ones((*SIZE, 3), np.uint8))
    source = open_source(folders.model_copy(update={"masks": tmp_path / "bands"}), LABELS)
    assert survey(LABELS, {"train": Subset(source, source.names)}).broken[0].code == "mask-channels"


def test_files_of_one_code_are_one_problem() -> None:
    samples: dict[str, Sample | DataError] = {
        f"t{i}": DataError(f"t{i}.png: cut off") for i in range(7)
    }
    samples |= {name: Sample(name, *pair) for name, pair in good(CRACK).items()}
    problem = only(
        find_problems(CRACK, survey(CRACK, {"train": Subset(Memory(samples), list(samples))})),
        "unreadable",
    )
    assert str(problem) == "unreadable: t0.png: cut off [7: t0, t1, t2, t3, t4, ...]"


# Runs the commands of argv[1] (JSON); prints status and output of each, and the slow imports.
WATCHED = f"""
import contextlib, io, json, sys
sys.path.insert(0, {str(ROOT)!r})
from segkit.cli import main
printed = []
for arguments in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        printed.append(main(arguments))
    printed.append(out.getvalue())
slow = ("keras", "tensorflow", "jax", "albumentations")
print(json.dumps([printed, [name for name in slow if name in sys.modules]]))
"""


def commands(folder: Path, *arguments: list[str]) -> list[Any]:
    """Run commands in a process that must not import Keras; return statuses and outputs."""
    command = [sys.executable, "-c", WATCHED, json.dumps(arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    printed, slow = json.loads(done.stdout)
    assert slow == []
    return printed


def leak(path: Path) -> None:
    """Give the data set a validation part of its own, which holds a copy of a training image."""
    root = path.parents[1]
    own = {}
    for kind in ("images", "masks"):
        own[kind] = str(root / "val" / kind)
        (root / "val" / kind).mkdir(parents=True)
        (root / "val" / kind / "copy.png").write_bytes((root / kind / path.name).read_bytes())
    config = yaml.safe_load((root / "config.yaml").read_text("utf-8"))
    config["data"] |= {"validation": own, "test": 0.0}
    (root / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.mark.long
@pytest.mark.parametrize("way", [*BROKEN, "leak"])
def test_train_has_the_messages_of_inspect(tmp_path: Path, way: str) -> None:
    task, file, spoil = BROKEN[way][:3] if way != "leak" else (CRACK, "images/i0.png", leak)
    config = str(data_set(tmp_path, task))
    spoil(tmp_path / file)
    seen, shown, status, printed = commands(tmp_path, ["inspect", config], ["train", config])
    assert (seen, status) == (1, 2)
    assert "error: " in printed
    problems = [
        line.removeprefix("error ") for line in shown.splitlines() if line.startswith("error ")
    ]
    assert len(problems) == 1
    assert f"\n  {problems[0]}\n" in printed
    assert not (tmp_path / "runs").exists()


def test_train_refuses_within_five_seconds(tmp_path: Path) -> None:
    config = data_set(tmp_path, CRACK)
    torn(tmp_path / "images" / "i0.png")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", config], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, time.monotonic() - began < 5) == (2, True)
    assert holds(done.stderr, "error: ")
    assert holds(done.stderr, tmp_path / "images" / "i0.png")


def test_broken_samples_are_left_out_where_the_config_says_so(tmp_path: Path) -> None:
    path = data_set(tmp_path, CRACK)
    torn(tmp_path / "images" / "i0.png")
    (tmp_path / "masks" / "i1.png").write_text("no picture")
    config = Config.model_validate(yaml.safe_load(path.read_text()))
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"skip_broken": True, "test": 0.0})}
    )
    inspection = inspect_parts(config, open_parts(config), None)
    assert (inspection.wrong, len(inspection.survey.broken)) == (False, 2)
    [unreadable, few] = inspection.problems
    assert (unreadable.code, unreadable.level, unreadable.number) == ("unreadable", "warning", 2)
    assert few.code == "few-images"
    findings = check_training_data(CRACK, inspection.parts, skip_broken=True)
    assert findings.left_out == 2
    assert sorted(name for part in findings.parts.values() for name in part.names) == sorted(
        f"i{i}" for i in range(2, 14)
    )
    assert [str(problem) for problem in findings.warnings] == [str(unreadable)]


def test_a_data_set_without_a_usable_sample_is_refused() -> None:
    samples: dict[str, Sample | DataError] = {
        f"t{i}": DataError(f"t{i}.png: cut off") for i in range(3)
    }
    parts = {"train": Subset(Memory(samples), list(samples))}
    with fails(DataError, "empty", 3):
        check_training_data(CRACK, parts, skip_broken=True)
    with fails(DataError, "unreadable", "t0.png: cut off", "[3: t0, t1, t2]"):
        check_training_data(CRACK, parts)
