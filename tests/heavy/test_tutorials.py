"""The tutorials run from their first block to their last, with short trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from segkit.planning import budget
from segkit.planning.choices import Machine
from tests.helpers.extras import NO_GEO, has_geo
from tests.helpers.tutorial import blocks_of, run_tutorial

QUICK = Machine(0.05, 1.0, 1e8)
"""The measurement of a machine that needs 0.05 s for a step."""
PAGES = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))


@pytest.mark.one_backend
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if page.stem == "maps":
        if not has_geo():
            pytest.skip(NO_GEO)
        # another tutorial times its network
        monkeypatch.setattr("segkit.planning.plan.measure_steps", lambda config: QUICK)
    monkeypatch.setattr(budget, "LADDER", ((4, 32),))  # `plan` times one network instead of several
    languages = {block.language for block in blocks_of(page)}
    assert languages & {"python", "sh"}, "a page without code that is run"
    run_tutorial(page)
