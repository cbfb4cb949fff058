"""The same data in every format give the same samples, verdict, plan and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import Task
from segkit.config import Config, DataConfig
from segkit.data.batches.cache import Batch
from segkit.data.batches.training import training_batches
from segkit.data.parts import open_parts
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Sample, Subset, open_source
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.inspection.inspect import inspect_parts
from segkit.inspection.mask_format.detect import detect_format
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.verdict import Verdict, judge
from segkit.planning.budget import fit_budget
from segkit.planning.choices import Machine
from segkit.planning.rules import draft
from tests.helpers.rewrite import FORMS
from tests.helpers.samples import in_memory

ANY = Guess(DataConfig(), Task.binary(), "as it is kept")
MRI = Path(__file__).parents[3] / "examples" / "brain_mri" / "data" / "test"
TASKS = {
    "brain": Task.binary("brain"),
    "lobes": Task.multiclass(["background", "frontal", "insula", "limbic", "occipital"]),
    "regions": Task.multilabel(["aal", "brain", "left hemisphere"]),
}
HEADS = {
    "brain": ("binary", "sigmoid"),
    "lobes": ("exclusive", "softmax"),
    "regions": ("overlapping", "sigmoid"),
}


def made(kind: str) -> list[Sample]:
    """Return six slices of a generated head: an ellipse, its left half, and a smaller region."""
    samples, rng = [], np.random.default_rng(0)
    rows, columns = np.mgrid[:36, :28]
    for number in range(6):
        inside = ((rows - 18) / (15 - number)) ** 2 + ((columns - 14) / (11 - number)) ** 2 < 1
        lobes = np.where(inside, 1 + (rows > 18) * 2 + (columns > 14), 0).astype(np.uint8)
        regions = np.stack([inside & (rows > 9), inside, inside & (columns < 14)], axis=-1).astype(
            np.uint8
        )
        mask = {"brain": inside.astype(np.uint8), "lobes": lobes, "regions": regions}[kind]
        samples.append(
            Sample(f"slice_{number}", rng.integers(0, 256, (36, 28, 1)).astype(np.uint8), mask)
        )
    return samples


def real(kind: str) -> tuple[Task, list[Sample]]:
    """Return the test slices of the real scan, and their task with classes in folder order."""
    if not MRI.is_dir():
        pytest.skip("examples/brain_mri/data is not prepared")
    from segkit.config import read

    task = read(Path(f"configs/brain_mri_{kind}.yaml")).task
    if kind == "regions":
        task = Task.multilabel(sorted(task.classes))
    source = in_folders(MRI / "images", MRI / kind, task)
    return task, [source.read(name) for name in source.names]


def planned(config: Config, verdict: Verdict, facts: list[SampleFingerprint]) -> Config:
    """Return the plan for three minutes on a machine whose steps take half a second."""
    return fit_budget(
        draft(config, verdict, facts, ANY),
        len(facts),
        3,
        3,
        2**33,
        lambda _: Machine(0.5, 10.0, 2**27),
    ).config


def planned_from(task: Task, samples: list[Sample]) -> Config:
    config = Config.model_validate(
        {"task": task, "data": {"source": "shapes"}, "augment": {"flip_horizontal": False}}
    )
    facts = [facts_of(task, "train", sample, task.encode(sample.mask)) for sample in samples]
    return planned(config, judge(task, facts), facts)


def without_data(config: Config) -> dict[str, Any]:
    """Return all of a config but where the data are and what its classes look like."""
    return config.model_dump(exclude={"data", "task"})


def first_batch(config: Config, part: Subset) -> Batch:
    """Return what the planned training begins with."""
    assert config.input
    batches = training_batches(part, config, config.input)
    try:
        return next(batches)
    finally:
        batches.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("data", ["made", "real"])
def test_every_form_gives_the_same_samples_verdict_plan_and_batches(
    data: str, kind: str, form: str, tmp_path: Path
) -> None:
    task, samples = (TASKS[kind], made(kind)) if data == "made" else real(kind)
    written = FORMS[form](task, samples, tmp_path)
    found = detect_format(written.images, written.masks, written.classes)
    settings = found.data.model_copy(update={"validation": 0.0, "test": 0.0})
    config = Config.model_validate(
        {"task": found.task, "data": settings, "augment": {"flip_horizontal": False}}
    )
    inspection = inspect_parts(config, open_parts(config), found)
    assert not inspection.wrong, inspection.problems
    assert inspection.verdict is not None
    verdict = inspection.verdict
    assert (verdict.kind, verdict.task.head) == HEADS[kind]
    assert verdict.task.classes == task.classes
    source = open_source(settings, verdict.task)
    assert sum(map(len, open_parts(config).values())) == len(samples)
    plan, expected = planned(config, verdict, inspection.survey.facts), planned_from(task, samples)
    assert without_data(plan) == without_data(expected)
    found_batch = first_batch(plan, Subset(source, sorted(source.names)))
    for array, wanted in zip(found_batch, first_batch(expected, in_memory(samples)), strict=True):
        np.testing.assert_array_equal(array, wanted)  # the same training, step by step
    for name, sample in zip(sorted(source.names), samples, strict=True):
        read = source.read(name)
        np.testing.assert_array_equal(read.image, sample.image)
        np.testing.assert_array_equal(verdict.task.encode(read.mask), task.encode(sample.mask))
