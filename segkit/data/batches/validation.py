"""The validation images as a Keras data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from segkit.config import Config, InputConfig
from segkit.data.batches.cache import Encoded, open_samples
from segkit.data.batches.distances import as_losses_need
from segkit.data.batches.windows import LARGEST, Window, summarise_masks, windows_of
from segkit.data.sources.source import Subset
from segkit.system.replicas import ALONE, Replicas
from segkit.task import VOID
from segkit.task.soft import trained_shape


class ValidationBatches(keras.utils.PyDataset):
    """Whole validation images without augmentation, in batches padded to one size with VOID.

    An image larger than `largest` is cut into windows that contain each pixel once. A window takes
    the place of an image in a batch. Scores count pixels, so they are scores of all pixels of all
    images; the loss is the mean over windows.

    All replicas need the same number of windows. Therefore batches are filled up with windows of
    VOID, which scores ignore. A weight, equal for all windows, removes them from the mean loss.
    Each process reads its share of the windows.

    Args:
        part: The validation samples.
        config: The config of the run.
        input_config: The model's input.
        largest: Largest height and width of an image that is not cut, in pixels.
        cache_folder: Folder of the cache on disk, if `data.cache_folder` is not set.
        replicas: The processes that share each batch.

    Attributes:
        mask_summary: What the masks of all images contain.
        sizes: Height and width of each batch in pixels.
    """

    def __init__(
        self,
        part: Subset,
        config: Config,
        input_config: InputConfig,
        largest: int = LARGEST,
        cache_folder: Path | None = None,
        replicas: Replicas = ALONE,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.samples = open_samples(part, config.data, config.task, input_config, cache_folder)
        self.names = part.names
        self.task = config.task
        self.loss = config.loss
        self.input_config = input_config
        self.replicas = replicas
        self.size = config.train.batch_size
        self.mask_summary = summarise_masks(self.samples, self.names, self.task, replicas)
        self.windows: list[Window] = []
        sizes = self.mask_summary.sizes.tolist()
        for name, (height, width) in zip(self.names, sizes, strict=True):
            self.windows += windows_of(name, height, width, largest)
        self.sizes: list[tuple[int, int]] = []
        for index in range(len(self)):
            shapes = [window.shape for window in self._all(index)]
            self.sizes.append(
                (max(height for height, _ in shapes), max(width for _, width in shapes))
            )
        padded = sum(replicas.padded(len(self._all(index))) for index in range(len(self)))
        self.weight = padded / len(self.windows)
        self._last: tuple[str, Encoded] | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.windows) // self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        """Return this process's share of a batch: images, targets, and weights if not all are 1."""
        height, width = self.sizes[index]
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
        empty_image = np.zeros((height, width, self.input_config.channels), self.input_config.dtype)
        images += [empty_image] * missing
        targets += [np.full(trained_shape(self.task, height, width), VOID, np.uint8)] * missing
        encoded = as_losses_need(np.stack(targets), self.task, self.loss)
        return np.stack(images), encoded, np.full(count, self.weight, np.float32)

    def _all(self, index: int) -> Sequence[Window]:
        """Return the windows of a batch, of all processes."""
        return self.windows[index * self.size : (index + 1) * self.size]

    def _own(self, index: int) -> Sequence[Window]:
        """Return the windows of a batch that this process reads."""
        windows = self._all(index)
        return windows[self.replicas.share(self.replicas.padded(len(windows)))]

    def _read(self, window: Window) -> Encoded:
        """Return the window of an image and target; an image is read once for all its windows."""
        last = self._last
        if last is None or last[0] != window.name:
            last = (window.name, self.samples(window.name))
            self._last = last
        image, target = last[1]
        return image[window.rows, window.columns], target[window.rows, window.columns]


def _padded(array: np.ndarray, height: int, width: int, fill: int | None) -> np.ndarray:
    """Return an array padded below and on the right: with `fill`, or mirrored if it is None."""
    missing = [(0, height - array.shape[0]), (0, width - array.shape[1])]
    missing += [(0, 0)] * (array.ndim - 2)
    if fill is None:
        return np.pad(array, missing, mode="symmetric")
    return np.pad(array, missing, constant_values=fill)
