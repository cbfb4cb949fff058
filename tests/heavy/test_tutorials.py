"""The tutorials run from their first block to their last, with short trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from segkit.planning import budget
from tests.helpers.tutorial import blocks_of, run_tutorial

PAGES = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))


@pytest.mark.one_backend
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(budget, "LADDER", ((4, 32),))  # `plan` times one network instead of several
    languages = {block.language for block in blocks_of(page)}
    assert languages & {"python", "sh"}, "a page without code that is run"
    run_tutorial(page)
