"""Networks written with 8-bit convolutions: ranges measured on training images, weights rounded for each channel.

The head and the scaling of the input stay in float32.

Source: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference, 2018.
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
    """ONNX with a pair of QuantizeLinear and DequantizeLinear around what is 8 bits, which every runtime of ONNX knows.

    Weights have 7 bits: with 8, x86 CPUs without VNNI add two products in 16 bits and overflow, so that the gate would
    hold on some machines only.
    """

    def __init__(self, source: Path, windows: Sequence[np.ndarray], folder: Path) -> None:
        self._onnx, self._tool = need("onnx", "onnx"), need("onnxruntime.quantization", "onnx")
        preprocess = need("onnxruntime.quantization.shape_inference", "onnx").quant_pre_process
        self._source, self._target = folder / "prepared.onnx", folder / FILES["onnx"]
        self._cache, self._windows = folder / "ranges.json", windows
        with quiet():
            preprocess(str(source), str(self._source), skip_symbolic_shape=True)
        source.unlink()
        graph = self._onnx.load(self._source).graph
        shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
        *convolutions, head = [node for node in graph.node if node.op_type == "Conv"]
        known = (*_IN_8_BITS, "DepthToSpace")
        self._steps = [
            Step(n.name, tuple(n.input), tuple(n.output)) for n in graph.node if n.op_type in known
        ]
        self._nodes = {
            f"convolution {i} of {len(convolutions)} ({told_kernel(*shapes[node.input[1]])})": node.name
            for i, node in enumerate(convolutions, 1)
        }
        self._head = head.name
        self.layers = list(self._nodes)

    def write(self, keep: Sequence[str]) -> None:
        kept = [self._head, *(self._nodes[layer] for layer in keep)]
        with quiet():
            self._tool.quantize_static(
                str(self._source),
                str(self._target),
                _Feeds(self._windows),
                op_types_to_quantize=list(_IN_8_BITS),
                nodes_to_exclude=sorted(
                    with_feeders(self._steps, list(self._nodes.values()), kept)
                ),
                activation_type=self._tool.QuantType.QUInt8,
                weight_type=self._tool.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                calibration_cache_path=str(self._cache),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self._source, self._cache):
            path.unlink(missing_ok=True)


class _Feeds:
    """Windows, one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, windows: Sequence[np.ndarray]) -> None:
        self._left = iter(windows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        window = next(self._left, None)
        return None if window is None else {"image": window}


class OpenVINOQuantizer(OnnxQuantizer):
    """OpenVINO's own format, converted from 8-bit ONNX."""

    def __init__(self, source: Path, windows: Sequence[np.ndarray], folder: Path) -> None:
        super().__init__(source, windows, folder)
        self._openvino, self._written = need("openvino", "openvino"), folder / FILES["openvino"]

    def write(self, keep: Sequence[str]) -> None:
        super().write(keep)
        self._openvino.save_model(
            self._openvino.convert_model(str(self._target)), self._written, compress_to_fp16=False
        )
        self._target.unlink()


class LiteRTQuantizer:
    """TensorFlow Lite's converter: signed 8 bits for activations and for the weights of each channel.

    Its debugger measures ranges once, and then writes the model with any layers in float32.
    """

    def __init__(
        self, model: Any, config: RunConfig, windows: Sequence[np.ndarray], folder: Path
    ) -> None:
        self._target, self._core = folder / FILES["litert"], folder / "core"
        given, stride = config.input, config.model.stride
        self._windows = [scale_and_pad(window, given, stride) for window in windows]
        with quiet():
            save_core(model, self._core, self._windows[0].shape)
            self._debugger = self._calibrate()
            written = self._debugger.get_nondebug_quantized_model()
        self._steps, self._names = _read_tflite(written)
        *self.layers, self._head = self._names

    def write(self, keep: Sequence[str]) -> None:
        kept = [self._names[layer] for layer in (*keep, self._head)]
        with quiet():
            self._debugger.options = self._options(
                sorted(with_feeders(self._steps, list(self._names.values()), kept))
            )
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
    """Write a network between scaling and cropping as a SavedModel of one shape, which LiteRT can resize."""
    import tensorflow as tf

    model.export(
        str(folder),
        format="tf_saved_model",
        verbose=False,
        input_signature=[tf.TensorSpec(shape, "float32", name="image")],
    )


def _read_tflite(written: bytes) -> tuple[list[Step], dict[str, str]]:
    """Return the steps of a .tflite file, called by what they give, and the names of its convolutions by words for them."""
    library = need("ai_edge_litert.interpreter", "litert")
    plain = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = library.Interpreter(model_content=written, experimental_op_resolver_type=plain)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    found = [
        step for step in interpreter._get_ops_details() if step["op_name"] in _LITERT_IN_8_BITS
    ]  # no public way

    def called(indices: Sequence[int]) -> tuple[str, ...]:
        return tuple(tensors[i]["name"] for i in indices if i in tensors)

    steps = [
        Step(called(step["outputs"])[0], called(step["inputs"]), called(step["outputs"]))
        for step in found
    ]
    kernels = [
        (tensors[step["inputs"][1]]["shape"].tolist(), called(step["outputs"])[0])
        for step in found
        if step["op_name"] == "CONV_2D"
    ]
    names = {
        f"convolution {i} of {len(kernels) - 1} ({told_kernel(out, into, height, width)})": name
        for i, ((out, height, width, into), name) in enumerate(kernels, 1)
    }
    return steps, names


def told_kernel(out: int, into: int, height: int, width: int) -> str:
    """Return a kernel in words.

    >>> told_kernel(64, 32, 3, 3)
    '3 x 3, 32 to 64 channels'
    """
    return f"{height} x {width}, {into} to {out} channels"
