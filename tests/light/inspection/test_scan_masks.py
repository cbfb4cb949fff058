"""Description of the masks of a config, masks that are decoded once, the sheet of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import Task
from segkit.cli import main
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.errors import ConfigError
from segkit.inspection.mask_format import contents
from segkit.inspection.mask_format.contents import describe_kinds, scan_masks
from segkit.inspection.mask_format.detect import detect_format
from segkit.inspection.mask_format.folders import describe_masks, mask_files_of, reuse_masks
from segkit.io import masks as mask_files
from segkit.io.overlay import overlay_palette
from tests.helpers.command_line import assert_fails

pytestmark = pytest.mark.long

ORGANS = {"kind": "multiclass", "classes": ["background", "liver", "tumour"]}
IDS = np.arange(48 * 64).reshape(48, 64) % 3


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(4):
        save(
            tmp_path / "images" / f"{number}.png",
            np.random.default_rng(number).integers(0, 256, (48, 64, 3)),
        )
        save(tmp_path / "masks" / f"{number}.png", (IDS + number) % 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(task: dict[str, object], **data: object) -> Config:
    return Config.model_validate(
        {"task": task, "data": {"images": "images", "masks": "masks", **data}}
    )


def inspected(config: Config, *arguments: str) -> str:
    Path("config.yaml").write_text(
        yaml.safe_dump(config.model_dump(mode="json", exclude_none=True))
    )
    assert main(["inspect", "config.yaml", "--json", "report.json", *arguments]) in (0, 1)
    return str(json.loads(Path("report.json").read_text(encoding="utf-8"))["read_as"])


def test_the_values_of_masks_and_their_meanings_are_described(data: Path) -> None:
    assert inspected(config(ORGANS)) == "folder, as the config says: 4 grey PNG; values 0, 1, 2"
    meant = {0: "background", 1: "liver", 2: "void"}
    described = inspected(config(ORGANS, mask_values=meant))
    assert described.endswith("4 grey PNG; values 0, 1, 2; 0 is background, 1 is liver, 2 is void")
    save(data / "masks" / "3.png", IDS * 127)
    cut = config({"kind": "binary", "classes": ["liver"]}, mask_threshold=2)
    assert inspected(cut).endswith("4 grey PNG; values 0, 1, 2, 127, 254; yes from 2 on")


def test_colours_are_described_and_many_values_are_abbreviated(data: Path) -> None:
    save(data / "masks" / "0.png", np.dstack([IDS * 100, IDS * 0, IDS * 0]))
    read_as = inspected(config(ORGANS, mask_colours={"#000000": "background", "#640000": "liver"}))
    assert (
        "1 RGB PNG; colours #000000, #640000, #c80000; #000000 is background, #640000 is liver"
        in read_as
    )
    save(data / "masks" / "0.png", np.arange(48 * 64).reshape(48, 64) % 200)
    assert "22, 23, ... (200 in all)" in inspected(config(ORGANS))


def test_masks_of_every_part_and_class_are_scanned(data: Path) -> None:
    for name in ("liver", "tumour"):
        save(data / "layers" / name / "0.png", IDS > 0)
    save(data / "one" / "0.png", IDS)
    part = {"images": "one", "masks": "layers"}
    labels = Task.multilabel(["liver", "tumour"]).model_dump()
    for number in range(4):
        for name in ("liver", "tumour"):
            save(data / "masks" / name / f"{number}.png", IDS > 1)
        (data / "masks" / f"{number}.png").unlink()
    parts = open_parts(config(labels, validation=part, test=0.25))
    assert len(mask_files_of(parts)) == 10
    counted: list[int] = []
    words = describe_masks(config(labels).data, parts, lambda: counted.append(1)).words
    assert (words, len(counted)) == ("10 grey PNG; values 0, 1", 10)


def test_sources_without_mask_files_are_not_scanned(data: Path) -> None:
    assert (
        mask_files_of(
            open_parts(
                Config(task=Task.multilabel(["disc"]), data={"source": "shapes", "count": 9})
            )
        )
        == []
    )  # type: ignore[arg-type]


def test_kinds_are_described_without_broken_files(data: Path) -> None:
    (data / "masks" / "0.png").write_bytes(b"torn")
    assert describe_kinds(scan_masks(sorted((data / "masks").iterdir()))) == "3 grey PNG"


def test_masks_are_decoded_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = detect_format(data / "images", data / "masks")
    parts = open_parts(Config(task=found.task, data=found.data))
    reuse_masks(parts, found.decoded)
    assert len(found.decoded) == 4
    with monkeypatch.context() as patch:
        patch.setattr(mask_files, "read_mask", lambda *_: pytest.fail("read a second time"))
        seen = {name: parts["train"].source.read(name).mask for name in map(str, range(4))}
    assert found.decoded == {}
    for name, mask in seen.items():
        np.testing.assert_array_equal(mask, (IDS + int(name)) % 3)
        np.testing.assert_array_equal(parts["train"].source.read(name).mask, mask)


def test_masks_that_a_threshold_changes_are_read_anew(data: Path) -> None:
    cut = config({"kind": "binary", "classes": ["liver"]}, mask_threshold=2)
    parts = open_parts(cut)
    describe_masks(cut.data, parts)
    np.testing.assert_array_equal(parts["train"].source.read("0").mask, IDS >= 2)


def test_decoded_masks_are_limited_in_memory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "CACHED", 2 * IDS.size)
    kept = detect_format(data / "images", data / "masks").decoded
    assert len(kept) == 2
    assert all(array.shape == IDS.shape for array in kept.values())


def test_pictures_are_one_sheet_of_images_and_masks(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "images", "masks", "--pictures", "out/sheet.png"]) == 0
    assert "out/sheet.png" in capsys.readouterr().out.splitlines()[-1]
    with Image.open(data / "out" / "sheet.png") as sheet:
        colours = {tuple(colour) for colour in np.asarray(sheet).reshape(-1, 3).tolist()}
    task = Task.multiclass(["background", "class_1", "class_2"])
    assert overlay_palette(task)[1] in colours


def test_pictures_need_a_png_name_and_a_readable_sample(data: Path) -> None:
    wrong = ["inspect", "images", "masks", "--pictures", "sheet.pdf"]
    assert_fails(wrong, ConfigError, "wrong-value", ".png", "sheet.pdf", setting="--pictures")
    assert main(["inspect", "images", "gone", "--pictures", "sheet.png"]) == 1
    assert not (data / "sheet.png").exists()
