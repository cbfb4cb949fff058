"""Prepared data sets of strangers: no imports, no waiting, no memory for claimed sizes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from segkit import ConfigError, DataError
from segkit.config import DataConfig
from segkit.data.sources.tfds import open_tfds
from segkit.inspection.find_config import find_config
from segkit.system.progress import Progress
from tests.helpers.errors import fails
from tests.helpers.prepared_tfds import CRACK, PICTURES, drawn, opened, write

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    "lengths",
    [["4000000000000"], ["-5"], ["2000000"], ["3", "99999999999999999"], ["6000000"]],
    ids=" ".join,
)
def test_lengths_that_no_file_can_have_are_refused(tmp_path: Path, lengths: list[str]) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0), drawn(1)])
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = lengths
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with fails(DataError, "shard"):
        opened(folder)


def test_a_file_without_its_last_records_is_reported_at_the_first_of_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0), drawn(1)])
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["5"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    source = opened(folder)
    assert source.read(source.names[1]).mask.shape == (5, 8)
    with fails(DataError, "shard", 2):
        source.read(source.names[4])


def name_in_features(folder: Path, key: str, name: str) -> None:
    """Let features.json name a class of its own, in the present form or in an older one."""
    path = folder / "features.json"
    features = json.loads(path.read_text())
    inner = features["featuresDict"]["features"]["segmentation_mask"]
    if key == "type":
        inner = {"type": name, "content": {}}
        features["featuresDict"]["features"]["more"] = inner
    else:
        inner["pythonClassName"] = name
    path.write_text(json.dumps(features))


@pytest.mark.parametrize("key", ["pythonClassName", "type"])
def test_a_data_set_imports_no_python_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0)])
    text = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n"
    (tmp_path / "hostile_feature.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    name_in_features(folder, key, "hostile_feature.Mask")
    with fails(ConfigError, "untrusted", "hostile_feature.Mask"):
        opened(folder)
    with fails(ConfigError, "untrusted", "hostile_feature.Mask"):
        find_config(folder, None, (), (), Progress())
    assert not (tmp_path / "ran").exists()
    if key == "pythonClassName":
        with fails(DataError, "unreadable", folder):  # it is no class of features
            opened(folder, trust=True)
        assert (tmp_path / "ran").exists()


def test_a_data_set_of_a_community_is_not_fetched_without_trust(tmp_path: Path) -> None:
    data = DataConfig(source="tfds", name="somebody:roads", data_dir=tmp_path, download=True)
    with fails(ConfigError, "untrusted", "somebody:roads", setting="data.name"):
        open_tfds(data, CRACK)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_a_pipe_in_the_place_of_a_description_is_not_waited_for(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0)])
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DataError) as problem:
        opened(folder)
    assert problem.value.code in ("not-a-file", "empty")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{}", "[1]", "null", '{"featuresDict": 3}', "\x00", '{"type": 4}']
)
def test_damaged_descriptions_are_one_error(tmp_path: Path, content: str) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0)])
    for name in ("features.json", "dataset_info.json"):
        before = (folder / name).read_text()
        (folder / name).write_text(content)
        with pytest.raises((DataError, ConfigError)):
            opened(folder)
        (folder / name).write_text(before)


def test_a_data_set_imports_no_python_by_a_name_in_nested_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0)])
    path = folder / "features.json"
    features = json.loads(path.read_text())
    features["featuresDict"]["features"]["more"] = {
        "jsonFeature": {"json": json.dumps({"type": "hostile.Mask"})}
    }
    path.write_text(json.dumps(features))
    with fails(ConfigError, "untrusted", "hostile.Mask"):
        opened(folder)


def test_a_message_of_tfds_with_line_breaks_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0), drawn(1)])
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["noSuchField"] = 1
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with fails(DataError, "unreadable", folder, "noSuchField") as problem:
        opened(folder)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("template", ["{DATASET}-{SPLPT}", "{}", "{SPLIT[x]}", "{SPLIT.x}", "{"])
def test_a_template_of_names_that_cannot_be_filled_in_is_refused(
    tmp_path: Path, template: str
) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0), drawn(1)])
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["filepathTemplate"] = template
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with fails(DataError, "shard", folder, "filepathTemplate"):
        opened(folder)


def test_a_record_without_a_mask_is_an_error_of_the_record(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny", PICTURES, [drawn(0), drawn(1)])
    [path] = folder.glob("*.tfrecord*")
    path.write_bytes(path.read_bytes().replace(b"segmentation_mask", b"segmentation_mas_"))
    source = opened(folder)
    with fails(DataError, "unreadable", folder, source.names[0], "segmentation_mask"):
        source.read(source.names[0])
