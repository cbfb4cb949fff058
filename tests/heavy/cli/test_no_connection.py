"""No command opens a connection that nobody asked for, or leaves anything in the home folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.helpers.faults import faults, run
from tests.helpers.tiny_runs import tiny_config

__all__ = ["faults"]

# Runs every command of argv[1] (JSON), and prints their exit statuses.
COMMANDS = """
import json, sys
from segkit.cli import main
print(json.dumps([main(arguments) for arguments in json.loads(sys.argv[1])]))
"""
RUNTIMES = ("keras", "onnx", "litert", "openvino")


def visible(home: Path) -> list[str]:
    """Return the files of a home folder, without the settings of Keras and of matplotlib.

    Keras imports matplotlib if it is installed, and matplotlib caches a list of the fonts.
    """
    found = []
    for path in home.rglob("*"):
        if path.is_file() and not {".keras", "matplotlib"} & set(path.parts):
            found.append(str(path.relative_to(home)))
    return sorted(found)


@pytest.mark.one_backend
def test_the_recorder_sees_connections_and_look_ups(faults: Path, tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "for address in (('192.0.2.1', 9), ('127.0.0.1', 9)):\n"
        "    socket.socket().connect_ex(address)\n"
        "socket.socket(type=socket.SOCK_DGRAM).connect_ex(('192.0.2.1', 53))\n"
        "for name in ('example.org', 'localhost'):\n"
        "    try:\n"
        "        socket.getaddrinfo(name, 80)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    run([sys.executable, "-c", code], faults, tmp_path, network=tmp_path / "network")
    assert (tmp_path / "network").read_text().splitlines() == [
        "connect",
        "connect",
        "getaddrinfo example.org",
    ]


@pytest.mark.one_backend
def test_no_command_opens_a_connection(
    faults: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # OpenVINO reports nothing where one is set
        monkeypatch.delenv(name, raising=False)
    config = str(tiny_config(tmp_path, "binary", epochs=1))
    commands = [
        ["inspect", config],
        ["train", config, "--run", "run"],
        ["convert", config, "--out", "data"],
    ]
    commands += [["export", "run", "--format", name] for name in RUNTIMES[1:]]
    commands += [["report", "run"], ["tune", "run"]]
    commands += [
        ["predict", "run", "data/images", "--out", f"masks-{name}", "--runtime", name]
        for name in RUNTIMES
    ]
    done = run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        faults,
        tmp_path,
        network=tmp_path / "network",
    )
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [0] * len(commands), done.stderr
    assert not (tmp_path / "network").exists(), (tmp_path / "network").read_text()
    assert visible(home) == []
