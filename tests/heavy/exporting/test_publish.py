"""Packages of `segkit publish`, read by the programs for which they are, or as these read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import ConfigError, predict, publish, pull
from segkit.inference.decoding import decode
from segkit.inference.runtimes.onnx import open_onnx
from segkit.run import Run
from segkit.run.exports import Exported
from tests.helpers.errors import fails
from tests.helpers.exported_runs import UINT8, exported, make_run

__all__ = ["exported"]
RNG = np.random.default_rng(0)


def written(folder: Path) -> dict[str, bytes]:
    """Return the masks of a folder by their names in it."""
    masks = [path for path in folder.rglob("a*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in masks}


def set_thresholds(run: Run, *thresholds: float) -> None:
    """Write thresholds into the config of a run; one is for all classes."""
    settings = yaml.safe_load(run.config_file.read_text())
    classes = len(settings["task"]["classes"])
    settings["task"]["thresholds"] = list(thresholds) * (classes // len(thresholds))
    run.config_file.write_text(yaml.safe_dump(settings))


def test_the_standards_own_test_accepts_a_model_for_the_zoo(exported: Run, tmp_path: Path) -> None:
    core = pytest.importorskip("bioimageio.core")
    run = tmp_path / "run"
    shutil.copytree(exported.path, run)
    if exported.config().task.thresholds is not None:
        set_thresholds(Run(run), 0.05)  # untrained networks find nothing
    folder = publish(run, "bioimageio", tmp_path / "zoo", authors=["A. Author"], license="MIT")
    summary = core.test_description(folder / "rdf.yaml")
    assert summary.status == "passed", summary.format()


@pytest.mark.parametrize(
    ("given", "setting"),
    [({"license": "MIT"}, "--author"), ({"authors": ["A"]}, "--license")],
)
def test_the_zoo_needs_author_and_license(
    exported: Run, tmp_path: Path, given: dict[str, object], setting: str
) -> None:
    with fails(ConfigError, "missing-setting", setting=setting):
        publish(exported.path, "bioimageio", tmp_path / "zoo", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "zoo").exists()


def test_an_unknown_target_is_refused(exported: Run, tmp_path: Path) -> None:
    with fails(ConfigError, "unknown-name", setting="--to"):
        publish(exported.path, "depness", tmp_path / "out")


def test_deepness_gets_the_masks_of_segkit(exported: Run, tmp_path: Path) -> None:
    """The steps of the plugin's classes ModelBase and MapProcessorSegmentation."""
    import onnxruntime

    folder = publish(exported.path, "deepness", tmp_path / "qgis")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    found = session.get_modelmeta().custom_metadata_map
    batch, channels, height, width = session.get_inputs()[0].shape
    assert isinstance(batch, str)
    assert (channels, height, width) == (3, 64, 64)
    image = RNG.integers(0, 256, (height, width, channels), np.uint8)
    tiles = np.float32(image[None] * 1.0 / 255.0).transpose(0, 3, 1, 2)
    results = session.run(None, {session.get_inputs()[0].name: tiles})
    threshold = json.loads(found["seg_thresh"])
    config = exported.config()
    names = [list(each.values()) for each in json.loads(found["class_names"])]
    export = Exported.read(exported.path / "exports" / "onnx-float32")
    expected = decode(config, open_onnx(export)(image[None])[0])
    assert json.loads(found["model_type"]) == "Segmentor"
    if config.task.thresholds is None:
        [probabilities] = results
        assert names == [list(config.task.classes)]
        assert threshold == 0
        assert np.array_equal(probabilities[0].argmax(axis=0), expected)
        return
    assert names == [[name] for name in config.task.classes]
    layers = [result[0, 0] >= threshold for result in results]
    assert np.array_equal(np.stack(layers, axis=-1).squeeze(), expected != 0)


def test_deepness_gets_one_threshold_for_classes_with_different_ones(tmp_path: Path) -> None:
    import onnxruntime

    run = make_run(tmp_path / "run", "multilabel")
    expected_thresholds = (0.3, 0.5, 0.7)
    set_thresholds(run, *expected_thresholds)
    assert run.config().task.thresholds == expected_thresholds
    folder = publish(run.path, "deepness", tmp_path / "qgis")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    assert json.loads(session.get_modelmeta().custom_metadata_map["seg_thresh"]) == 0.5
    image = RNG.integers(0, 256, (1, 64, 64, 3), np.uint8)
    name = session.get_inputs()[0].name
    results = session.run(None, {name: np.float32(image / 255).transpose(0, 3, 1, 2)})
    export = Exported.read(run.path / "exports" / "onnx-float32")
    probabilities = open_onnx(export)(image)[0]
    for index, threshold in enumerate(expected_thresholds):
        shifted = probabilities[..., index] + 0.5 - threshold
        np.testing.assert_allclose(results[index][0, 0], shifted, atol=1e-4)


def test_deepness_refuses_a_network_for_16_bit_images(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "binary", {**UINT8, "dtype": "uint16", "high": 65535})
    with fails(ConfigError, "not-for-network", setting="--to"):
        publish(run.path, "deepness", tmp_path / "qgis")


def test_a_published_run_predicts_the_same_after_pull(exported: Run, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(RNG.integers(0, 256, (40, 52, 3), np.uint8)).save(images / "a.png")
    folder = publish(exported.path, "hub", tmp_path / "hub", license="MIT")
    pulled = pull(folder, tmp_path / "pulled")
    for source, name in ((exported, "before"), (pulled, "after")):
        predict(source.path, images, out=tmp_path / name, runtime="onnx")
    before = written(tmp_path / "before")
    assert before
    assert written(tmp_path / "after") == before
    header = (folder / "README.md").read_text().split("---")[1]
    assert yaml.safe_load(header)["license"] == "MIT"


def test_a_published_config_names_no_file_of_the_machine(tmp_path: Path) -> None:
    from segkit.config.data import DataConfig
    from segkit.exporting.publishing.hub import without_paths

    run = make_run(tmp_path / "run", "binary")
    settings = {"images": "/secret/images", "masks": "/secret/masks", "keep_together": [["a", "b"]]}
    data = DataConfig.model_validate(
        {**settings, "test": {"images": "/secret/test", "masks": "/secret/test-masks"}}
    )
    config = run.config().model_copy(update={"data": data})
    assert "secret" in config.as_yaml()
    assert "secret" not in without_paths(config).as_yaml()
