"""Segkit's own split never has a leak: copies are put into one part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segkit
from segkit import DataError
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.data.split import folds
from segkit.inspection.copies_together import equal_names, planned_together
from segkit.inspection.fingerprint import survey
from segkit.inspection.inspect import inspect_data, inspect_parts
from segkit.inspection.near_duplicates import near_groups
from segkit.io.images import write_picture
from segkit.planning import plan as planning
from segkit.planning.yaml_text import as_yaml
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training import train as story
from segkit.training.data import prepare_data
from segkit.training.train import TrainingInterrupted
from tests.helpers.errors import fails

pytestmark = pytest.mark.long

TASK = {"kind": "binary", "classes": ["crack"]}
SIZE = (24, 32)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 1)).astype(np.uint8)


def save(folder: Path, images: dict[str, np.ndarray]) -> dict[str, Any]:
    mask = np.zeros((*SIZE, 1), np.uint8)
    mask[:8, 8:20] = 1
    for name, pixels in images.items():
        for kind, values in (("images", pixels), ("masks", mask)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, values)
    return {"images": str(folder / "images"), "masks": str(folder / "masks")}


def copied(folder: Path) -> dict[str, Any]:
    """Write 30 images, of which 12 are the same, in pairs of other formats, too."""
    images = {f"i{number}": noise(number) for number in range(18)}
    return save(folder, images | {f"copy{number}": noise(99) for number in range(12)})


def config(data: dict[str, Any], **changes: Any) -> Config:
    return Config.model_validate({"task": TASK, "data": {**data, **changes}})


def parts_of(opened: Config) -> dict[str, set[str]]:
    return {part: set(subset.names) for part, subset in open_parts(opened).items()}


def holds_all(parts: dict[str, set[str]], names: set[str]) -> bool:
    return any(names <= part for part in parts.values())


COPIES = {f"copy{number}" for number in range(12)}


def test_trap_45_copies_in_segkits_own_split_are_put_together(tmp_path: Path) -> None:
    opened = config(copied(tmp_path))
    assert not holds_all(parts_of(opened), COPIES)
    messages = Messages()
    settings, parts = prepare_data(opened, messages)
    assert settings.data.keep_together == (tuple(sorted(COPIES)),)
    assert holds_all({part: set(subset.names) for part, subset in parts.items()}, COPIES)
    assert parts_of(settings) == {part: set(subset.names) for part, subset in parts.items()}
    assert len([text for text in messages.warnings if "copies-together" in text]) == 1
    again, _ = prepare_data(settings, messages)
    assert again.data == settings.data
    assert len([text for text in messages.warnings if "copies-together" in text]) == 1
    inspection = inspect_parts(opened, open_parts(opened), None)
    assert not inspection.wrong
    assert "copies-together" in [problem.code for problem in inspection.problems]


class Messages(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warning(self, problem: Any) -> None:
        self.warnings.append(str(problem))


def test_a_leak_of_the_users_parts_is_an_error(tmp_path: Path) -> None:
    data = copied(tmp_path / "all")
    own = save(tmp_path / "own", {"other": noise(99), "new": noise(55)})
    opened = config(data, test=own)
    with fails(DataError, "leak", "other (test)"):
        prepare_data(opened, Progress())
    assert inspect_parts(opened, open_parts(opened), None).wrong


def is_torn(names: list[str], name: str) -> bool:
    return not any({name, "i0"} <= set(chosen) for chosen in folds(names, 4))


def test_copies_stay_together_in_every_fold(tmp_path: Path) -> None:
    """Also in a fold whose own parts do not divide them."""
    names = [f"i{number}" for number in range(16)]
    torn = next(letter for letter in "abcdef" if is_torn([*names, letter], letter))
    images = {name: noise(number) for number, name in enumerate(names)}
    data = save(tmp_path, {**images, torn: noise(0)})
    held: list[str] = []
    for number in range(1, 5):
        opened = config(data, fold=f"{number}/4", test=0.0)
        settings, parts = prepare_data(opened, Messages())
        assert settings.data.keep_together == ((torn, "i0"),)
        held += parts["validation"].names
        assert (torn in parts["validation"].names) == ("i0" in parts["validation"].names)
    assert len(held) == len(set(held)) == 17


def test_a_resumed_run_keeps_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(story, "load_keras", interrupt)
    opened = config(copied(tmp_path))
    path = tmp_path / "run"
    with pytest.raises(TrainingInterrupted):
        segkit.train(opened, path, progress=Messages())
    saved = Run(path).config_made_with()
    assert saved.data.keep_together == (tuple(sorted(COPIES)),)
    progress = Messages()
    with pytest.raises(TrainingInterrupted):
        segkit.train(opened, path, resume=True, progress=progress)
    assert Run(path).config_made_with() == saved
    assert "copies-together" not in " ".join(progress.warnings)
    other = config(copied(tmp_path), keep_together=[["i0", "i1"]])
    with fails(segkit.RunError, "mismatch", "data.keep_together"):
        segkit.train(other, path, resume=True, progress=Messages())


BLANK = (2, 3, 80, 81)
"""Slices that are blank; the hash puts the first three, which are equal, into two parts."""


def scan(folder: Path, count: int = 82) -> dict[str, Any]:
    """Write a scan: smooth slices that change slowly, three equal blank ones, and another blank."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    images = {}
    for number in range(count):
        values = 120 + 60 * np.sin(rows / 5 + number / 40) + 60 * np.cos(columns / 6 - number / 60)
        images[f"slice_{number:03d}"] = values[..., None].clip(0, 255).astype(np.uint8)
    for number in BLANK[:3]:
        images[f"slice_{number:03d}"] = np.zeros((*SIZE, 1), np.uint8)
    images["slice_081"] = np.full((*SIZE, 1), 7, np.uint8)
    images["copy"] = images["slice_039"]
    return save(folder, images)


def test_trap_45_a_plan_of_a_scan_with_blank_slices_is_its_own_and_has_no_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = scan(tmp_path)
    monkeypatch.setattr(planning, "fit_budget", lambda drafted, *_: drafted)
    inspection = inspect_data(data["images"], data["masks"])
    unknown = [p for p in inspection.problems if p.code == "groups-unknown"]
    assert len(unknown) == 1
    chosen = planning.plan_for(inspection)
    together = chosen.config.data.keep_together
    listed = [name for names in together for name in names]
    assert len(listed) == len(set(listed))
    assert not {f"slice_{number:03d}" for number in BLANK} & set(listed)
    assert any({"copy", "slice_039"} <= set(names) for names in together)
    assert 7 <= len(together) <= 12
    for names in together:
        numbers = sorted(int(name[-3:]) for name in names if name != "copy")
        between = set(range(numbers[0], numbers[-1] + 1)) - set(BLANK)
        assert set(numbers) == between
    path = tmp_path / "plan.yaml"
    path.write_text(as_yaml(chosen, "test", "plan.yaml", tmp_path), encoding="utf-8")
    messages = Messages()
    settings, parts = prepare_data(segkit.config.read(path), messages)
    assert settings.data.keep_together == together
    assert all(len(parts[part]) for part in ("train", "validation"))
    assert not {"leak", "copies-together"} & {text.partition(":")[0] for text in messages.warnings}


def test_groups_take_the_place_of_blocks(tmp_path: Path) -> None:
    scan(tmp_path)
    names = save(tmp_path, {"slice_0x": noise(3), "slice_0x2": noise(3)})
    opened = config(names, groups=r"^(slice_..|c)", validation=0.3)
    found = survey(opened.task, open_parts(opened))
    together = planned_together(opened, open_parts(opened), found)
    assert together == [["copy", "slice_039"], ["slice_0x", "slice_0x2"]]
    assert equal_names(found.facts) == together


def test_near_groups_are_connected_pairs(tmp_path: Path) -> None:
    data = scan(tmp_path)
    opened = config(data, validation=0.0, test=0.0)
    facts = survey(opened.task, open_parts(opened)).facts
    usable = [fact for fact in facts if not fact.blank]
    flat = np.array([fact.thumbnail.ravel() for fact in usable])
    alike = np.corrcoef(flat) >= 0.995
    reached = {0}
    while True:
        more = {int(j) for i in reached for j in np.flatnonzero(alike[i])}
        if more <= reached:
            break
        reached |= more
    first = next(group for group in near_groups(facts) if usable[0].name in group)
    assert set(first) == {usable[index].name for index in reached}
