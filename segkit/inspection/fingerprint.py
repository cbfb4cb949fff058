"""The fingerprint of each sample: all facts of an image and its mask, from reading it once."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, islice
from typing import Any, NamedTuple

import cv2
import imagecodecs
import numpy as np

from segkit.data.sources.source import Sample, Subset
from segkit.errors import DataError
from segkit.inspection.intensities import intensities, intensity_histogram, without_oddities
from segkit.io.geometry import Geometry
from segkit.system.threads import one_opencv_thread
from segkit.task import VOID, Task
from segkit.task.layers import coverage, known_layers, layer_of, layers_of

THUMBNAIL = 16
"""Side of the small grey copies by which near duplicates are found, pixels."""
MEASURED = 65536
"""Pixels of a mask that its objects are measured on; a larger mask is subsampled to about this."""
FEW = 8
"""Up to this number of classes, counting each is faster than a histogram."""


class SampleFingerprint(NamedTuple):
    """The facts of one sample, for a task with C classes and an image with B bands."""

    name: str
    part: str
    size: tuple[int, int]
    """Height and width, pixels."""
    bands: int
    dtype: str
    counted: np.ndarray
    """Number of values of each band in `sums`, (B,) int64."""
    sums: np.ndarray
    """Sum and sum of squares of each band, (2, B) float64."""
    percentiles: np.ndarray
    """`intensities.PERCENTILES` of each band, (5, B) float64."""
    low: float
    """Lowest value without nodata."""
    high: float
    """Highest value without nodata."""
    nodata: float | None
    """The value of pixels without a measurement, as detected by `intensities`."""
    outliers: int
    """Number of values far outside all others, see `intensities`."""
    measured: int
    """Pixels with a measurement. The values above are theirs, or those of all pixels if it is 0."""
    classes: np.ndarray
    """Pixels of each class, (C,) int64."""
    left: np.ndarray
    """Pixels of each class in the left half of the image, (C,) int64."""
    known: np.ndarray
    """Pixels of which the mask says whether they have each class, (C,) int64."""
    labelled: int
    """Pixels that are not void for every class."""
    nothing: int
    """Labelled pixels without a class; 0 in an exclusive task."""
    overlap: int
    """Pixels of two classes or more."""
    objects: tuple[np.ndarray, ...]
    """Sizes of the connected pieces of each class, pixels; empty for the background."""
    digest: bytes
    """Equal for images with equal pixels."""
    thumbnail: np.ndarray
    """Small grey copy, (16, 16) float32."""
    geometry: Geometry | None = None
    """The physical size and place of the pixels; None if the file states none of them."""
    annotators: int = 0
    """Number of annotators, if there are the masks of several."""
    agreement: np.ndarray | None = None
    """(2, C) int64, from `count_pairs`."""
    probable: np.ndarray | None = None
    """Whether a soft label gives each class a probability above 0, (C,) bool; None of masks."""

    @property
    def pixels(self) -> int:
        """Number of pixels of the image."""
        return self.size[0] * self.size[1]

    @property
    def blank(self) -> bool:
        """Whether each band has a single value; all such images are alike, and no copies."""
        total, squares = self.sums
        one_value = np.abs(squares * self.counted - total**2) <= 1e-9 * squares * self.counted
        return bool(one_value.all())


class UnreadableSample(NamedTuple):
    """A sample that cannot be used, with the code and the message of its error."""

    name: str
    part: str
    code: str
    message: str


class Survey(NamedTuple):
    """The fingerprints of the samples that can be read, and the errors of the others."""

    facts: list[SampleFingerprint]
    broken: list[UnreadableSample]
    total: int
    """Number of all samples; larger than that of both lists if the survey stopped early."""


def survey(
    task: Task,
    parts: Mapping[str, Subset],
    progress: Callable[[], None] = lambda: None,
    patience: float = math.inf,
) -> Survey:
    """Read all samples of all parts, in as many threads as there are cores.

    Args:
        task: The task that encodes the masks.
        parts: The samples of each part.
        progress: Called after each sample.
        patience: Seconds after which the survey stops if a sample cannot be used. Training is
            refused in this case, so the other samples do not matter.

    Returns:
        The fingerprints in the order of the parts and their names.
    """
    samples = []
    for part, subset in parts.items():
        samples += [(part, name) for name in subset.names]

    def read(sample: tuple[str, str]) -> SampleFingerprint | UnreadableSample:
        part, name = sample
        return _read_fingerprint(task, parts[part], part, name)

    facts: list[SampleFingerprint] = []
    broken: list[UnreadableSample] = []
    began = time.monotonic()
    for found in _in_threads(read, samples):
        if isinstance(found, SampleFingerprint):
            facts.append(found)
        else:
            broken.append(found)
        progress()
        if broken and time.monotonic() - began > patience:
            break
    return Survey(facts, broken, len(samples))


def _in_threads(
    read: Callable[[tuple[str, str]], SampleFingerprint | UnreadableSample],
    samples: list[tuple[str, str]],
) -> Iterator[SampleFingerprint | UnreadableSample]:
    """Yield the results in order, with few samples in memory.

    Threads suffice because decoders, checksums and OpenCV release Python's lock.
    """
    workers = os.cpu_count() or 2
    queue = iter(samples)
    with one_opencv_thread(), ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(read, sample) for sample in islice(queue, 2 * workers)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(read, sample) for sample in islice(queue, 1)]


def _read_fingerprint(
    task: Task, subset: Subset, part: str, name: str
) -> SampleFingerprint | UnreadableSample:
    try:
        sample = subset.read(name)
        return facts_of(task, part, sample, task.encode(sample.mask, name, void=VOID))
    except DataError as problem:
        return UnreadableSample(name, part, problem.code, str(problem))


def facts_of(task: Task, part: str, sample: Sample, target: np.ndarray) -> SampleFingerprint:
    """Return the fingerprint of a sample.

    Args:
        task: The task that encoded the mask.
        part: Name of the sample's part.
        sample: The sample.
        target: Its encoded mask, with void.
    """
    image = sample.image
    covered = coverage(task, target)
    classes, left = _class_pixels(task, target)
    values = _measured_values(sample)
    found = intensities(values)
    measured = values.shape[0] * values.shape[1]
    if sample.valid is not None and not sample.valid.any():
        measured = 0
    return SampleFingerprint(
        name=sample.name,
        part=part,
        size=image.shape[:2],
        bands=image.shape[-1],
        dtype=str(image.dtype),
        **found._asdict(),
        measured=measured,
        classes=classes,
        left=left,
        known=_known_pixels(task, target, covered.labelled),
        labelled=covered.labelled,
        nothing=covered.nothing,
        overlap=covered.overlap,
        objects=_object_sizes(task, target),
        digest=_digest(image),
        thumbnail=_thumbnail(without_oddities(image, found)),
        geometry=sample.geometry,
        annotators=len(sample.annotations),
        agreement=count_pairs(task, sample.annotations),
        probable=_probable(sample),
    )


def count_pairs(task: Task, annotations: Sequence[np.ndarray]) -> np.ndarray:
    """Count the pixels on which pairs of annotators agree, where both say yes or no.

    Args:
        task: The task of the masks.
        annotations: The masks of one image, as `Task.encode` returns them.

    Returns:
        (2, C) int64, summed over pairs: twice the common pixels of each class, and the sizes of the
        class in both masks.
    """
    layers = [list(layers_of(task, mask)) for mask in annotations]
    known = [list(known_layers(task, mask)) for mask in annotations]
    counts = np.zeros((2, task.channels), np.int64)
    for one, other in combinations(range(len(annotations)), 2):
        for label in range(task.channels):
            first = layers[one][label] & known[other][label]
            second = layers[other][label] & known[one][label]
            counts[0, label] += 2 * np.count_nonzero(first & second)
            counts[1, label] += np.count_nonzero(first) + np.count_nonzero(second)
    return counts


def _probable(sample: Sample) -> np.ndarray | None:
    if sample.soft is None:
        return None
    is_probable = (sample.soft > 0) & (sample.soft != VOID)
    return np.asarray(is_probable.any(axis=(0, 1)))


def _measured_values(sample: Sample) -> np.ndarray:
    """Return the valid pixels (N, 1, B), or the whole image if all or none of them are valid."""
    if sample.valid is None or not sample.valid.any():
        return sample.image
    return sample.image[sample.valid][:, None]


def _digest(image: np.ndarray) -> bytes:
    """Return dtype, shape and two checksums of the pixels, 64 bits together.

    The two take a quarter of SHA-256's time. Nobody forges duplicates, so they suffice: by chance
    two of 100,000 images agree in one of 10^9 data sets.
    """
    pixels: Any = np.ascontiguousarray(image)
    checksums = (imagecodecs.zlibng_crc32(pixels), imagecodecs.zlibng_adler32(pixels))
    return f"{image.dtype} {image.shape} {checksums}".encode()


def _class_pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the pixels of each class in the whole image and in its left half, (2, C) int64."""
    left_half = target[:, : target.shape[1] // 2]
    if task.stores_ids and task.channels > FEW:
        whole = intensity_histogram(target[..., None])[0, : task.channels]
        left = intensity_histogram(left_half[..., None])[0, : task.channels]
        return np.stack([whole, left])
    counts = np.zeros((2, task.channels), np.int64)
    for index, layer in enumerate(layers_of(task, target)):
        counts[0, index] = np.count_nonzero(layer)
        counts[1, index] = np.count_nonzero(layer[:, : target.shape[1] // 2])
    return counts


def _known_pixels(task: Task, target: np.ndarray, labelled: int) -> np.ndarray:
    """Return the number of pixels of which the mask says whether they have each class, (C,)."""
    if task.sets:
        pixels_by_value = intensity_histogram(target[..., None])[0].astype(np.int64)
        return pixels_by_value @ task.known
    if task.stores_ids:
        return np.full(task.channels, labelled, np.int64)
    return np.array([np.count_nonzero(layer) for layer in known_layers(task, target)], np.int64)


def _object_sizes(task: Task, target: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the sizes of the connected pieces of each class, pixels."""
    step = max(1, math.isqrt(target.shape[0] * target.shape[1] // MEASURED))
    thin = np.ascontiguousarray(target[::step, ::step])
    numbers = cv2.CV_32S
    if thin.size <= 2**16:
        numbers = cv2.CV_16U  # half the memory, half the time
    sizes = [np.zeros(0, np.int64)] * task.channels
    for index in task.foreground:
        inside = layer_of(task, thin, index).view(np.uint8)
        if inside.any():
            # with cv2.connectedComponentsWithStats it takes twice as long
            _, pieces = cv2.connectedComponents(inside, ltype=numbers)
            sizes[index] = np.bincount(pieces.ravel())[1:] * step**2
    return tuple(sizes)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """Return the mean of up to three bands at 16 x 16 pixels, float32."""
    reduced = np.ascontiguousarray(image[..., :3])
    rows, columns = reduced.shape[:2]
    # OpenCV halves an image several times as fast as it averages larger cells
    while min(rows, columns) >= 16 * THUMBNAIL and rows % 2 == columns % 2 == 0:
        rows //= 2
        columns //= 2
        reduced = cv2.resize(reduced, (columns, rows), interpolation=cv2.INTER_AREA)
    small = cv2.resize(reduced, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = small.astype(np.float32)
    if small.ndim == 2:
        return small
    return small.mean(-1, dtype=np.float64).astype(np.float32)
