"""segkit predict: masks have the image's size, and a broken file does not stop the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit.cli import main
from segkit.data.sources.folder import in_folders
from segkit.errors import RunError
from segkit.inference.tiles import predict_tiled
from segkit.io.images import fit_channels, write_picture, write_tiff
from segkit.io.masks import mask_paths
from segkit.run import Run
from tests.helpers.command_line import assert_fails, numbers
from tests.helpers.errors import holds


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of mixed size and format, one in a sub-folder."""
    folder, rng = tmp_path / "images", np.random.default_rng(3)
    for name, size in {
        "a.png": (40, 36, 3),
        "b.jpg": (33, 57, 3),
        "sub/c.bmp": (20, 21, 3),
        "grey.png": (24, 30, 1),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, rng.integers(0, 256, size).astype(np.uint8))
    return folder


def predict(run: Run, images: Path, out: Path, *flags: str) -> int:
    return main(["predict", str(run.path), str(images), "--out", str(out), *flags])


def test_masks_are_the_model_s_prediction_and_read_back_unchanged(
    trained: Run, images: Path, tmp_path: Path
) -> None:
    assert predict(trained, images, tmp_path / "masks") == 0
    task, model = trained.config().task, keras.saving.load_model(trained.model)
    source = in_folders(images, tmp_path / "masks", task)
    assert source.names == ["a", "b", "grey", "sub/c"]
    for name in source.names:
        image, mask = source.read(name).image, source.read(name).mask
        expected = task.decode(model.predict_on_batch(fit_channels(image, 3, name)[None])[0])
        np.testing.assert_array_equal(mask, expected)


def test_trap_34_masks_have_the_image_s_size_and_the_task_s_palette(
    trained: Run, images: Path, tmp_path: Path
) -> None:
    assert predict(trained, images, tmp_path / "masks") == 0
    task = trained.config().task
    for path in mask_paths(task, tmp_path / "masks", "b"):
        picture = Image.open(path)
        assert picture.size == (57, 33)
        if task.exclusive:
            assert picture.getpalette()[: 3 * task.channels] == [
                v for colour in task.palette for v in colour
            ]
        else:
            assert set(np.unique(np.asarray(picture)).tolist()) <= {0, 255}


def test_trap_32_predicting_scales_as_training_did(trained: Run, tmp_path: Path) -> None:
    """Images of another depth are refused, since they would be scaled differently."""
    deep = tmp_path / "deep.tif"
    write_tiff(deep, np.full((20, 20, 3), 30000, np.uint16))
    assert predict(trained, deep, tmp_path / "masks") == 1
    assert not list((tmp_path / "masks").rglob("*.png"))


def test_overlays_and_probabilities_stand_beside_the_masks(
    trained: Run, images: Path, tmp_path: Path
) -> None:
    assert predict(trained, images, tmp_path / "masks", "--overlay", "--probabilities") == 0
    task = trained.config().task
    probabilities = tifffile.imread(tmp_path / "masks-probabilities" / "b.tif").reshape(33, 57, -1)
    mask = in_folders(images, tmp_path / "masks", task).read("b").mask
    np.testing.assert_array_equal(task.decode(probabilities), mask)
    assert Image.open(tmp_path / "masks-overlays" / "sub" / "c.png").size == (21, 20)


def test_a_broken_image_is_reported_and_the_others_are_predicted(
    trained: Run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:200])
    (images / "empty.png").write_bytes(b"")
    assert predict(trained, images, tmp_path / "masks") == 1
    printed = capsys.readouterr()
    failed = [line for line in printed.err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert holds(failed[0], images / "broken.png")
    assert holds(failed[1], images / "empty.png")
    assert numbers(printed.out.splitlines()[-1]) == [4, 2]  # masks written, images failed
    assert not list((tmp_path / "masks").rglob("*.part*"))


def test_skip_existing_completes_a_folder(
    trained: Run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(trained, images, tmp_path / "masks") == 0
    lost = mask_paths(trained.config().task, tmp_path / "masks", "a")[0]
    before = lost.read_bytes()
    lost.unlink()
    capsys.readouterr()
    assert predict(trained, images, tmp_path / "masks", "--skip-existing") == 0
    assert numbers(capsys.readouterr().out.splitlines()[-1]) == [
        1,
        3,
        0,
    ]  # written, there already, failed
    assert lost.read_bytes() == before


def test_two_images_of_one_name_are_named_and_the_others_written(
    trained: Run, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(images / "b.jpg", images / "a.jpg")
    assert predict(trained, images, tmp_path / "masks") == 1
    printed = capsys.readouterr()
    failed = [line for line in printed.err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    for line in failed:
        assert holds(line, images / "a.jpg")
        assert holds(line, images / "a.png")
    assert numbers(printed.out.splitlines()[-1]) == [3, 2]  # masks written, images failed


def test_large_images_are_predicted_in_tiles_that_agree_with_the_whole(trained: Run) -> None:
    """Tiles far larger than the receptive field blend to nearly the same probabilities."""
    model = keras.saving.load_model(trained.model)
    image = np.random.default_rng(0).integers(0, 256, (150, 170, 3)).astype(np.uint8)
    whole = model.predict_on_batch(image[None])[0]
    tiled = predict_tiled(
        image, model.predict_on_batch, tile=96, overlap=0.5, batch_size=3, align=4
    )
    assert tiled.shape == whole.shape
    assert np.abs(tiled - whole).mean() < 0.01


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, images: Path) -> None:
    command = ["predict", str(tmp_path), str(images), "--out", str(tmp_path / "masks")]
    assert_fails(command, RunError, "not-a-run", tmp_path)
