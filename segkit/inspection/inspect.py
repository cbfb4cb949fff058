"""`segkit inspect`: find the config that reads the data, read all samples, and judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, NamedTuple

from segkit.config import Config
from segkit.config.config import describe_sided_classes
from segkit.data.parts import open_data
from segkit.data.pixel_size import IN_PIXELS
from segkit.data.sources.source import Subset
from segkit.errors import DataError
from segkit.inspection.class_problems import objects_as_classes, one_sided
from segkit.inspection.copies_together import keep_copies_together
from segkit.inspection.data_sets import set_problems, summarize_sets
from segkit.inspection.find_config import find_config
from segkit.inspection.fingerprint import SampleFingerprint, Survey, survey
from segkit.inspection.group_problems import count_groups, group_problems
from segkit.inspection.mask_format.folders import (
    MaskDescription,
    describe_masks,
    mask_files_of,
    reuse_masks,
)
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.pixel_size import pixel_size_problems, sizes_of_facts
from segkit.inspection.problem import Problem, problem_of
from segkit.inspection.problems import decided_by, few_images, find_problems, left_out_of
from segkit.inspection.summary import DataSummary, summarize
from segkit.inspection.verdict import Verdict, judge
from segkit.system.progress import Progress
from segkit.task import Task


class Inspection(NamedTuple):
    """The results of `segkit inspect`."""

    read_as: str
    """How the masks were read."""
    task: Task
    """The task that the masks were read with."""
    parts: dict[str, Subset]
    survey: Survey
    problems: list[Problem]
    verdict: Verdict | None
    """None if no sample could be read."""
    config: Config | None = None
    """The config that reads the data; None if they could not be opened."""
    guess: Guess | None = None
    """How the config was found; None if it is the user's own."""
    source: str = ""
    """The paths that were inspected, as the user wrote them."""

    @property
    def wrong(self) -> bool:
        """Whether training would be wrong."""
        return any(problem.level == "error" for problem in self.problems)

    def summary(self) -> DataSummary:
        """Return the facts of the data set, its problems and the verdict."""
        samples = {part: len(subset) for part, subset in self.parts.items()}
        groups = None
        if self.config is not None:
            groups = count_groups(self.config, self.parts)
        pixel_sizes = IN_PIXELS
        sets = None
        if self.config is not None:
            pixel_sizes = sizes_of_facts(self.config.data, self.survey.facts)
            sets = summarize_sets(self.config.data, self.task, self.survey.facts)
        return summarize(
            self.read_as,
            self.task,
            samples,
            groups,
            self.survey,
            self.problems,
            self.verdict,
            pixel_sizes,
            sets,
        )

    def _repr_html_(self) -> str:
        from segkit.inspection.report import inspection_html_fragment  # it imports this module

        return inspection_html_fragment(self)


def inspect(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None = None,
    *,
    classes: Sequence[str] = (),
    settings: Sequence[str] = (),
    trust: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Describe a data set, find its problems, and judge which head it needs.

    Every sample is read.

    Args:
        images: A folder of images. Or, without `masks`, a config file, a CSV list, the folder of a
            prepared TensorFlow data set, or a folder with the files of a labelling tool.
        masks: A folder of mask files, a folder with one folder per class, a COCO JSON file, or the
            file or folder of labels that a labelling tool wrote.
        classes: Names of the classes in the order of their values; by default they are numbered.
        settings: Settings for reading, such as "data.mask_threshold=128".
        trust: Whether Python that a config or a TensorFlow data set names may be imported.
        progress: Receives the number of masks and samples that are read.

    Returns:
        The results; `wrong` is True if training would be wrong. Data that cannot be opened are
        reported as a problem.

    Raises:
        ConfigError: Settings do not fit together.
    """
    try:
        return inspect_data(
            images, masks, classes=classes, settings=settings, trust=trust, progress=progress
        )
    except DataError as problem:
        return unopened(problem, _name_of(images, masks))


def inspect_data(
    images: str | PathLike[str],
    masks: str | PathLike[str] | None = None,
    *,
    classes: Sequence[str] = (),
    settings: Sequence[str] = (),
    trust: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """Do the same as `inspect`, but raise `DataError` if the data cannot be opened."""
    progress = progress or Progress()
    config, guess = find_config(images, masks, classes, settings, progress, trust)
    config, parts = open_data(config)
    description = None
    if guess:
        reuse_masks(parts, guess.decoded)
    elif mask_files_of(parts):
        with progress.counting("looking at masks", len(mask_files_of(parts))) as counter:
            description = describe_masks(config.data, parts, counter)
    samples = sum(len(part) for part in parts.values())
    with progress.counting("reading images and masks", samples) as counter:
        inspection = inspect_parts(config, parts, guess, counter, description)
    return inspection._replace(source=_name_of(images, masks))


def _name_of(images: str | PathLike[str], masks: str | PathLike[str] | None) -> str:
    if masks is None:
        return str(images)
    return f"{images} and {masks}"


def inspect_parts(
    config: Config,
    parts: dict[str, Subset],
    guess: Guess | None,
    progress: Callable[[], None] = lambda: None,
    description: MaskDescription | None = None,
) -> Inspection:
    """Read every sample of a config's parts, and return the results.

    Args:
        config: The config that reads the data.
        parts: Its parts.
        guess: How the config was found; None if it is the user's own.
        progress: Called after each sample.
        description: The content of the mask files, for a config of the user.
    """
    task = config.task
    found = survey(task, parts, progress)
    together = keep_copies_together(config, parts, found)
    config, parts, found, _ = together
    flips = config.augment.flips and guess is None
    problems = find_problems(task, found, flips, config.data.skip_broken)
    problems += left_out_of(parts) + decided_by(parts) + few_images(parts, found.facts)
    problems += together.problems() + group_problems(config, parts, problems)
    problems += pixel_size_problems(config.data, found.facts)
    problems += set_problems(config.data, task, found.facts)
    if guess:
        # the verdict describes overlaps already, and the doubt about strokes has the values
        reported = {"no-overlap"}
        if any(doubt.code == "strokes" for doubt in guess.doubts):
            reported.add("strokes")
        problems = [problem for problem in problems if problem.code not in reported]
        problems += _doubts(guess, task, found.facts)
    elif description and task.stores_ids:
        problems += objects_as_classes(task, description.objects)
    refused = sum(sample.code == "overlap" for sample in found.broken)
    verdict = None
    if found.facts or refused:
        verdict = judge(task, found.facts, refused)
    read_as = _describe_reading(config, parts, guess, description)
    return Inspection(read_as, task, parts, found, problems, verdict, config, guess)


def _doubts(guess: Guess, task: Task, facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return a warning for each choice of a guess, and for classes that lie on one side."""
    problems = [problem_of("warning", doubt.code, doubt.message) for doubt in guess.doubts]
    sided = list(dict.fromkeys([*task.sided, *one_sided(task, facts)]))
    if sided:
        problems.append(problem_of("warning", "sides", describe_sided_classes(sided)))
    return problems


def _describe_reading(
    config: Config,
    parts: dict[str, Subset],
    guess: Guess | None,
    description: MaskDescription | None,
) -> str:
    """Return how the masks were read: by the guess or the config, and by the sources."""
    if guess:
        read_as = guess.read_as
    else:
        read_as = f"{config.data.origin}, as the config says"
        if description and description.words:
            read_as = f"{read_as}: {description.words}"
    by_sources = dict.fromkeys(getattr(subset.source, "read_as", "") for subset in parts.values())
    return "; ".join(words for words in [read_as, *by_sources] if words)


def unopened(problem: DataError, source: str = "") -> Inspection:
    """Return the results for a data set that cannot be opened: one error and nothing else."""
    return Inspection(
        read_as="nothing: the data set could not be opened",
        task=Task.binary(),
        parts={},
        survey=Survey([], [], 0),
        problems=[problem_of("error", problem.code, str(problem))],
        verdict=None,
        source=source,
    )


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Return the results as JSON types, in the layout of `segkit inspect --json`."""
    return inspection.summary().as_json()
