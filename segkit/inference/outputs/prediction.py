"""`PredictedImage`, the input of every output format, and `Output`, which formats implement."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.data.pixel_size import PixelSize, pixel_size_of_new
from segkit.inference.decoding import at_pixel_size, decode
from segkit.inference.outputs.objects import Object, find_objects, without_small_objects
from segkit.inference.outputs.shape_options import ALL_SHAPES, ShapeOptions
from segkit.inference.reading import geometry_of_image, place_in_volume
from segkit.inference.temperature import tempered
from segkit.inference.uncertainty import uncertainty
from segkit.io.coding import segkit_coding
from segkit.io.films.frames import split_frame
from segkit.io.geometry import Geometry
from segkit.io.georeference import TiffLocation, read_place
from segkit.io.images import may_have_holes, read_pixels
from segkit.io.plane_addresses import split_plane
from segkit.io.scans.slices import SlicePlace
from segkit.task import VOID, Task


@dataclass(frozen=True, eq=False)
class PredictedImage:
    """An image with its probabilities and its decoded mask."""

    task: Task
    name: str
    """The path below the folder of images, without suffix."""
    path: Path
    image: np.ndarray
    """(H, W, C)"""
    probabilities: np.ndarray | None
    """(H, W, classes) as the network predicts them; None if no output needs them."""
    mask: np.ndarray
    """The mask as `Task.decode` returns it; VOID where the image has no data."""
    compute_uncertainty: Callable[[], np.ndarray] | None = None
    """Returns what `segkit.inference.uncertainty.uncertainty` returns."""
    temperature: float = 1.0
    location: TiffLocation | None = None
    """Where a TIFF lies on the map, and its value of pixels without data."""
    no_data: np.ndarray | None = None
    """Where the image has no data, (H, W) bool; None if the file does not say."""
    geometry: Geometry | None = None
    """The physical size and place that the image's file states."""
    pixel_size: PixelSize | None = None
    """The size of the image's pixels, by its file or else by `data.pixel_size`."""
    scan: SlicePlace | None = None
    """Where the image lies in a volume; None if it is no slice of a scan."""
    shapes: ShapeOptions = ALL_SHAPES
    """Which objects are written, and how their polygons are thinned."""

    @classmethod
    def from_probabilities(
        cls, config: RunConfig, name: str, path: Path, image: np.ndarray, values: np.ndarray
    ) -> PredictedImage:
        """Decode a prediction.

        `values` is (H, W, classes), or (H, W, classes + 1) with the mean entropy of the members as
        the last channel.
        """
        probabilities = values[..., : config.task.channels]
        geometry = geometry_of_image(config, path)
        size = pixel_size_of_new(config.data, geometry)
        mask = decode(at_pixel_size(config, size, str(path)), probabilities)
        location, no_data = _read_location(config, path)
        if no_data is not None:
            mask[no_data] = VOID
        return cls(
            config.task,
            name,
            path,
            image,
            probabilities,
            mask,
            compute_uncertainty=partial(uncertainty, config, values),
            temperature=config.decode.temperature,
            location=location,
            no_data=no_data,
            geometry=geometry,
            pixel_size=size,
            scan=place_in_volume(config, path),
        )

    @classmethod
    def from_mask(
        cls, config: RunConfig, name: str, path: Path, image: np.ndarray, mask: np.ndarray
    ) -> PredictedImage:
        """Return the image for outputs that need only its mask.

        Where the image has no data, `mask` is changed to VOID in place.
        """
        location, no_data = _read_location(config, path)
        if no_data is not None:
            mask[no_data] = VOID
        geometry = geometry_of_image(config, path)
        return cls(
            config.task,
            name,
            path,
            image,
            None,
            mask,
            location=location,
            no_data=no_data,
            geometry=geometry,
            pixel_size=pixel_size_of_new(config.data, geometry),
            scan=place_in_volume(config, path),
        )

    @property
    def file_name(self) -> str:
        """The path of the image below the folder of images; the name of a slice, plane or frame."""
        is_plane = split_plane(self.path)[1] is not None
        if self.scan is not None or is_plane or split_frame(self.path) is not None:
            return self.name
        return self.name + self.path.suffix

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """Height and width of a pixel in millimetres, as the image's file states them.

        None if it states none, or lies on a map, whose tags state them.
        """
        if self.geometry is None or self.geometry.georeference is not None:
            return None
        return self.geometry.size_in("mm")

    def measures_of(self, found: Object) -> dict[str, float | str]:
        """Return the physical area of an object, with six digits, and its unit, such as "mm2".

        The result is empty if the size of the pixels or its unit is unknown.
        """
        if self.pixel_size is None or self.pixel_size.unit is None:
            return {}
        height, width = self.pixel_size.size
        area = float(f"{found.area * height * width:.6g}")
        return {"physical_area": area, "physical_unit": f"{self.pixel_size.unit}2"}

    @cached_property
    def objects(self) -> tuple[np.ndarray, list[Object]]:
        """The connected objects as `find_objects` returns them, computed once for all formats.

        Those that are smaller than `shapes.smallest` are left out.

        Raises:
            DataError: If `shapes.smallest` is an area, and the size of the pixels is unknown.
        """
        numbers, objects = find_objects(self.task, self.mask, self.calibrated)
        smallest = self.shapes.smallest_in_pixels(self.pixel_size, str(self.path))
        return without_small_objects(numbers, objects, smallest)

    @cached_property
    def calibrated(self) -> np.ndarray:
        """The probabilities (H, W, classes) at the run's temperature."""
        assert self.probabilities is not None
        return tempered(self.task, self.probabilities, self.temperature)


def _read_location(config: RunConfig, path: Path) -> tuple[TiffLocation | None, np.ndarray | None]:
    """Return where an image lies on the map, and where it has no data: (H, W) bool, or None."""
    location = read_place(path)
    if not may_have_holes(path):
        return location, None
    pages = config.data.pages_of_an_image
    valid = read_pixels(path, pages, config.input.channels, config.data.bands).valid
    if valid is None:
        return location, None
    if location is not None:
        location = location._replace(has_holes=True)
    return location, ~valid


class Output(ABC):
    """One output format: the files of an image, and the file of all images if there is one."""

    ending = ""
    """Added to the name of the masks' folder, it makes the name of this format's folder."""
    has_polygons = False
    """Whether --simplify changes what is written."""
    has_objects = True
    """Whether --smallest changes what is written."""

    def __init__(self, task: Task, masks: Path) -> None:
        self.task = task
        self.folder = beside(masks, self.ending)
        self.coding = segkit_coding(task)
        """How masks are stored, for formats that hold masks; `Results` sets that of the masks."""

    def check_folder(self) -> None:  # noqa: B027 (most formats check nothing)
        """Raise `ConfigError` if the folder holds files that do not fit those of this run."""

    @abstractmethod
    def paths(self, name: str) -> list[Path]:
        """Return the files of the image called `name`. All of them exist if it is complete."""

    @abstractmethod
    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        """Write the files of an image to temporary paths, in the order of `paths(name)`."""

    def merge(self) -> None:  # noqa: B027 (most formats have no such file)
        """Write the file of all images in the folder, if the format has one."""


def beside(masks: Path, ending: str) -> Path:
    """Return a file or folder beside the folder of the masks, with `ending` added to its name.

    >>> beside(Path("out/masks"), "-geojson").as_posix()
    'out/masks-geojson'
    """
    if masks.name in ("", ".."):
        masks = Path(os.path.abspath(masks))  # noqa: PTH100 (resolves `..`, but no links)
    return masks.parent / (masks.name + ending)
