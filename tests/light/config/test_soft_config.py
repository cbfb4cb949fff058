"""Settings of soft labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from segkit import ConfigError
from segkit.config import Config, as_config, read
from segkit.config.loss import SOFT, TERMS
from tests.helpers.errors import fails

TASK: dict[str, Any] = {"kind": "multiclass", "classes": ["background", "liver", "kidney"]}
TWO: dict[str, Any] = {"images": "i", "annotators": ["m/anna", "m/ben"]}
FLOATS: dict[str, Any] = {"images": "i", "masks": "m", "mask_probabilities": True}


def config_of(data: dict[str, Any], task: Any = None, **sections: Any) -> Config:
    return as_config({"task": task or TASK, "data": data, **sections})


def test_folders_of_masks_are_called_like_their_annotators() -> None:
    config = config_of(TWO)
    assert config.task.soft
    found = config.data.annotators
    assert found == {
        "anna": {"masks": str(Path("m/anna").absolute())},
        "ben": {"masks": str(Path("m/ben").absolute())},
    }
    named = {"anna": "m/anna", "ben": {"masks": "m/ben"}}
    assert config_of({**TWO, "annotators": named}).data.annotators == found
    assert as_config(yaml.safe_load(config.as_yaml())) == config
    assert config_of(FLOATS).task.soft
    assert not config_of({"images": "i", "masks": "m"}).task.soft


@pytest.mark.parametrize("form", ["list", "names", "settings"])
def test_paths_may_start_at_the_folder_of_the_config(form: str, tmp_path: Path) -> None:
    annotators: Any = {
        "list": ["m/anna", "m/ben"],
        "names": {"anna": "m/anna", "ben": "m/ben"},
        "settings": {"anna": {"masks": "m/anna"}, "ben": {"masks": "m/ben"}},
    }[form]
    data = {"relative_to": "config", "images": "i", "annotators": annotators}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"task": TASK, "data": data}))
    found = read(tmp_path / "c.yaml").data.annotators
    assert found is not None
    assert found["ben"] == {"masks": str(tmp_path / "m" / "ben")}


@pytest.mark.parametrize("name", sorted(TERMS))
@pytest.mark.parametrize("data", [TWO, FLOATS])
def test_losses_that_are_not_defined_for_soft_labels_are_refused(
    name: str, data: dict[str, Any]
) -> None:
    if name in SOFT:
        assert config_of(data, loss={name: 1}).task.soft
        return
    with fails(ConfigError, "not-for-task", *SOFT, setting=f"loss.{name}"):
        config_of(data, loss={"dice": 1, name: {"weight": 0.5}})
    config_of({"images": "i", "masks": "m"}, loss={name: 1})


def test_soft_labels_are_not_smoothed() -> None:
    loss = {"cross_entropy": {"label_smoothing": 0.1}}
    with fails(ConfigError, "contradiction", setting="loss.cross_entropy.label_smoothing"):
        config_of(TWO, loss=loss)
    config_of(TWO, loss={"cross_entropy": {"label_smoothing": 0.0}})


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        ({**TWO, "masks": "m"}, "data.masks"),
        ({**TWO, "list_file": "l.csv"}, "data.list_file"),
        ({**TWO, "mask_probabilities": True}, "data.mask_probabilities"),
        ({"annotators": ["a", "b"], "sets": {"x": {"images": "i"}}}, "data.annotators"),
        ({**FLOATS, "mask_values": {0: "background"}}, "data.mask_values"),
        ({**FLOATS, "mask_threshold": 128}, "data.mask_threshold"),
        ({**FLOATS, "unlabelled": {"liver": "void"}}, "data.unlabelled"),
        ({**FLOATS, "point_radius": 3}, "data.point_radius"),
        ({**FLOATS, "transparent": "void"}, "data.transparent"),
        ({**FLOATS, "missing_masks": "void"}, "data.missing_masks"),
        ({**FLOATS, "source": "coco"}, "data.mask_probabilities"),
        ({**TWO, "mask_values": {3: ["liver", "kidney"]}}, "task.soft"),
        ({**TWO, "unlabelled": {"liver": "void"}}, "task.soft"),
    ],
)
def test_settings_that_contradict_soft_labels_are_refused(
    data: dict[str, Any], setting: str
) -> None:
    with fails(ConfigError, "contradiction", setting=setting):
        config_of(data)


def test_wrong_annotators_are_refused() -> None:
    with fails(ConfigError, "wrong-value", "anna", setting="data.annotators"):
        config_of({**TWO, "annotators": ["m/anna"]})
    with fails(ConfigError, "wrong-value", "x/masks", "y/masks", setting="data.annotators"):
        config_of({**TWO, "annotators": ["x/masks", "y/masks"]})
    own = {"anna": "a", "ben": {"images": "b"}}
    with fails(ConfigError, "unknown-setting", setting="data.annotators.ben.images"):
        config_of({**TWO, "annotators": own})
    own = {"anna": "a", "ben": {"masks": "b", "mask_treshold": 3}}
    with fails(ConfigError, "unknown-setting", setting="data.annotators.ben.mask_treshold"):
        config_of({**TWO, "annotators": own})
    own = {"anna": "a", "ben": {"masks": "b", "colour_tolerance": -3}}
    with fails(ConfigError, "wrong-value", setting="data.annotators.ben.colour_tolerance"):
        config_of({**TWO, "annotators": own})


def test_an_annotator_whose_source_is_code_needs_trust(tmp_path: Path) -> None:
    own = {"anna": "a", "ben": {"source": "json:loads"}}
    config = {"task": TASK, "data": {**TWO, "annotators": own}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    with fails(ConfigError, "untrusted", "json:loads", setting="data.annotators.ben.source"):
        read(tmp_path / "c.yaml")
    in_set = {"sets": {"x": {"images": "i", "annotators": own}}}
    (tmp_path / "d.yaml").write_text(yaml.safe_dump({"task": TASK, "data": in_set}))
    with fails(ConfigError, "untrusted", "json:loads"):
        read(tmp_path / "d.yaml")


def test_a_part_with_masks_of_its_own_has_no_annotators() -> None:
    config = config_of({**TWO, "validation": {"images": "v", "masks": "vm"}})
    part: Any = config.data.validation
    assert config.data.part(part).annotators is None
    config = config_of({**TWO, "validation": {"images": "v"}})
    part = config.data.validation
    assert config.data.part(part).annotators == config.data.annotators


def test_a_binary_task_may_leave_classes_open() -> None:
    config = config_of(
        {**TWO, "unlabelled": {"crack": "void"}}, {"kind": "binary", "classes": ["crack"]}
    )
    assert config.task.soft
