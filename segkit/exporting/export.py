"""`segkit.export`: writes a run's model for another runtime, and checks it.

The export is converted in a temporary folder. Both models predict the same images, and the export
is accepted or refused. An accepted one is moved into the run's exports.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import segkit
from segkit import catalog
from segkit.config import RunConfig
from segkit.data.parts import open_parts
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, RunError
from segkit.exporting.formats import check_precision
from segkit.exporting.parity import Difference, measure_difference, measure_latency
from segkit.exporting.sensitivity import find_float32_layers
from segkit.inference.images import match_model_input
from segkit.inference.tiles import Predict
from segkit.io.atomic import write_text
from segkit.io.folders import whole_folder
from segkit.run import Run
from segkit.run.exports import Checked, Exported, ExportRecord, file_digests, record_text, sha256
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.system.threads import cores

Parts = dict[str, Subset]
Message = Callable[[str], None]
LARGEST_DIFFERENCE = 1e-3
"""Largest difference of a probability that a float32 export may have; rounding reaches 1e-5."""
CALIBRATION_WINDOWS = 32
"""Training images on which the ranges of activations are measured."""
WITHOUT_VALIDATION = 8
"""Training images to compare on if there is no validation part."""
FOR_ERRORS = 4
"""Validation images on which the errors of single layers are measured."""


class ExportRequest(NamedTuple):
    """What to write."""

    format: str
    precision: str
    max_drop: float
    """Largest allowed drop in foreground Dice on the validation part."""


def export(
    run: str | os.PathLike[str],
    format: str,
    *,
    precision: str = "float32",
    max_drop: float = 0.002,
    trust: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a run's model for another runtime, and compare its predictions with Keras.

    The export is the folder RUN/exports/FORMAT-PRECISION. It replaces an older one.

    Args:
        run: A run folder.
        format: "onnx", "litert", "openvino", or "savedmodel" for TensorFlow Serving.
        precision: "float32", "int8", or "bfloat16" (openvino).
        max_drop: Largest allowed drop in foreground Dice on the validation part.
        trust: Whether Python code that the run's data section names may be imported.
        progress: Receives what is measured.

    Raises:
        ConfigError: For a format or precision that is not available, or a missing package.
        DataError: If the run's data cannot be opened.
        RunError: If there is no finished run, or the export predicts too differently; no export is
            left behind in that case.
    """
    progress = progress or Progress()
    check_precision(format, precision)
    found = Run.open(Path(run))
    parts = open_parts(found.config(trust))
    load_keras()
    return export_run(found, ExportRequest(format, precision, max_drop), parts, progress.message)


def export_run(run: Run, request: ExportRequest, parts: Parts, message: Message) -> Exported:
    """Do what `export` does, with the parts of the run's data already opened.

    Args:
        run: A finished run.
        request: What to write.
        parts: "train" and "validation".
        message: Receives lines for the user.

    Raises:
        ConfigError: See `export`.
        RunError: See `export`.
    """
    from segkit.exporting.convert import check_packages, convert_model
    from segkit.inference.runtimes.keras import as_predict, load_model

    check_packages(request.format, request.precision)
    _check_validation_part(request, parts)
    model = load_model(run)
    record = _record(run, request)
    place = run.path / "exports" / f"{request.format}-{request.precision}"
    with whole_folder(place, replace=True) as folder:
        keras_predict = as_predict(model)
        written = Exported(folder, record)
        float32_layers = []
        if request.precision == "int8":
            float32_layers = _write_int8(model, request, written, parts, message)
        else:
            convert_model(model, record.config, record.format, folder)
        checked = _check(keras_predict, _open(written), record.config, parts)
        message(describe_check(checked))
        _refuse(request, checked)
        results = {
            "checked": checked,
            "float32_layers": float32_layers,
            "files_sha256": file_digests(folder),
        }
        write_text(folder / "export.json", record_text(record.model_copy(update=results)))
    return Exported.read(place)


def describe_check(checked: Checked) -> str:
    """Return the results of a check as lines for the user."""
    lines = [
        f"compared with Keras on {checked.images} images:",
        f"  largest difference of a probability  {checked.largest_difference:.2g}",
        f"  pixels with the same decision        {100 * checked.decided_alike:.3f} %",
    ]
    if checked.dice_keras is not None:
        dice = f"{checked.dice_export:.4f}  (Keras {checked.dice_keras:.4f})"
        lines.append(f"  foreground Dice                      {dice}")
    lines += _describe_times(checked)
    return "\n".join(lines)


def _describe_times(checked: Checked) -> list[str]:
    """Return the times of a check as lines for the user."""
    lines = []
    if checked.timed_shape is not None:
        batch, height, width, _ = checked.timed_shape
        size = f"{batch} image of {height} x {width} pixels, {checked.threads} threads"
        lines.append(f"  timed with                           {size}")
    median = f"{checked.seconds_export:.3f}  (Keras {checked.seconds_keras:.3f})"
    lines.append(f"  seconds, median                      {median}, ratio {checked.time_ratio:.2f}")
    if checked.p95_export is not None:
        p95 = f"{checked.p95_export:.3f}  (Keras {checked.p95_keras:.3f})"
        lines.append(f"  seconds, 95th percentile             {p95}")
    return lines


def calibration_windows(config: RunConfig, part: Subset) -> list[np.ndarray]:
    """Return the middle of up to 32 images of a part, evenly chosen.

    Args:
        config: The run's config.
        part: Training images.

    Returns:
        Windows (1, H, W, C) of the training's crop size, rounded up to whole strides. Images that
        are smaller are padded by reflection.
    """
    stride = config.model.stride
    height, width = (-(-side // stride) * stride for side in config.train.crop)
    names = list(part.names)
    step = max(1, len(names) // CALIBRATION_WINDOWS)
    windows = []
    for name in names[::step][:CALIBRATION_WINDOWS]:
        image = match_model_input(config, part.read(name).image, name)
        windows.append(middle(image, height, width)[None])
    return windows


def middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the middle of an image, padded by reflection where it is too small.

    Args:
        image: (H, W, C).
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        (height, width, C).
    """
    missing_rows = max(0, height - image.shape[0])
    missing_columns = max(0, width - image.shape[1])
    image = np.pad(image, [(0, missing_rows), (0, missing_columns), (0, 0)], mode="symmetric")
    top = (image.shape[0] - height) // 2
    left = (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _check_validation_part(request: ExportRequest, parts: Parts) -> None:
    if request.precision != "float32" and not len(parts["validation"]):
        raise ConfigError(
            f"{request.precision} is checked on the validation part, and this run has none "
            "(data.validation, data.on_all)",
            "too-few-samples",
            setting="--precision",
        )


def _record(run: Run, request: ExportRequest) -> ExportRecord:
    return ExportRecord(
        format=request.format,
        precision=request.precision,
        segkit=segkit.__version__,
        model_sha256=sha256(run.model),
        config=run.config(),
    )


def _write_int8(
    model: Any, request: ExportRequest, written: Exported, parts: Parts, message: Message
) -> list[str]:
    """Write the model in 8 bits, and return the layers that stay in float32."""
    from segkit.exporting.convert import quantizer
    from segkit.inference.runtimes.keras import as_predict

    config = written.record.config
    keras_predict = as_predict(model)
    validation = parts["validation"]
    first_images = Subset(validation.source, validation.names[:FOR_ERRORS])

    def dice_drop() -> float:
        return _dice_drop(measure_difference(keras_predict, _open(written), config, validation))

    def error() -> float:
        return measure_difference(keras_predict, _open(written), config, first_images).mean

    windows = calibration_windows(config, parts["train"])
    message(f"measuring the ranges of every layer on {len(windows)} training images")
    with quantizer(model, config, request.format, windows, written.path) as writer:
        return find_float32_layers(writer, dice_drop, error, request.max_drop, message)


def _dice_drop(found: Difference) -> float:
    """Return the drop from the first to the second Dice, 0 if the first one is not defined."""
    before, after = found.dice
    if before is None:
        return 0.0
    return before - (after or 0.0)


def _check(keras_predict: Predict, predict: Predict, config: RunConfig, parts: Parts) -> Checked:
    """Compare an export with Keras on the validation part, or on a few training images."""
    part = parts["validation"]
    has_validation = len(part) > 0
    if not has_validation:
        part = Subset(parts["train"].source, parts["train"].names[:WITHOUT_VALIDATION])
    found = measure_difference(keras_predict, predict, config, part)
    dice_keras, dice_export = found.dice
    if not has_validation:  # Dice on training images would be misleading
        dice_keras = None
        dice_export = None
    sample = part.read(part.names[0])
    tile = config.predict.tile
    image = match_model_input(config, sample.image, sample.name)[:tile, :tile]
    of_keras, of_export = measure_latency(keras_predict, predict, image[None])
    return Checked(
        images=found.images,
        largest_difference=found.largest,
        decided_alike=found.decided_alike,
        dice_keras=dice_keras,
        dice_export=dice_export,
        seconds_keras=of_keras.median,
        seconds_export=of_export.median,
        timed_shape=image[None].shape,
        threads=cores(),
        p95_keras=of_keras.p95,
        p95_export=of_export.p95,
    )


def _refuse(request: ExportRequest, checked: Checked) -> None:
    """Raise `RunError` if an export predicts too differently."""
    if request.precision != "float32" and checked.dice_keras is None:
        raise RunError(
            "refused: foreground Dice is not defined, because neither the masks of the validation "
            "part nor the predictions of Keras contain foreground. The loss of accuracy by "
            f"{request.precision} cannot be measured. Use --precision float32, or train longer "
            "first",
            "not-measurable",
        )
    if request.precision == "float32" and checked.largest_difference > LARGEST_DIFFERENCE:
        raise RunError(
            f"refused: a probability differs by {checked.largest_difference:.2g} from that of "
            f"Keras, more than {LARGEST_DIFFERENCE:g}. This network cannot be exported to "
            f"{request.format}; try another --format",
            "inexact-export",
        )
    drop = (checked.dice_keras or 0.0) - (checked.dice_export or 0.0)
    if drop > request.max_drop:
        raise RunError(
            f"refused: foreground Dice drops by {drop:.4f}, more than {request.max_drop:g}. Use "
            "another --precision, or allow more with --max-drop",
            "inexact-export",
        )


def _open(written: Exported) -> Predict:
    """Return the predict function of an export."""
    if written.record.format == "savedmodel":
        from segkit.exporting.convert import open_savedmodel

        return open_savedmodel(written)
    predict: Predict = catalog.load_part(catalog.RUNTIMES, written.record.format)(written)
    return predict
