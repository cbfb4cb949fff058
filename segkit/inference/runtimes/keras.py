"""The run's model in Keras, on the backend that Keras uses."""

from __future__ import annotations

import keras
import numpy as np

from segkit.errors import RunError, one_line
from segkit.inference.tiles import Predict
from segkit.models import layers as _layers  # noqa: F401 (registers the classes of the model file)
from segkit.run import Run


def open_keras(run: Run) -> Predict:
    """Return a function of images (B, H, W, C) -> probabilities (B, H, W, classes) float32.

    The model is loaded in Keras' safe mode, which runs no code from the file.
    """
    return as_predict(load_model(run))


def load_model(run: Run) -> keras.Model:
    """Return the run's model.

    Raises:
        RunError: If its file is damaged, or Keras does not load it safely.
    """
    try:
        return keras.saving.load_model(run.model, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as problem:  # Keras, zipfile and h5py have no error class in common
        first = one_line(problem)[:300]
        raise RunError(
            f"{run.model}: Keras cannot open it ({first}). It is damaged, or another program's; "
            f"copy it again, or train again",
            "damaged-file",
        ) from problem


def as_predict(model: keras.Model) -> Predict:
    """Return a model of probabilities as a function of arrays."""

    def predict(images: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(images))

    return predict
