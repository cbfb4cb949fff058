"""`segkit predict` with a simulated network: options, exit status, and the page on its outputs."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from segkit import Task
from segkit.cli import main
from segkit.config import Config, DataConfig, read
from segkit.data.sources.source import open_source
from segkit.errors import ConfigError
from segkit.inference.load import LoadedRun
from segkit.io.images import read_image, write_picture
from segkit.io.masks import read_mask
from segkit.io.overlay import STYLES, overlay
from segkit.system.terminal import has_controls
from tests.helpers.command_line import assert_fails, numbers
from tests.helpers.draws import task_of
from tests.helpers.errors import holds
from tests.helpers.stand_in import answer_of, config_of, network, picture, write_pictures
from tests.helpers.visible_files import visible

pytestmark = pytest.mark.long

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "outputs.md"
SIZES = {"a": (20, 30), "f": (9, 8), "sub/d": (16, 16)}
"""Names that fall to different thirds."""
TASK = task_of("multiclass")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and a run, in which commands are called."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "images", SIZES)
    config: Config = config_of(TASK)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config.as_yaml())
    (tmp_path / "run" / "model.keras").touch()
    opened = LoadedRun(lambda batch: network(batch, TASK), config, "a stand-in")
    monkeypatch.setattr("segkit.inference.load.open_run", lambda path, runtime, work: opened)
    return tmp_path


def predict(*flags: str, images: str = "images", out: str = "masks") -> int:
    return main(["predict", "run", images, "--out", out, *flags])


def counted(out: str, masks: str) -> list[float]:
    """Return the numbers of the last line: written, with --skip-existing existing, and failed."""
    last = out.splitlines()[-1]
    assert holds(last, masks)
    return numbers(last)


def test_each_option_has_a_folder_beside_the_masks(here: Path) -> None:
    flags = [
        "--overlay",
        "--probabilities",
        "npy",
        "--format",
        "coco",
        "--format",
        "geojson",
        "--format",
        "instances",
    ]
    assert predict(*flags, "--format", "coco") == 0
    folders = {path.split("/")[0] for path in visible(here)} - {"run", "images"}
    assert folders == {
        "masks",
        "masks-coco",
        "masks-coding.json",
        "masks-geojson",
        "masks-instances",
        "masks-instances.csv",
        "masks-overlays",
        "masks-probabilities",
        "masks-summary.csv",
    }
    assert sorted(visible(here / "masks")) == ["a.png", "f.png", "sub/d.png"]
    assert sorted(visible(here / "masks-probabilities")) == ["a.npy", "f.npy", "sub/d.npy"]


def test_overlays_are_drawn_in_the_style_that_is_asked_for(here: Path) -> None:
    for style in STYLES:
        assert predict("--overlay-style", style, out=style) == 0
        drawn = read_image(here / f"{style}-overlays" / "a.png")
        image = read_image(here / "images" / "a.png")
        mask = read_mask(here / style / "a.png")
        expected = overlay(TASK, image, mask, style=style)
        np.testing.assert_array_equal(drawn, expected)
    assert predict("--overlay", out="usual") == 0
    usual = here / "usual-overlays" / "a.png"
    assert usual.read_bytes() == (here / "both-overlays" / "a.png").read_bytes()
    assert usual.read_bytes() != (here / "outlines-overlays" / "a.png").read_bytes()


def test_small_objects_are_left_out_of_the_files_of_objects(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    areas = {}
    for out, flags in (("all", []), ("large", ["--smallest", "5"])):
        assert predict("--format", "geojson", *flags, out=out) == 0
        content = json.loads((here / f"{out}-geojson" / "a.geojson").read_text())
        areas[out] = [feature["properties"]["area"] for feature in content["features"]]
    assert areas["large"] == [area for area in areas["all"] if area >= 5]
    assert len(areas["large"]) < len(areas["all"])
    assert predict("--format", "geojson", "--smallest", "5 m2", out="area") == 1
    assert holds(capsys.readouterr().err, "5 m2")  # pictures have no pixel size
    command = ["predict", "run", "images", "--out", "none", "--smallest", "5"]
    assert_fails(command, ConfigError, "missing-setting", setting="--smallest")


def test_probabilities_are_float32_tiffs_by_default(here: Path) -> None:
    assert predict("--probabilities", out="one") == 0
    assert predict("--probabilities", "tif16", out="two") == 0
    for folder, depth in (("one", np.float32), ("two", np.float16)):
        assert tifffile.imread(here / f"{folder}-probabilities" / "f.tif").dtype == depth


def test_masks_have_the_coding_of_the_data_set_by_default(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meant = {value + 5: name for value, name in enumerate(TASK.classes)}
    config = config_of(TASK).model_copy(update={"data": DataConfig(mask_values=meant)})
    (here / "run" / "config.yaml").write_text(config.as_yaml())
    assert predict(out="own") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert [
        value for value in ("5: background", "--coding segkit") if not holds(words, value)
    ] == []
    assert predict("--coding", "segkit", out="plain") == 0
    assert "--coding" not in capsys.readouterr().out
    for name in ("a", "sub/d"):
        own, plain = (
            np.asarray(Image.open(here / folder / f"{name}.png")) for folder in ("own", "plain")
        )
        np.testing.assert_array_equal(own, plain + 5)
    assert json.loads((here / "own-coding.json").read_text())["mask_values"]["5"] == "background"
    assert predict("--coding", "segkit", "--skip-existing", out="own") == 2
    assert "own-coding.json" in capsys.readouterr().err


def test_the_current_folder_may_be_the_one_for_masks(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "out").mkdir()
    monkeypatch.chdir(here / "out")
    assert main(["predict", "../run", "../images", "--out", ".", "--overlay"]) == 0
    assert (here / "out-summary.csv").is_file()
    assert (here / "out-overlays" / "a.png").is_file()


def test_shards_together_are_the_whole_and_a_rerun_with_another_format_completes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict("--format", "coco", out="whole/masks") == 0
    for number in (3, 1, 2):
        (here / "shards" / "masks-summary.csv").unlink(
            missing_ok=True
        )  # as if the one before was killed
        assert predict("--format", "coco", "--shard", f"{number}/3", out="shards/masks") == 0
    assert visible(here / "whole") == visible(here / "shards")
    capsys.readouterr()
    assert predict("--format", "coco", "--skip-existing", out="whole/masks") == 0
    assert counted(capsys.readouterr().out, "whole/masks") == [0, 3, 0]
    assert visible(here / "whole") == visible(here / "shards")
    assert predict("--format", "geojson", "--skip-existing", out="whole/masks") == 0
    assert counted(capsys.readouterr().out, "whole/masks") == [3, 0, 0]


@pytest.mark.parametrize("shard", ["0/8", "9/8", "two"])
def test_a_wrong_shard_is_refused_before_the_model_is_opened(
    shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segkit.inference.load.open_run", None)
    command = ["predict", "run", "images", "--out", "masks", "--shard", shard]
    assert_fails(command, ConfigError, "wrong-value", "1/N", "N/N", repr(shard), setting="--shard")


def test_images_of_one_name_are_named_and_the_others_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_picture(here / "images" / "a.bmp", picture(0, 4, 4))
    (here / "images" / "sub" / "d.png").write_text("broken")
    assert predict() == 1
    printed = capsys.readouterr()
    assert counted(printed.out, "masks") == [1, 3]
    failed = dict(re.findall(r"^failed: (images/\S+): (.*)$", printed.err, re.MULTILINE))
    assert set(failed) == {"images/a.bmp", "images/a.png", "images/sub/d.png"}
    assert holds(failed["images/a.bmp"], "images/a.png")
    assert holds(failed["images/a.png"], "images/a.bmp")
    assert (
        "images/" not in failed["images/sub/d.png"]
    )  # the file is broken by itself, and no other one is named
    assert sorted(visible(here / "masks")) == ["f.png"]


def test_where_no_masks_can_be_written_nothing_is_predicted(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "masks").write_text("a file of that name")
    before = visible(here)
    assert predict() == 2
    printed = capsys.readouterr()
    [stopped] = printed.err.splitlines()
    assert holds(stopped, "stopped: masks")
    assert holds(stopped, os.strerror(errno.EEXIST))
    assert counted(printed.out, "masks") == [0, 0]
    assert visible(here) == before


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_page_s_programs_and_config_read_what_predict_wrote(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict("--format", "geojson", "--format", "coco", "--format", "instances") == 0
    expected = {
        name: answer_of(TASK, picture(seed, *size))
        for seed, (name, size) in enumerate(SIZES.items())
    }
    capsys.readouterr()
    polygons, tables = blocks("py")
    exec(compile(polygons, "page", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == sum(
        len(answer.objects[1]) for answer in expected.values()
    )
    found: dict[str, object] = {}
    exec(compile(tables, "page", "exec"), found)
    assert found["shares"] == {
        name: round(float((a.mask == 1).mean()), 6) for name, a in expected.items()
    }
    (here / "config.yaml").write_text(blocks("yaml")[0])
    config = read(here / "config.yaml")
    source = open_source(config.data, config.task)
    for name, answer in expected.items():
        np.testing.assert_array_equal(source.read(name).mask, answer.mask)


def test_the_settings_of_the_page_read_the_files_of_labelling_tools(here: Path) -> None:
    cells = re.findall(r"^\| `(\w+)` \|.*\| `(\{source: .*\})` \|$", PAGE.read_text("utf-8"), re.M)
    assert len(cells) == 5
    flags: list[str] = []
    for name, _ in cells:
        flags += ["--format", name]
    assert predict(*flags) == 0
    for name, settings in cells:
        data = DataConfig.model_validate(yaml.safe_load(settings))
        assert data.source == name
        source = open_source(data, TASK)
        for seed, (image, size) in enumerate(SIZES.items()):
            expected = answer_of(TASK, picture(seed, *size)).mask
            np.testing.assert_array_equal(source.read(image).mask, expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_trap_46_a_pipe_and_odd_names_fail_alone_and_the_tables_are_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(here / "images" / "pipe.png")
    os.mkfifo(here / "images" / "pipe.tif")
    (here / "images" / "gone.png").symlink_to("nowhere")
    for name in (b"\xff.png", b"two\nlines.png", b"\x1b]0;title\x07.png"):
        shutil.copy(
            here / "images" / "a.png", os.fsdecode(os.fsencode(here / "images") + b"/" + name)
        )
    assert predict("--format", "coco", "--format", "instances") == 1
    assert sorted(visible(here / "masks")) == ["a.png", "f.png", "sub/d.png"]
    told = capsys.readouterr()
    failed = [line for line in told.err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == len(told.err.splitlines()) == 6
    for name in (
        "pipe.png",
        "pipe.tif",
        "gone.png",
        r"\udcff.png",
        r"two\nlines.png",
        r"\x1b]0;title\x07.png",
    ):
        assert [line for line in failed if f"{name}: " in line] != [], name
    assert not has_controls(told.err.replace("\n", ""))
    rows = (here / "masks-summary.csv").read_text(encoding="utf-8").splitlines()
    assert [row.partition(",")[0] for row in rows] == ["image", "a", "f", "sub/d"]


def test_trap_48_a_class_of_a_strange_run_leads_nowhere(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.multilabel(["road/path", "../../images"])
    config = config_of(task)
    (here / "run" / "config.yaml").write_text(config.as_yaml())
    opened = LoadedRun(lambda batch: network(batch, task), config, "a stand-in")
    monkeypatch.setattr("segkit.inference.load.open_run", lambda path, runtime, work: opened)
    before = {path: path.read_bytes() for path in here.rglob("*.png")}
    assert predict(out="results/of/masks") == 2
    assert "../../images" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in here.rglob("*.png")} == before
    assert not (here / "results").exists()


def test_images_whose_masks_are_tiffs_on_a_map_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = [
        (33550, 12, 3, (2.0, 2.0, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 500.0, 600.0, 0.0), True),
    ]
    tifffile.imwrite(
        here / "images" / "m.tif",
        np.zeros((8, 9, 3), np.uint8),
        photometric="rgb",
        extratags=pixels,
    )
    assert predict() == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if holds(line, "m.tif")]
    assert len(lines) == 1
    assert not holds(lines[0], "a.png")
    assert (here / "masks" / "m.tif").is_file()
    assert (here / "masks" / "a.png").is_file()
