"""What `segkit tune` measures on a part before it chooses anything.

Per image only its pixel counts are kept, so the memory hardly grows with the number of images.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.evaluation.calibration import BINS, flatten_known, tally
from segkit.evaluation.evaluate import PredictedSample, predict_samples
from segkit.evaluation.thresholds import STEPS, threshold_histogram
from segkit.inference.components import areas
from segkit.inference.decoding import decode
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.task.layers import layer_of, layers_of

SAMPLE = 300_000
"""Number of predictions that the temperature is fitted to."""


class Statistics:
    """Sums over images, and a random sample of their predictions.

    Attributes:
        image_counts: Pixel counts (4, C) of each image, with the mask as the run decodes it before
            tuning.
        calibration: (5, BINS) float64, from `tally`, with the temperature of the run's config.
        histograms: (2, C, STEPS) int64, from `threshold_histogram`; 0 if the task has none.
        images_with_class: (C,) int64, images whose true mask shows the class.
        images_with_prediction: (C,) int64, images whose predicted mask shows the class.
        smallest_objects: (C,) float64, pixels of the smallest true object of the class; infinite
            if there is none, and for the background.

    Args:
        config: The run's config before tuning.
        sample_per_image: Number of predictions to sample from each image.
    """

    def __init__(self, config: RunConfig, sample_per_image: int) -> None:
        channels = config.task.channels
        self.image_counts: list[np.ndarray] = []
        self.calibration = np.zeros((5, BINS))
        self.histograms = np.zeros((2, channels, STEPS), np.int64)
        self.images_with_class = np.zeros(channels, np.int64)
        self.images_with_prediction = np.zeros(channels, np.int64)
        self.smallest_objects = np.full(channels, np.inf)
        self._config = config
        self._sample_per_image = sample_per_image
        self._distributions: list[np.ndarray] = []
        self._truth: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []

    def add(self, sample: PredictedSample) -> None:
        """Add one image.

        Args:
            sample: The image, with probabilities without a temperature.
        """
        task = self._config.task
        target = sample.target
        probabilities = sample.probabilities
        mask = decode(self._config, probabilities)
        self.images_with_class += classes_in(self._config, target)
        self.images_with_prediction += classes_in(self._config, mask)
        smallest = _smallest_objects(self._config, target)
        self.smallest_objects = np.minimum(self.smallest_objects, smallest)
        if task.thresholds is not None:
            self.histograms += threshold_histogram(task, probabilities, target)
        delivered = tempered(task, probabilities, self._config.decode.temperature)
        self.calibration += tally(*flatten_known(task, delivered, sample.drawn))
        self._add_sample(*flatten_known(task, probabilities, sample.drawn))
        self.image_counts.append(counts.count(task, target, mask))

    def sample(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the arguments of `fit_temperature`: distributions, truth and weights."""
        distributions = np.concatenate(self._distributions)
        truth = np.concatenate(self._truth)
        weights = np.concatenate(self._weights)
        return distributions, truth, weights

    def _add_sample(self, distributions: np.ndarray, truth: np.ndarray) -> None:
        """Draw predictions of an image, with weights that stand for all of its predictions."""
        random = np.random.default_rng(len(self.image_counts))
        drawn = random.permutation(len(truth))[: self._sample_per_image]
        weight = len(truth) / max(1, len(drawn))
        self._distributions.append(distributions[drawn])
        self._truth.append(truth[drawn])
        self._weights.append(np.full(len(drawn), weight))


def collect_statistics(
    predict: Predict, config: RunConfig, part: Subset, progress: Callable[[str], None]
) -> Statistics:
    """Predict a part and return its statistics.

    Args:
        predict: The network, without a temperature.
        config: The run's config before tuning.
        part: At least one sample.
        progress: Called with the name of each sample.
    """
    statistics = Statistics(config, max(1, SAMPLE // max(1, len(part))))
    for sample in predict_samples(predict, config, part, progress):
        statistics.add(sample)
    return statistics


def classes_in(config: RunConfig, labels: np.ndarray) -> np.ndarray:
    """Return whether a target or a mask shows each class, (C,) bool."""
    return np.array([layer.any() for layer in layers_of(config.task, labels)])


def _smallest_objects(config: RunConfig, target: np.ndarray) -> np.ndarray:
    """Return the pixels of the smallest object per class, (C,); infinite where there is none."""
    smallest = np.full(config.task.channels, np.inf)
    for i in config.task.foreground:
        smallest[i] = min(areas(layer_of(config.task, target, i)), default=np.inf)
    return smallest
