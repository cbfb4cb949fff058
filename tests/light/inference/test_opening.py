"""The choice of a runtime and its description, with exports that hold no network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import ConfigError, DataError, RunError, SegkitWarning, Task, catalog
from segkit.config import Config, DecodeConfig, PredictConfig
from segkit.exporting.formats import PRECISIONS, check_precision
from segkit.inference import export_choice
from segkit.inference.export_choice import PACKAGES, choose_export, is_installed
from segkit.inference.load import MEASURED_FROM, config_of, open_run, open_together
from segkit.inference.predictor import Predictor
from segkit.inference.runtimes.images import check_images
from segkit.inference.runtimes.onnx import open_onnx
from segkit.inference.workload import Workload, workload
from segkit.run import Run
from segkit.run.exports import FILES, Exported, record_text, update_exports
from segkit.system.packages import need
from tests.helpers.errors import fails, holds
from tests.helpers.exports_made import CONFIG, GIVEN, add_export, make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose runtimes all open to a function that does nothing."""
    monkeypatch.setattr(catalog, "load_part", lambda table, name: lambda source: len)
    monkeypatch.setattr(export_choice, "is_installed", lambda runtime: True)
    monkeypatch.setattr("segkit.system.keras_start.load_keras", lambda: "Keras 3 on tensorflow")
    return make_run(tmp_path / "run")


def description(run: Run, runtime: str = "auto") -> str:
    return open_run(run.path, runtime).description


def test_without_an_export_keras_predicts(run: Run) -> None:
    assert description(run).startswith("runtime: Keras 3 on tensorflow (")
    assert holds(description(run), "segkit export")


def test_auto_takes_the_export_that_was_fastest(run: Run) -> None:
    add_export(run, "onnx", ratio=0.9)
    add_export(run, "litert", "int8", ratio=0.3)
    add_export(run, "openvino", ratio=0.8)
    words = description(run)
    assert words.startswith("runtime: litert int8 (0.30 ")
    assert holds(words, "onnx float32 0.90")
    assert description(run, "onnx").startswith("runtime: onnx float32 (0.90 ")
    assert description(run, "keras").startswith("runtime: Keras 3 on tensorflow (")


def test_an_export_much_slower_than_keras_is_left_out_unless_asked_for(run: Run) -> None:
    add_export(run, "onnx", ratio=1.4)
    assert description(run).startswith("runtime: onnx float32")
    shutil.rmtree(run.path / "exports")
    add_export(run, "onnx", ratio=1.6)
    assert description(run).startswith("runtime: Keras 3 on tensorflow (")
    assert all(holds(description(run), value) for value in ("onnx float32", "1.60"))
    assert description(run, "onnx").startswith("runtime: onnx float32")


def test_exports_decode_as_their_run_does_when_it_is_tuned_later(run: Run) -> None:
    ours, damaged, older = (
        add_export(run, "onnx"),
        add_export(run, "litert"),
        add_export(run, "openvino"),
    )
    (damaged / "export.json").write_text("{}")
    record = Exported.read(older).record.model_copy(update={"model_sha256": "of the model before"})
    (older / "export.json").write_text(record_text(record))
    later = CONFIG.model_copy(update={"decode": DecodeConfig(temperature=2.0)})
    assert update_exports(run.path, run.model, later) == 1
    assert config_of(ours) == later
    assert Exported.read(ours).record.checked == Exported.read(older).record.checked
    assert config_of(older) == CONFIG


@pytest.mark.parametrize(
    "later",
    [
        CONFIG.model_copy(update={"decode": DecodeConfig(temperature=2.0)}),
        CONFIG.model_copy(update={"task": Task.binary("a", threshold=0.3)}),
    ],
)
def test_an_export_of_fewer_bits_needs_a_new_check_after_tuning(run: Run, later: Config) -> None:
    folder = add_export(run, "litert", "int8", ratio=0.3)
    add_export(run, "onnx", ratio=0.9)
    assert update_exports(run.path, run.model, CONFIG) == 2
    assert description(run).startswith("runtime: litert int8")  # nothing changed
    assert update_exports(run.path, run.model, later) == 2
    assert config_of(folder) == later
    assert description(run).startswith("runtime: onnx float32")
    assert holds(description(run), "litert int8 (")  # not used, with the reason
    checked = open_run(add_export(run, "openvino")).description.replace(
        "openvino float32", "litert int8"
    )
    assert open_run(folder).description != checked  # it also tells that nobody has checked it since
    with fails(
        RunError, "unchecked-export", "litert int8", f"segkit export {run.path} --format litert"
    ):
        description(run, "litert")


def test_an_export_of_another_model_is_not_used_or_refused(run: Run) -> None:
    add_export(run, "onnx")
    run.model.write_bytes(b"trained further")
    assert description(run).startswith("runtime: Keras 3 on tensorflow (")
    assert all(holds(description(run), value) for value in ("onnx float32", "model.keras"))
    with fails(
        RunError,
        "outdated-export",
        "onnx float32",
        "model.keras",
        f"segkit export {run.path} --format onnx",
    ):
        description(run, "onnx")


def test_a_runtime_that_is_not_installed_is_not_used_or_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_export(run, "openvino")
    monkeypatch.setattr(export_choice, "is_installed", lambda runtime: runtime != "openvino")
    assert 'pip install "keras-segkit[openvino]"' in description(run)
    with fails(RunError, "missing-package", 'pip install "keras-segkit[openvino]"'):
        description(run, "openvino")


def test_other_exports_predict_instead_of_a_damaged_one(run: Run) -> None:
    add_export(run, "onnx")
    (add_export(run, "litert") / "export.json").write_text("{")
    words = description(run)
    assert words.startswith("runtime: onnx float32")
    assert "litert-float32" in words


def test_auto_skips_exports_that_do_not_open_and_warns(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = add_export(run, "litert", ratio=0.3)
    record = Exported.read(first).record.model_copy(
        update={"files_sha256": {"model.tflite": "another"}}
    )
    (first / "export.json").write_text(record_text(record))
    second = add_export(run, "openvino", ratio=0.4)
    add_export(run, "onnx", ratio=0.9)

    def load(table: object, name: str) -> object:
        def opened(source: object) -> object:
            if name == "openvino":
                raise RunError(f"{second}: cannot be opened", "damaged-file")
            return len

        return opened

    monkeypatch.setattr(catalog, "load_part", load)
    together = open_together([run.path])
    assert together.description.startswith("runtime: onnx float32")
    assert len(together.warnings) == 2
    for folder, warning in zip((first, second), together.warnings, strict=True):
        assert str(folder) in warning
    for runtime, folder in (("litert", first), ("openvino", second)):
        with fails(RunError, "damaged-file", folder):
            open_run(run.path, runtime)
    with pytest.warns(SegkitWarning) as warned:
        Predictor.load(run.path)
    assert len(warned) == 2


def test_a_model_that_onnx_runtime_cannot_open_is_named(run: Run) -> None:
    pytest.importorskip("onnxruntime")
    folder = add_export(run, "onnx")
    with fails(RunError, "damaged-file", folder / "model.onnx"):
        open_onnx(Exported.read(folder))


def test_a_copied_export_predicts_without_its_run(run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(add_export(run, "onnx"), tmp_path / "elsewhere")
    shutil.rmtree(run.path)
    assert open_run(copy).description.startswith("runtime: onnx float32 (")
    assert open_run(copy).config == config_of(copy) == CONFIG
    with fails(RunError, "no-export", copy, "onnx", "--runtime keras"):
        open_run(copy, "keras")
    (copy / "model.onnx").unlink()
    with fails(RunError, "missing-file", copy, "model.onnx"):
        open_run(copy)


def test_errors_name_the_export_or_runtime_that_cannot_be_opened(run: Run) -> None:
    with fails(RunError, "no-export", f"segkit export {run.path} --format litert"):
        description(run, "litert")
    known = "auto, keras, litert, onnx, openvino"
    with fails(ConfigError, "unknown-name", known, "tensorrt", setting="--runtime"):
        description(run, "tensorrt")
    with fails(RunError, "not-predictable", "savedmodel"):
        open_run(add_export(run, "savedmodel"))
    assert description(run).startswith("runtime: Keras 3 on tensorflow (")


@pytest.mark.parametrize("damage", ['{"format": "onnx"}', "", "[]", '{"format": "tensorrt"}'])
def test_a_damaged_export_json_is_named(run: Run, damage: str) -> None:
    folder = add_export(run, "onnx")
    (folder / "export.json").write_text(damage)
    with fails(RunError, "damaged-file", folder / "export.json"):
        Exported.read(folder)


def test_unknown_precisions_are_refused_with_the_known_ones() -> None:
    for form, known in PRECISIONS.items():
        for precision in known:
            check_precision(form, precision)
    with fails(
        ConfigError, "unknown-name", "float32, int8", "bfloat16", "openvino", setting="--precision"
    ):
        check_precision("onnx", "bfloat16")
    known = "litert, onnx, openvino, savedmodel"
    with fails(ConfigError, "unknown-name", known, "tensorrt", setting="--format"):
        check_precision("tensorrt", "float32")


def test_a_missing_package_is_named_with_its_extra() -> None:
    with fails(
        ConfigError, "missing-package", "no_such_package", 'pip install "keras-segkit[onnx]"'
    ):
        need("no_such_package.part", "onnx")
    assert not is_installed("keras") or PACKAGES["keras"] == "keras"


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.uint8)],
)
def test_images_of_another_kind_than_trained_on_are_refused(images: np.ndarray) -> None:
    check_images(np.zeros((2, 5, 7, 3), np.uint8), GIVEN)
    with fails(
        DataError, "channels", "uint8", "(batch, height, width, 3)", images.dtype, images.shape
    ):
        check_images(images, GIVEN)


SECONDS = {"onnx": 0.004, "litert": 0.001, "openvino": 0.02}


@pytest.fixture
def timed(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with three exports, which take other times here than on the machine that made them."""

    def slow(runtime: str) -> Callable[[Exported], Callable[[np.ndarray], None]]:
        return lambda exported: lambda images: time.sleep(SECONDS[runtime])

    monkeypatch.setattr(catalog, "load_part", lambda table, name: slow(name))
    add_export(run, "onnx", ratio=0.9)
    add_export(run, "litert", ratio=0.8)
    add_export(run, "openvino", ratio=0.3)
    return run


def test_auto_measures_a_window_of_the_images_if_there_are_many_pixels(
    timed: Run,
) -> None:
    much = Workload(64, 48, MEASURED_FROM)
    assert open_run(timed.path, work=much).description.startswith("runtime: litert float32 (")
    assert all(
        holds(open_run(timed.path, work=much).description, each)
        for each in ("64 x 48", "onnx float32")
    )
    assert open_run(
        timed.path, work=much._replace(pixels=MEASURED_FROM - 1)
    ).description.startswith("runtime: openvino")
    assert open_run(timed.path).description.startswith("runtime: openvino")
    assert open_run(timed.path, "onnx", much).description.startswith("runtime: onnx")


def test_auto_measures_only_exports_that_are_not_damaged(timed: Run) -> None:
    much = Workload(64, 48, MEASURED_FROM)
    for form in ("litert", "onnx", "openvino"):
        record = timed.path / "exports" / f"{form}-float32" / "export.json"
        other = Exported.read(record.parent).record.model_copy(
            update={"files_sha256": {FILES[form]: "another"}}
        )
        record.write_text(record_text(other))
        found = open_run(timed.path, work=much)
        assert str(record.parent) in " ".join(found.warnings)
        assert not found.description.startswith(f"runtime: {form} ")
    assert found.description.startswith("runtime: Keras 3 on tensorflow (")
    assert len(found.warnings) == 3


def test_the_work_is_the_pixels_of_all_images_in_windows_of_at_most_a_tile(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"predict": PredictConfig(tile=256)})
    Image.new("RGB", (300, 200)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((100, 120, 3), np.uint8))
    (tmp_path / "c.jpg").write_text("no image")
    assert workload(config, [tmp_path / "a.png"]) == Workload(200, 256, 60_000)
    assert workload(config, [tmp_path / "b.tif"]) == Workload(100, 120, 12_000)
    both = [tmp_path / "a.png"] * 40 + [tmp_path / "b.tif"] * 40
    assert workload(config, both) == Workload(200, 256, 40 * 72_000)
    assert workload(config, [tmp_path / "c.jpg"]) is None
    assert workload(config, [tmp_path / "c.jpg", tmp_path / "a.png"]) == Workload(200, 256, 120_000)


def test_the_fastest_export_is_chosen_unless_all_are_slow(run: Run) -> None:
    ratios = {"onnx": 1.4, "litert": 1.6, "openvino": 1.5}
    exports = {
        form: Exported.read(add_export(run, form, ratio=ratio)) for form, ratio in ratios.items()
    }
    assert choose_export([]) is None
    assert choose_export([exports["litert"]]) is None
    assert choose_export([exports["litert"], exports["openvino"]]) is exports["openvino"]
    assert choose_export(list(exports.values())) is exports["onnx"]
