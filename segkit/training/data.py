"""The data of a training: opened, checked sample by sample, and measured."""

from __future__ import annotations

from segkit.config import Config, RunConfig
from segkit.data.parts import open_parts
from segkit.data.sources.source import Subset
from segkit.inspection.input_statistics import fitting_input, other_scale
from segkit.inspection.training_check import check_training_data
from segkit.io.names import check_class_folders
from segkit.system.progress import Progress


def prepare_data(config: Config, progress: Progress) -> tuple[RunConfig, dict[str, Subset]]:
    """Read every sample of a config's data once.

    Args:
        config: What to read. If it has a section `input`, that is kept where it fits the images.
        progress: Receives the number of samples and the warnings.

    Returns:
        The config with what was measured of the training images, and the parts "train", "validation" and "test"
        (some of them may be empty) without the samples that were left out as broken.

    Raises:
        ConfigError: If classes of a multilabel task cannot be the folders of its masks.
        DataError: If training would be wrong: whatever `segkit inspect` calls an error.
    """
    check_class_folders(config.task)  # or prediction would refuse, after the training
    parts = open_parts(config)
    total = sum(len(subset) for subset in parts.values())
    with progress.counting("checking images and masks", total) as done:
        findings = check_training_data(
            config.task,
            parts,
            done,
            flips=config.augment.flips,
            skip_broken=config.data.skip_broken,
        )
    sizes = [f"{len(subset)} {part}" for part, subset in findings.parts.items() if len(subset)]
    left_out = f"; {findings.left_out} left out as broken" if findings.left_out else ""
    progress.message(f"images: {', '.join(sizes)}{left_out}")
    for problem in findings.warnings:
        progress.warning(str(problem))
    given = fitting_input(config, findings.input_config)
    doubt = other_scale(given, findings.input_config)
    if doubt:
        progress.warning(doubt)
    stored = getattr(parts["train"].source, "stored", config.mask_files)
    return config.model_copy(update={"mask_files": stored}).with_input(given), findings.parts
