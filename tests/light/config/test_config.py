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
from tests.helpers.draws import tasks
from tests.helpers.errors import fails

CRACK = {"kind": "binary", "classes": ["crack"]}


def write(folder: Path, **sections: object) -> Path:
    path = folder / "a.yaml"
    path.write_text(yaml.safe_dump({"task": CRACK, **sections}), encoding="utf-8")
    return path


@st.composite
def configs(draw: st.DrawFn) -> Config:
    task = draw(tasks())
    names = ["void", "absent", "present"]
    return Config.model_validate(
        {
            "task": task,
            "data": {
                "images": draw(st.sampled_from([None, "images", "/data/bilder ö"])),
                "mask_values": draw(
                    st.none() | st.dictionaries(st.integers(0, 65535), st.sampled_from(names))
                ),
                "validation": draw(st.sampled_from([0, 0.1, {"images": "a", "masks": "b"}])),
            },
            "augment": {"flip_horizontal": False, "rotate": draw(st.floats(0, 180))},
            "loss": draw(
                st.sampled_from(
                    [{"dice": 1}, {"focal": {"weight": 0.5, "gamma": 2}, "cross_entropy": 1}]
                )
            ),
            "class_weights": draw(
                st.none()
                | st.dictionaries(
                    st.sampled_from(task.weighted), st.just(0.0) | st.floats(1e-12, 1e12)
                )
            ),
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


def test_only_the_task_is_required(tmp_path: Path) -> None:
    config = read(write(tmp_path))
    assert config.task == Task.binary("crack")
    assert config == Config(task=Task.binary("crack"))


def test_overrides_are_yaml_and_reach_sections_that_are_not_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, train={"epochs": 3})
    config = read(
        path,
        [
            "train.epochs=5",
            "data.size=[64, 32]",
            "augment.flip_vertical=true",
            "loss.focal.gamma=3",
        ],
    )
    assert (config.train.epochs, config.data.size, config.augment.flip_vertical) == (
        5,
        (64, 32),
        True,
    )
    assert config.loss == {"focal": {"gamma": 3.0}}
    assert read(path, ["class_weights=null"]).class_weights is None


@pytest.mark.parametrize(
    ("override", "code", "setting", "values"),
    [
        ("train.epochs", "wrong-value", "--set", ("train.epochs",)),
        ("train.epochs.more=1", "unknown-setting", "--set", ("train.epochs.more=1", "epochs")),
        ("train.epohcs=1", "unknown-setting", "train.epohcs", ("'epochs'",)),
        ("trainn.epochs=1", "unknown-setting", "trainn", ("'train'",)),
        ("train.epochs=0", "wrong-value", "train.epochs", (0,)),
        ("train.epochs=[1", "not-a-config", None, ()),
        ("data.size=[64]", "missing-setting", "data.size.1", ()),
        ("data.pixel_size=[0, 1]", "wrong-value", "data.pixel_size.0", (0,)),
        ("data.pixel_size=[1, .inf]", "wrong-value", "data.pixel_size.1", ()),
        (
            "train.precision=float8",
            "wrong-value",
            "train.precision",
            ("'float32'", "'mixed_bfloat16'", "'mixed_float16'", "'auto'", "'float8'"),
        ),
        (
            "model.encoder=resnet",
            "unknown-name",
            "model.encoder",
            ("'resnet'", "resnet50", "plain"),
        ),
        (
            "model={decoder: deeplabv3plus, deep_supervision: true}",
            "not-for-network",
            "model.deep_supervision",
            ("unet", "deeplabv3plus"),
        ),
        (
            "model={depth: 1, deep_supervision: true}",
            "not-for-network",
            "model.deep_supervision",
            (2, "unet", 1),
        ),
        (
            "model.image_labels=two",
            "wrong-value",
            "model.image_labels",
            ("'any'", "'one'", "'two'"),
        ),
        ("model.image_head=-1", "wrong-value", "model.image_head", (0, -1)),
        ("data.source=foldr", "unknown-name", "data.source", ("'folder'",)),
        ("loss={dyce: 1}", "unknown-name", "loss", ("'dice'",)),
        ("loss={}", "wrong-value", "loss", (1,)),
        ("class_weights={crak: 2}", "unknown-name", "class_weights", ("background, crack", "crak")),
        ("class_weights={crack: -1}", "wrong-value", "class_weights.crack", (0, -1)),
        ("task.head=softmax", "not-for-task", "task.head", ("sigmoid",)),
        ("task.kind=binry", "wrong-value", "task.kind", ("'binary'", "'binry'")),
        ("data={validation: 0.6, test: 0.5}", "too-few-samples", "data", (0.6, 0.5)),
        ("data.mask_threshold=0", "wrong-value", "data.mask_threshold", (0,)),
        ("train=", "wrong-value", "train", (None,)),
    ],
)
def test_an_error_names_the_wrong_setting_and_its_file(
    tmp_path: Path, override: str, code: str, setting: str | None, values: tuple[object, ...]
) -> None:
    path = write(tmp_path, train={"epochs": 3})
    with fails(ConfigError, code, path, *values, setting=setting):
        read(path, [override])


def test_one_error_names_all_wrong_settings(tmp_path: Path) -> None:
    path = write(tmp_path, train={"epochs": -1, "batch_size": "x"}, model={"depth": 99})
    with fails(
        ConfigError, "wrong-value", "train.epochs", -1, "train.batch_size", "'x'", "model.depth", 99
    ):
        read(path)


@pytest.mark.parametrize(
    ("text", "code", "setting", "values"),
    [
        ("task: [", "not-a-config", None, ("line 1",)),
        ("just words", "not-a-config", None, ("task", "data", "model", "train")),
        ("", "not-a-config", None, ("task", "data", "model", "train")),
        ("data: {}", "missing-setting", "task", ()),
        ("task: 5", "wrong-value", "task", (5,)),
        ("task: {kind: binary, classes: 5}", "wrong-value", "task.classes", (5,)),
        ("task: {kind: binary, classes: [yes]}", "wrong-value", "task.classes.0", (True,)),
        (
            "task: {kind: binary, classes: [a]}\ntrain: {epochs: 1, epochs: 2}",
            "given-twice",
            None,
            ("line 2", "epochs"),
        ),
        ("a: !!python/object/apply:os.getcwd []", "not-a-config", None, ("os.getcwd",)),
        (
            "task: {kind: binary, classes: [a]}\ndata: {images: ~nobody-of-this-name/x}",
            "wrong-value",
            "data.images",
            (),
        ),
    ],
)
def test_a_file_that_is_not_a_config_is_refused(
    tmp_path: Path, text: str, code: str, setting: str | None, values: tuple[object, ...]
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with fails(ConfigError, code, tmp_path / "a.yaml", *values, setting=setting):
        read(tmp_path / "a.yaml")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with fails(ConfigError, "missing-file", tmp_path / "gone.yaml"):
        read(tmp_path / "gone.yaml")
    with fails(ConfigError, "missing-file", tmp_path):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(
        "task: {kind: binary, classes: [größe]}".encode("latin-1")
    )
    with fails(ConfigError, "not-a-config", tmp_path / "latin.yaml", "UTF-8"):
        read(tmp_path / "latin.yaml")


def test_relative_paths_start_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    path = write(tmp_path / "configs", data={"images": "images", "masks": "~/masks"})
    assert read(path).data.images == tmp_path / "images"
    assert read(path).data.masks == Path("~/masks").expanduser()


@pytest.mark.parametrize(
    "name", ["left lung", "lung_right", "Left-Kidney", "RIGHT", "kidney (left)"]
)
@pytest.mark.parametrize("flip", ["flip_horizontal", "flip_vertical"])
def test_trap_31_flips_and_classes_with_a_side_are_refused(name: str, flip: str) -> None:
    task = Task.multilabel(["heart", name])
    flips = {"flip_horizontal": False, "flip_vertical": False}
    ways_out = ("augment.flip_horizontal: false", "task.flip_pairs")
    with fails(ConfigError, "not-for-task", name, *ways_out, setting="augment"):
        Config.model_validate({"task": task, "augment": {**flips, flip: True}})
    assert Config.model_validate({"task": task, "augment": flips}).task == task


def test_trap_31_flips_are_allowed_if_every_sided_class_has_a_pair() -> None:
    classes, pairs = ["left lung", "right lung", "left eye"], [["left lung", "right lung"]]
    with fails(ConfigError, "not-for-task", "left eye", setting="augment") as problem:
        Config(task=Task.multilabel(classes, flip_pairs=pairs))
    assert "left lung" not in str(problem.value)
    assert Config(task=Task.multilabel(classes[:2], flip_pairs=pairs)).augment.flip_horizontal


@pytest.mark.parametrize("name", ["bright", "cleft", "leftover", "copyright"])
def test_trap_31_words_that_contain_left_or_right_have_no_side(name: str) -> None:
    assert Config(task=Task.binary(name)).augment.flip_horizontal


def test_a_config_is_immutable(tmp_path: Path) -> None:
    config = read(write(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]


def test_settings_that_an_encoder_ignores_are_not_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    read(
        path, ["model={encoder: resnet50, depth: 1, deep_supervision: true}"]
    )  # its depth is fixed, so `depth` is ignored
    own = read(path, ["model={encoder: 'mine.nets:own', freeze_statistics: true}"], trust=True)
    check_frozen(own.model)  # it may load weights itself
    frozen = read(
        path, ["model={encoder: resnet50, freeze_statistics: true}"]
    )  # runs of older versions are still read
    with fails(
        ConfigError, "contradiction", "model.weights: none", setting="model.freeze_statistics"
    ):
        check_frozen(frozen.model)


def test_relative_paths_start_where_the_config_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "configs" / "a.yaml"
    path.parent.mkdir()
    data = {"images": "../images", "masks": "/elsewhere/masks", "test": {"images": "test"}}
    task = {"kind": "binary", "classes": ["crack"]}
    path.write_text(yaml.safe_dump({"task": task, "data": {**data, "relative_to": "config"}}))
    config = read(path, ["data.list_file=list.csv"])
    assert config.data.images == tmp_path / "images"
    assert config.data.masks == Path("/elsewhere/masks")
    assert config.data.test.images == tmp_path / "configs" / "test"
    assert (
        config.data.list_file == tmp_path / "list.csv"
    )  # paths in --set start at the current folder
    path.write_text(yaml.safe_dump({"task": task, "data": data}))
    assert read(path).data.images == tmp_path / ".." / "images"
    saved = tmp_path / "run.yaml"
    saved.write_text(config.as_yaml())
    assert read(saved).data == config.data
