"""Read every sample once and keep what is worth knowing of it; what cannot be read is kept too, with the reason."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import cv2
import imagecodecs
import numpy as np

from segkit.data.sources.source import Sample, Subset
from segkit.errors import DataError
from segkit.inspection.intensities import intensities, intensity_histogram, without_oddities
from segkit.system.threads import one_opencv_thread
from segkit.task import VOID, Task
from segkit.task.layers import coverage, layer_of, layers_of

THUMBNAIL = 16
"""Side of the small grey copies by which near duplicates are found, pixels."""
MEASURED = 65536
"""Pixels of a mask that its objects are measured on; larger masks are thinned to about so many."""

FEW = 8
"""Classes up to which counting them one by one is faster than a histogram (3 classes: a third of its time)."""


class SampleFingerprint(NamedTuple):
    """What is kept of one sample; arrays of C go by the task's classes, arrays of B by the image's bands."""

    name: str
    part: str
    size: tuple[int, int]
    bands: int
    dtype: str
    counted: np.ndarray
    """Values of each band in `sums`, (B,) int64."""
    sums: np.ndarray
    """Sum and sum of squares of each band, (2, B) float64."""
    percentiles: np.ndarray
    """`intensities.PERCENTILES` of each band, (5, B) float64."""
    low: float
    high: float
    nodata: float | None
    outliers: int
    """This and the six before are those of `intensities`."""
    measured: int
    """Pixels that hold a measurement, which all of the above is of; if there is none, it is of the fill value."""
    classes: np.ndarray
    """Pixels of each class, (C,) int64."""
    left: np.ndarray
    """Those of them in the left half, (C,) int64."""
    labelled: int
    """Pixels that are not void for every class."""
    nothing: int
    """Labelled pixels of no class; 0 in an exclusive task."""
    overlap: int
    """Pixels of two or more classes."""
    objects: tuple[np.ndarray, ...]
    """Areas of each class's connected pieces, in pixels (to the thinning of `MEASURED`); none for the background."""
    digest: bytes
    thumbnail: np.ndarray
    """(16, 16) float32."""

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def blank(self) -> bool:
        """Whether the image has one value in each band, and the mask one class or none: a tile of nothing but fill."""
        total, squares = self.sums
        one_value = np.abs(squares * self.counted - total**2) <= 1e-9 * squares * self.counted
        one_class = np.count_nonzero(self.classes) <= 1 and self.classes.max(initial=0) in (
            0,
            self.labelled,
        )
        return bool(one_value.all() and one_class)


class UnreadableSample(NamedTuple):
    """A sample that cannot be used, and why."""

    name: str
    part: str
    code: str
    message: str


class Survey(NamedTuple):
    """Facts of the samples that can be read, and those that cannot."""

    facts: list[SampleFingerprint]
    broken: list[UnreadableSample]
    total: int
    """Samples in all; more than were read if the survey stopped early."""


def survey(
    task: Task,
    parts: Mapping[str, Subset],
    done: Callable[[], None] = lambda: None,
    patience: float = math.inf,
) -> Survey:
    """Read all samples of all parts, in threads over the cores; call `done` after each.

    With something broken found, it stops after `patience` seconds, because training will not begin anyway.
    """
    todo = [(part, name) for part, subset in parts.items() for name in subset.names]
    facts: list[SampleFingerprint] = []
    broken: list[UnreadableSample] = []
    began = time.monotonic()
    for found in _in_threads(lambda item: _look(task, parts[item[0]], *item), todo):
        (facts if isinstance(found, SampleFingerprint) else broken).append(found)  # type: ignore[arg-type]
        done()
        if broken and time.monotonic() - began > patience:
            break
    return Survey(facts, broken, len(todo))


def _in_threads(
    look: Callable[[tuple[str, str]], SampleFingerprint | UnreadableSample],
    todo: list[tuple[str, str]],
) -> Iterator[SampleFingerprint | UnreadableSample]:
    """Decoders, check sums and OpenCV work outside Python's lock; a few samples at a time are in memory."""
    workers, queue = os.cpu_count() or 2, iter(todo)
    with one_opencv_thread(), ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(look, item) for item in islice(queue, 2 * workers)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(look, item) for item in islice(queue, 1)]


def _look(task: Task, subset: Subset, part: str, name: str) -> SampleFingerprint | UnreadableSample:
    try:
        sample = subset.read(name)
        return facts_of(task, part, sample, task.encode(sample.mask, name, void=VOID))
    except DataError as problem:
        return UnreadableSample(name, part, problem.code, str(problem))


def facts_of(task: Task, part: str, sample: Sample, target: np.ndarray) -> SampleFingerprint:
    """Return the facts of a sample and its encoded target."""
    image = sample.image
    covered = coverage(task, target)
    classes, left = _pixels(task, target)
    known = _measured(sample)
    found = intensities(known)
    nothing_known = sample.valid is not None and not sample.valid.any()
    return SampleFingerprint(
        name=sample.name,
        part=part,
        size=image.shape[:2],
        bands=image.shape[-1],
        dtype=str(image.dtype),
        **found._asdict(),
        measured=0 if nothing_known else known.shape[0] * known.shape[1],
        classes=classes,
        left=left,
        labelled=covered.labelled,
        nothing=covered.nothing,
        overlap=covered.overlap,
        objects=_objects(task, target),
        digest=_digest(image),
        thumbnail=_thumbnail(without_oddities(image, found)),
    )


def _measured(sample: Sample) -> np.ndarray:
    """Return the pixels of the image that hold a measurement, (N, 1, B), or the image if all do or none does."""
    if sample.valid is None or not sample.valid.any():
        return sample.image
    return sample.image[sample.valid][:, None]


def _digest(image: np.ndarray) -> bytes:
    """Shape, depth, and two check sums of the pixels, 64 bits in all: nobody forges copies, so SHA-256 is not needed.

    Both together take a quarter of its time. By chance two of 100,000 images agree once in a thousand million data sets.
    """
    pixels: Any = np.ascontiguousarray(image)
    sums = imagecodecs.zlibng_crc32(pixels), imagecodecs.zlibng_adler32(pixels)
    return f"{image.dtype} {image.shape} {sums}".encode()


def _pixels(task: Task, target: np.ndarray) -> np.ndarray:
    """Return the pixels of each class, in all and in the left half, (2, C) int64."""
    half = target.shape[1] // 2
    if task.stores_ids and task.channels > FEW:
        return np.stack(
            [
                intensity_histogram(part[..., None])[0, : task.channels]
                for part in (target, target[:, :half])
            ]
        )
    counts = [
        (np.count_nonzero(layer), np.count_nonzero(layer[:, :half]))
        for layer in layers_of(task, target)
    ]
    return np.array(counts, np.int64).T


def _objects(task: Task, target: np.ndarray) -> tuple[np.ndarray, ...]:
    step = max(1, math.isqrt(target.shape[0] * target.shape[1] // MEASURED))
    thin = np.ascontiguousarray(target[::step, ::step])
    numbers = cv2.CV_16U if thin.size <= 2**16 else cv2.CV_32S  # half the memory, half the time
    areas = [np.zeros(0, np.int64)] * task.channels
    for index in task.foreground:
        inside = layer_of(task, thin, index).view(np.uint8)
        if inside.any():
            pieces = cv2.connectedComponents(inside, ltype=numbers)[
                1
            ]  # with statistics it takes twice as long
            areas[index] = np.bincount(pieces.ravel())[1:] * step**2
    return tuple(areas)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    shown = np.ascontiguousarray(image[..., :3])
    rows, columns = shown.shape[:2]
    while min(rows, columns) >= 16 * THUMBNAIL and rows % 2 == columns % 2 == 0:
        rows, columns = (
            rows // 2,
            columns // 2,
        )  # OpenCV halves several times as fast as it averages larger cells
        shown = cv2.resize(shown, (columns, rows), interpolation=cv2.INTER_AREA)
    small = cv2.resize(shown, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    return small.mean(-1, dtype=np.float64).astype(np.float32) if small.ndim == 3 else small
