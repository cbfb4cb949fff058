"""Read images ahead of the network, predict them, and write their results behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.data.pixel_size import PixelSize, pixel_size_of_new
from segkit.errors import DataError
from segkit.inference.decoding import needs_probabilities
from segkit.inference.images import (
    NamedImage,
    Prediction,
    WindowProgress,
    no_window_progress,
    predict_each,
)
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.summary import Row
from segkit.inference.outputs.writer import Results, is_full
from segkit.inference.reading import geometry_of_image, read_for_model
from segkit.inference.resolution import at_resolution, resized
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.system.threads import prefetch

MAX_WAITING = 2**26
"""Largest probabilities of an image, in bytes, that may wait in memory until they are written."""


class Outcome(NamedTuple):
    """The result of one image: its row of the summary table, or the problem that it has."""

    name: str
    row: Row | None
    problem: str = ""
    full: bool = False
    """Whether no other image can be written either, because the disk is full or read-only."""


def failure(name: str, image: Path, problem: Exception, results: Results) -> Outcome:
    """Return the outcome of an image whose results are not written because of `problem`."""
    if is_full(problem, results.masks):
        return Outcome(name, None, describe_unwritable(results.masks, problem), full=True)
    return Outcome(name, None, _describe_problem(image, problem))


def describe_unwritable(masks: Path, problem: Exception) -> str:
    """Return the message that the folders of the results cannot be written to."""
    reason = str(problem)
    if isinstance(problem, OSError) and problem.strerror:
        reason = problem.strerror
    return f"{masks} or a folder beside it cannot be written to ({reason})"


def _describe_problem(image: Path, problem: Exception) -> str:
    if isinstance(problem, OSError):
        reason = str(problem.strerror or problem)
        if problem.filename:
            reason += f": {problem.filename2 or problem.filename}"
        return f"{image}: its results cannot be written ({reason})"
    if str(problem).startswith(str(image)):
        return str(problem)
    return f"{image}: {problem}"


def predict_and_write(
    predict: Predict,
    config: RunConfig,
    images: Mapping[str, Path],
    results: Results,
    progress: WindowProgress = no_window_progress,
    scale: ScaleWatch | None = None,
    resolution: PixelSize | None = None,
) -> Generator[Outcome]:
    """Predict image files, write the results of each, and yield its outcome.

    The network runs in the thread that asks for the next outcome. Other threads read ahead of it
    and write behind it.

    Args:
        predict: The network.
        config: The config of the run.
        images: Image files by name.
        results: Writes the results.
        progress: Receives the number of windows of a large image that are done.
        scale: Sees each image, to warn of another range of values.
        resolution: The size of the pixels that the network sees; images are resampled to it, and
            probabilities back to the pixels of the image. None resamples nothing.
    """
    pipeline = _Pipeline(config, images, results, scale, resolution)
    by_pixel_size = config.decode.has_areas or resolution is not None
    keep = results.need_probabilities or needs_probabilities(config) or by_pixel_size
    with (
        closing(prefetch(pipeline.read, images)) as read_ahead,
        closing(predict_each(predict, config, _readable(read_ahead), keep, progress)) as predicted,
        closing(prefetch(pipeline.write, pipeline.write_large(predicted), workers=1)) as written,
    ):
        for outcome in written:
            yield outcome
            yield from pipeline.take_unreadable()
    yield from pipeline.take_unreadable()


def _readable(images: Iterable[NamedImage | None]) -> Iterator[NamedImage]:
    return (image for image in images if image is not None)


class _Pipeline:
    """The steps of `predict_and_write` before and after the network, which run in threads."""

    def __init__(
        self,
        config: RunConfig,
        images: Mapping[str, Path],
        results: Results,
        scale: ScaleWatch | None,
        resolution: PixelSize | None,
    ) -> None:
        self.config = config
        self.images = images
        self.results = results
        self.scale = scale
        self.resolution = resolution
        self.as_read: dict[str, np.ndarray] = {}
        """The images of which the network sees a resampled copy."""
        self.unreadable: deque[Outcome] = deque()

    def read(self, name: str) -> NamedImage | None:
        """Return an image as the network takes it; None and a failure if it is broken."""
        path = self.images[name]
        try:
            image = read_for_model(self.config, path)
            seen = self._resampled(name, image)
        except DataError as problem:
            self.unreadable.append(failure(name, path, problem, self.results))
            return None
        if self.scale is not None:
            self.scale.see(name, image)
        return name, seen

    def _resampled(self, name: str, image: np.ndarray) -> np.ndarray:
        """Return an image with the pixels that the network sees."""
        if self.resolution is None:
            return image
        path = self.images[name]
        size = pixel_size_of_new(self.config.data, geometry_of_image(self.config, path))
        resampled = at_resolution(image, size, self.resolution, str(path))
        self.as_read[name] = image
        return resampled

    def take_unreadable(self) -> Iterator[Outcome]:
        """Yield the outcomes of the broken images so far, each once."""
        while self.unreadable:
            yield self.unreadable.popleft()

    def write_large(self, predictions: Iterable[Prediction]) -> Generator[Prediction | Outcome]:
        """Write large predictions at once, before the next image is predicted; pass on others."""
        for prediction in predictions:
            probabilities = prediction.probabilities
            if probabilities is not None and probabilities.nbytes > MAX_WAITING:
                yield self.write(prediction)
            else:
                yield prediction

    def write(self, prediction: Prediction | Outcome) -> Outcome:
        """Write the results of a prediction, unless they are written already."""
        if isinstance(prediction, Outcome):
            return prediction
        path = self.images[prediction.name]
        try:
            predicted = self._decode(prediction, path)
            return Outcome(prediction.name, self.results.write(predicted))
        except (OSError, DataError) as problem:
            return failure(prediction.name, path, problem, self.results)

    def _decode(self, prediction: Prediction, path: Path) -> PredictedImage:
        name, image, probabilities, mask = prediction
        if name in self.as_read:
            image = self.as_read.pop(name)
            if probabilities is not None:
                probabilities = resized(probabilities, image.shape[:2])
        if probabilities is not None:
            return PredictedImage.from_probabilities(self.config, name, path, image, probabilities)
        assert mask is not None
        return PredictedImage.from_mask(self.config, name, path, image, mask)
