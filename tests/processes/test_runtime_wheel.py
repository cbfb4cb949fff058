"""keras-segkit-runtime in an environment that holds only what its wheel requires."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit.exporting.export import ExportRequest, export_run
from tests.helpers.exported_runs import make_run, parts_of
from tests.helpers.light_environment import make_environment
from tests.helpers.tiny_runs import tiny_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(folder), ".", "./runtime"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    full, runtime = sorted(folder.glob("*.whl"), key=lambda path: len(path.name))
    assert full.name.startswith("keras_segkit-")
    assert runtime.name.startswith("keras_segkit_runtime-")
    return runtime


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    names = make_environment(folder, wheel, ["onnx"])
    assert not {"tensorflow", "keras", "albumentations", "tensorflow-datasets"} & set(names)
    return folder


def run_in(environment: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of the environment and of no other folder."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-S", *map(str, arguments)],
        env={**variables, "PYTHONPATH": str(environment)},
        cwd=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_both_distributions_have_the_same_version() -> None:
    versions = set()
    for path in ("pyproject.toml", "runtime/pyproject.toml"):
        project = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]
        versions.add(project["version"])
    assert len(versions) == 1


def test_it_predicts_the_masks_of_the_full_distribution(environment: Path, tmp_path: Path) -> None:
    from segkit import predict

    run = make_run(tmp_path / "run", "multiclass")
    export_run(run, ExportRequest("onnx", "float32", 0.002), parts_of(run), lambda line: None)
    images = tmp_path / "images"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (50, 41, 3), np.uint8)
    Image.fromarray(pixels).save(images / "a.png")
    export = run.path / "exports" / "onnx-float32"
    done = run_in(environment, "-m", "segkit", "predict", export, images, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    predict(run.path, images, out=tmp_path / "expected", runtime="onnx")
    found = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert found.any()
    assert np.array_equal(found, np.asarray(Image.open(tmp_path / "expected" / "a.png")))


def test_a_training_is_refused(environment: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    done = run_in(environment, "-m", "segkit", "train", config, "--run", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert "keras-segkit" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_needs_keras_is_refused(environment: Path) -> None:
    code = """
import segkit
try:
    segkit.unet
except segkit.ConfigError as problem:
    print(problem.code)
"""
    done = run_in(environment, "-c", code)
    assert done.stdout.split() == ["missing-package"], done.stderr
