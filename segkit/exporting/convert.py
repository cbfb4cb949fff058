"""A trained Keras model written in the formats of other runtimes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.exporting.portable import core, portable_copy
from segkit.exporting.quantizers import LiteRTQuantizer, OnnxQuantizer, OpenVINOQuantizer, save_core
from segkit.exporting.sensitivity import Quantizer
from segkit.inference.runtimes.openvino import has_bfloat16
from segkit.inference.tiles import Predict
from segkit.run.exports import FILES, Exported
from segkit.system.packages import need
from segkit.system.quiet import quiet

_NEEDS = {
    "litert": ("ai_edge_litert.interpreter",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "openvino": ("openvino", "scipy"),
    "savedmodel": (),
}


def check_packages(format_name: str, precision: str) -> None:
    """Raise `ConfigError` if the packages, the CPU or the backend of Keras here cannot write or check an export."""
    for module in _NEEDS[format_name]:
        need(module, format_name)
    if (format_name, precision) == (
        "openvino",
        "int8",
    ):  # it is made from ONNX with 8-bit operations
        for module in _NEEDS["onnx"]:
            need(module, "onnx")
    if precision == "bfloat16" and not has_bfloat16():
        raise ConfigError(
            "this CPU has no bfloat16 and would run it in float32, so the check would say "
            "nothing. Export on the machine that is to predict",
            "missing-hardware",
            setting="--precision",
        )
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"segkit export needs Keras on TensorFlow; KERAS_BACKEND is {keras.backend.backend()}. A model.keras that was "
            f"trained on another backend can be exported as it is, with KERAS_BACKEND=tensorflow",
            "not-for-backend",
        )


def convert_model(model: keras.Model, config: RunConfig, format_name: str, folder: Path) -> None:
    """Write a model of `build` in float32 under its name in `FILES`. Its input is as in training: images of any size.

    LiteRT's file holds the network without scaling, padding and cropping: see `segkit.inference.runtimes.litert`.
    """
    target = str(folder / FILES[format_name])
    if format_name == "litert":
        _convert_litert(core(portable_copy(model)), config, folder)
        return
    name = {"savedmodel": "tf_saved_model"}.get(format_name, format_name)
    with quiet():
        portable_copy(model).export(
            target, format=name, verbose=False, input_signature=[_signature(config)]
        )


def quantizer(
    model: keras.Model,
    config: RunConfig,
    format_name: str,
    windows: Sequence[np.ndarray],
    folder: Path,
) -> Quantizer:
    """Return what writes the model with 8-bit convolutions, calibrated on `windows` (1, H, W, C) of training images."""
    if format_name == "litert":
        return LiteRTQuantizer(core(portable_copy(model)), config, windows, folder)
    source = folder / "float32.onnx"
    with quiet():
        portable_copy(model).export(
            str(source), format="onnx", verbose=False, input_signature=[_signature(config)]
        )
    kind: Any = {"onnx": OnnxQuantizer, "openvino": OpenVINOQuantizer}[format_name]
    return kind(source, windows, folder)


def open_savedmodel(exported: Exported) -> Predict:
    """Return images (B, H, W, C) -> probabilities (B, H, W, classes) float32 of a SavedModel."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported.model))  # its variables live as long as it does
    return lambda images: np.asarray(loaded.serve(tf.constant(images)))


def _convert_litert(model: keras.Model, config: RunConfig, folder: Path) -> None:
    import tensorflow as tf

    side = 2 * config.model.stride
    channels = config.input.channels
    with quiet():
        save_core(model, folder / "core", (1, side, side, channels))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "core"))
        (folder / FILES["litert"]).write_bytes(converter.convert())
    shutil.rmtree(folder / "core")
    _check_resizes(
        folder / FILES["litert"], (2, 3 * config.model.stride, 5 * config.model.stride, channels)
    )


def _check_resizes(file: Path, shape: tuple[int, ...]) -> None:
    """Raise `ConfigError` if LiteRT cannot run a network of scaled images at another size than it was written for."""
    interpreter = need("ai_edge_litert.interpreter", "litert").Interpreter(str(file))
    try:
        with quiet():
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
            interpreter.allocate_tensors()
            interpreter.invoke()
        found = tuple(interpreter.get_output_details()[0]["shape"].tolist())
    except (RuntimeError, ValueError):
        found = ()
    if found[:3] != shape[:3]:
        raise ConfigError(
            "litert holds this network at one size only, as layers of it name sizes. Use onnx or openvino",
            "not-for-network",
            setting="--format",
        )


def _signature(config: RunConfig) -> Any:
    import tensorflow as tf

    given = config.input
    return tf.TensorSpec((None, None, None, given.channels), given.dtype, name="image")
