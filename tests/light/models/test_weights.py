"""Files of pretrained weights: found, downloaded, or refused within seconds."""

from __future__ import annotations

import hashlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from segkit import ConfigError, catalog
from segkit.config import Config, ModelConfig, networks
from segkit.models import weights
from tests.helpers.errors import fails, holds

BYTES = b"weights"
FILE = networks.NETWORKS["resnet50"].file
NAME = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGENET = ModelConfig(encoder="resnet50", weights="imagenet")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Keras folder of one's own, and a digest that the tests' file has."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    known = networks.NETWORKS["resnet50"]._replace(digest=hashlib.md5(BYTES).hexdigest())
    monkeypatch.setitem(networks.NETWORKS, "resnet50", known)
    monkeypatch.setattr(networks, "ADDRESS", (tmp_path / "server").as_uri() + "/")
    return tmp_path


def serve(folder: Path, content: bytes) -> None:
    (folder / "server" / FILE).parent.mkdir(parents=True)
    (folder / "server" / FILE).write_bytes(content)


def test_no_weights_need_no_file() -> None:
    assert weights.find_weights(ModelConfig()) is None
    assert weights.find_weights(ModelConfig(encoder="resnet50")) is None


def test_a_file_of_one_s_own_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.weights.h5"
    file.touch()
    assert weights.find_weights(ModelConfig(encoder="vgg16", weights=str(file))) == file


def test_a_missing_file_is_named() -> None:
    with fails(
        ConfigError,
        "missing-file",
        "nowhere.h5",
        "keras.applications.VGG16",
        setting="model.weights",
    ):
        weights.find_weights(ModelConfig(encoder="vgg16", weights="nowhere.h5"))


def test_what_is_in_keras_folder_is_not_fetched(home: Path) -> None:
    placed = home / "keras" / "models" / NAME
    placed.parent.mkdir(parents=True)
    placed.write_bytes(BYTES)
    assert weights.find_weights(IMAGENET, pytest.fail) == placed


def test_a_file_that_was_cut_short_is_named(home: Path) -> None:
    placed = home / "keras" / "models" / NAME
    placed.parent.mkdir(parents=True)
    placed.write_bytes(BYTES[:3])
    with fails(ConfigError, "damaged-file", placed, f"md5 {hashlib.md5(BYTES[:3]).hexdigest()}"):
        weights.find_weights(IMAGENET)


def test_imagenet_is_fetched_once(home: Path) -> None:
    serve(home, BYTES)
    messages: list[str] = []
    found = weights.find_weights(IMAGENET, messages.append)
    assert found == home / "keras" / "models" / NAME
    assert found.read_bytes() == BYTES
    assert len(messages) == 1
    assert holds(messages[0], networks.ADDRESS + FILE)
    assert weights.find_weights(IMAGENET, pytest.fail) == found


def test_nothing_is_left_of_a_file_that_arrived_broken(home: Path) -> None:
    serve(home, b"something else")
    with fails(ConfigError, "damaged-file", NAME):
        weights.find_weights(IMAGENET)
    assert list((home / "keras" / "models").iterdir()) == []


def test_a_connection_that_ends_early_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mobilenet = ModelConfig(
        encoder="mobilenetv2", weights="imagenet"
    )  # Keras knows no digest of its file

    def answer(server: socket.socket) -> None:
        connection = server.accept()[0]
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + BYTES)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(networks, "ADDRESS", f"http://127.0.0.1:{server.getsockname()[1]}/")
        threading.Thread(target=answer, args=[server], daemon=True).start()
        with fails(ConfigError, "not-fetched", 7, "1,000", setting="model.weights"):
            weights.find_weights(mobilenet)
    assert list((home / "keras" / "models").iterdir()) == []


def test_without_a_network_the_file_and_its_place_are_named(home: Path) -> None:
    values = (
        "resnet50",
        networks.ADDRESS + FILE,
        home / "keras" / "models" / NAME,
        "model.weights: PATH",
    )
    with fails(ConfigError, "not-fetched", *values, setting="model.weights"):
        weights.find_weights(IMAGENET)


def test_a_silent_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(networks, "ADDRESS", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with fails(ConfigError, "not-fetched", FILE, setting="model.weights"):
            weights.find_weights(IMAGENET)


def test_a_name_that_is_looked_up_for_ever_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = threading.Event()
    monkeypatch.setattr(weights, "SECONDS", 0.1)
    monkeypatch.setattr(weights, "urlopen", lambda *_, **__: held.wait(30))
    with fails(ConfigError, "not-fetched", "0.1 s", setting="model.weights"):
        weights.find_weights(IMAGENET)
    held.set()


@pytest.mark.parametrize(
    ("settings", "code", "setting", "values"),
    [
        ({"weights": "imagenet"}, "not-for-network", "weights", ("'plain'",)),
        (
            {"encoder": "vgg16", "weights": "a.pt"},
            "wrong-value",
            "weights",
            (".weights.h5", ".h5", "'a.pt'"),
        ),
        ({"encoder": "vgg16", "stem": 2}, "not-for-network", "stem", ("vgg16", 1, 2)),
        (
            {"encoder": "keras_hub:a", "weights": "a.h5"},
            "wrong-value",
            "weights",
            ("none", "imagenet", "'a.h5'"),
        ),
        ({"encoder": "resnet51"}, "unknown-name", "encoder", ("'resnet51'", "'resnet50'")),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], code: str, setting: str, values: tuple[object, ...]
) -> None:
    with fails(ConfigError, code, *values, setting=f"model.{setting}"):
        ModelConfig.model_validate(settings)


def test_a_plain_encoder_has_a_block_or_more() -> None:
    with pytest.raises(ValidationError) as problem:
        ModelConfig.model_validate({"blocks": []})
    assert [error["loc"][0] for error in problem.value.errors()] == ["blocks"]


def test_an_encoder_of_one_s_own_may_read_the_setting() -> None:
    assert ModelConfig(encoder="mine.nets:own", weights="mine.pt").weights == "mine.pt"


def test_strides_are_known_without_keras() -> None:
    assert {ModelConfig(encoder=name).stride for name in networks.NETWORKS} == {32}
    assert set(networks.NETWORKS) <= set(catalog.ENCODERS)
    assert ModelConfig(encoder="residual", stem=2, depth=3).stride == 16
    task = {"kind": "binary", "classes": ["crack"]}
    tile = {"task": task, "predict": {"tile": 32}}
    assert (
        Config.model_validate({**tile, "model": {"encoder": "vgg16", "depth": 8}}).model.stride
        == 32
    )
    with fails(ConfigError, "not-for-network", 64, 32, setting="predict.tile"):
        Config.model_validate({**tile, "model": {"depth": 6}})
