"""A model of the BioImage Model Zoo, which ilastik, deepImageJ and others run.

The format is BioImage.IO model 0.5: https://bioimage-io.github.io/spec-bioimage-io/. The network
scales its input itself, so the only step before it is the type of the values. In a yes/no task the
step after it is the threshold; in an exclusive task the standard has no step for the most probable
class, so the output holds probabilities.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segkit.config import RunConfig
from segkit.errors import ConfigError, RunError
from segkit.exporting.publishing.publication import Publication
from segkit.inference.runtimes.onnx import open_onnx
from segkit.io.atomic import write_text
from segkit.run.exports import sha256
from segkit.system.packages import need

FORMAT = "0.5.4"
"""The version of the format."""
CITATIONS = {
    "attention_unet": ("Oktay et al. 2018", {"url": "https://arxiv.org/abs/1804.03999"}),
    "deeplabv3plus": ("Chen et al. 2018", {"doi": "10.1007/978-3-030-01234-2_49"}),
    "fpn": ("Lin et al. 2017", {"doi": "10.1109/CVPR.2017.106"}),
    "linknet": ("Chaurasia and Culurciello 2017", {"doi": "10.1109/VCIP.2017.8305148"}),
    "unet": ("Ronneberger et al. 2015", {"doi": "10.1007/978-3-319-24574-4_28"}),
    "unetplusplus": ("Zhou et al. 2018", {"doi": "10.1007/978-3-030-00889-5_1"}),
}
"""The paper of each decoder."""


def write_bioimageio(publication: Publication, folder: Path) -> None:
    """Write rdf.yaml, the ONNX weights, the test tensors and the documentation.

    Args:
        publication: What is published.
        folder: An empty folder.

    Raises:
        ConfigError: If bioimageio.spec is not installed, or if author or license is missing.
        RunError: If the standard's own check refuses the description.
    """
    _check_facts(publication)
    spec = need("bioimageio.spec", "bioimageio")
    exported = publication.exported
    shutil.copyfile(exported.model, folder / "model.onnx")
    write_text(folder / "README.md", publication.card() + "\n" + VALIDATION)
    _write_test_tensors(publication, folder)
    description = _describe(publication, folder)
    write_text(
        folder / "rdf.yaml", yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    )
    checked = spec.load_description(folder / "rdf.yaml")
    summary = checked.validation_summary
    if summary.status != "passed" and summary.status != "valid-format":
        raise RunError(f"the description is refused: {summary.format()}", "inexact-export")


def _write_test_tensors(publication: Publication, folder: Path) -> None:
    """Write an image and what the network predicts for it.

    The standard refuses an output that is 0 everywhere, so an image with an object is looked for.

    Raises:
        RunError: If the network finds nothing in any image.
    """
    config = publication.config
    predict = open_onnx(publication.exported)
    side = smallest_side(config)
    for image in publication.sample_images(side, side):
        output = _after(config, predict(image[None]))
        if output.any():
            np.save(folder / "test_input.npy", image[None])
            np.save(folder / "test_output.npy", output)
            return
    raise RunError(
        f"{publication.run.path}: the network finds no object in the middle of any validation "
        f"image, and the model zoo needs a test image with one",
        "not-measurable",
    )


VALIDATION = """
## Validation

`bioimageio test rdf.yaml` predicts test_input.npy and compares the result with test_output.npy.
The section Scores above says how well the network does on images with known masks.
"""


def _check_facts(publication: Publication) -> None:
    if not publication.authors:
        raise ConfigError(
            "the model zoo needs at least one author", "missing-setting", setting="--author"
        )
    if publication.license is None:
        raise ConfigError(
            "the model zoo needs a license such as MIT or CC-BY-4.0",
            "missing-setting",
            setting="--license",
        )


def halo(config: RunConfig) -> int:
    """Return the pixels at the border of a window whose scores lack surroundings."""
    overlap = round(config.predict.tile * config.predict.overlap / 2)
    return max(1, min(overlap, 4 * config.model.stride))


def smallest_side(config: RunConfig) -> int:
    """Return the smallest side of an image, in whole strides and larger than two halos."""
    stride = config.model.stride
    return (2 * halo(config) // stride + 2) * stride


def _after(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the output after the steps that the description names."""
    thresholds = config.task.thresholds
    if thresholds is None:
        return probabilities
    return (probabilities > np.array(_strict(thresholds), np.float32)).astype(np.float32)


def _strict(thresholds: tuple[float, ...]) -> list[float]:
    """Return the next smaller number of each threshold, because `binarize` is a strict comparison.

    segkit says yes from the threshold on.
    """
    return [float(np.nextafter(np.float32(each), np.float32(0))) for each in thresholds]


def zoo_name(run: str) -> str:
    """Return the name of the model, in the characters and lengths that the standard allows.

    >>> zoo_name("brain #2")
    'brain _2 segmentation'
    """
    return re.sub(r"[^\w() -]", "_", run)[:100] + " segmentation"


def _describe(publication: Publication, folder: Path) -> dict[str, Any]:
    """Return the content of rdf.yaml."""
    config = publication.config
    text, source = CITATIONS.get(config.model.decoder, CITATIONS["unet"])
    return {
        "type": "model",
        "format_version": FORMAT,
        "name": zoo_name(publication.name),
        "description": config.task.explain().splitlines()[0],
        "authors": [{"name": name} for name in publication.authors],
        "license": publication.license,
        "cite": [{"text": text, **source}],
        "documentation": {"source": "README.md"},
        "tags": ["segmentation", "segkit", config.task.kind],
        "inputs": [_input(config)],
        "outputs": [_output(config)],
        "weights": {
            "onnx": {
                "source": "model.onnx",
                "sha256": sha256(folder / "model.onnx"),
                "opset_version": _opset(folder / "model.onnx"),
            }
        },
    }


def _input(config: RunConfig) -> dict[str, Any]:
    size = {"min": smallest_side(config), "step": config.model.stride}
    channels = [f"channel{index}" for index in range(config.input.channels)]
    dtype = config.input.dtype
    return {
        "id": "image",
        "description": "An image with the values of its file",
        "axes": [
            {"type": "batch"},
            {"type": "space", "id": "y", "size": size},
            {"type": "space", "id": "x", "size": size},
            {"type": "channel", "channel_names": channels},
        ],
        "data": {"type": dtype},
        "preprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": dtype}}],
        "test_tensor": {"source": "test_input.npy"},
    }


def _output(config: RunConfig) -> dict[str, Any]:
    task = config.task
    axes: list[dict[str, Any]] = [{"type": "batch"}]
    for axis in ("y", "x"):
        reference = {"tensor_id": "image", "axis_id": axis}
        axes.append({"type": "space", "id": axis, "size": reference, "halo": halo(config)})
    axes.append({"type": "channel", "channel_names": list(task.classes)})
    steps = []
    described = "Probability of each class"
    if task.thresholds is not None:
        kwargs = {"axis": "channel", "threshold": _strict(task.thresholds)}
        steps.append({"id": "binarize", "kwargs": kwargs})
        described = "1 where a pixel belongs to the class, 0 elsewhere"
    return {
        "id": "classes",
        "description": described,
        "axes": axes,
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "postprocessing": steps,
        "test_tensor": {"source": "test_output.npy"},
    }


def _opset(model: Path) -> int:
    """Return the version of ONNX' standard operators in a file."""
    onnx = need("onnx", "onnx")
    loaded = onnx.load(str(model), load_external_data=False)
    for used in loaded.opset_import:
        if used.domain in ("", "ai.onnx"):
            return int(used.version)
    raise RunError(f"{model}: uses no standard operators", "damaged-file")
