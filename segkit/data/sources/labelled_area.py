"""Images of which only a part was labelled, by a folder of masks of these parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.config.partial_labels import LabelledAreaConfig
from segkit.data.sources.source import Sample, Source, void_where_invalid
from segkit.data.sources.wrapped import WrappedSource
from segkit.errors import DataError
from segkit.io.image_files import list_images
from segkit.io.masks import read_mask_pixels
from segkit.task import VOID


class LabelledArea(WrappedSource):
    """The samples of another source, unlabelled outside the masks of a folder.

    Args:
        source: The other source.
        area: The setting `data.labelled_area` with a folder of masks.

    Raises:
        DataError: If the folder is missing, or if it lacks the mask of an image and `area.missing`
            is "error".
    """

    def __init__(self, source: Source, area: LabelledAreaConfig) -> None:
        super().__init__(source)
        folder = Path(str(area.masks))
        self._area = area
        found = list_images(folder)
        self._masks = {name: found[name] for name in source.names if name in found}
        for name in source.names:
            if name not in found and area.missing == "error":
                raise no_area(f"{folder}: has no mask with the name of the image {name}")

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        files = self.files_below(name)
        if name in self._masks:
            files = [*files, self._masks[name]]
        return files

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The sample, whose mask is VOID outside the labelled area.

        Raises:
            DataError: If a file cannot be read, or if the area has another size than the image.
        """
        sample = self.source.read(name)
        size = sample.mask.shape[:2]
        if name not in self._masks:
            where = f"{self._area.masks} ({name})"
            mask = without_area(sample.mask, self._area, where)
            soft = sample.soft
            if soft is not None:
                soft = without_area(soft, self._area, where)
            return sample._replace(mask=mask, soft=soft)
        area = _read_area(self._masks[name], size)
        soft = sample.soft
        if soft is not None:
            soft = void_where_invalid(soft, area)
        return sample._replace(mask=void_where_invalid(sample.mask, area), soft=soft)


def without_area(mask: np.ndarray, area: LabelledAreaConfig, where: str) -> np.ndarray:
    """Return the mask of an image without a labelled area.

    Args:
        mask: (H, W) or (H, W, C) uint8.
        area: The setting, which says what such an image means.
        where: The file and the image, for messages.

    Returns:
        The mask itself, or a mask without labels.

    Raises:
        DataError: If such an image is an error.
    """
    if area.missing == "error":
        raise no_area(f"{where}: there is no labelled area")
    if area.missing == "all":
        return mask
    return np.full_like(mask, VOID)


def no_area(message: str) -> DataError:
    """Return the error that nothing says which part of an image was labelled.

    Args:
        message: The file and the image.
    """
    return DataError(
        f"{message}, so it is unknown which part of it was labelled. Add the area, or set "
        f"data.labelled_area.missing to all (such images were labelled completely) or nothing",
        "no-area",
    )


def _read_area(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of an area, (H, W) bool."""
    stored = read_mask_pixels(path)
    if stored.values.shape != size:
        height, width = stored.values.shape
        raise DataError(
            f"{path}: the area is {width} wide and {height} high, its image {size[1]} wide and "
            f"{size[0]} high",
            "mask-size",
        )
    area = np.asarray(stored.values > 0)
    if stored.valid is not None:
        area &= stored.valid
    return area
