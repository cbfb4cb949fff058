"""Python code that a file names is imported only if the user trusts it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segkit import ConfigError, Task
from segkit.cli import main
from segkit.cli.commands import make_parser
from segkit.config import Config, DataConfig, as_config, changed, read, read_made
from segkit.config.trust import names_imports
from segkit.data.parts import open_parts
from segkit.data.sources.source import open_source
from segkit.run import Run
from tests.helpers.errors import fails

OWN = [
    ("data.source", "data: {source: 'hostile_part:part'}"),
    ("model.encoder", "model: {encoder: 'hostile_part:part'}"),
    ("model.decoder", "model: {decoder: 'hostile_part:part'}"),
    ("loss", "loss: {'hostile_part:part': 1, dice: 1}"),
]
INPUT = "input: {channels: 3, dtype: uint8, mean: [0, 0, 0], std: [1, 1, 1], low: 0, high: 255}\n"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the import path, with a module that writes a file when it is imported."""
    text = (
        f"from pathlib import Path\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        f"def part(*given): raise ValueError('mine')\n"
    )
    (tmp_path / "hostile_part.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("hostile_part", None)
    return tmp_path


def write(folder: Path, section: str) -> Path:
    path = folder / "a.yaml"
    path.write_text("task: {kind: binary, classes: [crack]}\n" + INPUT + section + "\n")
    return path


@pytest.mark.parametrize(("setting", "section"), OWN)
def test_a_file_that_names_python_is_refused_unless_it_is_trusted(
    hostile: Path, setting: str, section: str
) -> None:
    path = write(hostile, section)
    for open_config in (read, as_config):
        with fails(ConfigError, "untrusted", path, setting=setting):
            open_config(path)
        trusted = open_config(path, trust=True)
        assert trusted.data.trust
        assert names_imports(trusted)
    assert names_imports(read_made(path))
    assert not (hostile / "ran").exists()


@pytest.mark.parametrize("command", ["train", "lr", "inspect", "plan", "convert", "compare"])
@pytest.mark.parametrize(("setting", "section"), OWN)
def test_commands_without_trust_import_no_code_that_a_file_names(
    hostile: Path, capsys: pytest.CaptureFixture[str], command: str, setting: str, section: str
) -> None:
    arguments = {
        "train": [],
        "lr": [],
        "inspect": [],
        "plan": ["--out", "plan.yaml"],
        "convert": ["--out", "out"],
        "compare": ["--minutes", "1", "--vary", "train.ema=0,0.9"],
    }
    assert main([command, str(write(hostile, section)), *arguments[command]]) == 2
    assert setting in capsys.readouterr().err
    assert not (hostile / "ran").exists()


def test_with_trust_code_is_imported(hostile: Path) -> None:
    path = write(hostile, OWN[0][1])
    with pytest.raises(ValueError, match="mine"):
        main(["inspect", str(path), "--trust"])
    assert (hostile / "ran").exists()


def test_data_of_an_untrusted_run_are_not_opened(hostile: Path) -> None:
    run = Run(hostile / "run")
    (hostile / "run").mkdir()
    write(hostile / "run", OWN[0][1]).rename(run.config_file)
    config = run.config()  # prediction needs no source
    with fails(ConfigError, "untrusted", setting="data.source"):
        open_parts(config)
    assert not (hostile / "ran").exists()
    with pytest.raises(ValueError, match="mine"):
        open_parts(run.config(trust=True))


@pytest.mark.parametrize(
    "command", ["train", "lr", "inspect", "plan", "convert", "compare", "tune", "report", "export"]
)
def test_each_command_that_opens_data_has_the_option(command: str) -> None:
    more = {
        "compare": ["--minutes", "1"],
        "plan": ["--out", "x"],
        "convert": ["--out", "x"],
        "export": ["--format", "onnx"],
    }
    options = make_parser(None).parse_args([command, "a", *more.get(command, [])])
    assert options.trust is False
    assert (
        make_parser(None).parse_args([command, "a", *more.get(command, []), "--trust"]).trust
        is True
    )


@pytest.mark.parametrize("words", ["data: {trust: true}", "data: {trust: false}"])
def test_a_file_cannot_declare_itself_trusted(hostile: Path, words: str) -> None:
    path = write(hostile, words)
    for trust in (False, True):
        with fails(ConfigError, "unknown-setting", path, setting="data.trust"):
            read(path, trust=trust)


def test_trust_is_not_saved_and_stays_when_other_settings_change(hostile: Path) -> None:
    config = read(write(hostile, "train: {epochs: 3}"), trust=True)
    assert changed(config, ["train.epochs=4"]).data.trust
    assert not changed(read(write(hostile, "")), ["train.epochs=4"]).data.trust
    assert "trust" not in config.as_yaml()


def test_in_python_an_own_source_is_trusted_by_a_setting(hostile: Path) -> None:
    with fails(ConfigError, "untrusted", setting="data.source"):
        open_source(DataConfig(source="hostile_part:part"), Task.binary())
    with pytest.raises(ValueError, match="mine"):
        open_source(DataConfig(source="hostile_part:part", trust=True), Task.binary())


def test_parts_of_segkit_need_no_trust(tmp_path: Path) -> None:
    for preset in (
        "resnet_18_imagenet",
        "./preset",
    ):  # for a preset Keras imports only its own code
        path = write(tmp_path, f"model: {{encoder: 'keras_hub:{preset}'}}\nloss: {{dice: 1}}")
        assert isinstance(read(path), Config)
        assert not names_imports(read(path))
