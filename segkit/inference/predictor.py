"""`Predictor`: a finished run as a function of images, for use from Python."""

from __future__ import annotations

import threading
import warnings
from os import PathLike
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError, SegkitWarning
from segkit.inference.decoding import decode
from segkit.inference.export_choice import AUTO
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.load import open_together
from segkit.inference.scale import ScaleWatch
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.task import Task


class Predictor:
    """Predicts masks and probabilities of single images, as `segkit predict` does.

    Use it as `Predictor.load("runs/x")(image)`. Images are arrays (H, W) or (H, W, C) of any size,
    with the dtype of the training images. Large images go through the network in windows. Threads
    may share one predictor; they take turns at the network.

    Args:
        predict: A function of images (B, H, W, C) -> probabilities (B, H, W, classes).
        config: The config of the run.
    """

    def __init__(self, predict: Predict, config: RunConfig) -> None:
        self.config = config
        self._predict = predict
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        run: str | PathLike[str],
        *more: str | PathLike[str],
        runtime: str = AUTO,
        tta: str | None = None,
    ) -> Predictor:
        """Return the predictor of a run folder or an export, or of several that predict together.

        Args:
            run: A run folder or the folder of an export.
            *more: Further ones, whose probabilities are averaged.
            runtime: "auto" (the fastest that is exported and installed), "keras", "onnx", "litert"
                or "openvino".
            tta: "flips" or "rotations" averages over 4 or 8 views of each image.

        Raises:
            ConfigError: If the runtime is not installed, or the runs do not fit together.
            RunError: If there is no finished run.
        """
        loaded = open_together([Path(each) for each in (run, *more)], runtime, tta)
        for warning in loaded.warnings:
            warnings.warn(warning, SegkitWarning, stacklevel=2)
        return cls(loaded.predict, loaded.config)

    @property
    def task(self) -> Task:
        """The task of the run."""
        return self.config.task

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the mask of an image.

        Thresholds and rules for objects are those of the run, or those that `segkit tune` found.

        Args:
            image: (H, W) or (H, W, C), of the dtype and channels of the training images.

        Returns:
            The mask as `Task.decode` returns it: (H, W) with class ids, or with 0 and 1; in a
            multilabel task (H, W, classes) with 0 and 1.

        Raises:
            DataError: If the image is not like the training images.
        """
        return decode(self.config, self._predict_raw(image))

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return the probabilities of an image, at the temperature of the run.

        Args:
            image: (H, W) or (H, W, C), of the dtype and channels of the training images.

        Returns:
            (H, W, classes) float32, from 0 to 1.

        Raises:
            DataError: If the image is not like the training images.
        """
        return tempered(self.task, self._predict_raw(image), self.config.decode.temperature)

    def _predict_raw(self, image: np.ndarray) -> np.ndarray:
        """Return the probabilities (H, W, classes) as the network predicts them."""
        image = np.asarray(image)
        if image.ndim == 2:
            image = image[..., None]
        if image.ndim != 3 or 0 in image.shape:
            raise DataError(
                f"an image has shape (height, width) or (height, width, channels); found "
                f"{image.shape}",
                "channels",
            )
        image = match_model_input(self.config, image, "image")
        scale = ScaleWatch(self.config.input)
        scale.see("image", image)
        warning = scale.warning()
        if warning:
            warnings.warn(warning, stacklevel=3)
        with self._turn:
            images = predict_images(self._predict, self.config, [("image", image)])
            ((_, _, probabilities),) = images
        return probabilities
