"""Images of a folder without masks, which train by the consistency term (`train.unlabelled`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, InputConfig
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.errors import DataError
from segkit.io.image_files import list_contents, list_images
from segkit.io.images import fit_channels, read_pixels
from segkit.io.pages import file_of, pages_apart
from segkit.io.planes import planes_apart
from segkit.io.slides import at_level
from segkit.task import Task

SETTING = "train.unlabelled"


class UnlabelledImages:
    """The images in a folder and below it, read as the images of the data set are read.

    A mask has the first value of the task inside the image and VOID where the image has no
    measurement. So it says which pixels count, and nothing about classes.

    Args:
        folder: The folder.
        data: Section `data` of the config: its bands, pages, axes and levels.
        task: The task of the network.
        input_config: The network's input.

    Raises:
        DataError: If the folder is missing or has no image, or two images have one name.
    """

    def __init__(
        self, folder: Path, data: DataConfig, task: Task, input_config: InputConfig
    ) -> None:
        self.data = data
        self.task = task
        self.input_config = input_config
        files = list_images(folder)
        if not files:
            raise DataError(f"{folder}: {SETTING} needs a folder of images; it has none", "empty")
        files = {name: at_level(path, data.microns_per_pixel) for name, path in files.items()}
        pages = pages_apart(files, data.pages)
        self.images = planes_apart(pages, data.axes, keep_broken=True)
        self.names: Sequence[str] = list(self.images)
        self.parts: Mapping[str, Sequence[str]] = {}
        self.left_out = list_contents(folder).left_out
        """Files in the folder that look like images but are not read."""

    def files(self, name: str) -> list[Path]:
        """Return the file that an image is read from."""
        return [file_of(self.images[name])]

    def read(self, name: str) -> Sample:
        """Read an image.

        Args:
            name: One of `names`.

        Returns:
            The image, and a mask that is VOID where nothing was measured.

        Raises:
            DataError: If the image cannot be read, or is of another kind than the labelled ones.
        """
        path = self.images[name]
        channels = self.input_config.channels
        stored = read_pixels(path, self.data.pages_of_an_image, channels, self.data.bands)
        if str(stored.values.dtype) != self.input_config.dtype:
            raise DataError(
                f"{path}: is {stored.values.dtype}; the labelled images are "
                f"{self.input_config.dtype}. Convert it, or remove it from {SETTING}",
                "depth",
            )
        image = fit_channels(stored.values, channels, str(path))
        mask = np.zeros(self.task.target_shape(*image.shape[:2]), np.uint8)
        return Sample(name, image, void_where_invalid(mask, stored.valid), stored.valid)
