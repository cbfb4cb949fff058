"""`segkit inspect`, as one story: read how masks are kept, survey every sample, find problems, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from segkit.config import Config
from segkit.config.config import told_sides
from segkit.data.parts import open_parts
from segkit.data.sources.source import Subset
from segkit.errors import DataError
from segkit.inspection.find_config import find_config
from segkit.inspection.fingerprint import SampleFingerprint, Survey, survey
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.mask_format.folders import FirstLook, first_look, mask_files_of, take_over
from segkit.inspection.mask_format.values import Guess
from segkit.inspection.problems import (
    Problem,
    decided_by,
    few_images,
    find_problems,
    left_out_of,
    objects_as_classes,
    one_sided,
)
from segkit.inspection.verdict import Verdict, judge
from segkit.system.progress import Progress
from segkit.task import Task


class Inspection(NamedTuple):
    """What `segkit inspect` saw."""

    read_as: str
    task: Task
    """As the masks were read."""
    parts: dict[str, Subset]
    survey: Survey
    problems: list[Problem]
    verdict: Verdict | None
    """None if no sample could be read."""
    config: Config | None = None
    """The config that reads the data; None if they could not be opened."""
    guess: Guess | None = None
    """How the config was found; None if it is the user's own."""

    @property
    def wrong(self) -> bool:
        """Whether training would be wrong."""
        return any(problem.level == "error" for problem in self.problems)

    def _repr_html_(self) -> str:
        from segkit.inspection.report import inspection_html  # which imports this module

        page = inspection_html(self)
        return page[page.index("<body>") + len("<body>") : page.index("</body>")]


def inspect(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None = None,
    *,
    classes: Sequence[str] = (),
    settings: Sequence[str] = (),
    trust: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Find out what a data set is, what is wrong with it, and which head it needs. Every sample is read.

    Args:
        images: A folder of images; or alone a config file, a CSV list, or the folder of a prepared TensorFlow data set.
        masks: Their masks: a folder of files, a folder with one folder for each class, or a COCO JSON file.
        classes: Names of the classes in the order of their values; without them they are called by their values.
        settings: Settings of how to read, such as "data.mask_threshold=128".
        trust: Whether Python that a config or a TensorFlow data set names may be imported.
        progress: Receives the number of masks and samples that are read.

    Returns:
        What was found. `wrong` says whether training would be wrong; data that cannot be opened at all are a problem like
        others.

    Raises:
        ConfigError: For settings that do not fit together.
    """
    try:
        return inspect_data(
            images, masks, classes=classes, settings=settings, trust=trust, progress=progress
        )
    except DataError as problem:
        return unopened(problem)


def inspect_data(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None = None,
    *,
    classes: Sequence[str] = (),
    settings: Sequence[str] = (),
    trust: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Do what `inspect` does, but raise `DataError` if the data cannot be opened."""
    progress = progress or Progress()
    config, guess = find_config(images, masks, classes, settings, progress, trust)
    parts = open_parts(config)
    stored = None
    if guess:
        take_over(parts, guess.kept)
    elif mask_files_of(parts):
        with progress.counting("looking at masks", len(mask_files_of(parts))) as done:
            stored = first_look(config.data, parts, done)
    with progress.counting(
        "reading images and masks", sum(len(part) for part in parts.values())
    ) as done:
        return inspect_parts(config, parts, guess, done, stored)


def inspect_parts(
    config: Config,
    parts: dict[str, Subset],
    guess: Guess | None,
    done: Callable[[], None] = lambda: None,
    stored: FirstLook | None = None,
) -> Inspection:
    """Read every sample of a config's parts, and return what there is to say.

    The config may be `guess`'s; if it is the user's, `stored` says what its mask files hold.
    """
    found = survey(config.task, parts, done)
    problems = find_problems(
        config.task, found, config.augment.flips and guess is None, config.data.skip_broken
    )
    problems += left_out_of(parts) + decided_by(parts) + few_images(parts, found.facts)
    if guess:
        problems += [Problem(code, "warning", message) for code, message in guess.doubts]
        problems = [
            problem for problem in problems if problem.code != "no-overlap"
        ]  # the verdict says it
        sided = [*config.task.sided, *one_sided(config.task, found.facts)]
        if sided:
            problems.append(Problem("sides", "warning", told_sides(list(dict.fromkeys(sided)))))
    elif stored and stored.objects and config.task.stores_ids:
        problems.append(objects_as_classes(config.task, str(stored.objects)))
    refused = sum(sample.code == "overlap" for sample in found.broken)
    verdict = judge(config.task, found.facts, refused) if found.facts or refused else None
    by_config = f"{config.data.source}, as the config says"
    if stored and stored.words:
        by_config = f"{by_config}: {stored.words}"
    read_as = guess.read_as if guess else by_config
    by_sources = dict.fromkeys(getattr(subset.source, "read_as", "") for subset in parts.values())
    read_as = "; ".join(words for words in [read_as, *by_sources] if words)
    return Inspection(read_as, config.task, parts, found, problems, verdict, config, guess)


def unopened(problem: DataError) -> Inspection:
    """Return the inspection of a data set that could not even be opened: one error and nothing else."""
    errors = [Problem(problem.code, "error", str(problem))]
    return Inspection(
        "nothing: the data set could not be opened",
        Task.binary(),
        {},
        Survey([], [], 0),
        errors,
        None,
    )


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Return everything as JSON types: facts of the data set, of each part and class, problems, verdict."""
    facts, task, verdict = inspection.survey.facts, inspection.task, inspection.verdict
    return {
        "read_as": inspection.read_as,
        "samples": {part: len(subset) for part, subset in inspection.parts.items()},
        "unreadable": len(inspection.survey.broken),
        "images": image_facts(facts) if facts else {},
        "classes": {
            name: class_facts(task, facts, index) for index, name in enumerate(task.classes)
        }
        if facts
        else {},
        "void_share": _share(
            sum(f.pixels - f.labelled for f in facts), sum(f.pixels for f in facts)
        ),
        "overlap_pixels": sum(fact.overlap for fact in facts),
        "empty_masks": sum(not fact.classes[list(task.foreground)].any() for fact in facts),
        "problems": [problem._asdict() for problem in inspection.problems],
        "verdict": verdict
        and {
            "kind": verdict.kind,
            "head": verdict.task.head,
            "because": verdict.because,
            "unless": verdict.unless,
        },
    }


def image_facts(facts: list[SampleFingerprint]) -> dict[str, Any]:
    """Return sizes, depth, bands and intensities of the images."""
    sizes = np.array([fact.size for fact in facts])
    measured = [fact for fact in facts if fact.measured] or facts
    bands = max(fact.bands for fact in facts)
    shape, fitting = (
        (len(PERCENTILES), bands),
        [fact.percentiles for fact in measured if fact.bands in (1, bands)],
    )
    percentiles = np.median([np.broadcast_to(array, shape) for array in fitting], axis=0)
    return {
        "height": {
            "smallest": int(sizes[:, 0].min()),
            "median": float(np.median(sizes[:, 0])),
            "largest": int(sizes[:, 0].max()),
        },
        "width": {
            "smallest": int(sizes[:, 1].min()),
            "median": float(np.median(sizes[:, 1])),
            "largest": int(sizes[:, 1].max()),
        },
        "dtype": sorted({fact.dtype for fact in facts}),
        "bands": sorted({fact.bands for fact in facts}),
        "low": min(fact.low for fact in measured),
        "high": max(fact.high for fact in measured),
        "percentiles": {
            str(p): np.round(row, 3).tolist()
            for p, row in zip(PERCENTILES, percentiles, strict=True)
        },
    }


def class_facts(task: Task, facts: list[SampleFingerprint], index: int) -> dict[str, Any]:
    """Return a class's share of the labelled pixels, the images that show it, and the areas of its pieces in pixels."""
    pixels = int(sum(fact.classes[index] for fact in facts))
    areas = np.concatenate([fact.objects[index] for fact in facts])
    quartiles = (
        np.percentile(areas, (10, 50, 90)).round().astype(int).tolist() if areas.size else None
    )
    return {
        "pixels": pixels,
        "share": _share(pixels, sum(fact.labelled for fact in facts)),
        "images": sum(bool(fact.classes[index]) for fact in facts),
        "pieces": int(areas.size),
        "piece_area_10_50_90": quartiles,
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0
