"""segkit export: int8 is accepted or refused by measured numbers; other refusals have a code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, RunError, catalog
from segkit.cli import main
from segkit.exporting import convert as conversion
from segkit.exporting.export import ExportRequest, calibration_windows, export_run
from segkit.exporting.parity import Difference, measure_difference
from segkit.inference.load import open_run
from segkit.inference.runtimes.keras import load_model
from segkit.inference.runtimes.openvino import has_bfloat16
from segkit.run import Run
from segkit.run.exports import Exported, ExportRecord
from tests.helpers.errors import fails, holds
from tests.helpers.exported_runs import make_run, parts_of

ANY_FALL = 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("export") / "run", "multiclass")


def images(run: Run) -> np.ndarray:
    part = parts_of(run)["validation"]
    return np.stack([part.read(name).image for name in part.names])


@pytest.fixture(scope="module", params=["batch", "instance"])
def normalized(
    request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Runs with either normalisation: what the default is, and what plans take."""
    if request.param == "batch":
        return run
    return make_run(
        tmp_path_factory.mktemp("instance") / "run", "multiclass", normalization=request.param
    )


@pytest.mark.parametrize("form", ["litert", "onnx", "openvino"])
def test_int8_within_its_limit_is_written_and_used(
    normalized: Run, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "export",
                str(normalized.path),
                "--format",
                form,
                "--precision",
                "int8",
                "--max-drop",
                str(ANY_FALL),
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    folder = normalized.path / "exports" / f"{form}-int8"
    checked = Exported.read(folder).record.checked
    assert checked is not None
    assert holds(shown, f"{100 * checked.decided_alike:.3f} %")
    assert holds(shown, f"{checked.dice_export:.4f}")
    assert holds(shown, f"{checked.dice_keras:.4f}")
    weights = {"openvino": "model.bin", "onnx": "model.onnx", "litert": "model.tflite"}[form]
    assert {path.name for path in folder.iterdir()} == {
        "export.json",
        Exported.read(folder).model.name,
        weights,
    }
    found, wanted = (
        open_run(path, name).predict(images(normalized))
        for path, name in ((folder, "auto"), (normalized.path, "keras"))
    )
    difference = np.abs(found - wanted)
    assert 1e-4 < difference.max() < 0.3  # 8 bits, and still the same network
    assert difference.mean() < 0.02


def test_int8_that_falls_too_far_is_refused_with_the_layers_that_hurt_and_nothing_is_left(
    run: Run,
) -> None:
    said: list[str] = []
    before = sorted((run.path / "exports").rglob("*"))
    with fails(RunError, "inexact-export", "int8", "--max-drop") as problem:
        export_run(run, ExportRequest("onnx", "int8", -ANY_FALL), parts_of(run), said.append)
    assert "convolution" in str(problem.value)
    assert "convolution" in "\n".join(said)
    assert holds(said[-1], "4 of 12")
    assert sorted((run.path / "exports").rglob("*")) == before


def test_int8_is_refused_if_its_loss_cannot_be_measured(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_foreground(*asked: object) -> Difference:
        return measure_difference(*asked)._replace(dice=(None, None))

    monkeypatch.setattr("segkit.exporting.export.measure_difference", without_foreground)
    before = sorted((run.path / "exports").rglob("*"))
    with fails(RunError, "not-measurable", "--precision float32"):
        export_run(run, ExportRequest("onnx", "int8", ANY_FALL), parts_of(run), lambda line: None)
    assert sorted((run.path / "exports").rglob("*")) == before


@pytest.mark.parametrize("form", ["litert", "onnx", "openvino"])
def test_layers_kept_in_float32_are_in_float32(run: Run, form: str, tmp_path: Path) -> None:
    """The more layers stay in float32, the nearer the predictions are to those of Keras."""
    from segkit.exporting.convert import quantizer

    config, parts, shown = run.config(), parts_of(run), images(run)
    wanted = open_run(run.path, "keras").predict(shown)
    written = Exported(
        tmp_path,
        ExportRecord(format=form, precision="int8", segkit="", model_sha256="", config=config),
    )
    opens = catalog.load_part(catalog.RUNTIMES, form)
    with quantizer(
        load_model(run), config, form, calibration_windows(config, parts["train"]), tmp_path
    ) as writer:
        off = []
        for keep in (
            (),
            writer.layers[1:],
            *([] if form == "litert" else [writer.layers]),
        ):  # its converter wants one
            writer.write(keep)
            off.append(float(np.abs(opens(written)(shown) - wanted).mean()))
    assert off[0] > 2 * off[1] > 0
    assert all(difference < 1e-6 for difference in off[2:])
    beside = {"model.bin"} if form == "openvino" else set()
    assert {path.name for path in tmp_path.iterdir()} == {written.model.name, *beside}


def test_windows_for_ranges_have_the_size_of_a_patch_and_come_from_training_images(
    run: Run,
) -> None:
    config, train = run.config(), parts_of(run)["train"]
    windows = calibration_windows(config, train)
    assert {window.shape for window in windows} == {(1, 32, 32, 3)}
    image = train.read(train.names[0]).image
    np.testing.assert_array_equal(windows[0][0], image[2:34, 6:38])
    large = config.model_copy(update={"train": config.train.model_copy(update={"crop": (50, 61)})})
    mirrored = calibration_windows(large, train)[0][0]
    assert mirrored.shape == (52, 64, 3)
    np.testing.assert_array_equal(mirrored[: image.shape[0], : image.shape[1]], image)


def test_bfloat16_is_checked_where_the_cpu_has_it_and_refused_elsewhere(run: Run) -> None:
    wanted = ExportRequest("openvino", "bfloat16", ANY_FALL)
    if has_bfloat16():
        checked = export_run(run, wanted, parts_of(run), lambda line: None).record.checked
        assert checked is not None
        assert checked.largest_difference < 0.1
    else:
        with fails(ConfigError, "missing-hardware", "bfloat16", setting="--precision"):
            export_run(run, wanted, parts_of(run), lambda line: None)


def test_a_savedmodel_predicts_the_same(run: Run) -> None:
    exported = export_run(
        run, ExportRequest("savedmodel", "float32", 0.002), parts_of(run), lambda line: None
    )
    assert exported.record.checked is not None
    assert exported.record.checked.largest_difference < 1e-5


@pytest.mark.parametrize("form", ["onnx", "openvino", "litert"])
def test_exports_of_16_bit_images_and_other_layers_predict_the_same(
    tmp_path: Path, form: str
) -> None:
    """16-bit images, residual encoder, a stem, group normalisation, upsampling without weights."""
    deep = {
        "channels": 2,
        "dtype": "uint16",
        "mean": [3000.5, 20],
        "std": [900, 7],
        "low": 0,
        "high": 4000,
    }
    settings = {
        "encoder": "residual",
        "stem": 2,
        "normalization": "instance" if form == "onnx" else "group",
    }
    settings["upsampling"] = "nearest" if form == "litert" else "bilinear"
    run = make_run(tmp_path / "run", "multilabel", deep, **settings)
    parts = parts_of(run)
    shown = np.random.default_rng(0).integers(0, 4000, (2, 31, 45, 2)).astype(np.uint16)

    class Deep:
        def __init__(self, part: object) -> None:
            self.part, self.names = part, part.names

        def read(self, name: str) -> object:
            sample = self.part.read(name)
            return sample._replace(image=sample.image[..., :2].astype(np.uint16) * 15)

        def __len__(self) -> int:
            return len(self.names)

    export_run(
        run,
        ExportRequest(form, "float32", 0.002),
        {name: Deep(part) for name, part in parts.items()},
        lambda line: None,
    )
    found, wanted = (open_run(run.path, name).predict(shown) for name in (form, "keras"))
    np.testing.assert_allclose(found, wanted, atol=2e-5, rtol=0)


def test_a_network_that_litert_cannot_resize_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its rewriting into layers that name no sizes."""
    run = make_run(tmp_path / "run", "binary", normalization="group")
    monkeypatch.setattr(conversion, "portable_copy", lambda model: model)
    with pytest.raises((RunError, ConfigError)) as problem:
        export_run(run, ExportRequest("litert", "float32", 0.002), parts_of(run), lambda line: None)
    assert problem.value.code in ("not-for-network", "inexact-export")
    assert holds(str(problem.value), "litert")
    assert not list((run.path / "exports").iterdir())


def test_int8_without_a_validation_part_is_refused(run: Run) -> None:
    parts = parts_of(run)
    empty = {**parts, "validation": type(parts["train"])(parts["train"].source, [])}
    with fails(ConfigError, "too-few-samples", "data.validation", setting="--precision"):
        export_run(run, ExportRequest("onnx", "int8", 0.002), empty, lambda line: None)
    unscored = export_run(run, ExportRequest("onnx", "float32", 0.002), empty, lambda line: None)
    assert unscored.record.checked is not None
    assert unscored.record.checked.dice_keras is None
