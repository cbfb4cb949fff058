"""Writes a trained Keras model in the formats of other runtimes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

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
    """Raise `ConfigError` if this machine cannot write or check an export.

    Args:
        format_name: A key of `PRECISIONS`.
        precision: One of its precisions.

    Raises:
        ConfigError: If a package is missing, the CPU does not support the precision, or Keras does
            not run on TensorFlow.
    """
    for module in _NEEDS[format_name]:
        need(module, format_name)
    if format_name == "openvino" and precision == "int8":  # it is converted from 8-bit ONNX
        for module in _NEEDS["onnx"]:
            need(module, "onnx")
    if precision == "bfloat16" and not has_bfloat16():
        raise ConfigError(
            "this CPU does not support bfloat16. It would compute in float32, so the check could "
            "not measure the loss of accuracy. Export on the machine that will predict",
            "missing-hardware",
            setting="--precision",
        )
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            "segkit export needs Keras on TensorFlow; KERAS_BACKEND is "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow: it opens models that were "
            "trained on another backend",
            "not-for-backend",
        )


def convert_model(model: keras.Model, config: RunConfig, format_name: str, folder: Path) -> None:
    """Write a model in float32, under its name in `FILES`.

    The exported model takes images as in training, of any size. LiteRT's file holds the network
    without scaling, padding and cropping: see `segkit.inference.runtimes.litert`.

    Args:
        model: A model of `build`.
        config: The run's config.
        format_name: A key of `FILES`.
        folder: An existing folder.

    Raises:
        ConfigError: If LiteRT cannot run the network on images of another size.
    """
    if format_name == "litert":
        _convert_litert(core(portable_copy(model)), config, folder)
        return
    keras_name = format_name
    if format_name == "savedmodel":
        keras_name = "tf_saved_model"
    _export_with_keras(model, config, keras_name, folder / FILES[format_name])


def quantizer(
    model: keras.Model,
    config: RunConfig,
    format_name: str,
    windows: Sequence[np.ndarray],
    folder: Path,
) -> Quantizer:
    """Return an object that writes the model with 8-bit convolutions.

    Args:
        model: A model of `build`.
        config: The run's config.
        format_name: "litert", "onnx" or "openvino".
        windows: Parts of training images, (1, H, W, C) each. The ranges of the activations are
            measured on them.
        folder: An existing folder for the model and temporary files.
    """
    if format_name == "litert":
        return LiteRTQuantizer(core(portable_copy(model)), config, windows, folder)
    source = folder / "float32.onnx"
    _export_with_keras(model, config, "onnx", source)
    if format_name == "onnx":
        return OnnxQuantizer(source, windows, folder)
    return OpenVINOQuantizer(source, windows, folder)


def open_savedmodel(exported: Exported) -> Predict:
    """Return the predict function of a SavedModel.

    Args:
        exported: An export of the format "savedmodel".

    Returns:
        Images (B, H, W, C) to probabilities (B, H, W, classes) float32.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exported.model))

    def predict(images: np.ndarray) -> np.ndarray:  # keeps `loaded`, and so its variables, alive
        return np.asarray(loaded.serve(tf.constant(images)))

    return predict


def _export_with_keras(
    model: keras.Model, config: RunConfig, keras_name: str, target: Path
) -> None:
    """Write a model in a format that Keras can export."""
    import tensorflow as tf

    channels = config.input.channels
    signature = tf.TensorSpec((None, None, None, channels), config.input.dtype, name="image")
    with quiet():
        portable_copy(model).export(
            str(target), format=keras_name, verbose=False, input_signature=[signature]
        )
    if keras_name == "onnx":
        _add_metadata(target, config)


def _add_metadata(target: Path, config: RunConfig) -> None:
    """Write classes, thresholds and the kind of the task into an ONNX file, each as JSON."""
    onnx = need("onnx", "onnx")
    model = onnx.load(str(target))
    values = {
        "segkit_task": config.task.kind,
        "segkit_classes": config.task.classes,
        "segkit_thresholds": config.task.thresholds,
    }
    for name, value in values.items():
        entry = model.metadata_props.add()
        entry.key = name
        entry.value = json.dumps(value)
    onnx.save(model, str(target))


def _convert_litert(model: keras.Model, config: RunConfig, folder: Path) -> None:
    import tensorflow as tf

    stride = config.model.stride
    channels = config.input.channels
    file = folder / FILES["litert"]
    with quiet():
        save_core(model, folder / "core", (1, 2 * stride, 2 * stride, channels))
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "core"))
        file.write_bytes(converter.convert())
    shutil.rmtree(folder / "core")
    _check_resizes(file, (2, 3 * stride, 5 * stride, channels))


def _check_resizes(file: Path, shape: tuple[int, ...]) -> None:
    """Raise `ConfigError` if LiteRT cannot run a network on a batch of another shape."""
    interpreter = need("ai_edge_litert.interpreter", "litert").Interpreter(str(file))
    try:
        with quiet():
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
            interpreter.allocate_tensors()
            interpreter.invoke()
        output_shape = tuple(interpreter.get_output_details()[0]["shape"].tolist())
    except (RuntimeError, ValueError):
        output_shape = ()
    if output_shape[:3] != shape[:3]:
        raise ConfigError(
            "litert can run this network on images of one size only, because some of its layers "
            "contain sizes. Use onnx or openvino",
            "not-for-network",
            setting="--format",
        )
