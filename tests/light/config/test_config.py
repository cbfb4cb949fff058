from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, Task
from segkit.config import Config, read
from segkit.models.weights import check_frozen
from tests.helpers.draws import says, tasks

CRACK = {"kind": "binary", "classes": ["crack"]}


def write(folder: Path, **sections: object) -> Path:
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({"task": CRACK, **sections}), encoding="utf-8")
    return path


def refuse(path: Path, *overrides: str) -> pytest.ExceptionInfo[ConfigError]:
    with pytest.raises(ConfigError) as problem:
        read(path, overrides)
    return problem


@st.composite
def configs(draw: st.DrawFn) -> Config:
    task = draw(tasks())
    names = ["void", "absent", "present"]
    return Config.model_validate(
        {
            "task": task,
            "data": {
                "images": draw(st.sampled_from([None, "images", "/data/bilder ö"])),
                "mask_values": draw(st.none() | st.dictionaries(st.integers(0, 65535), st.sampled_from(names))),
                "validation": draw(st.sampled_from([0, 0.1, {"images": "a", "masks": "b"}])),
            },
            "augment": {"flip_horizontal": False, "rotate": draw(st.floats(0, 180))},
            "loss": draw(st.sampled_from([{"dice": 1}, {"focal": {"weight": 0.5, "gamma": 2}, "cross_entropy": 1}])),
            "class_weights": draw(st.none() | st.dictionaries(st.sampled_from(task.weighted), st.floats(0, 1e6))),
            "train": {"learning_rate": draw(st.floats(1e-6, 1)), "crop": [64, 96]},
        }
    )


@given(configs())
@settings(max_examples=20)
def test_a_config_reads_back_from_its_yaml_unchanged(config: Config) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(config.as_yaml(), encoding="utf-8")
        assert read(path) == config


def test_a_task_is_all_that_must_be_said(tmp_path: Path) -> None:
    config = read(write(tmp_path))
    assert config.task == Task.binary("crack")
    assert config == Config(task=Task.binary("crack"))


def test_overrides_are_yaml_and_reach_sections_that_are_not_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, train={"epochs": 3})
    config = read(path, ["train.epochs=5", "data.size=[64, 32]", "augment.flip_vertical=true", "loss.focal.gamma=3"])
    assert (config.train.epochs, config.data.size, config.augment.flip_vertical) == (5, (64, 32), True)
    assert config.loss == {"focal": {"gamma": 3.0}}
    assert read(path, ["class_weights=null"]).class_weights is None


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epochs", ("--set train.epochs", "section.setting=value")),
        ("train.epochs.more=1", ("--set train.epochs.more=1", "epochs is a value, not a section")),
        ("train.epohcs=1", ("train.epohcs", "no such setting", "did you mean 'epochs'?")),
        ("trainn.epochs=1", ("trainn", "did you mean 'train'?")),
        ("train.epochs=0", ("train.epochs", "greater than 0", "found 0")),
        ("train.epochs=[1", ("not YAML",)),
        ("data.size=[64]", ("data.size.1", "missing")),
        (
            "train.precision=float8",
            ("train.precision", "'float32', 'mixed_bfloat16', 'mixed_float16' or 'auto'", "'float8'"),
        ),
        ("model.encoder=resnet", ("model.encoder", "unknown name 'resnet'", "known are")),
        (
            "model={decoder: deeplabv3plus, deep_supervision: true}",
            ("model.deep_supervision", "unet", "found deeplabv3plus"),
        ),
        ("model={depth: 1, deep_supervision: true}", ("model.deep_supervision", "depth 2 or more", "unet of depth 1")),
        ("model.image_labels=two", ("model.image_labels", "'any' or 'one'", "'two'")),
        ("model.image_head=-1", ("model.image_head", "greater than or equal to 0", "-1")),
        ("data.source=foldr", ("data.source", "did you mean 'folder'?")),
        ("loss={dyce: 1}", ("loss", "did you mean 'dice'?")),
        ("loss={}", ("loss", "at least 1")),
        ("class_weights={crak: 2}", ("class_weights", "background, crack", "found crak")),
        ("class_weights={crack: -1}", ("class_weights.crack", "greater than or equal to 0", "-1")),
        ("task.head=softmax", ("task", "yes or no")),
        ("task.kind=binry", ("task.kind", "'binary'", "found 'binry'")),
        ("data={validation: 0.6, test: 0.5}", ("nothing to train on", "0.6", "0.5")),
        ("data.mask_threshold=0", ("data.mask_threshold", "greater than 0")),
        ("train=", ("train", "dictionary")),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_its_file(
    tmp_path: Path, override: str, parts: tuple[str, ...]
) -> None:
    path = write(tmp_path, train={"epochs": 3})
    assert says(refuse(path, override), f"{path}: ", *parts)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    problem = refuse(write(tmp_path, train={"epochs": -1, "batch_size": "x"}, model={"depth": 99}))
    assert says(problem, "train.epochs", "train.batch_size", "found 'x'", "model.depth")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("task: [", ("not YAML", "line 1")),
        ("just words", ("a table of sections",)),
        ("", ("a table of sections",)),
        ("data: {}", ("task: is missing",)),
        ("task: 5", ("task", "found 5")),
        ("task: {kind: binary, classes: 5}", ("classes", "5")),
        ("task: {kind: binary, classes: [yes]}", ("task.classes.0", "string", "found True")),
        ("task: {kind: binary, classes: [a]}\ntrain: {epochs: 1, epochs: 2}", ("line 2", "given twice: epochs")),
        ("a: !!python/object/apply:os.getcwd []", ("not YAML", "constructor")),
        ("task: {kind: binary, classes: [a]}\ndata: {images: ~nobody-of-this-name/x}", ("data.images",)),
    ],
)
def test_a_file_that_is_no_config_says_why(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert says(refuse(tmp_path / "a.yaml"), tmp_path / "a.yaml", *parts)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    assert says(refuse(tmp_path / "gone.yaml"), "gone.yaml: cannot be read", "No such file")
    assert says(refuse(tmp_path), "cannot be read")
    (tmp_path / "latin.yaml").write_bytes("task: {kind: binary, classes: [größe]}".encode("latin-1"))
    assert says(refuse(tmp_path / "latin.yaml"), "latin.yaml", "UTF-8")


def test_relative_paths_start_at_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    path = write(tmp_path / "configs", data={"images": "images", "masks": "~/masks"})
    assert read(path).data.images == tmp_path / "images"
    assert read(path).data.masks == Path("~/masks").expanduser()


@pytest.mark.parametrize("name", ["left lung", "lung_right", "Left-Kidney", "RIGHT", "kidney (left)"])
@pytest.mark.parametrize("flip", ["flip_horizontal", "flip_vertical"])
def test_trap_31_flips_and_classes_with_a_side_are_refused(name: str, flip: str) -> None:
    task = Task.multilabel(["heart", name])
    flips = {"flip_horizontal": False, "flip_vertical": False}
    with pytest.raises(ConfigError) as problem:
        Config.model_validate({"task": task, "augment": {**flips, flip: True}})
    assert says(problem, name, "augment.flip_horizontal: false", "task.flip_pairs")
    assert Config.model_validate({"task": task, "augment": flips}).task == task


def test_trap_31_flips_go_with_pairs_but_every_sided_class_needs_its_own() -> None:
    classes, pairs = ["left lung", "right lung", "left eye"], [["left lung", "right lung"]]
    with pytest.raises(ConfigError, match=r"learned wrong: left eye"):
        Config(task=Task.multilabel(classes, flip_pairs=pairs))
    assert Config(task=Task.multilabel(classes[:2], flip_pairs=pairs)).augment.flip_horizontal


@pytest.mark.parametrize("name", ["bright", "cleft", "leftover", "copyright"])
def test_trap_31_other_words_with_left_and_right_in_them_have_no_side(name: str) -> None:
    assert Config(task=Task.binary(name)).augment.flip_horizontal


def test_a_config_is_never_changed(tmp_path: Path) -> None:
    config = read(write(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]


def test_what_an_encoder_has_of_its_own_is_not_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    read(
        path, ["model={encoder: resnet50, depth: 1, deep_supervision: true}"]
    )  # it has five levels, whatever depth says
    own = read(path, ["model={encoder: 'mine.nets:own', freeze_statistics: true}"])
    check_frozen(own.model)  # it may bring weights itself
    frozen = read(path, ["model={encoder: resnet50, freeze_statistics: true}"])  # a run of then is still read
    with pytest.raises(
        ConfigError, match=r"model\.freeze_statistics: .* set model\.weights, .*found model\.weights: none"
    ):
        check_frozen(frozen.model)
