"""Exporting a run, as one story: convert, ask both models the same, accept or refuse, put it in its place."""

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
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError, RunError
from segkit.exporting.formats import check_precision
from segkit.exporting.parity import Difference, measure_difference, seconds
from segkit.exporting.sensitivity import find_float32_layers
from segkit.inference.images import match_model_input
from segkit.inference.tiles import Predict
from segkit.io.atomic import write_text
from segkit.io.folders import whole_folder
from segkit.run import Run
from segkit.run.exports import Checked, Exported, ExportRecord, file_digests, record_text, sha256
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress

Parts = dict[str, Subset]
Say = Callable[[str], None]
LARGEST_DIFFERENCE = 1e-3
"""Of a probability in float32; rounding was seen to reach 1e-5."""
CALIBRATION_WINDOWS = 32
WITHOUT_VALIDATION = 8
"""Training images to compare on where there is no validation part."""
FOR_ERRORS = 4
"""Validation images on which layers are compared with each other."""


class ExportRequest(NamedTuple):
    """What to write, and by how much foreground Dice on the validation part may be lower."""

    format: str
    precision: str
    max_drop: float


def export(
    run: str | os.PathLike[str],
    format: str,
    *,
    precision: str = "float32",
    max_drop: float = 0.002,
    trust: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a run's model for another runtime into RUN/exports/FORMAT-PRECISION, and check it beside Keras.

    Args:
        run: A run folder.
        format: "onnx", "litert", "openvino", or "savedmodel" for TensorFlow Serving.
        precision: "float32", "int8", or "bfloat16" (openvino).
        max_drop: For fewer bits, how much lower foreground Dice on the validation part may be.
        trust: Whether Python that the run's data section names may be imported.
        progress: Receives what is measured.

    Returns:
        The export. An older one of this format and precision is replaced.

    Raises:
        ConfigError: For a format or precision that is not offered, or a package that is not installed.
        DataError: If the run's data cannot be opened.
        RunError: If there is no finished run; or with the numbers, if the export predicts too differently; nothing is left
            behind then.
    """
    progress = progress or Progress()
    check_precision(format, precision)
    found = Run.open(Path(run))
    parts = open_parts(found.config(trust))
    load_keras()
    return export_run(found, ExportRequest(format, precision, max_drop), parts, progress.message)


def export_run(run: Run, wanted: ExportRequest, parts: Parts, say: Say) -> Exported:
    """Do what `export` does, with the parts of the run's data at hand. `say` receives what is measured."""
    from segkit.exporting.convert import check_packages
    from segkit.inference.runtimes.keras import as_predict, load_model

    check_packages(wanted.format, wanted.precision)
    if wanted.precision != "float32" and not len(parts["validation"]):
        raise ConfigError(
            f"{wanted.precision} is measured on the validation part, and this run has none (data.validation)",
            "too-few-samples",
            setting="--precision",
        )
    config, model = run.config(), load_model(run)
    record = ExportRecord(
        format=wanted.format,
        precision=wanted.precision,
        segkit=segkit.__version__,
        model_sha256=sha256(run.model),
        config=config,
    )
    place = run.path / "exports" / f"{wanted.format}-{wanted.precision}"
    with whole_folder(place, replace=True) as folder:
        keras, written = as_predict(model), Exported(folder, record)
        kept = _write(model, keras, written, parts, wanted.max_drop, say)
        checked = _check(keras, _open(written), config, parts)
        say(describe_check(checked))
        _refuse(wanted, checked)
        record = record.model_copy(
            update={
                "checked": checked,
                "float32_layers": kept,
                "files_sha256": file_digests(folder),
            }
        )
        write_text(folder / "export.json", record_text(record))
    return Exported.read(place)


def describe_check(checked: Checked) -> str:
    """Return what was found, in words."""
    dice = (
        ""
        if checked.dice_keras is None
        else f"; foreground Dice {checked.dice_export:.4f}, Keras {checked.dice_keras:.4f}"
    )
    return (
        f"{checked.images} images through both: largest difference of a probability {checked.largest_difference:.2g}, "
        f"{100 * checked.decided_alike:.3f} % of the pixels decided alike{dice}\n"
        f"one image in {checked.seconds_export:.3f} s, Keras {checked.seconds_keras:.3f} s: ratio {checked.time_ratio:.2f}"
    )


def calibration_windows(config: RunConfig, part: Subset) -> list[np.ndarray]:
    """Return (1, H, W, C) from the middle of up to 32 images, evenly chosen; all of the size of a training patch.

    Sides are whole multiples of the network's stride; smaller images are continued by their mirror image.
    """
    stride = config.model.stride
    height, width = (-(-side // stride) * stride for side in config.train.crop)
    names = list(part.names)
    chosen = names[:: max(1, len(names) // CALIBRATION_WINDOWS)][:CALIBRATION_WINDOWS]
    return [
        _window(match_model_input(config, part.read(name).image, name), height, width)[None]
        for name in chosen
    ]


def _window(image: np.ndarray, height: int, width: int) -> np.ndarray:
    missing = [
        max(0, wanted - found)
        for wanted, found in zip((height, width), image.shape[:2], strict=True)
    ]
    image = np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _write(
    model: Any, keras: Predict, written: Exported, parts: Parts, most_fall: float, say: Say
) -> list[str]:
    """Write the model into the folder of `written`; return the layers that int8 left in float32."""
    from segkit.exporting.convert import convert_model, quantizer

    record, validation = written.record, parts["validation"]
    if record.precision != "int8":
        convert_model(model, record.config, record.format, written.path)
        return []
    windows = calibration_windows(record.config, parts["train"])
    say(f"measuring the ranges of every layer on {len(windows)} training images")
    few = Subset(validation.source, validation.names[:FOR_ERRORS])
    with quantizer(model, record.config, record.format, windows, written.path) as writer:
        return find_float32_layers(
            writer,
            fall=lambda: _fall(
                measure_difference(keras, _open(written), record.config, validation)
            ),
            error=lambda: measure_difference(keras, _open(written), record.config, few).mean,
            most=most_fall,
            say=say,
        )


def _fall(found: Difference) -> float:
    before, after = found.dice
    return 0.0 if before is None else before - (after or 0.0)


def _check(keras: Predict, other: Predict, config: RunConfig, parts: Parts) -> Checked:
    scored = len(parts["validation"]) > 0
    train = parts["train"]
    part = parts["validation"] if scored else Subset(train.source, train.names[:WITHOUT_VALIDATION])
    found = measure_difference(keras, other, config, part)
    sample: Sample = part.read(part.names[0])
    image = match_model_input(config, sample.image, sample.name)[
        : config.predict.tile, : config.predict.tile
    ]
    one, two = seconds(keras, other, image[None])
    dice = found.dice if scored else (None, None)
    return Checked(
        images=found.images,
        largest_difference=found.largest,
        decided_alike=found.decided_alike,
        dice_keras=dice[0],
        dice_export=dice[1],
        seconds_keras=one,
        seconds_export=two,
    )


def _refuse(wanted: ExportRequest, checked: Checked) -> None:
    if wanted.precision != "float32" and checked.dice_keras is None:
        raise RunError(
            "refused: foreground Dice cannot be measured, for no foreground is in the masks of "
            "the validation part nor in Keras' answers, so nothing says what fewer bits cost. "
            "Use --precision float32, or train longer first",
            "not-measurable",
        )
    fall = (checked.dice_keras or 0.0) - (checked.dice_export or 0.0)
    if wanted.precision == "float32" and checked.largest_difference > LARGEST_DIFFERENCE:
        raise RunError(
            f"refused: a probability differs by {checked.largest_difference:.2g} from Keras', "
            f"more than {LARGEST_DIFFERENCE:g}; this network cannot be exported to "
            f"{wanted.format}. Try another --format",
            "inexact-export",
        )
    if fall > wanted.max_drop:
        raise RunError(
            f"refused: foreground Dice falls by {fall:.4f}, more than {wanted.max_drop:g}. Use another --precision, or "
            f"allow more with --max-drop",
            "inexact-export",
        )


def _open(written: Exported) -> Predict:
    if written.record.format == "savedmodel":
        from segkit.exporting.convert import open_savedmodel

        return open_savedmodel(written)
    predict: Predict = catalog.load_part(catalog.RUNTIMES, written.record.format)(written)
    return predict
