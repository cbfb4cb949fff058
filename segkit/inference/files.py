"""Masks for files: read ahead, predict in batches or tiles, decode, write each image whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError
from segkit.inference.decoding import needs_probabilities
from segkit.inference.images import Named, Prediction, Windows, match_model_input, predict_each
from segkit.inference.outputs.prediction import Answer
from segkit.inference.outputs.summary import Row
from segkit.inference.outputs.writer import Outputs, Results, is_full
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.io.images import read_image
from segkit.system.threads import prefetch

Progress = Callable[[str], None]
WAITING = 2**26
"""Most bytes of the probabilities of an image that may wait for being written."""


class Summary(NamedTuple):
    """What became of the images; `stopped` says why the rest was not tried."""

    written: int
    skipped: int
    failed: list[tuple[Path, str]]
    stopped: str | None = None

    def plus(self, other: Summary) -> Summary:
        """Return both together."""
        failed = self.failed + other.failed
        return Summary(
            self.written + other.written,
            self.skipped + other.skipped,
            failed,
            self.stopped or other.stopped,
        )


class Outcome(NamedTuple):
    """What became of one image: its row of the summary table, or what is wrong; `full`: no other can be written either."""

    name: str
    row: Row | None
    problem: str = ""
    full: bool = False


EachWritten = Callable[[Mapping[str, Path], Results], Generator[Outcome]]
"""Predicts the images, writes what comes out, and yields the outcome of each."""


def predict_files(
    predict: Predict,
    config: RunConfig,
    images: dict[str, Path],
    outputs: Outputs,
    skip_existing: bool = False,
    progress: Progress = lambda name: None,
    others: Iterable[str] = (),
    windows: Windows = lambda name, done, total: None,
    watch: ScaleWatch | None = None,
) -> Summary:
    """Predict every image and write its results in the image's own size; a broken one is noted and the others go on.

    At the end come the tables of these images and of `others`, which another call predicts into the same folders. Only
    a disk that takes no more ends it early. `windows` receives how many windows of an image larger than one are done.
    """
    each = partial(each_written, predict, config, windows=windows, watch=watch)
    return write_files(each, Results(config, outputs), images, skip_existing, progress, others)


def write_files(
    each: EachWritten,
    results: Results,
    images: Mapping[str, Path],
    skip_existing: bool = False,
    progress: Progress = lambda name: None,
    others: Iterable[str] = (),
) -> Summary:
    """Have `each` image written that is to do, and then the tables: `predict_files` for any way of predicting.

    Raises `ConfigError` if the folder holds masks that are stored in another way.
    """
    results.check_coding(images)
    try:
        results.prepare()
    except OSError as refused:
        return Summary(0, 0, [], f"{_unwritten(results.masks, refused)}; nothing was predicted")
    todo = {
        name: path
        for name, path in images.items()
        if not (skip_existing and results.is_done(name, path))
    }
    rows: dict[str, Row] = {}
    failed: list[tuple[Path, str]] = []
    stopped = None
    with closing(each(todo, results)) as outcomes:
        for name, row, problem, full in outcomes:
            if row is not None:
                rows[name] = row
            elif full:
                stopped = _stopped(problem, len(todo) - len(rows) - len(failed))
                break
            else:
                failed.append((todo[name], problem))
            progress(name)
    if not stopped:
        failed += _finish(results, {*images, *others}, rows)
    return Summary(len(rows), len(images) - len(todo), sorted(failed), stopped)


def each_written(
    predict: Predict,
    config: RunConfig,
    todo: Mapping[str, Path],
    results: Results,
    windows: Windows = lambda name, done, total: None,
    watch: ScaleWatch | None = None,
) -> Generator[Outcome]:
    """Predict images, write their results, and yield the outcome of each.

    The network runs in the thread that asks for the next image; others read ahead of it and write behind it. Only one
    image larger than `WAITING` has its probabilities in memory: it is written before the next one is predicted.
    """
    unread: deque[Outcome] = deque()

    def read(name: str) -> Named | None:
        try:
            image = match_model_input(config, _read(config, todo[name]), str(todo[name]))
        except DataError as problem:
            unread.append(failure(name, todo[name], problem, results))
            return None
        if watch is not None:
            watch.see(name, image)
        return name, image

    def write(prediction: Prediction | Outcome) -> Outcome:
        if isinstance(prediction, Outcome):
            return prediction
        name, image, probabilities, mask = prediction
        try:
            if probabilities is not None:
                answer = Answer.of(config, name, todo[name], image, probabilities)
            else:
                answer = Answer.of_mask(config, name, todo[name], image, mask)
            return Outcome(name, results.write(answer))
        except (OSError, DataError) as problem:
            return failure(name, todo[name], problem, results)

    def large_ones_written(predictions: Iterable[Prediction]) -> Generator[Prediction | Outcome]:
        for prediction in predictions:
            values = prediction.probabilities
            yield prediction if values is None or values.nbytes <= WAITING else write(prediction)

    keep = results.need_probabilities or needs_probabilities(config)
    with (
        closing(prefetch(read, todo)) as read_ahead,
        closing(
            predict_each(
                predict, config, (item for item in read_ahead if item is not None), keep, windows
            )
        ) as predictions,
        closing(prefetch(write, large_ones_written(predictions), workers=1)) as finished,
    ):
        for outcome in finished:
            yield outcome
            while unread:
                yield unread.popleft()
    yield from unread


def _read(config: RunConfig, image: Path) -> np.ndarray:
    """Return an image; what its file leaves open is as in training."""
    pages = config.data.pages_of_an_image
    return read_image(image, pages, config.input.channels)


def failure(name: str, image: Path, problem: Exception, results: Results) -> Outcome:
    """Return the outcome of an image whose results are not written because of `problem`."""
    if is_full(problem, results.masks):
        return Outcome(name, None, _unwritten(results.masks, problem), full=True)
    return Outcome(name, None, _told(image, problem))


def _finish(results: Results, names: set[str], rows: Mapping[str, Row]) -> list[tuple[Path, str]]:
    try:
        results.finish(names, rows)
    except (OSError, DataError) as problem:
        where = f"the masks are written, but not the tables of all images ({results.table} and the like): "
        return [(results.table, where + str(problem))]
    return []


def _unwritten(masks: Path, problem: Exception) -> str:
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return f"{masks} or a folder beside it cannot be written to ({reason})"


def _stopped(problem: str, left: int) -> str:
    return f"{problem}; {left} images are not predicted. What is written is whole: make room and go on with --skip-existing"


def _told(image: Path, problem: Exception) -> str:
    if isinstance(problem, OSError):
        where = f": {problem.filename2 or problem.filename}" if problem.filename else ""
        return f"{image}: its results cannot be written ({problem.strerror or problem}{where})"
    return str(problem) if str(problem).startswith(str(image)) else f"{image}: {problem}"
