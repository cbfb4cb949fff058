"""Every Python block of the README and the docs runs, each by itself. tests/heavy/test_tutorials.py
runs the tutorials.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.pages.hooks import GENERATED

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCKS = [
    pytest.param(block, id=f"{page.name}:{i}")
    for page in PAGES
    if page.parent.name != "tutorials"
    for i, block in enumerate(
        re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    )
]


EXTRAS = {
    "imageio_ffmpeg": "import imageio_ffmpeg",
    "nibabel": "import nibabel",
    "pydicom": "import pydicom",
    "tiffslide": ".svs",
}
"""Packages of extras, and by what a block shows that it needs them."""


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, sign in EXTRAS.items():
        if sign in block:
            pytest.importorskip(package, reason=f"needs the extra of {package}")
    monkeypatch.chdir(tmp_path)
    assert "\n" in block
    exec(compile(block, "documentation", "exec"), {})


def test_the_readme_has_a_block_of_library_code() -> None:
    assert any("segkit.unet" in str(block.values[0]) for block in BLOCKS)


def test_links_of_the_pages_lead_somewhere() -> None:
    generated = {(ROOT / "docs" / place).resolve() for place in GENERATED}
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            path = (page.parent / link).resolve()
            found = link.startswith("http") or path in generated or path.exists()
            assert found, f"{page}: {link}"
