"""The run's model in Keras, on the backend that Keras is set to."""

from __future__ import annotations

import keras
import numpy as np

from segkit.errors import RunError
from segkit.inference.tiles import Predict
from segkit.models import layers as _layers  # noqa: F401 (registers what the model file names)
from segkit.run import Run


def open_keras(run: Run) -> Predict:
    """Return images (B, H, W, C) -> probabilities (B, H, W, classes) float32. Loads in Keras' safe mode: data, no code."""
    return as_predict(load_model(run))


def load_model(run: Run) -> keras.Model:
    """Return the run's model. Raises `RunError` if its file is damaged, or holds what Keras does not load safely."""
    try:
        return keras.saving.load_model(run.model, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as problem:  # Keras, zipfile and h5py have no error in common
        first = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise RunError(
            f"{run.model}: Keras cannot open it ({first}). It is damaged, or another program's; copy it again, or train "
            f"again",
            "damaged-file",
        ) from problem


def as_predict(model: keras.Model) -> Predict:
    """Return a model of probabilities as a plain function of arrays."""
    return lambda images: np.asarray(model.predict_on_batch(images))
