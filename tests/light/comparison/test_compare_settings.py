"""The settings that `segkit compare` compares, and the check that their masks are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit import ConfigError, Task
from segkit.comparison.settings import Setting, check_same_masks, list_settings, scored_part
from tests.helpers.compared import SHAPES, write_config
from tests.helpers.errors import fails


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "a.yaml")


def test_every_combination_is_a_setting_with_the_minutes_and_no_early_stop(config: Path) -> None:
    varied = ["task.head=softmax,sigmoid", "model.encoder=plain, residual"]
    found = list_settings(config, varied, [], ["train.batch_size=2"], 2.5)
    assert [each.name for each in found] == [
        f"task.head={head}, model.encoder={encoder}"
        for head in ("softmax", "sigmoid")
        for encoder in ("plain", "residual")
    ]
    assert [each.config.task.head for each in found] == ["softmax"] * 2 + ["sigmoid"] * 2
    assert [each.config.model.encoder for each in found] == ["plain", "residual"] * 2
    for each in found:
        assert (each.config.train.minutes, each.config.train.batch_size) == (2.5, 2)
        assert each.config.train.patience == 0


def test_the_minutes_replace_a_step_budget(tmp_path: Path) -> None:
    config = write_config(tmp_path / "a.yaml", train={"steps": 200})
    assert {
        each.config.train.steps for each in list_settings(config, ["train.ema=0,0.9"], [], [], 2)
    } == {None}
    with fails(ConfigError, "contradiction", "--minutes", setting="train.steps"):
        list_settings(config, ["train.steps=100,200"], [], [], 2)


def test_values_are_yaml(config: Path) -> None:
    found = list_settings(
        config,
        ["train.crop=[32, 64],[96, 96]", "loss={dice: 1},{focal: {gamma: 3}, dice: 0.5}"],
        [],
        [],
        1,
    )
    assert [each.config.train.crop for each in found] == [(32, 64), (32, 64), (96, 96), (96, 96)]
    assert found[1].config.loss == {"focal": {"gamma": 3}, "dice": 0.5}
    assert found[0].name == "train.crop=[32, 64], loss={dice: 1}"
    rates = list_settings(config, ["train.learning_rate=1e-3,0.01"], [], [], 1)
    assert [each.config.train.learning_rate for each in rates] == [0.001, 0.01]


def test_another_config_is_one_more_setting(config: Path, tmp_path: Path) -> None:
    other = write_config(tmp_path / "b.yaml", model={"width": 8})
    found = list_settings(config, [], [other], ["train.batch_size=3"], 1)
    assert [each.name for each in found] == ["a", "b"]
    assert [each.config.model.width for each in found] == [32, 8]
    assert {each.config.train.batch_size for each in found} == {3}
    assert len(list_settings(config, ["task.head=softmax,sigmoid"], [other], [], 1)) == 3


@pytest.mark.parametrize(
    ("varied", "code", "setting", "values"),
    [
        ([], "missing-setting", None, "--vary"),
        (["task.head=softmax"], "missing-setting", None, "--vary"),
        (["task.head"], "wrong-value", "--vary", "task.head"),
        (["task.head="], "wrong-value", "--vary", "task.head"),
        (["task.head=[softmax"], "wrong-value", "--vary", "[softmax"),
        (["task.hed=softmax,sigmoid"], "unknown-setting", "task.hed", "hed"),
        (["task.head=softmax,softplus"], "wrong-value", "task.head", "softplus"),
        (["task.head=softmax,softmax"], "given-twice", None, "task.head=softmax"),
        (["train.seed=1,2"], "contradiction", "train.seed", "--seeds"),
        (["train.minutes=1,2"], "contradiction", "train.minutes", "--minutes"),
    ],
)
def test_an_impossible_comparison_is_refused(
    config: Path, varied: list[str], code: str, setting: str | None, values: str
) -> None:
    with fails(ConfigError, code, values) as problem:
        list_settings(config, varied, [], [], 1)
    assert problem.value.setting == setting


def test_two_config_files_with_one_name_are_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with fails(ConfigError, "given-twice", "a"):
        list_settings(
            config, [], [write_config(tmp_path / "other" / "a.yaml", model={"width": 8})], [], 1
        )


def setting(path: Path) -> Setting:
    return list_settings(path, ["model.width=4,8"], [], [], 1)[0]._replace(name=path.stem)


def test_the_test_part_is_scored_or_else_the_validation_part(config: Path, tmp_path: Path) -> None:
    assert check_same_masks([setting(config), setting(config)]) == "test"
    without = write_config(tmp_path / "b.yaml", data={**SHAPES, "test": 0, "validation": 0.4})
    assert check_same_masks([setting(without), setting(without)]) == "validation"


def test_other_images_other_classes_and_other_masks_are_refused(
    config: Path, tmp_path: Path
) -> None:
    def refused(*values: object, **sections: object) -> bool:
        other = setting(write_config(tmp_path / "b.yaml", **sections))
        with fails(ConfigError, "mismatch", *values):
            check_same_masks([setting(config), other])
        return True

    assert refused("test", "data.validation", data={**SHAPES, "test": 0.2})
    assert refused("validation", "data.test", data={**SHAPES, "test": 0, "validation": 0.3})
    two = {"kind": "multiclass", "classes": ["background", "disc", "square"]}
    assert refused("disc, square, triangle", "disc, square;", task=two)
    # overlapping masks of the same images are not the exclusive ones: what lies below counts there
    overlapping = {"kind": "multilabel", "classes": ["disc", "square", "triangle"]}
    assert refused("disc", 768, "a", "b", task=overlapping)


def yes_no_folder(folder: Path) -> dict[str, str]:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(8):
        mask = np.zeros((6, 6), np.uint8)
        mask[: i % 4 + 1] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
        Image.new("RGB", (6, 6), (i, 0, 0)).save(folder / "images" / f"{i}.png")
    return {"images": str(folder / "images"), "masks": str(folder / "masks")}


def test_one_sigmoid_and_a_softmax_of_two_may_read_one_folder(tmp_path: Path) -> None:
    data = {**yes_no_folder(tmp_path), "test": 0.5}
    values: dict[str, object] = {"mask_values": {0: "background", 255: "brain"}}
    task = {"kind": "multiclass", "classes": ["brain", "background"]}
    one = setting(
        write_config(
            tmp_path / "one.yaml", task={"kind": "binary", "classes": ["brain"]}, data=data
        )
    )
    two = setting(write_config(tmp_path / "two.yaml", task=task, data={**data, **values}))
    assert check_same_masks([one, two]) == "test"
    void = {"mask_values": {0: "void", 255: "brain"}}  # the rest is unlabelled, not background
    three = setting(write_config(tmp_path / "three.yaml", task=task, data={**data, **void}))
    with fails(ConfigError, "mismatch", "brain", "one", "three"):
        check_same_masks([one, three])


def test_samples_that_training_leaves_out_are_not_scored(tmp_path: Path) -> None:
    data = {**yes_no_folder(tmp_path), "test": 0.5, "skip_broken": True}
    config = setting(
        write_config(tmp_path / "a.yaml", task={"kind": "binary", "classes": ["brain"]}, data=data)
    ).config
    part, whole = scored_part(config)
    broken = whole.names[0]
    (tmp_path / "masks" / f"{broken}.png").write_bytes(b"not a picture")
    assert (part, list(scored_part(config)[1].names)) == ("test", list(whole.names)[1:])


def test_the_shipped_configs_of_the_brain_differ_in_the_head_only() -> None:
    root = Path(__file__).parents[3] / "configs"
    one, two = (
        yaml.safe_load((root / f"brain_mri_brain{end}.yaml").read_text())
        for end in ("", "_softmax")
    )
    assert two["data"].pop("mask_values") == {0: "background", 255: "brain"}
    assert Task.model_validate(two.pop("task")) == Task.multiclass(["background", "brain"])
    assert Task.model_validate(one.pop("task")) == Task.binary("brain")
    assert one == two
