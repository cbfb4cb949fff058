"""Write networks with 8-bit convolutions.

The ranges of activations are measured on training images, and weights are rounded per channel. The
head and the scaling of the input stay in float32.

Source: Jacob et al., Quantization and training of neural networks for efficient
integer-arithmetic-only inference, 2018.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from segkit.config import RunConfig
from segkit.exporting.sensitivity import Step, with_feeders
from segkit.inference.runtimes.litert import scale_and_pad
from segkit.run.exports import FILES
from segkit.system.packages import need
from segkit.system.quiet import quiet

_IN_8_BITS = ("Conv", "MaxPool", "Concat")
_LITERT_IN_8_BITS = (
    "CONV_2D",
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "DEPTH_TO_SPACE",
    "ADD",
)


class OnnxQuantizer:
    """Writes ONNX with QuantizeLinear and DequantizeLinear around 8-bit operations.

    Every ONNX runtime supports this pair. Weights have 7 bits: with 8 bits, x86 CPUs without VNNI
    add two products in 16 bits, which overflows, so the result would depend on the machine.

    Args:
        source: The float32 model; it is deleted.
        windows: Parts of training images, (1, H, W, C) each.
        folder: An existing folder for the model and temporary files.
    """

    def __init__(self, source: Path, windows: Sequence[np.ndarray], folder: Path) -> None:
        self._quantization = need("onnxruntime.quantization", "onnx")
        self._source = folder / "prepared.onnx"
        self._target = folder / FILES["onnx"]
        self._ranges = folder / "ranges.json"
        self._windows = windows
        preparation = need("onnxruntime.quantization.shape_inference", "onnx")
        with quiet():
            preparation.quant_pre_process(str(source), str(self._source), skip_symbolic_shape=True)
        source.unlink()
        self._read_graph(need("onnx", "onnx").load(self._source).graph)

    def write(self, keep: Sequence[str]) -> None:
        """Write the model with all of `layers` in 8 bits except those in `keep`."""
        kept_nodes = [self._head, *(self._nodes[layer] for layer in keep)]
        excluded = with_feeders(self._steps, list(self._nodes.values()), kept_nodes)
        types = self._quantization.QuantType
        with quiet():
            self._quantization.quantize_static(
                str(self._source),
                str(self._target),
                _CalibrationReader(self._windows),
                op_types_to_quantize=list(_IN_8_BITS),
                nodes_to_exclude=sorted(excluded),
                activation_type=types.QUInt8,
                weight_type=types.QInt8,
                per_channel=True,
                reduce_range=True,
                calibration_cache_path=str(self._ranges),
            )

    def _read_graph(self, graph: Any) -> None:
        """Find the operations and the convolutions of a graph; the last convolution is the head."""
        shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
        convolutions = [node for node in graph.node if node.op_type == "Conv"]
        self._head = convolutions.pop().name
        self._nodes = {}
        for i, node in enumerate(convolutions, 1):
            kernel = describe_kernel(*shapes[node.input[1]])
            self._nodes[f"convolution {i} of {len(convolutions)} ({kernel})"] = node.name
        self._steps = []
        for node in graph.node:
            if node.op_type in (*_IN_8_BITS, "DepthToSpace"):
                self._steps.append(Step(node.name, tuple(node.input), tuple(node.output)))
        self.layers = list(self._nodes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self._source, self._ranges):
            path.unlink(missing_ok=True)


class _CalibrationReader:
    """Returns one window per call, as ONNX Runtime's calibration wants it."""

    def __init__(self, windows: Sequence[np.ndarray]) -> None:
        self._windows = iter(windows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        window = next(self._windows, None)
        if window is None:
            return None
        return {"image": window}


class OpenVINOQuantizer(OnnxQuantizer):
    """Writes OpenVINO's own format, converted from 8-bit ONNX."""

    def __init__(self, source: Path, windows: Sequence[np.ndarray], folder: Path) -> None:
        super().__init__(source, windows, folder)
        self._openvino = need("openvino", "openvino")
        self._openvino_target = folder / FILES["openvino"]

    def write(self, keep: Sequence[str]) -> None:
        super().write(keep)
        model = self._openvino.convert_model(str(self._target))
        self._openvino.save_model(model, self._openvino_target, compress_to_fp16=False)
        self._target.unlink()


class LiteRTQuantizer:
    """Writes .tflite with TensorFlow Lite's converter: signed 8 bits, weights per channel.

    The converter's debugger measures the ranges once, and can then write the model with any layers
    in float32.

    Args:
        model: From `core`.
        config: The run's config.
        windows: Parts of training images, (1, H, W, C) each.
        folder: An existing folder for the model and temporary files.
    """

    def __init__(
        self, model: Any, config: RunConfig, windows: Sequence[np.ndarray], folder: Path
    ) -> None:
        self._target = folder / FILES["litert"]
        self._core = folder / "core"
        stride = config.model.stride
        self._windows = [scale_and_pad(window, config.input, stride) for window in windows]
        with quiet():
            save_core(model, self._core, self._windows[0].shape)
            self._debugger = self._calibrate()
            written = self._debugger.get_nondebug_quantized_model()
        self._steps, self._names = _read_tflite(written)
        *self.layers, self._head = self._names

    def write(self, keep: Sequence[str]) -> None:
        """Write the model with all of `layers` in 8 bits except those in `keep`."""
        kept_names = [self._names[layer] for layer in (*keep, self._head)]
        excluded = with_feeders(self._steps, list(self._names.values()), kept_names)
        with quiet():
            self._debugger.options = self._options(sorted(excluded))
            self._target.write_bytes(self._debugger.get_nondebug_quantized_model())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._core, ignore_errors=True)

    def _calibrate(self) -> Any:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(self._core))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([window] for window in self._windows)
        return tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_options=self._options([])
        )

    def _options(self, names: Sequence[str]) -> Any:
        import tensorflow as tf

        return tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=list(names), denylisted_ops=["SOFTMAX", "LOGISTIC"]
        )


def save_core(model: Any, folder: Path, shape: tuple[int, ...]) -> None:
    """Write a network as a SavedModel with one input shape, which LiteRT can change later.

    Args:
        model: From `core`.
        folder: The SavedModel to write.
        shape: (B, H, W, C).
    """
    import tensorflow as tf

    model.export(
        str(folder),
        format="tf_saved_model",
        verbose=False,
        input_signature=[tf.TensorSpec(shape, "float32", name="image")],
    )


def _read_tflite(written: bytes) -> tuple[list[Step], dict[str, str]]:
    """Return the steps of a .tflite file, and the names of its convolutions by description.

    A step's name is that of its first output. The last convolution is the head.
    """
    library = need("ai_edge_litert.interpreter", "litert")
    plain = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = library.Interpreter(model_content=written, experimental_op_resolver_type=plain)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}

    def names_of(indices: Sequence[int]) -> tuple[str, ...]:
        return tuple(tensors[i]["name"] for i in indices if i in tensors)

    steps = []
    convolutions = []
    for operation in interpreter._get_ops_details():  # LiteRT has no public function for this
        if operation["op_name"] not in _LITERT_IN_8_BITS:
            continue
        outputs = names_of(operation["outputs"])
        steps.append(Step(outputs[0], names_of(operation["inputs"]), outputs))
        if operation["op_name"] == "CONV_2D":
            shape = tensors[operation["inputs"][1]]["shape"].tolist()
            convolutions.append((outputs[0], shape))
    names = {}
    for i, (name, (out, height, width, into)) in enumerate(convolutions, 1):
        kernel = describe_kernel(out, into, height, width)
        names[f"convolution {i} of {len(convolutions) - 1} ({kernel})"] = name
    return steps, names


def describe_kernel(out: int, into: int, height: int, width: int) -> str:
    """Return a description of a kernel.

    Args:
        out: Output channels.
        into: Input channels.
        height: Rows of the kernel.
        width: Columns of the kernel.

    >>> describe_kernel(64, 32, 3, 3)
    '3 x 3, 32 to 64 channels'
    """
    return f"{height} x {width}, {into} to {out} channels"
