"""An ONNX file for Deepness, the plugin of QGIS that runs networks on maps.

Deepness cuts a map into square tiles of one size. It divides 8-bit values by 255 and expects
channels before rows. The metadata are JSON texts in the file:
https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_add_metadata_to_model.html
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.exporting.publishing.publication import Publication
from segkit.system.packages import need
from segkit.task import Task

LARGEST_TILE = 512
"""Largest side of a tile in pixels."""
HALF = 0.5
"""The threshold in the file if the classes have different ones."""


def write_deepness(publication: Publication, folder: Path) -> None:
    """Write model.onnx with the metadata that Deepness reads.

    Args:
        publication: What is published.
        folder: An empty folder.

    Raises:
        ConfigError: If the network does not take 8-bit images.
    """
    config = publication.config
    if config.input.dtype != "uint8":
        raise ConfigError(
            f"Deepness gives networks 8-bit images; this one takes {config.input.dtype}",
            "not-for-network",
            setting="--to",
        )
    onnx = need("onnx", "onnx")
    model = onnx.load(str(publication.exported.model))
    side = tile_side(config)
    _replace_input(onnx, model.graph, config.input.channels, side)
    _replace_output(onnx, model.graph, config.task, side)
    del model.metadata_props[:]
    for name, value in metadata(config).items():
        entry = model.metadata_props.add()
        entry.key = name
        entry.value = json.dumps(value)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / "model.onnx"))


def tile_side(config: RunConfig) -> int:
    """Return the side of a tile: that of prediction, at most 512, in whole strides."""
    stride = config.model.stride
    return max(stride, min(config.predict.tile, LARGEST_TILE) // stride * stride)


def metadata(config: RunConfig) -> dict[str, Any]:
    """Return the metadata of the file by their names."""
    task = config.task
    if task.thresholds is None:
        outputs = [dict(enumerate(task.classes))]
    else:
        outputs = [{0: name} for name in task.classes]
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": outputs,
        "tile_size": tile_side(config),
        "tiles_overlap": round(100 * config.predict.overlap),
        "seg_thresh": _threshold(task),
    }
    if config.data.pixel_size is not None:
        values["resolution"] = 100 * config.data.pixel_size[0]  # centimetres
    return values


def _threshold(task: Task) -> float:
    """Return the threshold for all outputs; 0 if the most probable class counts."""
    if task.thresholds is None:
        return 0.0
    if len(set(task.thresholds)) == 1:
        return task.thresholds[0]
    return HALF


def _replace_input(onnx: Any, graph: Any, channels: int, side: int) -> None:
    """Take images (N, C, side, side) from 0 to 1 instead of (N, H, W, C) from 0 to 255."""
    [old] = graph.input
    helper = onnx.helper
    scale = helper.make_tensor("deepness_scale", onnx.TensorProto.FLOAT, [], [255.0])
    graph.initializer.append(scale)
    nodes = [
        helper.make_node("Mul", ["deepness_image", "deepness_scale"], ["deepness_scaled"]),
        helper.make_node("Round", ["deepness_scaled"], ["deepness_rounded"]),
        helper.make_node(
            "Cast", ["deepness_rounded"], ["deepness_bytes"], to=onnx.TensorProto.UINT8
        ),
        helper.make_node("Transpose", ["deepness_bytes"], [old.name], perm=[0, 2, 3, 1]),
    ]
    _put_first(graph, nodes)
    shape = ["batch", channels, side, side]
    new = helper.make_tensor_value_info("deepness_image", onnx.TensorProto.FLOAT, shape)
    graph.input.remove(old)
    graph.input.append(new)
    del graph.value_info[:]  # shapes of the older sizes


def _replace_output(onnx: Any, graph: Any, task: Task, side: int) -> None:
    """Return channels before rows, and one output per class of a yes/no task."""
    [old] = graph.output
    helper = onnx.helper
    graph.output.remove(old)
    nodes = [helper.make_node("Transpose", [old.name], ["deepness_classes"], perm=[0, 3, 1, 2])]
    if task.thresholds is None:
        names = ["probabilities"]
        nodes.append(helper.make_node("Identity", ["deepness_classes"], names))
        channels = task.channels
    else:
        names = [f"probability_{index}" for index in range(task.channels)]
        nodes += _split(onnx, graph, task, names)
        channels = 1
    graph.node.extend(nodes)
    for name in names:
        shape = ["batch", channels, side, side]
        graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))


def _split(onnx: Any, graph: Any, task: Task, names: list[str]) -> list[Any]:
    """Return the nodes that make one output per class, in which one threshold holds for all."""
    helper = onnx.helper
    classes = "deepness_classes"
    nodes = []
    assert task.thresholds is not None
    threshold = _threshold(task)
    if any(each != threshold for each in task.thresholds):
        shifts = [threshold - each for each in task.thresholds]
        shape = [1, task.channels, 1, 1]
        graph.initializer.append(
            helper.make_tensor("deepness_shift", onnx.TensorProto.FLOAT, shape, shifts)
        )
        nodes.append(helper.make_node("Add", [classes, "deepness_shift"], ["deepness_shifted"]))
        classes = "deepness_shifted"
    if task.channels == 1:
        nodes.append(helper.make_node("Identity", [classes], names))
        return nodes
    sizes = helper.make_tensor(
        "deepness_sizes", onnx.TensorProto.INT64, [task.channels], [1] * task.channels
    )
    graph.initializer.append(sizes)
    nodes.append(helper.make_node("Split", [classes, "deepness_sizes"], names, axis=1))
    return nodes


def _put_first(graph: Any, nodes: list[Any]) -> None:
    """Insert nodes before all others."""
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + others)
