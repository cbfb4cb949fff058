"""Predict an image of any size in flat memory: rows of windows from top to bottom, each kept on disk when finished.

A row of windows goes from left to right with the memory of one window (`blend.blend_row`). Pixels that the next row
touches too are carried on in a file, as sums; the others are decoded, and kept as a band of the mask. So no window is
computed twice, the memory does not depend on the width, and a killed prediction goes on after its last whole row.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.coding import coding_of
from segkit.inference.blend import Grid, row_probabilities
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input
from segkit.inference.large.masks import write_masks
from segkit.inference.large.memory_budget import PIECES, MemoryBudget
from segkit.inference.large.work_folder import Strip, begin, work_folder
from segkit.inference.outputs.writer import check_only_mask
from segkit.inference.tiles import Predict
from segkit.io.coding import Coding
from segkit.io.locks import renewable_lock
from segkit.io.pages import file_of
from segkit.io.tiff_windows import LargeImage
from segkit.system.threads import prefetch
from segkit.task import VOID, Task
from segkit.task.layers import as_planes

VERSION = 2
"""Changes when what the work folder holds changes its meaning."""
Progress = Callable[[int, int], None]
"""Called with the windows done and all windows."""


def predict_large(
    predict: Predict,
    config: RunConfig,
    path: Path,
    folder: Path,
    name: str,
    room: MemoryBudget,
    model: str = "",
    progress: Progress = lambda done, total: None,
    coding: Coding | None = None,
) -> list[Path]:
    """Predict a TIFF of any size by windows and write its mask as tiled TIFF, FOLDER/NAME.tif; return the mask files.

    The probabilities are those of `tiles.predict_tiled`. What is finished is kept in FOLDER/.NAME.part, and a later call
    for the same image file, settings and `model` (any words that stand for the weights) goes on from there. Without
    `coding` the mask is stored as the run's data set stores masks. It is VOID where the image has no data.

    Raises `DataError` if the image cannot be read or is not like those trained on, or if another process is at it.
    """
    coding = coding or coding_of(config)
    paths = coding.paths(folder, name, tiff=True)
    check_only_mask(paths)
    work = work_folder(folder / f"{name}.tif")
    pages = config.data.pages_of_an_image
    with LargeImage(path, PIECES * room.read_bytes, pages, config.input.channels) as image:
        match_model_input(config, np.zeros((1, 1, image.channels), image.dtype), str(path))
        settings = config.predict
        grid = Grid.over(
            image.height, image.width, settings.tile, settings.overlap, config.model.stride
        )
        with renewable_lock(work.with_suffix(".lock")) as renew:
            begin(work, _fingerprint(config, path, grid, model))
            bands = [_band(work, grid, row, config.task) for row in range(len(grid.tops))]
            _predict_rows(predict, config, image, grid, bands, room, _renewing(renew, progress))
            tags = image.place.tags_with(coding.nodata) if image.place else ()
            write_masks(coding, bands, paths, tags)
            shutil.rmtree(work)
    return paths


def _renewing(renew: Callable[[], None], progress: Progress) -> Progress:
    def tell(done: int, total: int) -> None:
        renew()
        progress(done, total)

    return tell


def _predict_rows(
    predict: Predict,
    config: RunConfig,
    image: LargeImage,
    grid: Grid,
    bands: list[Strip],
    room: MemoryBudget,
    progress: Progress,
) -> None:
    """Predict the rows of windows that are not finished yet, each into its band."""
    work = bands[0].path.parent
    finished = _finished(bands, lambda row: carry(work, grid, row, config.task.channels))
    row_of_windows, total = len(grid.lefts), len(grid.lefts) * len(grid.tops)
    progress(finished * row_of_windows, total)
    counted = itertools.count(finished * row_of_windows + 1)
    answers = _answers(predict, config, image, grid, finished, room)
    told = _each(answers, lambda: progress(next(counted), total))
    for row in range(finished, len(bands)):
        _predict_row(config, grid, row, told, work, bands[row], image)


def _finished(bands: list[Strip], carried: Callable[[int], Strip]) -> int:
    """Return how many rows of windows are finished; none if the sums to go on from are lost."""
    count = sum(1 for _ in itertools.takewhile(Strip.is_whole, bands))
    return count if count in (0, len(bands)) or carried(count - 1).is_whole() else 0


def _predict_row(
    config: RunConfig,
    grid: Grid,
    row: int,
    answers: Iterator[np.ndarray],
    work: Path,
    band: Strip,
    image: LargeImage,
) -> None:
    """Turn the answers of a row of windows into its band of the mask, and the sums that the next row goes on from."""
    above, below = (carry(work, grid, number, config.task.channels) for number in (row - 1, row))
    # the band gets its name last: once it is there, the row is finished
    with band.writing() as write_band, below.writing() as write_below:
        for columns, probabilities in row_probabilities(grid, row, answers, above, write_below):
            mask = decode(config, probabilities)
            valid = image.valid(grid.band(row), columns)
            if valid is not None:
                mask[~valid] = VOID
            write_band(as_planes(mask))
    above.path.unlink(missing_ok=True)


def _answers(
    predict: Predict,
    config: RunConfig,
    image: LargeImage,
    grid: Grid,
    first_row: int,
    room: MemoryBudget,
) -> Iterator[np.ndarray]:
    """Yield the probabilities of each window from `first_row` on, row by row; the image is read one piece ahead."""
    column_bytes = grid.tile * image.channels * image.dtype.itemsize
    most_columns = max(grid.tile, room.read_bytes // column_bytes)
    stretches = [
        (row, lefts)
        for row in range(first_row, len(grid.tops))
        for lefts in _stretches(grid, most_columns)
    ]

    def read(stretch: tuple[int, list[int]]) -> list[np.ndarray]:
        row, lefts = stretch
        piece = image.read(
            grid.window_rows(row), slice(lefts[0], grid.window_columns(lefts[-1]).stop)
        )
        piece = match_model_input(config, piece, str(image.path))
        return [piece[:, left - lefts[0] :][:, : grid.tile] for left in lefts]

    windows = itertools.chain.from_iterable(prefetch(read, stretches, workers=1))
    for _, alike in itertools.groupby(windows, lambda window: window.shape):
        while batch := list(itertools.islice(alike, room.batch_size)):
            probabilities = predict(np.stack(batch))
            for _, answer in zip(batch, probabilities, strict=True):
                yield answer


def _stretches(grid: Grid, most_columns: int) -> list[list[int]]:
    """Return the beginnings of a row's windows in groups that lie within `most_columns`, or are one window."""
    groups: list[list[int]] = []
    for left in grid.lefts:
        if groups and grid.window_columns(left).stop - groups[-1][0] <= most_columns:
            groups[-1].append(left)
        else:
            groups.append([left])
    return groups


def _band(work: Path, grid: Grid, row: int, task: Task) -> Strip:
    rows = grid.band(row)
    return Strip(
        work / f"mask-{row:05}.band", rows.stop - rows.start, grid.width, task.planes, "uint8"
    )


def carry(work: Path, grid: Grid, row: int, classes: int) -> Strip:
    """Return the file of the sums that a row of windows leaves to the next."""
    rows = grid.carried(row) if row >= 0 else 0
    return Strip(work / f"sums-{row:05}.carry", rows, grid.width, classes + 1, "float32")


def _fingerprint(config: RunConfig, path: Path, grid: Grid, model: str) -> dict[str, Any]:
    """Return what must be the same for a prediction to go on: everything that the mask depends on."""
    file = file_of(path).stat()
    return {
        "version": VERSION,
        "image": {"path": str(path.resolve()), "bytes": file.st_size, "changed": file.st_mtime_ns},
        "task": config.task.model_dump(mode="json"),
        "input": config.input.model_dump(mode="json"),
        "decode": config.decode.model_dump(mode="json"),
        "grid": [*grid],
        "model": model,
    }


def _each(items: Iterator[np.ndarray], tell: Callable[[], None]) -> Iterator[np.ndarray]:
    for item in items:
        tell()
        yield item
