"""What `inspect` calls wrong, code by code; and `train.py` refuses the errors in the same words, before Keras."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from segkit import VOID, DataError, Task
from segkit.config import Config
from segkit.data.check import check
from segkit.data.parts import open_parts
from segkit.data.problems import Problem, find_problems
from segkit.data.source import Sample, Subset, open_source
from segkit.data.survey import Survey, survey
from segkit.data_config import DataConfig
from segkit.inspection import inspect

ROOT = Path(__file__).parents[2]
CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])
LABELS = Task.multilabel(["liver", "tumour"])
SIZE = (16, 20)


class Memory:
    """Samples in memory; an error in place of a sample is raised when it is read."""

    def __init__(self, samples: Mapping[str, Sample | DataError]) -> None:
        self.samples, self.names = samples, list(samples)
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        found = self.samples[name]
        if isinstance(found, DataError):
            raise found
        return found


def image(seed: int, bands: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, bands)).astype(dtype)


def mask(task: Task, seed: int = 0) -> np.ndarray:
    """Return a mask in which every class fills rows of both halves; layers of a multilabel task overlap."""
    rows = np.repeat(np.arange(SIZE[0])[:, None], SIZE[1], axis=1) // 4
    if task.kind == "multilabel":
        return np.stack([rows == 1, rows <= 1], axis=-1).astype(np.uint8)
    return (rows % (2 if task.kind == "binary" else task.channels)).astype(np.uint8)


Samples = dict[str, tuple[np.ndarray, np.ndarray]]


def good(task: Task, count: int = 12, first: int = 0) -> Samples:
    return {f"i{seed}": (image(seed), mask(task)) for seed in range(first, first + count)}


def subset(samples: Samples) -> Subset:
    return Subset(Memory({name: Sample(name, *pair) for name, pair in samples.items()}), list(samples))


def found(task: Task, flips: bool = True, **parts: Samples) -> list[Problem]:
    return find_problems(task, survey(task, {part: subset(samples) for part, samples in parts.items()}), flips)


def only(problems: Sequence[Problem], code: str) -> Problem:
    assert [problem.code for problem in problems] == [code], list(map(str, problems))
    return problems[0]


@pytest.mark.parametrize("task", [CRACK, ORGANS, LABELS], ids=lambda task: task.kind)
def test_clean_data_have_no_problem(task: Task) -> None:
    assert found(task, train=good(task), validation=good(task, 4, 50), test=good(task, 4, 70)) == []


def test_empty() -> None:
    problem = only(found(CRACK, train={}), "empty")
    assert (problem.level, problem.message) == ("error", "the data set holds no sample")


def test_depth() -> None:
    samples = good(CRACK) | {"deep": (image(90, dtype=np.uint16), mask(CRACK))}
    problem = only(found(CRACK, train=samples), "depth")
    assert (problem.level, problem.files, problem.number) == ("error", ("deep",), 1)
    assert "found uint8 (12 images), uint16 (1 images). Convert the others to uint8" in problem.message


@pytest.mark.parametrize(("bands", "wrong"), [((3, 1), False), ((3, 4), True), ((3, 1, 5), True), ((2, 1), True)])
def test_channels(bands: tuple[int, ...], wrong: bool) -> None:
    samples = {f"{i}": (image(i, bands[0] if i < 4 else bands[i % len(bands)]), mask(CRACK)) for i in range(8)}
    problems = found(CRACK, train=samples)
    assert [problem.code for problem in problems] == (["channels"] if wrong else [])
    if wrong:
        assert problems[0].level == "error"
        assert f"{bands[0]} band(s) (" in problems[0].message


def test_leak_and_duplicates() -> None:
    train = good(CRACK)
    copies = dict.fromkeys(("a", "b"), train["i0"])
    problem = only(found(CRACK, train=train | copies), "duplicates")
    assert (problem.level, problem.number) == ("warning", 1)
    assert "i0 (train) = a (train) = b (train)" in problem.message
    problem = only(found(CRACK, train=train, test=good(CRACK, 4, 50) | {"a": train["i0"]}), "leak")
    assert problem.level == "error"
    assert "i0 (train) = a (test). Remove one of them" in problem.message


def test_near_copies() -> None:
    train = good(CRACK)
    darker = {"a": ((train["i0"][0] * 0.9).astype(np.uint8), mask(CRACK))}
    problem = only(found(CRACK, train=train | darker), "near-duplicates")
    assert (problem.level, problem.number) == ("warning", 1)
    assert "i0 (train) ~ a (train)" in problem.message
    problem = only(found(CRACK, train=train, test=good(CRACK, 4, 50) | darker), "near-leak")
    assert problem.level == "warning"
    assert "i0 (train) ~ a (test)" in problem.message


@pytest.mark.parametrize("value", [0, VOID])
def test_nothing_to_learn(value: int) -> None:
    empty = {name: (array, np.full(SIZE, value, np.uint8)) for name, (array, _) in good(ORGANS).items()}
    problems = found(ORGANS, train=empty, validation=good(ORGANS, 30, 50))
    assert (problems[0].code, problems[0].level) == ("nothing-to-learn", "error")
    assert "no pixel of liver, tumour: nothing to learn" in problems[0].message


@pytest.mark.parametrize(("part", "what"), [("train", "cannot be learned"), ("test", "has no score there")])
def test_absent_class(part: str, what: str) -> None:
    parts = {"train": good(ORGANS), "test": good(ORGANS, 4, 50)}
    parts[part] = {name: (array, np.minimum(labels, 1)) for name, (array, labels) in parts[part].items()}
    problem = only(found(ORGANS, **parts), "absent-class")
    assert problem.level == "warning"
    assert f"no pixel of tumour in the {part} part, so it {what}" in problem.message


def test_rare_class() -> None:
    samples = {name: (array, np.minimum(labels, 1)) for name, (array, labels) in good(ORGANS).items()}
    samples["i0"][1][0, :3] = 2
    problem = only(found(ORGANS, train=samples), "rare-class")
    assert problem.level == "warning"
    assert f"tumour {100 * 3 / (12 * 16 * 20):.2g} % of the pixels" in problem.message


def test_void() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:9] = VOID
    problem = only(found(CRACK, train=samples), "void")
    assert (problem.level, problem.message[:4]) == ("warning", "56 %")


def test_less_than_half_unlabelled_is_no_problem() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:7] = VOID
    assert found(CRACK, train=samples) == []


def test_empty_masks() -> None:
    samples = good(CRACK)
    for name in list(samples)[:7]:
        samples[name] = (samples[name][0], np.zeros(SIZE, np.uint8))
    problem = only(found(CRACK, train=samples), "empty-masks")
    assert (problem.level, problem.number, problem.files) == ("warning", 7, ("i0", "i1", "i2", "i3", "i4"))
    assert str(problem).endswith("missing? [7: i0, i1, i2, i3, i4, ...]")


def test_sides_by_name() -> None:
    task = Task.multiclass(["background", "left lung", "right lung"])
    problem = only(found(task, train=good(task)), "sides")
    assert problem.level == "error"
    assert "augment.flip_horizontal: false" in problem.message
    assert found(task, flips=False, train=good(task)) == []
    paired = Task.multiclass(list(task.classes), flip_pairs=[("left lung", "right lung")])
    assert found(paired, train=good(paired)) == []


@pytest.mark.parametrize(("count", "other", "told"), [(12, 0, True), (9, 0, False), (12, 1, False)])
def test_sides_by_place(count: int, other: int, told: bool) -> None:
    samples = good(CRACK, count)
    half = SIZE[1] // 2
    for i, (_, labels) in enumerate(samples.values()):
        labels[:, slice(0, half) if i < other else slice(half, None)] = 0
    problems = found(CRACK, train=samples)
    assert [(problem.code, problem.level) for problem in problems] == ([("sides", "warning")] if told else [])
    assert found(CRACK, flips=False, train=samples) == []


def test_tiny_objects() -> None:
    samples = good(CRACK)
    for _, labels in samples.values():
        labels[:] = 0
        labels[::4, ::4] = 1
    problem = only(found(CRACK, train=samples), "tiny-objects")
    assert problem.level == "warning"
    assert f"pieces of crack are smaller than 9 pixels ({12 * 4 * 5} pieces)" in problem.message


def test_flat_image() -> None:
    samples = good(CRACK) | {"black": (np.zeros((*SIZE, 3), np.uint8), mask(CRACK))}
    problem = only(found(CRACK, train=samples), "flat-image")
    assert (problem.level, problem.files) == ("warning", ("black",))


def test_no_overlap() -> None:
    samples = good(LABELS)
    for _, labels in samples.values():
        labels[..., 1] &= 1 - labels[..., 0]
    problem = only(found(LABELS, train=samples), "no-overlap")
    assert problem.level == "warning"


def test_errors_come_first() -> None:
    task = Task.multiclass(["background", "left lung", "right lung"])
    samples = good(task) | {"black": (np.zeros((*SIZE, 3), np.uint8), mask(task))}
    samples["copy"] = samples["i0"]
    problems = [(problem.code, problem.level) for problem in found(task, train=samples)]
    assert problems == [("sides", "error"), ("duplicates", "warning"), ("flat-image", "warning")]


def test_a_survey_that_stopped_early_is_not_judged_by_what_it_did_not_see() -> None:
    empty = {name: (array, np.zeros(SIZE, np.uint8)) for name, (array, _) in good(CRACK).items()}
    begun = survey(CRACK, {"train": subset(empty)})
    torn = survey(CRACK, {"train": Subset(Memory({"torn": DataError("torn.png: cut off")}), ["torn"])}).broken
    assert [problem.code for problem in find_problems(CRACK, Survey(begun.facts, torn, 99))] == ["unreadable"]


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack")
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


# What replaces the image or mask of one sample, in a data set of 0/1 or 0..2 masks: file, how, code, words of the message.
BROKEN: dict[str, tuple[Task, str, Callable[[Path], Any], str, str]] = {
    "torn image": (CRACK, "images/i0.png", torn, "unreadable", "i0.png: "),
    "bomb": (CRACK, "images/i0.png", bomb, "too-large", "data.max_pixels"),
    "empty file": (CRACK, "images/i0.png", lambda path: path.write_bytes(b""), "unreadable", "not an image"),
    "size": (
        CRACK,
        "masks/i0.png",
        lambda path: save(path, np.zeros((5, 4), np.uint8)),
        "mask-size",
        "20 wide and 16 high",
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
    "colours": (CRACK, "masks/i0.png", lambda path: save(path, image(3)), "mask-colours", "data.mask_colours"),
    "alpha": (ORGANS, "masks/i0.png", lambda path: save(path, image(3, 4)), "mask-alpha", "alpha channel"),
    "ids": (
        ORGANS,
        "masks/i0.png",
        lambda path: save(path, np.full(SIZE, 9, np.uint8)),
        "",
        "allowed values are 0 to 2",
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
def test_what_cannot_be_read_is_an_error_with_its_file(tmp_path: Path, way: str) -> None:
    task, file, spoil, code, words = BROKEN[way]
    data_set(tmp_path, task)
    spoil(tmp_path / file)
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks", validation=0.0, test=0.0)
    source = open_source(data, task)
    problems = find_problems(task, survey(task, {"train": Subset(source, source.names)}))
    assert [problem.level for problem in problems] == ["error"]
    assert (problems[0].files, problems[0].number) == (("i0",), 1)
    assert str(tmp_path / file) in problems[0].message
    assert words in problems[0].message
    assert problems[0].code == (code or problems[0].code)


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
    samples: dict[str, Sample | DataError] = {f"t{i}": DataError(f"t{i}.png: cut off") for i in range(7)}
    samples |= {name: Sample(name, *pair) for name, pair in good(CRACK).items()}
    problem = only(find_problems(CRACK, survey(CRACK, {"train": Subset(Memory(samples), list(samples))})), "unreadable")
    assert str(problem) == "unreadable: t0.png: cut off [7: t0, t1, t2, t3, t4, ...]"


# Runs the commands of argv[1] (JSON) one after the other; prints status and output of each, and the slow imports.
WATCHED = f"""
import contextlib, io, json, sys
sys.path.insert(0, {str(ROOT)!r})
from segkit.cli import main
told = []
for arguments in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        told.append(main(arguments))
    told.append(out.getvalue())
print(json.dumps([told, [name for name in ("keras", "tensorflow", "jax", "albumentations") if name in sys.modules]]))
"""


def commands(folder: Path, *arguments: list[str]) -> list[Any]:
    """Run segkit in a process of its own, which must not import Keras; return statuses and outputs in turn."""
    asked = [sys.executable, "-c", WATCHED, json.dumps(arguments)]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told, slow = json.loads(done.stdout)
    assert slow == []
    return told


def leak(path: Path) -> None:
    """Make copies of an image so many that two parts hold it."""
    for i in range(1, 14):
        path.with_name(f"i{i}.png").write_bytes(path.read_bytes())


@pytest.mark.parametrize("way", [*BROKEN, "leak"])
def test_train_refuses_in_the_words_of_inspect(tmp_path: Path, way: str) -> None:
    task, file, spoil = BROKEN[way][:3] if way != "leak" else (CRACK, "images/i0.png", leak)
    config = str(data_set(tmp_path, task))
    spoil(tmp_path / file)
    seen, shown, status, told = commands(tmp_path, ["inspect", config], ["train", config])
    assert (seen, status) == (1, 2)
    assert "error: training would be wrong:\n" in told
    problems = [line.removeprefix("error ") for line in shown.splitlines() if line.startswith("error ")]
    assert len(problems) == 1
    assert f"\n  {problems[0]}\n" in told
    assert not (tmp_path / "runs").exists()


def test_broken_samples_are_left_out_where_the_config_says_so(tmp_path: Path) -> None:
    path = data_set(tmp_path, CRACK)
    torn(tmp_path / "images" / "i0.png")
    (tmp_path / "masks" / "i1.png").write_text("no picture")
    config = Config.model_validate(yaml.safe_load(path.read_text()))
    config = config.model_copy(update={"data": config.data.model_copy(update={"skip_broken": True, "test": 0.0})})
    inspection = inspect(config, open_parts(config), None)
    assert (inspection.wrong, len(inspection.survey.broken)) == (False, 2)
    assert [(problem.code, problem.level, problem.number) for problem in inspection.problems] == [
        ("unreadable", "warning", 2)
    ]
    findings = check(CRACK, inspection.parts, skip_broken=True)
    assert findings.left_out == 2
    assert sorted(name for part in findings.parts.values() for name in part.names) == sorted(
        f"i{i}" for i in range(2, 14)
    )
    assert [str(problem) for problem in findings.warnings] == [str(problem) for problem in inspection.problems]


def test_a_data_set_that_is_broken_throughout_is_refused_all_the_same() -> None:
    samples: dict[str, Sample | DataError] = {f"t{i}": DataError(f"t{i}.png: cut off") for i in range(3)}
    parts = {"train": Subset(Memory(samples), list(samples))}
    with pytest.raises(DataError, match="none of the 3 samples can be read"):
        check(CRACK, parts, skip_broken=True)
    with pytest.raises(DataError, match=r"t0\.png: cut off \[3: t0, t1, t2\]"):
        check(CRACK, parts)
