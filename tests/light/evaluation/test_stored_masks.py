"""Masks that are stored in another way than those of the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, SegkitWarning, Task
from segkit.config import RunConfig
from segkit.evaluation.evaluate import evaluate
from segkit.evaluation.open_pixels import ALL_PIXELS, scored_pixels
from segkit.evaluation.stored_masks import missing_class_warning, with_stored_masks
from segkit.inference.load import LoadedRun
from segkit.reporting.sentences import verdict_sentences
from segkit.system.progress import Progress
from segkit.training.model_card import model_card
from tests.helpers.errors import fails, holds
from tests.helpers.stand_in import config_of

TASK = Task.multiclass(["leaf", "stone", "background"])
STROKES = {0: "void", 1: "leaf", 2: "stone", 3: "background"}
COMPLETE = "data.mask_values={0: background, 1: leaf, 2: stone}"


class Warned(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def warning(self, text: str | SegkitWarning) -> None:
        assert isinstance(text, SegkitWarning)
        self.codes.append(text.code)


def run_on(**data: Any) -> LoadedRun:
    """Return a run that predicts everything as leaf, with settings of how masks are read."""
    values = config_of(TASK).model_dump(mode="json")
    values["data"] |= data
    config = RunConfig.model_validate(values)
    everything_leaf = np.eye(3, dtype=np.float32)[0]

    def predict(batch: np.ndarray) -> np.ndarray:
        return np.broadcast_to(everything_leaf, (*batch.shape[:3], 3))

    return LoadedRun(predict, config, "a stand-in", "weights")


def save_truth(root: Path) -> tuple[Path, Path]:
    """Save complete masks of 0 background, 1 leaf and 2 stone; a tenth is leaf, a tenth stone."""
    mask = np.zeros((20, 20), np.uint8)
    mask[:2] = 1
    mask[2:4] = 2
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(root / "images" / "a.png")
    Image.fromarray(mask).save(root / "masks" / "a.png")
    return root / "images", root / "masks"


def scored(
    monkeypatch: pytest.MonkeyPatch, opened: LoadedRun, folders: tuple[Path, Path], *settings: str
) -> tuple[dict[str, Any], list[str]]:
    monkeypatch.setattr("segkit.evaluation.evaluate.open_together", lambda *asked: opened)
    progress = Warned()
    report = evaluate("run", *folders, settings=settings, progress=progress)
    return report, progress.codes


@pytest.mark.parametrize(
    "data",
    [
        {"mask_values": STROKES},
        {"mask_colours": {"#000000": "void", "#ff0000": "leaf", "#0000ff": "stone"}},
    ],
    ids=["values", "colours"],
)
def test_complete_masks_are_scored_with_their_own_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any]
) -> None:
    folders = save_truth(tmp_path)
    report, codes = scored(monkeypatch, run_on(**data), folders, COMPLETE)
    assert codes == []
    assert report["classes"]["leaf"]["dice"] == pytest.approx(2 * 40 / (400 + 40))
    assert report["classes"]["background"]["pixels_true"] == 320
    assert scored_pixels(report) == ALL_PIXELS


def test_zero_that_is_read_as_unlabelled_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the Dice of a fifth of the pixels looks like that of all."""
    folders = save_truth(tmp_path)
    report, codes = scored(monkeypatch, run_on(mask_values=STROKES), folders)
    assert codes == ["masks-stored-otherwise"]
    assert report["classes"]["leaf"]["dice"] == pytest.approx(2 * 40 / (80 + 40))
    assert holds(scored_pixels(report), 20)
    [sentence, weakest, _] = verdict_sentences(report, "these images", [])
    assert holds(sentence, 20)
    assert "%" not in weakest  # the causes of errors need complete masks
    card = model_card("run", run_on().config, {"test": 1}, {**report, "part": "test"})
    assert ALL_PIXELS not in card
    assert holds(card, scored_pixels(report))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"mask_values": {1: "leaf", 2: "stone"}, "other_values": "void"}, "other_values"),
        (
            {
                "mask_colours": {"#010101": "leaf", "#020202": "stone"},
                "transparent": "void",
                "other_values": "void",
            },
            "transparent",
        ),
    ],
    ids=["other values", "other colours"],
)
def test_a_background_that_no_entry_names_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], named: str
) -> None:
    folders = save_truth(tmp_path)
    report, codes = scored(monkeypatch, run_on(**data), folders)
    assert codes == ["masks-stored-otherwise"]
    warning = missing_class_warning(run_on(**data).config, report)
    assert warning is not None
    assert f"data.{named}" in str(warning)


def test_transparent_background_of_complete_masks_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = save_truth(tmp_path)
    values = np.array(Image.open(folders[1] / "a.png"))
    alpha = np.where(values > 0, 255, 0).astype(np.uint8)
    Image.fromarray(np.stack([values, values, values, alpha], -1)).save(folders[1] / "a.png")
    report, codes = scored(monkeypatch, run_on(transparent="void"), folders)
    assert codes == ["masks-stored-otherwise"]
    assert holds(scored_pixels(report), 20)


def test_values_of_255_are_named_as_unlabelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = save_truth(tmp_path)
    values = np.array(Image.open(folders[1] / "a.png"))
    Image.fromarray(np.where(values == 0, 255, values - 1).astype(np.uint8)).save(
        folders[1] / "a.png"
    )
    _, codes = scored(monkeypatch, run_on(), folders)
    assert codes == ["masks-stored-otherwise"]


def test_strokes_of_all_classes_are_no_reason_for_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = save_truth(tmp_path)
    mask = np.array(Image.open(folders[1] / "a.png"))
    mask[10, :5] = 3
    Image.fromarray(mask).save(folders[1] / "a.png")
    _, codes = scored(monkeypatch, run_on(mask_values=STROKES), folders)
    assert codes == []


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("data.images=other", "unknown-setting"),
        ("train.epochs=5", "unknown-setting"),
        ("mask_values={0: void}", "unknown-setting"),
        ("data.mask_values", "wrong-value"),
    ],
)
def test_only_settings_of_masks_are_allowed(setting: str, code: str) -> None:
    with fails(ConfigError, code, setting="--set"):
        with_stored_masks(run_on().config, [setting])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"mask_values": {7: "leaf", 8: "stone", 9: "background"}}, "mask-values"),
        ({"mask_colours": {"#ff0000": "leaf", "#0000ff": "stone"}}, "mask-colours"),
    ],
)
def test_an_error_of_masks_names_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], code: str
) -> None:
    folders = save_truth(tmp_path)
    with fails(DataError, code) as caught:
        scored(monkeypatch, run_on(**data), folders)
    assert "--set" in str(caught.value)


def test_with_set_errors_are_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = save_truth(tmp_path)
    with fails(DataError, "mask-values") as caught:
        scored(monkeypatch, run_on(), folders, "data.mask_values={0: background, 1: leaf}")
    assert "--set" not in str(caught.value)


def test_a_wrong_class_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = save_truth(tmp_path)
    with fails(ConfigError, "unknown-name", setting="data.mask_values"):
        scored(monkeypatch, run_on(), folders, "data.mask_values={0: ground, 1: leaf}")
