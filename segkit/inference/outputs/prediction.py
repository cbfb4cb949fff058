"""What is known of a predicted image, and what a format does with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.inference.decoding import decode
from segkit.inference.outputs.objects import Object, find_objects
from segkit.inference.temperature import tempered
from segkit.inference.uncertainty import uncertainty
from segkit.io.georeference import TiffLocation, read_place
from segkit.io.images import read_pixels
from segkit.io.tiff import may_have_holes
from segkit.task import VOID, Task


@dataclass(frozen=True, eq=False)
class Answer:
    """An image (H, W, C), its probabilities (H, W, classes) and its decoded mask."""

    task: Task
    name: str
    path: Path
    image: np.ndarray
    probabilities: np.ndarray | None
    """As the network gives them; None where no output of the call needs them."""
    mask: np.ndarray
    doubt: Callable[[], np.ndarray] | None = None
    """What `segkit.inference.uncertainty.uncertainty` says, computed by those who ask."""
    temperature: float = 1.0
    place: TiffLocation | None = None
    """Where a TIFF lies on the map, and its value of pixels without data."""
    missing: np.ndarray | None = None
    """Where the image has no data, (H, W) bool; the mask is VOID there. None if it does not say."""

    @classmethod
    def of(
        cls, config: RunConfig, name: str, path: Path, image: np.ndarray, values: np.ndarray
    ) -> Answer:
        """Return the answer with the mask that the config decodes; beyond the classes `values` hold the spread of views."""
        probabilities = values[..., : config.task.channels]
        mask = decode(config, probabilities)
        place, missing = _place_in(config, path, mask)
        doubt = partial(uncertainty, config, values)
        temperature = config.decode.temperature
        return cls(
            config.task, name, path, image, probabilities, mask, doubt, temperature, place, missing
        )

    @classmethod
    def of_mask(
        cls, config: RunConfig, name: str, path: Path, image: np.ndarray, mask: np.ndarray | None
    ) -> Answer:
        """Return the answer for outputs that need no probabilities."""
        assert mask is not None
        place, missing = _place_in(config, path, mask)
        return cls(config.task, name, path, image, None, mask, place=place, missing=missing)

    @property
    def file_name(self) -> str:
        """The image's path below the folder of images."""
        return self.name + self.path.suffix

    @cached_property
    def objects(self) -> tuple[np.ndarray, list[Object]]:
        """The connected objects, found once for all formats that need them: see `find_objects`."""
        return find_objects(self.task, self.mask, self.calibrated)

    @cached_property
    def calibrated(self) -> np.ndarray:
        """The probabilities (H, W, classes) at the run's temperature, for outputs that need them."""
        assert self.probabilities is not None
        return tempered(self.task, self.probabilities, self.temperature)


def _place_in(
    config: RunConfig, path: Path, mask: np.ndarray
) -> tuple[TiffLocation | None, np.ndarray | None]:
    """Return the place of an image, and where it has no data (H, W), where its mask becomes VOID."""
    place = read_place(path)
    if not may_have_holes(path):
        return place, None
    pages = config.data.pages_of_an_image
    valid = read_pixels(path, pages, config.input.channels).valid
    if valid is None:
        return place, None
    mask[~valid] = VOID
    if place is not None:
        place = place._replace(has_holes=True)
    return place, ~valid


class Output:
    """One kind of result: which files an image has, how they are written, and what is made of all images at the end."""

    ending = ""
    """What the name of its folder has more than that of the masks."""

    def __init__(self, task: Task, masks: Path) -> None:
        self.task = task
        self.folder = beside(masks, self.ending)

    def paths(self, name: str) -> list[Path]:
        """Return the files of an image; they are all there if it is complete."""
        raise NotImplementedError

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        """Write the files of an image under the (temporary) paths given, in the order of `paths`."""
        raise NotImplementedError

    def merge(self) -> None:
        """Make one file of those of all images that are in the folder, where the format has one."""


def beside(masks: Path, ending: str) -> Path:
    """Return the file or folder beside the masks, "masks" and "-summary.csv" giving "masks-summary.csv".

    >>> beside(Path("out/masks"), "-geojson").as_posix()
    'out/masks-geojson'
    """
    if masks.name in ("", ".."):
        masks = Path(os.path.abspath(masks))  # noqa: PTH100 (`..` goes, links stay)
    return masks.parent / (masks.name + ending)
