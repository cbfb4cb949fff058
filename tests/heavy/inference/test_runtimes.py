"""Every runtime predicts as Keras does, for any size, batch, window and task."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import segkit
from segkit import DataError, RunError, catalog
from segkit.cli import main
from segkit.config import DecodeConfig
from segkit.inference.decoding import decode
from segkit.inference.load import open_run
from segkit.inference.tiles import Predict, predict_tiled
from segkit.io.images import write_picture
from segkit.run import Run, tuned
from segkit.run.exports import Exported, update_exports
from segkit.run.tuned import Tuned
from tests.helpers.errors import fails, holds
from tests.helpers.exported_runs import FORMATS, exported

__all__ = ["exported"]
ROOT = Path(__file__).parents[3]
CLOSE = 2e-5
"""Of a probability; differences of 4e-6 were seen."""
SHAPES = ((1, 40, 36), (3, 33, 57), (2, 1, 1), (1, 4, 130), (1, 40, 36), (4, 17, 8))
"""Batch, height, width; the stride is 4."""


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3)).astype(np.uint8)


def opened(run: Run, runtime: str) -> Predict:
    return open_run(run.path, runtime).predict


def assert_same_masks(task: segkit.Task, found: np.ndarray, wanted: np.ndarray) -> None:
    """Check that masks are equal where the decision is no tie."""
    masks = task.decode(found), task.decode(wanted)
    if task.exclusive:
        best = np.sort(wanted, axis=-1)
        clear = best[..., -1] - best[..., -2] > 2 * CLOSE
    else:
        clear = np.abs(wanted - np.asarray(task.thresholds)) > CLOSE
        clear = clear[..., 0] if task.kind == "binary" else clear
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(masks[0][clear], masks[1][clear])


@pytest.mark.parametrize("runtime", FORMATS)
def test_probabilities_and_masks_are_those_of_keras_at_every_size_and_batch(
    exported: Run, runtime: str
) -> None:
    keras, predict, task = (
        opened(exported, "keras"),
        opened(exported, runtime),
        exported.config().task,
    )
    for shape in SHAPES:
        images = noise(*shape)
        found, wanted = predict(images), keras(images)
        assert found.dtype == np.float32
        assert found.shape == (*shape, task.channels)
        np.testing.assert_allclose(found, wanted, atol=CLOSE, rtol=0)
        assert_same_masks(task, found, wanted)


@pytest.mark.parametrize("runtime", catalog.RUNTIMES)
def test_probabilities_do_not_change_when_the_next_image_is_predicted(
    exported: Run, runtime: str
) -> None:
    predict = opened(exported, runtime)
    first = predict(noise(1, 20, 20))
    before = first.copy()
    predict(noise(1, 20, 20) // 2)
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("runtime", FORMATS)
def test_windows_of_a_large_image_blend_as_in_keras(exported: Run, runtime: str) -> None:
    image = noise(150, 170)
    predictions = [
        predict_tiled(image, opened(exported, name), 64, 0.25, 3, align=4)
        for name in (runtime, "keras")
    ]
    np.testing.assert_allclose(*predictions, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("runtime", FORMATS)
@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((1, 8, 8, 1), np.uint8)],
)
def test_images_of_another_kind_are_refused(
    exported: Run, runtime: str, images: np.ndarray
) -> None:
    with fails(DataError, "channels", "uint8", images.dtype, images.shape):
        opened(exported, runtime)(images)


@pytest.mark.parametrize("runtime", FORMATS)
def test_a_copied_export_predicts_and_scores_alone(
    exported: Run, runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """predict, evaluate and Predictor take the folder of an export instead of a run folder."""
    alone = shutil.copytree(exported.path / "exports" / f"{runtime}-float32", tmp_path / "alone")
    for i, size in enumerate([(40, 36), (33, 57), (90, 30)]):
        write_picture(tmp_path / "images" / f"{i}.png", noise(*size))
    assert (
        main(["predict", str(alone), str(tmp_path / "images"), "--out", str(tmp_path / "masks")])
        == 0
    )
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("runtime: ")]
    assert holds(line, f"{runtime} float32")
    scored = [
        "--images",
        str(tmp_path / "images"),
        "--masks",
        str(tmp_path / "masks"),
        "--out",
        str(tmp_path / "s.json"),
    ]
    assert main(["evaluate", str(exported.path), "--runtime", "keras", *scored]) == 0
    scores = json.loads((tmp_path / "s.json").read_text())["mean"]
    assert scores["iou_with_background"] > 0.999
    predictor = segkit.Predictor.load(alone)
    assert predictor.task == exported.config().task
    assert predictor(noise(9, 9)).shape[:2] == (9, 9)


@pytest.mark.parametrize("runtime", FORMATS)
def test_tuned_settings_apply_in_every_runtime_and_threads_take_turns(
    exported: Run, runtime: str, tmp_path: Path
) -> None:
    """Thresholds and a temperature that were found after the export."""
    run = Run(shutil.copytree(exported.path, tmp_path / "run"))
    untuned, task = run.config(), exported.config().task
    found = DecodeConfig(temperature=2.0, smallest=4)
    thresholds = None if task.exclusive else (0.3,) * task.channels
    tuned.write(
        run.tuned,
        Tuned(
            made="",
            part="validation",
            images=1,
            goal="dice",
            thresholds=thresholds,
            decode=found,
            before={},
            after={},
        ),
    )
    update_exports(run.path, run.model, run.config())
    images = [noise(40 + i, 36) for i in range(6)]
    keras = segkit.Predictor.load(exported.path, runtime="keras")
    predictor = segkit.Predictor.load(run.path / "exports" / f"{runtime}-float32")
    with ThreadPoolExecutor(6) as pool:
        masks = list(pool.map(predictor, images))
    wanted = [decode(run.config(), keras.probabilities(image)) for image in images]
    assert (
        np.mean([(mask == want).mean() for mask, want in zip(masks, wanted, strict=True)]) > 0.999
    )
    assert any(
        (want != decode(untuned, keras.probabilities(image))).any()
        for want, image in zip(wanted, images, strict=True)
    )


def test_export_json_records_the_check(exported: Run) -> None:
    for form in FORMATS:
        record = Exported.read(exported.path / "exports" / f"{form}-float32").record
        assert record.config == exported.config()
        checked = record.checked
        assert checked is not None
        assert checked.images > 0
        assert checked.largest_difference < CLOSE
        assert checked.decided_alike > 0.999
        assert checked.dice_export == pytest.approx(checked.dice_keras, abs=1e-3)
        assert checked.seconds_keras > 0
        assert checked.seconds_export > 0
        assert checked.p95_keras is not None
        assert checked.p95_keras >= checked.seconds_keras
        assert checked.p95_export is not None
        assert checked.p95_export >= checked.seconds_export
        assert checked.timed_shape == (1, 37, 45, 3)
        assert checked.threads is not None
        assert not list((exported.path / "exports").glob(".*"))


def test_an_onnx_file_names_the_classes_and_thresholds(exported: Run) -> None:
    import onnxruntime

    task = exported.config().task
    model = exported.path / "exports" / "onnx-float32" / "model.onnx"
    found = onnxruntime.InferenceSession(str(model)).get_modelmeta().custom_metadata_map
    assert json.loads(found["segkit_classes"]) == list(task.classes)
    thresholds = json.loads(found["segkit_thresholds"])
    assert (thresholds and tuple(thresholds)) == task.thresholds
    assert json.loads(found["segkit_task"]) == task.kind


def damage(model: Path) -> None:
    """Change bytes in the middle of a file."""
    content = bytearray(model.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    model.write_bytes(content)


@pytest.mark.one_backend
@pytest.mark.parametrize("runtime", FORMATS)
def test_a_damaged_export_is_an_error_and_auto_takes_another(
    exported: Run, runtime: str, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(exported.path, tmp_path / "run"))
    export = Exported.read(run.path / "exports" / f"{runtime}-float32")
    damage(export.model)
    for folder, asked in ((run.path, runtime), (export.path, "auto")):
        with fails(RunError, "damaged-file", export.model):
            open_run(folder, asked)
    found = open_run(run.path)
    assert not found.description.startswith(f"runtime: {runtime} ")
    images = noise(1, 20, 24)
    np.testing.assert_allclose(
        found.predict(images), opened(exported, "keras")(images), atol=CLOSE, rtol=0
    )
    taken = found.description.split()[1]
    if _ratio(export) < min(
        _ratio(Exported.read(path)) for path in run.path.glob(f"exports/{taken}*")
    ):
        assert str(export.model) in found.warnings[0]


def _ratio(export: Exported) -> float:
    assert export.record.checked is not None
    return export.record.checked.time_ratio


@pytest.mark.one_backend
@pytest.mark.parametrize("content", ["nothing", "half", "text"])
@pytest.mark.parametrize("runtime", FORMATS)
def test_an_older_export_without_checksums_that_is_damaged_is_an_error(
    exported: Run, runtime: str, content: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(exported.path / "exports" / f"{runtime}-float32", tmp_path / "export")
    record = Exported.read(folder).record.model_dump(
        mode="json", exclude={"files_sha256", "record_sha256"}
    )
    (folder / "export.json").write_text(json.dumps(record))
    open_run(folder)
    model = Exported.read(folder).model
    whole = model.read_bytes()
    model.write_bytes(
        {"nothing": b"", "half": whole[: len(whole) // 2], "text": b"no network\n" * 99}[content]
    )
    with fails(RunError, "damaged-file", model):
        open_run(folder)


@pytest.mark.one_backend
@pytest.mark.parametrize("content", ["nothing", "half", "text", "archive"])
def test_a_damaged_model_file_of_keras_is_an_error(
    exported: Run, content: str, tmp_path: Path
) -> None:
    run = Run(
        shutil.copytree(exported.path, tmp_path / "run", ignore=shutil.ignore_patterns("exports"))
    )
    whole = run.model.read_bytes()
    if content == "archive":
        with zipfile.ZipFile(run.model, "w") as archive:
            archive.writestr("config.json", "{}")
    else:
        run.model.write_bytes(
            {"nothing": b"", "half": whole[: len(whole) // 2], "text": b"no network\n" * 99}[
                content
            ]
        )
    with fails(RunError, "damaged-file", run.model):
        open_run(run.path)
    write_picture(tmp_path / "a.png", noise(20, 30))
    assert (
        main(["predict", str(run.path), str(tmp_path / "a.png"), "--out", str(tmp_path / "masks")])
        == 2
    )
    assert not (tmp_path / "masks").exists()


SCRIPT = """
import sys
from segkit.cli import main
status = main(["predict", *sys.argv[1:]])
packages = ["keras", "tensorflow", "albumentations", "scipy"]
packages += ["ai_edge_litert", "onnxruntime", "openvino"]
slow = [name for name in packages if name in sys.modules]
print(status, *slow)
"""


@pytest.mark.parametrize(
    ("runtime", "package"),
    [("onnx", "onnxruntime"), ("litert", "ai_edge_litert"), ("openvino", "openvino")],
)
def test_small_runtimes_import_neither_keras_nor_tensorflow(
    exported: Run, runtime: str, package: str, tmp_path: Path
) -> None:
    write_picture(tmp_path / "a.png", noise(20, 30))
    given = [
        str(exported.path),
        str(tmp_path / "a.png"),
        "--out",
        str(tmp_path / "masks"),
        "--runtime",
        runtime,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *given],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [f"0 {package}"], done.stdout + done.stderr
    assert done.stderr == ""


MEMORY = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from segkit.inference.load import open_run
from segkit.system import memory
predict = open_run(Path(sys.argv[1]), "onnx").predict
images = np.zeros((4, 512, 512, 3), np.uint8)
before = memory.peak()
predict(images)
first = memory.peak()
for _ in range(3):
    predict(images)
print(first - before, memory.peak() - first)
"""


@pytest.mark.skipif("onnx" not in FORMATS, reason="ONNX Runtime is not installed")
def test_a_second_batch_takes_no_more_memory_than_the_first(exported: Run) -> None:
    """The memory budget of a large image is measured with one call."""
    command = [sys.executable, "-c", MEMORY, str(exported.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, more = map(int, done.stdout.splitlines()[-1].split())
    assert first > 50 * 10**6
    assert more < first / 10
