"""Predict an image of any size in constant memory, row of windows by row of windows.

A row of windows is predicted from left to right with the memory of one window (`blend.blend_row`).
Pixels that the next row also covers are written to a file as sums; all others are decoded and
written as a band of the mask. So no window is predicted twice, the memory does not depend on the
width, and a killed prediction goes on after its last complete row.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.coding import coding_of
from segkit.errors import DataError
from segkit.inference.blend import WindowGrid, row_probabilities
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input
from segkit.inference.large.glass import (
    Glass,
    Window,
    check_glass_is_background,
    find_glass,
    predict_tissue,
)
from segkit.inference.large.masks import write_masks
from segkit.inference.large.memory_budget import PIECES, MemoryBudget
from segkit.inference.large.work_folder import Strip, begin, work_folder
from segkit.inference.outputs.writer import check_only_mask
from segkit.inference.tiles import Predict, Progress, no_progress
from segkit.io.coding import Coding
from segkit.io.locks import renewable_lock
from segkit.io.pages import file_of
from segkit.io.raster_windows import open_windowed
from segkit.io.rasters import VRT
from segkit.io.vrt import sources_of
from segkit.io.windowed import WindowedImage
from segkit.system.threads import prefetch
from segkit.task import VOID
from segkit.task.layers import as_planes

WriteMore = Callable[[Sequence[Strip]], None]
"""Writes something from the rows of a decoded mask, from top to bottom."""
VERSION = 2
"""Changes when the content of the work folder changes its meaning."""


def predict_large(
    predict: Predict,
    config: RunConfig,
    path: Path,
    folder: Path,
    name: str,
    budget: MemoryBudget,
    fingerprint: str = "",
    progress: Progress = no_progress,
    coding: Coding | None = None,
    write_more: WriteMore | None = None,
) -> list[Path]:
    """Predict an image of any size in windows, and write its mask, FOLDER/NAME.tif, in tiles.

    Complete rows are in FOLDER/.NAME.part, from where a later call with equal settings goes on.

    Args:
        predict: The network.
        config: The config of the run.
        path: The image.
        folder: The folder of the mask.
        name: The name of the image.
        budget: What fits into the memory.
        fingerprint: Identifies the weights of the network.
        progress: Receives the number of windows that are done, also those of an earlier call.
        coding: How the mask is stored; None for the coding of the run's data set.
        write_more: Receives the rows of the decoded mask, before the mask is written.

    Returns:
        The files of the mask.

    Raises:
        DataError: If the image is not like the training images, or another process predicts it.
    """
    coding = coding or coding_of(config)
    paths = coding.paths(folder, name, tiff=True)
    check_only_mask(paths)
    with _open(path, config, budget) as image:
        rows = _rows_of(predict, config, image, work_folder(folder / f"{name}.tif"), budget)
        _predict_and_write(rows, coding, paths, fingerprint, progress, write_more)
    return paths


def _rows_of(
    predict: Predict, config: RunConfig, image: WindowedImage, work: Path, budget: MemoryBudget
) -> _Rows:
    glass = _glass_of(config, image)
    return _Rows(predict, config, image, _grid_of(config, image), work, budget, glass)


def _open(path: Path, config: RunConfig, budget: MemoryBudget) -> WindowedImage:
    """Open an image. Raises `DataError` if it cannot be read, or the network does not take it."""
    pages = config.data.pages_of_an_image
    most_bytes = PIECES * budget.read_bytes
    image = open_windowed(path, most_bytes, pages, config.input.channels, config.data.bands)
    try:
        match_model_input(config, np.zeros((1, 1, image.channels), image.dtype), str(path))
    except DataError:
        image.close()
        raise
    return image


def _grid_of(config: RunConfig, image: WindowedImage) -> WindowGrid:
    settings = config.predict
    stride = config.model.stride
    return WindowGrid.over(image.height, image.width, settings.tile, settings.overlap, stride)


def _glass_of(config: RunConfig, image: WindowedImage) -> Glass | None:
    """Return the glass of a slide; None if it is predicted like tissue."""
    if not config.predict.skip_glass:
        return None
    check_glass_is_background(config.task)
    return find_glass(image.path, image.height, image.width)


def _predict_and_write(
    rows: _Rows,
    coding: Coding,
    paths: Sequence[Path],
    fingerprint: str,
    progress: Progress,
    write_more: WriteMore | None,
) -> None:
    """Predict the missing rows, write the mask from all of them, and remove the work folder."""
    with renewable_lock(rows.work.with_suffix(".lock")) as renew:
        begin(rows.work, _work_fingerprint(rows, fingerprint))
        rows.predict_missing(_renewing(renew, progress))
        if write_more is not None:
            write_more(rows.bands)
        location = rows.image.place
        tags = location.tags_with(coding.nodata) if location else ()
        write_masks(coding, rows.bands, paths, tags)
        shutil.rmtree(rows.work)


def _renewing(renew: Callable[[], None], progress: Progress) -> Progress:
    """Return a progress function that also shows other processes that this one is alive."""

    def renew_and_report(done: int, total: int) -> None:
        renew()
        progress(done, total)

    return renew_and_report


def _work_fingerprint(rows: _Rows, fingerprint: str) -> dict[str, Any]:
    """Return everything on which the mask depends. Work goes on only if it is the same."""
    config = rows.config
    path = rows.image.path
    file = file_of(path).stat()
    of_maps: dict[str, Any] = {}
    if config.data.bands is not None:
        of_maps["bands"] = [*config.data.bands]
    if file_of(path).suffix.lower() == VRT:
        sources = [[str(source), source.stat().st_mtime_ns] for source in sources_of(path)]
        of_maps["sources"] = sources
    if rows.glass is not None:
        of_maps["skip_glass"] = True
    return {
        **of_maps,
        "version": VERSION,
        "image": {"path": str(path.resolve()), "bytes": file.st_size, "changed": file.st_mtime_ns},
        "task": config.task.model_dump(mode="json"),
        "input": config.input.model_dump(mode="json"),
        "decode": config.decode.model_dump(mode="json"),
        "grid": [*rows.grid],
        "model": fingerprint,
    }


def sums_file(work: Path, grid: WindowGrid, row: int, classes: int) -> Strip:
    """Return the file of the sums that a row of windows leaves for the next one.

    Row -1 stands for the row before the first, which leaves no pixel rows.
    """
    pixel_rows = grid.carried(row) if row >= 0 else 0
    path = work / f"sums-{row:05}.carry"
    return Strip(path, pixel_rows, grid.width, classes + 1, "float32")


class _Piece(NamedTuple):
    """Neighbouring windows of one row, which are read at once."""

    row: int
    lefts: list[int]


@dataclass(frozen=True)
class _Rows:
    """The rows of windows of one image, each of which becomes a band of the mask."""

    predict: Predict
    config: RunConfig
    image: WindowedImage
    grid: WindowGrid
    work: Path
    budget: MemoryBudget
    glass: Glass | None = None

    @property
    def bands(self) -> list[Strip]:
        """The files of the decoded mask, from top to bottom."""
        return [self._band(row) for row in range(len(self.grid.tops))]

    def _band(self, row: int) -> Strip:
        rows = self.grid.band(row)
        path = self.work / f"mask-{row:05}.band"
        planes = self.config.task.planes
        return Strip(path, rows.stop - rows.start, self.grid.width, planes, "uint8")

    def predict_missing(self, progress: Progress) -> None:
        """Predict each row that is not complete yet."""
        first_row = self._complete_rows()
        windows = self._count_windows(self._probabilities(first_row), first_row, progress)
        for row in range(first_row, len(self.grid.tops)):
            self._predict_row(row, windows)

    def _complete_rows(self) -> int:
        """Return how many rows are complete; 0 if the sums for the next row are lost."""
        bands = self.bands
        count = sum(1 for _ in itertools.takewhile(Strip.is_whole, bands))
        if count in (0, len(bands)) or self._sums(count - 1).is_whole():
            return count
        return 0

    def _sums(self, row: int) -> Strip:
        return sums_file(self.work, self.grid, row, self.config.task.channels)

    def _count_windows(
        self, windows: Iterator[np.ndarray], first_row: int, progress: Progress
    ) -> Iterator[np.ndarray]:
        """Yield the windows, and report how many are done before each is used."""
        total = len(self.grid.lefts) * len(self.grid.tops)
        done = len(self.grid.lefts) * first_row
        progress(done, total)
        for window in windows:
            done += 1
            progress(done, total)
            yield window

    def _predict_row(self, row: int, windows: Iterator[np.ndarray]) -> None:
        """Write the band of a row, and the sums for the next row."""
        above = self._sums(row - 1)
        below = self._sums(row)
        # the band is renamed last: if it exists, the row is complete
        with self._band(row).writing() as write_band, below.writing() as write_below:
            for columns, probabilities in row_probabilities(
                self.grid, row, windows, above, write_below
            ):
                mask = decode(self.config, probabilities)
                valid = self.image.valid(self.grid.band(row), columns)
                if valid is not None:
                    mask[~valid] = VOID
                write_band(as_planes(mask))
        above.path.unlink(missing_ok=True)

    def _probabilities(self, first_row: int) -> Iterator[np.ndarray]:
        """Yield the probabilities of each window from a row on, in the order of the windows."""
        pieces = prefetch(self._read_piece, self._pieces(first_row), workers=1)
        windows = itertools.chain.from_iterable(pieces)
        for _, same_shape in itertools.groupby(windows, lambda window: window.shape):
            yield from predict_tissue(
                self.predict, same_shape, self.config.task, self.budget.batch_size
            )

    def _pieces(self, first_row: int) -> Iterator[_Piece]:
        """Yield the windows of each row in pieces of at most `budget.read_bytes`."""
        grid = self.grid
        column_bytes = grid.tile * self.image.channels * self.image.dtype.itemsize
        max_columns = max(grid.tile, self.budget.read_bytes // column_bytes)
        for row in range(first_row, len(grid.tops)):
            lefts: list[int] = []
            for left in grid.lefts:
                if lefts and grid.window_columns(left).stop - lefts[0] > max_columns:
                    yield _Piece(row, lefts)
                    lefts = []
                lefts.append(left)
            yield _Piece(row, lefts)

    def _read_piece(self, piece: _Piece) -> list[Window]:
        """Return the windows of a piece as the network takes them. Glass is not read."""
        rows = self.grid.window_rows(piece.row)
        height = rows.stop - rows.start
        areas = [self.grid.window_columns(left) for left in piece.lefts]
        tissue = [columns for columns in areas if not self._is_glass(rows, columns)]
        first = 0
        pixels = None
        if tissue:
            first = tissue[0].start
            pixels = self.image.read(rows, slice(first, tissue[-1].stop))
            pixels = match_model_input(self.config, pixels, str(self.image.path))
        windows = []
        for columns in areas:
            shape = (height, columns.stop - columns.start)
            if pixels is None or columns not in tissue:
                windows.append(Window(shape, True, None))
            else:
                part = pixels[:, columns.start - first : columns.stop - first]
                windows.append(Window(shape, False, part))
        return windows

    def _is_glass(self, rows: slice, columns: slice) -> bool:
        return self.glass is not None and self.glass.covers(rows, columns)
