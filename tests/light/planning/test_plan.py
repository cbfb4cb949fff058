"""The planner: rules on the data, the time budget (steps are not timed here), and the YAML text."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import ConfigError, RunError, Task
from segkit.config import Config, RunConfig, read
from segkit.data.sources.source import Sample
from segkit.errors import SegkitWarning
from segkit.inspection.fingerprint import SampleFingerprint, facts_of
from segkit.inspection.inspect import inspect_data
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.verdict import judge
from segkit.planning import step_time
from segkit.planning.budget import (
    SAMPLES,
    SAMPLES_AT_HIGH_RESOLUTION,
    SAMPLES_PER_CLASS,
    Measure,
    fit_budget,
)
from segkit.planning.choices import Machine, Plan
from segkit.planning.network_rules import depth_for, share_between_images
from segkit.planning.plan import check_request, plan_for
from segkit.planning.rules import draft
from segkit.planning.yaml_text import as_yaml
from segkit.system.progress import Progress
from tests.helpers.errors import fails, holds
from tests.helpers.exports_made import GIVEN

GIB = 2**30


def facts(
    task: Task, count: int = 12, size: tuple[int, int] = (64, 96), **changes: object
) -> list[SampleFingerprint]:
    """Return fingerprints of random images whose left third is class 1."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        target = np.zeros(task.target_shape(*size), np.uint8)
        target[:, : size[1] // 3] = 1
        image = rng.integers(0, 256, (*size, 1)).astype(np.uint8)
        part = "validation" if number % 4 == 3 else "train"
        fact = facts_of(task, part, Sample(f"s{number}", image, target), target)
        found.append(fact._replace(**changes))  # type: ignore[arg-type]
    return found


def planned(
    task: Task,
    found: list[SampleFingerprint],
    validation: bool = False,
    small_batches: bool = False,
) -> Plan:
    if not validation:
        found = [fact._replace(part="train") for fact in found]
    config = Config.model_validate(
        {"task": task, "data": {"source": "shapes"}, "augment": {"flip_horizontal": False}}
    )
    guess = Guess(config.data, task, "one file per image")
    return draft(config, judge(task, found), found, guess, small_batches)


def machine(seconds_at_full: float) -> Measure:
    """Return the measurement of a machine whose step time grows with pixels and channels."""

    def measure(config: RunConfig) -> Machine:
        network = (config.model.width / 32) / config.model.stem**2
        seconds = seconds_at_full * network * config.train.batch_size / 4
        return Machine(seconds, 10.0, GIB / 8)

    return measure


def of_images(images: list[np.ndarray]) -> list[SampleFingerprint]:
    """Return fingerprints of images with empty masks."""
    task = Task.binary()
    found = []
    for number, image in enumerate(images):
        target = np.zeros(task.target_shape(*image.shape[:2]), np.uint8)
        found.append(facts_of(task, "train", Sample(f"s{number}", image, target), target))
    return found


@pytest.mark.parametrize("bands", [1, 3])
def test_the_variance_between_images_is_that_of_the_pixels(bands: int) -> None:
    rng = np.random.default_rng(1)
    images = []
    for size in ((8, 12), (20, 16), (9, 9)):
        base = rng.integers(0, 200, (1, 1, bands))
        images.append((base + rng.integers(0, 50, (*size, bands))).astype(np.uint8))
    shares = []
    for band in range(bands):
        every = np.concatenate([image[..., band].ravel() for image in images]).astype(float)
        between = 0.0
        for image in images:
            between += image[..., band].size * (image[..., band].mean() - every.mean()) ** 2
        shares.append(between / every.size / every.var())
    assert share_between_images(of_images(images)) == pytest.approx(np.median(shares))


def test_the_variance_between_images_has_limits() -> None:
    equal = [np.full((4, 4, 1), 7, np.uint8)] * 3
    assert share_between_images(of_images(equal)) == 0
    constant = [np.full((4, 4, 1), value, np.uint8) for value in (10, 250)]
    assert share_between_images(of_images(constant)) == pytest.approx(1)
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    assert share_between_images(of_images([grey, np.repeat(grey, 3, axis=2)])) == 0


def test_small_batches_of_different_brightness_are_normalized_image_by_image() -> None:
    task = Task.binary()
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 40, (64, 96, 1)) for _ in range(8)]
    alike = [(image + 100).astype(np.uint8) for image in noise]
    varied = [(image + 20 * place).astype(np.uint8) for place, image in enumerate(noise)]
    for images, small_batches, chosen in (
        (alike, True, "batch"),
        (varied, True, "instance"),
        (varied, False, "batch"),
    ):
        plan = planned(task, of_images(images), small_batches=small_batches)
        assert plan.config.model.normalization == chosen


def test_layers_that_exclude_each_other_are_planned_as_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotations of COCO are layers; without overlaps the plan has one more class."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    images = []
    annotations = []
    for number in range(8):
        picture = rng.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 50, "height": 40})
        for category in (1, 2):
            left = 20 * category
            corners = [left, 5, left + 9, 5, left + 9, 20, left, 20]
            annotations.append(
                {
                    "id": 2 * number + category,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [corners],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "house"}, {"id": 2, "name": "road"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    inspection = inspect_data(tmp_path / "images", tmp_path / "coco.json")
    monkeypatch.setattr("segkit.planning.plan.measure_steps", machine(1.0))
    task = plan_for(inspection).config.task
    assert task.classes == ("background", "house", "road")
    assert task.kind == "multiclass"


@pytest.mark.parametrize(
    ("status", "printed", "values"),
    [
        (-9, "", ("signal 9",)),
        (1, "Traceback\nMemoryError: of 3 GB", ("MemoryError: of 3 GB",)),
        (3, "", ("status 3",)),
    ],
)
def test_failed_training_steps_are_an_error_with_the_cause(
    status: int, printed: str, values: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.CompletedProcess([], status, "", printed)
    monkeypatch.setattr(step_time.subprocess, "run", lambda *_, **__: ended)
    config = Config(task=Task.binary("a")).with_input(GIVEN)
    with fails(RunError, "not-measurable", *values):
        step_time.measure_steps(config)


def test_an_existing_config_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("mine")
    with fails(ConfigError, "exists-already", path, setting="--out"):
        check_request(path, None)
    check_request(tmp_path / "other.yaml", None)


@pytest.mark.parametrize(
    ("crop", "stem", "depth"),
    [((512, 512), 1, 6), ((217, 181), 1, 4), ((217, 181), 4, 3), ((8, 8), 1, 1)],
)
def test_the_deepest_features_keep_eight_pixels(
    crop: tuple[int, int], stem: int, depth: int
) -> None:
    assert depth_for(crop, stem) == depth
    assert depth == 1 or min(crop) / (stem * 2**depth) >= (8 if stem == 1 else 4)


def test_the_paths_of_a_plan_are_relative_to_its_file(tmp_path: Path) -> None:
    plan = fit_budget(
        planned(Task.binary("crack"), facts(Task.binary("crack"))), 9, 3, 3, 8 * GIB, machine(0.5)
    )
    data = plan.config.data.model_copy(
        update={"images": tmp_path / "data" / "images", "masks": Path("/far/masks")}
    )
    plan = plan._replace(config=plan.config.model_copy(update={"data": data}))
    path = tmp_path / "configs" / "plan.yaml"
    path.parent.mkdir()
    path.write_text(as_yaml(plan, "segkit plan", "plan.yaml", path.parent))
    written = yaml.safe_load(path.read_text())["data"]
    assert written["images"] == "../data/images"
    assert not Path(written["masks"]).is_absolute()
    assert read(path).data == data.model_copy(update={"relative_to": "config"})
    moved = tmp_path / "moved" / "configs" / "plan.yaml"
    moved.parent.mkdir(parents=True)
    moved.write_text(path.read_text())
    assert read(moved).data.images == tmp_path / "moved" / "data" / "images"


def test_every_value_has_a_reason_and_the_text_is_read_back_as_the_config(tmp_path: Path) -> None:
    plan = fit_budget(
        planned(Task.binary("crack"), facts(Task.binary("crack"))), 9, 3, 3, 8 * GIB, machine(0.5)
    )
    path = tmp_path / "plan.yaml"
    path.write_text(as_yaml(plan, "segkit plan a b", "plan.yaml"))
    assert read(path).with_input(plan.config.input) == plan.config
    assert read(path).input == plan.config.input
    assert plan.config.model.normalization == "batch"
    lines = path.read_text().splitlines()
    for setting in plan.reasons:
        section, _, key = setting.partition(".")
        wanted = f"  {key}:" if key else f"{section}:"
        inside = lines[lines.index(f"{section}:") :] if key else lines
        place = next(i for i, line in enumerate(inside) if line.startswith(wanted))
        assert inside[place - 1].lstrip().startswith("# "), setting
    for setting, reason in plan.reasons.items():
        assert reason[:1].isupper() or reason[:1].isdigit(), setting
        assert reason.endswith("."), setting
    section = ""
    for before, line in itertools.pairwise(lines):
        section = section if line.startswith((" ", "#")) else line.partition(":")[0]
        if line.startswith("  ") and not line.startswith("  #"):
            assert before.startswith("  #") != (section in plan.reasons), line
    assert max(map(len, (line for line in lines if "#" in line))) <= 112


def test_values_left_at_their_default_are_written_with_their_reason(tmp_path: Path) -> None:
    plan = planned(Task.binary("crack"), facts(Task.binary("crack")))
    values = yaml.safe_load(as_yaml(plan, "x", "y"))
    assert values["model"]["width"] == 32
    assert values["loss"] == {"cross_entropy": 1.0, "dice": 1.0}
    assert set(values["task"]) == {"kind", "classes"}


def test_settings_of_the_user_are_marked_as_such(tmp_path: Path) -> None:
    task = Task.multilabel(["left lung", "right lung"])
    data = {"source": "shapes", "skip_broken": True, "validation": 0.0, "test": 0.0}
    settings = {
        "task": task,
        "data": data,
        "augment": {"flip_horizontal": False},
        "train": {"ema": 0.99},
    }
    config, found = Config.model_validate(settings), facts(task)
    pairs = [["left lung", "right lung"]]
    reasons: set[str] = set()
    for guess, paired in ((None, None), (Guess(config.data, task, "bands"), pairs)):
        text = as_yaml(draft(config, judge(task, found), found, guess), "x", "y")
        assert yaml.safe_load(text)["task"].get("flip_pairs") == paired
        lines = [line.strip() for line in text.splitlines()]
        said = {line: lines[number - 1] for number, line in enumerate(lines)}
        assert said["ema: 0.99"].startswith("# ")
        assert said["ema: 0.99"] == said["skip_broken: true"]
        reasons.add(said["validation: 0.0"])
    assert len(reasons) == 2


def test_an_existing_validation_part_is_used() -> None:
    task = Task.binary("crack")
    assert "data.validation" not in planned(task, facts(task), validation=True).reasons
    assert planned(task, facts(task)).config.data.validation == 0.2
    assert planned(task, facts(task, 1000, (8, 8))).config.data.validation == 0.1


def test_a_single_image_is_used_for_training() -> None:
    data = planned(Task.binary("crack"), facts(Task.binary("crack"), count=1)).config.data
    assert (data.validation, data.test) == (0.0, 0.0)


def test_classes_with_a_side_are_not_flipped() -> None:
    named = Task.multilabel(["left lung", "lung"])
    assert not planned(named, facts(named)).config.augment.flip_horizontal
    unnamed = Task.binary("liver")  # it is in the left third of more than ten images
    plan = planned(unnamed, facts(unnamed, 20))
    assert not plan.config.augment.flip_horizontal
    assert "liver" in plan.reasons["augment.flip_horizontal"]
    few = planned(unnamed, facts(unnamed, 8))
    assert few.config.augment.flip_horizontal


def test_a_class_that_is_unknown_elsewhere_is_not_rare() -> None:
    task = Task.multiclass(["background", "a", "b"], sets=[["background", "b"]])
    pixels = np.array([90_000, 9_999, 25])
    found = facts(task, classes=pixels, labelled=100_024, known=np.array([90_024, 100_024, 2_500]))
    assert planned(task, found).config.class_weights is None
    found = facts(task, classes=pixels, labelled=100_024, known=np.array([90_024, 100_024, 10_000]))
    assert planned(task, found).config.class_weights == {"b": 2.0}


def test_rare_classes_get_weight_and_large_images_patches_of_foreground() -> None:
    task = Task.multiclass(["background", "a", "b"])
    pixels = np.array([90_000, 9_999, 25])
    found = facts(task, classes=pixels, labelled=100_024, known=np.full(3, 100_024))
    plan = planned(task, found)
    assert plan.config.class_weights == {"b": 4.0}
    assert "train.foreground" not in plan.reasons
    large = planned(task, facts(task, size=(40, 700)))
    assert large.config.train.foreground == 0.33
    assert large.config.train.crop == (40, 512)
    assert large.config.class_weights is None


@pytest.mark.parametrize(("side", "crop"), [(200, 512), (300, 608), (600, 1024), (2000, 1024)])
def test_patches_have_twice_the_side_of_large_objects(side: int, crop: int) -> None:
    task = Task.multiclass(["background", "a", "b"])
    areas = [np.zeros(0, np.int64), np.full(3, 100), np.array([9, side**2, side**2 + 5])]
    plan = planned(task, facts(task, size=(40, 3000), objects=tuple(areas)))
    assert plan.config.train.crop == (40, crop)
    assert str(crop) in plan.reasons["train.crop"]


def test_deep_images_are_scaled_by_their_percentiles() -> None:
    task = Task.binary("crack")
    rows = np.array([[100.0], [200.0], [1000.0], [1500.0], [1645.0]])
    plan = planned(task, facts(task, dtype="uint16", percentiles=rows, high=65535.0))
    assert plan.config.input.mean == (1000.0,)
    assert plan.config.input.std == (300.0,)  # (1645 - 100) / 5.15, although the maximum is 65535
    plain = planned(task, found := facts(task))
    mean = sum(fact.sums[0, 0] for fact in found) / sum(fact.pixels for fact in found)
    assert plain.config.input.mean[0] == pytest.approx(mean, abs=1e-3)


def test_trap_36_a_defective_pixel_changes_nothing_in_the_input_of_a_plan() -> None:
    task = Task.binary("cell")
    target = np.zeros((64, 64), np.uint8)
    target[:, :20] = 1
    inputs = []
    for hot in (False, True):
        found = []
        for number in range(24):
            image = np.random.default_rng(number).normal(600, 90, (64, 64, 1)).astype(np.uint16)
            if hot and number == 3:
                image[10, 10] = 65535
            found.append(facts_of(task, "train", Sample(f"s{number}", image, target), target))
        inputs.append(planned(task, found).config.input)
    assert inputs[0] == inputs[1]
    assert 300 < inputs[0].low < inputs[0].high < 900


def test_layers_that_exclude_each_other_become_ids_with_a_background() -> None:
    stored = Task.multilabel(["a", "b"])
    found = facts(stored)
    for index, fact in enumerate(found):
        found[index] = fact._replace(overlap=0, classes=np.array([2048, 40]), nothing=9)
    plan = planned(stored, found)
    assert plan.config.task.classes == ("background", "a", "b")
    assert plan.config.class_weights == {
        "b": pytest.approx((0.01 / (40 * 12 / (12 * 64 * 96))) ** 0.5, abs=0.01)
    }


@pytest.mark.parametrize(
    ("seconds", "minutes", "network"),
    [
        (30.0, 3, (4, 16)),
        (9.0, 3, (2, 16)),
        (5.0, 3, (4, 32)),
        (3.0, 3, (2, 16)),
        (1.0, 3, (2, 32)),
        (0.2, 3, (1, 32)),
        (5.0, 20, (2, 32)),
    ],
)
def test_the_most_expensive_network_with_enough_samples_is_chosen(
    seconds: float, minutes: float, network: tuple[int, int]
) -> None:
    task = Task.binary("crack")
    plan = fit_budget(
        planned(task, facts(task, size=(256, 256))), 100, 3, minutes, 8 * GIB, machine(seconds)
    )
    config = plan.config
    assert (config.model.stem, config.model.width) == network
    assert config.train.minutes == minutes
    step = seconds * network[1] / 32 / network[0] ** 2 * config.train.batch_size / 4
    samples = (minutes * 60 * 0.95 - 10) / step * config.train.batch_size
    needed = SAMPLES + SAMPLES_PER_CLASS
    if seconds == 9.0:
        needed = SAMPLES_AT_HIGH_RESOLUTION
    assert network == (4, 16) or samples >= needed
    epochs = samples / config.train.batch_size / (config.train.steps_per_epoch or 1)
    assert 2.5 <= epochs <= 11


@pytest.mark.parametrize(("classes", "network"), [(1, (2, 16)), (2, (2, 16)), (3, (4, 16))])
def test_with_few_classes_a_high_resolution_needs_few_samples(
    classes: int, network: tuple[int, int]
) -> None:
    """The steps of this machine hardly depend on the resolution."""
    samples = {(4, 32): 900, (1, 16): 499, (2, 16): 1000, (4, 16): 2000}

    def measure(config: RunConfig) -> Machine:
        seen = samples[config.model.stem, config.model.width]
        return Machine(60 * 0.95 * 2 / seen, 0.0, GIB / 8)

    task = Task.multilabel([f"c{number}" for number in range(classes)])
    drafted = planned(task, facts(task, size=(256, 256)))
    warned = Warned()
    plan = fit_budget(drafted, 100, 0, 1, 8 * GIB, measure, warned)
    assert (plan.config.model.stem, plan.config.model.width) == network
    assert len(warned.warnings) == (0 if classes < 3 else 1)
    needed = 500 if classes < 3 else 2500
    assert holds(plan.reasons["model.stem"], needed)


def test_the_error_for_a_short_time_budget_names_a_sufficient_one() -> None:
    task = Task.binary("crack")
    with fails(ConfigError, "wrong-value", "10 s", 1):
        fit_budget(planned(task, facts(task)), 100, 3, 0.1, GIB, machine(5.0))


class Warned(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str | SegkitWarning] = []

    def warning(self, text: str | SegkitWarning) -> None:
        self.warnings.append(text)


def test_a_warning_names_the_minutes_in_which_training_sees_enough_samples() -> None:
    drafted = planned(Task.binary("crack"), facts(Task.binary("crack"), size=(256, 256)))
    short = Warned()
    fit_budget(drafted, 100, 3, 3, 8 * GIB, machine(30.0), short)
    [warning] = short.warnings
    assert isinstance(warning, SegkitWarning)
    assert warning.code == "few-minutes"
    enough = int(re.findall(r"--minutes (\d+)", str(warning))[0])
    assert holds(str(warning), SAMPLES + SAMPLES_PER_CLASS)
    for minutes, warnings in ((enough, 0), (enough - 1, 1)):
        progress = Warned()
        fit_budget(drafted, 100, 3, minutes, 8 * GIB, machine(30.0), progress)
        assert len(progress.warnings) == warnings


def test_augmentation_is_small_with_few_passes_over_the_images() -> None:
    task = Task.binary("crack")
    drafted = planned(task, facts(task, size=(256, 256)))
    flips = drafted.config.augment.model_copy(update={"flip_horizontal": True})
    draft_plan = Plan(drafted.config.model_copy(update={"augment": flips}), drafted.reasons)
    few = fit_budget(draft_plan, 1000, 3, 3, GIB, machine(1.0)).config.augment
    many = fit_budget(draft_plan, 10, 3, 3, GIB, machine(1.0)).config.augment
    assert (few.rotate, few.flip_horizontal) == (5.0, False)
    assert (many.rotate, many.flip_horizontal) == (10.0, True)


def test_more_classes_need_more_samples() -> None:
    many = Task.multilabel([f"c{i}" for i in range(9)])
    network = fit_budget(
        planned(many, facts(many, size=(256, 256))), 99, 3, 3, GIB, machine(1.6)
    ).config.model
    assert (network.stem, network.width) == (4, 32)  # with one class it is (2, 16)


def test_classes_left_and_right_are_paired_and_mirrored() -> None:
    task = Task.multilabel(["left lung", "right lung", "heart"])
    plan = planned(task, facts(task, 8))
    assert plan.config.task.flip_pairs == (("left lung", "right lung"),)
    assert plan.config.augment.flip_horizontal


def test_without_a_budget_memory_and_images_limit_the_batch() -> None:
    task = Task.binary("crack")
    draft_plan = planned(task, facts(task))
    measure = machine(0.5)
    assert fit_budget(draft_plan, 1000, 3, None, 64 * GIB, measure).config.train.batch_size == 16
    assert fit_budget(draft_plan, 1000, 3, None, 1 * GIB, measure).config.train.batch_size == 4
    few = fit_budget(draft_plan, 50, 3, None, 64 * GIB, measure)
    assert few.config.train.batch_size == 2
    assert few.config.train.minutes is None
    assert few.config.train.epochs == 300
    assert few.config.train.patience == 60
