"""A run folder that is removed while it trains, and damaged files of a run that is resumed."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import pytest

from segkit import RunError
from segkit.cli import main
from segkit.config import read
from segkit.run import Run
from segkit.training.train import train
from tests.helpers.errors import fails
from tests.helpers.tiny_runs import tiny_config


@pytest.mark.one_backend
def test_a_run_folder_that_is_removed_while_it_trains_is_an_error(tmp_path: Path) -> None:
    run = tmp_path / "run"
    remove = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: shutil.rmtree(run) if epoch == 1 else None
    )
    config = read(tiny_config(tmp_path, "binary", epochs=3))
    with fails(RunError, "missing-file", run / "config.yaml"):
        train(config, run, callbacks=[remove])
    assert not run.exists()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.yaml and a run of it that was interrupted after its first epoch."""
    folder = tmp_path_factory.mktemp("begun")
    config = read(tiny_config(folder, "binary", precision="auto", epochs=2))

    def interrupt(epoch: int, logs: object) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            config,
            folder / "run",
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)],
        )
    return folder


DAMAGED = {
    "history.csv": [b"", b"epoch,loss\nx,y\n", b"\xff\xfe", b"epoch\n0\n"],
    "precision.json": [
        b"",
        b"{}",
        b'{"precision": "int3", "ratio": 2}',
        b'{"precision": "float32", "ratio": null}',
        b"\xff",
    ],
    "checkpoints/latest.npz": [b""],
    "config.yaml": [b"", b"\xff", b"task: ["],
}


@pytest.mark.one_backend
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_of_a_run_that_is_resumed_is_one_sentence(
    begun: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in DAMAGED[name]:
        run = Path(shutil.copytree(begun / "run", tmp_path / "run", dirs_exist_ok=True))
        (run / name).write_bytes(content)
        (run / "checkpoints" / "previous.npz").unlink(missing_ok=True)
        status = main(["train", str(begun / "binary.yaml"), "--run", str(run), "--resume"])
        told = capsys.readouterr().err
        assert status == 2, (content, told)
        assert str(run / name) in told
        assert "Traceback" not in told


@pytest.mark.one_backend
def test_a_second_training_into_one_folder_is_busy(begun: Path, tmp_path: Path) -> None:
    run = Run(shutil.copytree(begun / "run", tmp_path / "run"))
    config = read(begun / "binary.yaml")
    with run.training(), fails(RunError, "busy", run.path):
        train(config, run.path, resume=True)
