"""Predict image files: note failures, stop at a full disk, write the tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from segkit.config import RunConfig
from segkit.data.pixel_size import PixelSize
from segkit.errors import DataError
from segkit.inference.images import WindowProgress, no_window_progress
from segkit.inference.outputs.summary import Row
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.pipeline import Outcome, describe_unwritable, predict_and_write
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict

ImageProgress = Callable[[str], None]
"""Called with the name of each image that is done."""
PredictAndWrite = Callable[[Mapping[str, Path], Results], Generator[Outcome]]
"""Predicts images, writes their results, and yields the outcome of each.

`pipeline.predict_and_write`, `large.files.predict_and_write_large` and
`cluster.predict_and_write_on_cluster` are such functions.
"""


class Summary(NamedTuple):
    """How many images were written, skipped or failed."""

    written: int
    skipped: int
    failed: list[tuple[Path, str]]
    """Images that could not be predicted, or tables that could not be written, with the problem."""
    stopped: str | None = None
    """Why the remaining images were not predicted; None if all were tried."""

    def plus(self, other: Summary) -> Summary:
        """Return both together."""
        return Summary(
            self.written + other.written,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.stopped or other.stopped,
        )


def no_image_progress(name: str) -> None:
    """Ignore that an image is done."""


def predict_files(
    predict: Predict,
    config: RunConfig,
    images: Mapping[str, Path],
    outputs: Outputs,
    skip_existing: bool = False,
    progress: ImageProgress = no_image_progress,
    others: Iterable[str] = (),
    windows: WindowProgress = no_window_progress,
    scale: ScaleWatch | None = None,
    resolution: PixelSize | None = None,
) -> Summary:
    """Predict image files and write their results, each in the size of its image.

    A broken image is noted, and the others are predicted. A full disk, or an output folder that
    cannot be written, ends the work early.

    Args:
        predict: The network.
        config: The config of the run.
        images: Image files by name.
        outputs: What to write, and where.
        skip_existing: Whether images whose results exist are left out.
        progress: Receives the name of each image that is done.
        others: Names of images that other calls predict into the same folders. The tables include
            them.
        windows: Receives the number of windows of a large image that are done.
        scale: Notes the range of values of each image, to warn if it differs from training.
        resolution: The size of the pixels that the network sees; None resamples nothing.

    Returns:
        How many images were written, skipped or failed.

    Raises:
        ConfigError: If the folder holds masks that are coded differently from the new ones.
    """
    each = partial(
        predict_and_write, predict, config, progress=windows, scale=scale, resolution=resolution
    )
    return write_files(each, Results(config, outputs), images, skip_existing, progress, others)


def write_files(
    each: PredictAndWrite,
    results: Results,
    images: Mapping[str, Path],
    skip_existing: bool = False,
    progress: ImageProgress = no_image_progress,
    others: Iterable[str] = (),
) -> Summary:
    """Predict and write image files with the function `each`, and then write the tables.

    The other arguments and the result are those of `predict_files`; `results` writes the files.
    """
    results.check_coding(images)
    try:
        results.prepare()
    except OSError as problem:
        reason = describe_unwritable(results.masks, problem)
        return Summary(0, 0, [], f"{reason}; nothing was predicted")
    todo = dict(images)
    if skip_existing:
        todo = {name: path for name, path in images.items() if not results.is_done(name, path)}
    rows: dict[str, Row] = {}
    failed: list[tuple[Path, str]] = []
    stopped = None
    with closing(each(todo, results)) as outcomes:
        for outcome in outcomes:
            if outcome.row is not None:
                rows[outcome.name] = outcome.row
            elif outcome.full:
                stopped = _stopped(outcome.problem, len(todo) - len(rows) - len(failed))
                break
            else:
                failed.append((todo[outcome.name], outcome.problem))
            progress(outcome.name)
    if not stopped:
        failed += _write_tables(results, {*images, *others}, rows)
    return Summary(len(rows), len(images) - len(todo), sorted(failed), stopped)


def _write_tables(
    results: Results, names: set[str], rows: Mapping[str, Row]
) -> list[tuple[Path, str]]:
    """Write the tables of all images; return the failure, if there is one."""
    try:
        results.finish(names, rows)
    except (OSError, DataError) as problem:
        message = (
            f"the masks are written, but not all files that are made of several ({results.table} "
            f"and similar): {problem}"
        )
        return [(results.table, message)]
    return []


def _stopped(problem: str, remaining: int) -> str:
    return (
        f"{problem}; {remaining} images are not predicted. All written files are complete: make "
        f"room and continue with --skip-existing"
    )
