"""What tests of several files share, made once."""

from __future__ import annotations

import pytest

from segkit.cli import main
from segkit.run import Run
from tests.helpers.tiny_runs import TASKS, tiny_config


@pytest.fixture(scope="session", params=list(TASKS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of each kind of task, to be read only; its test images are beside it in
    test/images and test/masks.
    """
    folder = tmp_path_factory.mktemp(request.param)
    config = tiny_config(folder, request.param)
    assert main(["train", str(config), "--run", str(folder / "run")]) == 0
    assert main(["convert", str(config), "--part", "test", "--out", str(folder / "test")]) == 0
    return Run.open(folder / "run")
