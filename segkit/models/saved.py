"""Loads models from files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import keras

from segkit.config.arguments import named_arguments
from segkit.errors import RunError
from segkit.models.layers import require_bands
from segkit.models.trainer import first_line
from segkit.run import Run


@named_arguments
def load(run: str | PathLike[str]) -> keras.Model:
    """Load the Keras model of a run, or of a file that `save` wrote.

    `segkit.compile(model, task)` trains a run's model further. `segkit.Predictor.load(run)`
    predicts masks as the command line does.

    Args:
        run: A run folder, or the path of a `.keras` file. The file is read in Keras' safe mode, so
            no code in it runs.

    Returns:
        A run's model: images (B, H, W, bands), with values as in the training images, ->
        probabilities (B, H, W, classes) float32. It is not compiled. A saved trainer is compiled.

    Raises:
        RunError: If the folder or file is missing or damaged.
    """
    path = Path(run)
    if path.is_dir():
        path = Run.open(path).model
    if not path.is_file():
        raise RunError(f"{path}: there is no such run folder or file", "missing-file")
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as problem:  # Keras, ZIP, HDF5 and classes of users raise anything
        raise RunError(
            f"{path}: cannot be loaded ({first_line(problem)}). It is damaged, or it needs "
            f"classes of your own: import them first",
            "damaged-file",
        ) from problem
    for layer in getattr(model, "layers", []):
        if layer.name == "scale" and len(model.inputs) == 1:
            require_bands(layer, model.inputs[0].shape[-1])
    return model
