"""Models from files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import keras

from segkit.errors import RunError
from segkit.losses.checks import named_arguments
from segkit.models.layers import require_bands
from segkit.run import Run


@named_arguments
def load(run: str | PathLike[str]) -> keras.Model:
    """Return the Keras model of a run, or of a file that `save` wrote.

    A run's model maps images (B, H, W, bands), of the values that the training images had, to probabilities
    (B, H, W, classes) float32. It is not compiled: `segkit.compile(model, task)` trains it further, and
    `segkit.Predictor.load(run)` predicts masks as the command line does. A saved trainer comes compiled.

    Args:
        run: A run folder, or the path of a `.keras` file. The file is read in Keras' safe mode: no code in it runs.

    Raises:
        RunError: If there is no such folder or file, or it cannot be read.
    """
    path = Path(run)
    if path.is_dir():
        path = Run.open(path).model
    if not path.is_file():
        raise RunError(f"{path}: there is no such run folder or file", "missing-file")
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as problem:  # whatever Keras, ZIP, HDF5 or a class of the user's own raises
        reason = str(problem).strip().splitlines()
        raise RunError(
            f"{path}: cannot be loaded ({reason[0][:200] if reason else type(problem).__name__}). It is damaged, or it needs "
            f"classes of your own: import them first",
            "damaged-file",
        ) from problem
    for layer in getattr(model, "layers", []):
        if layer.name == "scale" and len(model.inputs) == 1:
            require_bands(layer, model.inputs[0].shape[-1])
    return model
