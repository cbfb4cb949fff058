"""The data of a training: opened, checked sample by sample, and measured."""

from __future__ import annotations

from collections.abc import Callable

from segkit.config import Config, InputConfig, RunConfig
from segkit.data.parts import divided_parts, open_data
from segkit.data.sources.source import Source, Subset
from segkit.data.sources.unlabelled import UnlabelledImages
from segkit.inspection.copies_together import Together, keep_copies_together
from segkit.inspection.data_sets import summarize_sets
from segkit.inspection.group_problems import count_groups
from segkit.inspection.input_statistics import fitting_input, other_scale
from segkit.inspection.pixel_size import sizes_of_facts, with_pixel_size
from segkit.inspection.summary import DataSummary, summarize
from segkit.inspection.training_check import Findings, judge_for_training, survey_for_training
from segkit.inspection.unlabelled_check import PART, check_unlabelled_images
from segkit.io.names import check_class_folders
from segkit.system.progress import Progress


def prepare_data(
    config: Config,
    progress: Progress,
    *,
    keep_parts: bool = False,
    describe: Callable[[DataSummary], None] = lambda summary: None,
) -> tuple[RunConfig, dict[str, Subset]]:
    """Read every sample of a config's data once.

    Args:
        config: The config of the training. Its section `input`, if any, is kept where it fits the
            images.
        progress: Receives the number of samples and the warnings.
        keep_parts: Whether to leave copies in two parts of segkit's own split where they are, as a
            resumed run needs it; otherwise they are put into one part (`data.keep_together`).
        describe: Receives the facts of the data.

    Returns:
        The config with the measured section `input`, and the parts "train", "validation" and "test"
        without the samples that were left out as broken. Parts may be empty. With
        `train.unlabelled` its images are the part "unlabelled".

    Raises:
        ConfigError: If classes of a multilabel task cannot be names of mask folders.
        DataError: If `segkit inspect` finds an error in the data.
    """
    check_class_folders(config.task)  # prediction would refuse such names after the training
    config, parts = open_data(config)
    together = _survey(config, parts, keep_parts, progress)
    config = together.config
    findings = _judge(together)
    progress.message(_sizes(findings.parts, findings.left_out))
    for problem in together.problems() + findings.warnings:
        progress.warning(str(problem))
    describe(_summary(config, together, findings))
    input_config = _input_of(together, findings, progress)
    config = _with_facts_of_source(config, parts["train"].source)
    run_config = config.with_input(input_config)
    return run_config, {**findings.parts, **_unlabelled_part(run_config, together, progress)}


def _survey(
    config: Config, parts: dict[str, Subset], keep_parts: bool, progress: Progress
) -> Together:
    """Read every sample once, and put copies into one part unless the parts must stay."""
    divided = []
    if not keep_parts:
        divided = divided_parts(config, parts)
    total = sum(len(subset) for subset in parts.values())
    with progress.counting("checking images and masks", total) as counter:
        found = survey_for_training(
            config.task, parts, counter, skip_broken=config.data.skip_broken, divided=divided
        )
    if divided:
        return keep_copies_together(config, parts, found)
    return Together(config, parts, found, [])


def _judge(together: Together) -> Findings:
    config = together.config
    return judge_for_training(
        config.task,
        together.parts,
        together.survey,
        flips=config.augment.flips,
        skip_broken=config.data.skip_broken,
    )


def _input_of(together: Together, findings: Findings, progress: Progress) -> InputConfig:
    """Return the section `input`, and warn if the config's own one has another scale."""
    config = together.config
    input_config = fitting_input(config, findings.input_config)
    input_config = with_pixel_size(config.data, input_config, together.survey.facts)
    warning = other_scale(input_config, findings.input_config)
    if warning:
        progress.warning(warning)
    return input_config


def _unlabelled_part(
    config: RunConfig, together: Together, progress: Progress
) -> dict[str, Subset]:
    """Return the images of `train.unlabelled` as a part, after a check; nothing without them."""
    folder = config.train.unlabelled
    if folder is None:
        return {}
    source = UnlabelledImages(folder, config.data, config.task, config.input)
    images = Subset(source, source.names)
    with progress.counting("checking images without masks", len(images)) as counter:
        images, warnings = check_unlabelled_images(
            config.task,
            images,
            together.survey.facts,
            counter,
            skip_broken=config.data.skip_broken,
        )
    progress.message(f"images without masks: {len(images)}")
    for problem in warnings:
        progress.warning(str(problem))
    return {PART: images}


def _with_facts_of_source(config: Config, source: Source) -> Config:
    """Return the config with what prediction has to know: how masks and slices are stored."""
    mask_files = getattr(source, "stored", config.mask_files)
    config = config.model_copy(update={"mask_files": mask_files})
    if config.data.source == "scans":  # prediction cuts volumes in the direction of training
        data = config.data.model_copy(update={"axis": getattr(source, "plane", None)})
        config = config.model_copy(update={"data": data})
    return config


def _summary(config: Config, together: Together, findings: Findings) -> DataSummary:
    """Return the facts of the data that the training uses."""
    return summarize(
        read_as=f"{config.data.origin}, as the config says",
        task=config.task,
        samples={part: len(subset) for part, subset in findings.parts.items()},
        groups=count_groups(config, findings.parts),
        survey=together.survey,
        problems=together.problems() + findings.warnings,
        verdict=None,
        pixel_sizes=sizes_of_facts(config.data, together.survey.facts),
        sets=summarize_sets(config.data, config.task, together.survey.facts),
    )


def _sizes(parts: dict[str, Subset], left_out: int) -> str:
    sizes = [f"{len(subset)} {part}" for part, subset in parts.items() if len(subset)]
    text = f"images: {', '.join(sizes)}"
    if left_out:
        text += f"; {left_out} left out as broken"
    return text
