"""The validation images as Keras takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.cache import Encoded, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.batches.windows import LARGEST, Window, look_at, windows_of
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.task import VOID


class ValidationBatches(keras.utils.PyDataset):
    """Whole validation images without change, padded with VOID to one size and in batches.

    Images larger than `largest` pixels a side are cut into windows that hold each pixel once, and a window takes the place
    of an image in a batch. Scores count pixels, so they are of all pixels of all images; the loss is the mean over windows.

    Replicas need the same number of windows each. Batches are filled up with windows that are all VOID, which no score
    sees; a weight, the same for all windows, takes them out of the mean loss again. Of several processes each reads its
    share. `shown` is what the masks show.
    """

    def __init__(
        self,
        part: Subset,
        config: Config,
        given: InputConfig,
        largest: int = LARGEST,
        cache_folder: Path | None = None,
        replicas: Replicas = ALONE,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.samples = open_samples(part, config.data, config.task, given, cache_folder)
        self.names = part.names
        self.task = config.task
        self.loss = config.loss
        self.given = given
        self.replicas = replicas
        self.size = config.train.batch_size
        self.shown = look_at(self.samples, self.names, self.task, replicas)
        self.windows: list[Window] = []
        for name, (height, width) in zip(self.names, self.shown.sizes.tolist(), strict=True):
            self.windows += windows_of(name, height, width, largest)
        padded = sum(replicas.padded(len(self._all(index))) for index in range(len(self)))
        self.weight = padded / len(self.windows)
        self._last: tuple[str, Encoded] | None = None

    def __len__(self) -> int:
        return -(-len(self.windows) // self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        height, width = np.max([window.shape for window in self._all(index)], axis=0)
        images = []
        targets = []
        for window in self._own(index):
            image, target = self._read(window)
            images.append(_padded(image, height, width, None))
            targets.append(_padded(target, height, width, VOID))
        if self.weight == 1:
            return np.stack(images), as_losses_need(np.stack(targets), self.task, self.loss)
        share = self.replicas.share(self.replicas.padded(len(self._all(index))))
        count = share.stop - share.start
        missing = count - len(images)
        images += [np.zeros((height, width, self.given.channels), self.given.dtype)] * missing
        targets += [np.full(self.task.target_shape(height, width), VOID, np.uint8)] * missing
        asked = as_losses_need(np.stack(targets), self.task, self.loss)
        return np.stack(images), asked, np.full(count, self.weight, np.float32)

    def _all(self, index: int) -> Sequence[Window]:
        return self.windows[index * self.size : (index + 1) * self.size]

    def _own(self, index: int) -> Sequence[Window]:
        windows = self._all(index)
        return windows[self.replicas.share(self.replicas.padded(len(windows)))]

    def _read(self, window: Window) -> Encoded:
        """Return the window of an image and of its target; windows of one image follow each other, so it is read once."""
        last = self._last
        if last is None or last[0] != window.name:
            last = (window.name, self.samples(window.name))
            self._last = last
        image, target = last[1]
        return image[window.rows, window.columns], target[window.rows, window.columns]


def _padded(array: np.ndarray, height: int, width: int, fill: int | None) -> np.ndarray:
    """Return an array padded below and to the right: with `fill`, or mirrored if that is None."""
    missing = [(0, height - array.shape[0]), (0, width - array.shape[1])] + [(0, 0)] * (
        array.ndim - 2
    )
    if fill is None:
        return np.pad(array, missing, mode="symmetric")
    return np.pad(array, missing, constant_values=fill)
