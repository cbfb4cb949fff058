"""The agreement of annotators in `segkit inspect`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

import segkit
from segkit import VOID, Task
from segkit.inspection.agreement import agreement_line
from segkit.inspection.fingerprint import count_pairs
from segkit.inspection.inspect import as_json
from segkit.inspection.report import summary_lines
from segkit.inspection.summary import read_data_summary

ORGANS = Task.multiclass(["background", "liver", "kidney"], soft=True)
LAYERS = Task.multilabel(["liver", "kidney"], soft=True)


@pytest.mark.parametrize("task", [ORGANS, LAYERS], ids=["exclusive", "layers"])
def test_pairs_are_counted_where_both_say_yes_or_no(task: Task) -> None:
    rng = np.random.default_rng(0)
    values = task.channels if task.stores_ids else 2
    masks = []
    for _ in range(3):
        mask = rng.integers(0, values, task.target_shape(7, 8))
        masks.append(np.where(rng.random(mask.shape) < 0.2, VOID, mask).astype(np.uint8))
    common, sizes = count_pairs(task, masks)
    for label in range(task.channels):
        scores = []
        marked = []
        for one, other in itertools.combinations(masks, 2):
            if not task.stores_ids:
                one = one[..., label]
                other = other[..., label]
            known = (one != VOID) & (other != VOID)
            yes = label if task.stores_ids else 1
            first = one[known] == yes
            second = other[known] == yes
            scores.append(f1_score(first, second))
            marked.append(first.sum() + second.sum())
        assert sizes[label] == sum(marked)
        assert common[label] / sizes[label] == pytest.approx(np.average(scores, weights=marked))


def config_of(root: Path, **data: Any) -> dict[str, Any]:
    """Save two images; anna marks 4 pixels of liver, ben 2 of them, and cleo only one image."""
    for name in "ab":
        for folder, pixels in (("images", 4), ("anna", 4), ("ben", 2), ("cleo", 4)):
            if folder == "cleo" and name == "b":
                continue
            mask = np.zeros((6, 6), np.uint8)
            mask[0, :pixels] = 1
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(mask + 9 * (folder == "images")).save(root / folder / f"{name}.png")
    where = [str(root / folder) for folder in ("anna", "ben", "cleo")]
    section = {"images": str(root / "images"), "annotators": where, "missing_masks": "leave_out"}
    task = {"kind": "multiclass", "classes": list(ORGANS.classes)}
    return {"task": task, "data": {**section, "validation": 0, "test": 0, **data}}


def test_inspect_says_how_much_annotators_agree(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps(config_of(tmp_path)))
    found = segkit.inspect(tmp_path / "c.yaml")
    summary = found.summary()
    assert summary.agreement is not None
    # image a: pairs of 4 and 2, 4 and 4, 2 and 4 pixels; image b: 4 and 2
    dice = 2 * (2 + 4 + 2 + 2) / (6 + 8 + 6 + 6)
    assert summary.agreement.dice == {"liver": pytest.approx(dice, abs=1e-6), "kidney": None}
    assert summary.agreement.images == 2
    assert summary.agreement.annotators == [2, 3]
    line = dict(summary_lines(summary))["annotators"]
    assert line == agreement_line(summary.agreement)
    assert f"{dice:.3f}" in line
    saved = as_json(found)
    assert saved["agreement"]["dice"]["liver"] == summary.agreement.dice["liver"]
    (tmp_path / "data.json").write_text(json.dumps(saved))
    assert read_data_summary(tmp_path / "data.json").agreement == summary.agreement
    del saved["agreement"]  # as segkit saved it before
    (tmp_path / "data.json").write_text(json.dumps(saved))
    assert read_data_summary(tmp_path / "data.json").agreement is None


def test_a_class_that_is_never_the_most_probable_one_can_be_learned(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config["data"]["annotators"] = config["data"]["annotators"][:2]
    for name in "ab":
        for folder, value in (("anna", 1), ("ben", 0)):
            Image.fromarray(np.full((6, 6), value, np.uint8)).save(
                tmp_path / folder / f"{name}.png"
            )
    config["data"]["annotators"].append(str(tmp_path / "none"))
    (tmp_path / "none").mkdir()
    for name in "ab":
        Image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / "none" / f"{name}.png")
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    found = segkit.inspect(tmp_path / "c.yaml")
    assert found.summary().classes["liver"].pixels == 0
    messages = {problem.code: str(problem) for problem in found.problems}
    assert "nothing-to-learn" not in messages
    assert "kidney" in messages["absent-class"]
    assert "liver" not in messages["absent-class"]


def test_masks_of_one_person_have_no_agreement(tmp_path: Path) -> None:
    masks = {"annotators": None, "masks": str(tmp_path / "anna")}
    (tmp_path / "c.yaml").write_text(json.dumps(config_of(tmp_path, **masks)))
    summary = segkit.inspect(tmp_path / "c.yaml").summary()
    assert summary.agreement is None
    assert "annotators" not in dict(summary_lines(summary))
