"""Images without masks before a training: they are read as labelled ones, and none is held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError
from segkit.config import Config, RunConfig, read
from segkit.data.sources.source import Subset, open_source
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from tests.helpers.errors import fails

TASK = {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]}
SHAPES = {"source": "shapes", "count": 24, "size": [40, 36]}
TRAIN = {"consistency": 1, "ema": 0.99}


def config_of(folder: Path | None, **sections: Any) -> Config:
    train = dict(TRAIN)
    if folder is not None:
        train["unlabelled"] = str(folder)
    return Config.model_validate({"task": TASK, "data": SHAPES, "train": train, **sections})


def save(folder: Path, **images: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (30, 44, 3)).astype(np.uint8)


def images_of(config: Config, part: str) -> list[np.ndarray]:
    parts: dict[str, Subset]
    _, parts = prepare_data(config_of(None), Progress())
    source = open_source(config.data, config.task)
    return [source.read(name).image for name in parts[part].names]


def prepared(config: Config) -> tuple[RunConfig, Subset]:
    found, parts = prepare_data(config, Progress())
    return found, parts["unlabelled"]


def test_images_are_read_without_masks(tmp_path: Path) -> None:
    folder = save(tmp_path / "more", a=noise(1), b=noise(2))
    save(folder / "deeper", a=noise(3)[..., 0])
    config, part = prepared(config_of(folder))
    assert config.train.unlabelled == folder
    assert list(part.names) == ["a", "b", "deeper/a"]
    first = part.read("a")
    np.testing.assert_array_equal(first.image, noise(1))
    assert first.mask.shape == (30, 44)
    assert first.valid is None
    grey = part.read("deeper/a").image  # as labelled images, where RGB is usual
    np.testing.assert_array_equal(grey, np.repeat(noise(3)[..., :1], 3, axis=-1))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_an_image_that_is_scored_must_not_teach(tmp_path: Path, part: str) -> None:
    copied = images_of(config_of(None), part)[0]
    folder = save(tmp_path / "more", a=noise(1), copied=copied)
    with fails(DataError, "leak", "copied", part):
        prepared(config_of(folder))


def test_an_image_of_the_training_part_may_teach_without_its_mask(tmp_path: Path) -> None:
    copied = images_of(config_of(None), "train")[0]
    _, part = prepared(config_of(save(tmp_path / "more", a=noise(1), copied=copied)))
    assert list(part.names) == ["a", "copied"]


def test_a_nearly_equal_image_is_a_warning(tmp_path: Path) -> None:
    class Warnings(Progress):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def warning(self, text: Any) -> None:
            self.texts.append(str(text))

    copied = images_of(config_of(None), "test")[0].astype(int)
    folder = save(tmp_path / "more", brighter=np.clip(copied + 3, 0, 255).astype(np.uint8))
    progress = Warnings()
    prepare_data(config_of(folder), progress)
    assert any("near-leak" in text and "brighter" in text for text in progress.texts)


def test_broken_images_are_errors_as_labelled_ones_are(tmp_path: Path) -> None:
    folder = save(tmp_path / "more", a=noise(1))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError) as problem:
        prepared(config_of(folder))
    assert "broken" in str(problem.value)
    data = {**SHAPES, "skip_broken": True}
    _, part = prepared(config_of(folder, data=data))
    assert list(part.names) == ["a"]


def test_other_bands_and_depths_are_errors(tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "more"
    folder.mkdir()
    tifffile.imwrite(folder / "five.tif", noise(1, 30, 44, 5), planarconfig="contig")
    with fails(DataError, "channels", "five", 3, 5):
        prepared(config_of(folder))
    (folder / "five.tif").unlink()
    save(folder, deep=noise(1)[..., 0].astype(np.uint16))
    with fails(DataError, "depth", "deep", "uint16", "uint8"):
        prepared(config_of(folder))


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with fails(DataError, "empty", "more"):
        prepared(config_of(tmp_path / "more"))
    with fails(DataError, "missing-file", "missing"):
        prepared(config_of(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("sections", "code", "setting"),
    [
        ({"train": {"consistency": 1}}, "missing-setting", "train.ema"),
        ({"train": {"unlabelled": "more", "ema": 0.9}}, "missing-setting", "train.consistency"),
        ({"train": {"consistency": -1}}, "wrong-value", "train.consistency"),
        ({"train": {"smoothness": -0.5}}, "wrong-value", "train.smoothness"),
        (
            {"train": {**TRAIN, "consistency_ramp_up": 1.5}},
            "wrong-value",
            "train.consistency_ramp_up",
        ),
        ({"augment": {"brightness": 0, "contrast": 0}, "train": TRAIN}, "contradiction", "augment"),
        (
            {"train": {**TRAIN, "unlabelled": "more"}, "data": {"source": "scans", "images": "a"}},
            "contradiction",
            "train.unlabelled",
        ),
    ],
)
def test_settings_that_do_not_fit_are_errors(
    tmp_path: Path, sections: dict[str, Any], code: str, setting: str
) -> None:
    import yaml

    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({"task": TASK, "data": SHAPES, **sections}))
    with fails(ConfigError, code, setting=setting):
        read(path)


def test_the_folder_is_relative_to_the_config_if_the_data_are(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "task: {kind: binary, classes: [disc]}\n"
        "data: {images: images, masks: masks, relative_to: config}\n"
        "train: {unlabelled: more, consistency: 1, ema: 0.99}\n"
    )
    assert read(path).train.unlabelled == tmp_path / "more"
