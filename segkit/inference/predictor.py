"""A finished run as a function of images, for use from Python."""

from __future__ import annotations

import threading
import warnings
from os import PathLike
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError, SegkitWarning
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.load import AUTO, open_together
from segkit.inference.scale import ScaleWatch
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.task import Task


class Predictor:
    """Masks and probabilities of single images, as `segkit predict` gives them: `Predictor.load("runs/x")(image)`.

    Images are (H, W) or (H, W, C) arrays of the depth that the run was trained on, of any size; large ones go through the
    network in windows. One predictor may be used by several threads; they take turns at the network.
    """

    def __init__(self, predict: Predict, config: RunConfig) -> None:
        self.config = config
        self._predict, self._turn = predict, threading.Lock()

    @classmethod
    def load(
        cls,
        run: str | PathLike[str],
        *more: str | PathLike[str],
        runtime: str = AUTO,
        tta: str | None = None,
    ) -> Predictor:
        """Return the predictor of a run folder or an export, or of several that answer together.

        `runtime` is as `segkit predict --runtime` takes it; `tta` "flips" or "rotations" averages the answers over 4 or 8
        views of each image. Raises `RunError` if there is no finished run, `ConfigError` if the runtime is not installed
        or runs do not fit together.
        """
        together = open_together([Path(each) for each in (run, *more)], runtime, tta)
        for warning in together.warnings:
            warnings.warn(warning, SegkitWarning, stacklevel=2)
        return cls(together.predict, together.config)

    @property
    def task(self) -> Task:
        """The run's task."""
        return self.config.task

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return the probabilities at the run's temperature: (H, W, classes) float32, each from 0 to 1.

        Raises `DataError` if the image is not like those trained on.
        """
        return tempered(self.task, self._raw(image), self.config.decode.temperature)

    def _raw(self, image: np.ndarray) -> np.ndarray:
        image = np.asarray(image)
        image = image[..., None] if image.ndim == 2 else image
        if image.ndim != 3 or 0 in image.shape:
            raise DataError(
                f"an image has shape (height, width) or (height, width, channels); found {image.shape}",
                "channels",
            )
        named = [("image", match_model_input(self.config, image, "image"))]
        watch = ScaleWatch(self.config.input)
        watch.see(*named[0])
        warning = watch.warning()
        if warning:
            warnings.warn(warning, stacklevel=3)
        with self._turn:
            ((_, _, probabilities),) = predict_images(self._predict, self.config, named)
        return probabilities

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the mask as `Task.decode` gives it: (H, W) ids or 0/1, or (H, W, classes) 0/1 in a multilabel task.

        Thresholds and rules for objects are the run's own, or those that `segkit tune` found for it.
        """
        return decode(self.config, self._raw(image))
