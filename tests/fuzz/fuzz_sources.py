"""Any bytes as a file of a source: samples or a SegkitError.

python tests/fuzz/fuzz_sources.py labelme -max_total_time=60
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["segkit.data", "segkit.io", "segkit.task", "json"]):
    from segkit import catalog
    from segkit.data.sources.source import open_source
    from segkit.io import codecs

    for place in (*catalog.SOURCES.values(), *catalog.LABELS.values(), *catalog.VOLUMES.values()):
        importlib.import_module(place.split(":")[0])

import numpy as np

from segkit import SegkitError
from tests.helpers.every_source import MAKERS, MORE, Made

PICTURES = (".png", ".jpg", ".jpeg")
"""Suffixes of files that fuzz_masks.py changes."""
WORDS = (
    "",
    "null",
    "-1",
    "0",
    "2",
    "1e999",
    "NaN",
    "0.5",
    "9" * 30,
    '""',
    '"liver"',
    '"../a"',
    "[]",
    "{}",
    "[[1, 1], [4, 1], [4, 3]]",
    "true",
    "\\u0000",
    "\n",
    "é",
)
"""What takes the place of a part of a text file."""
PARTS = re.compile(r"\"[^\"]*\"|-?[0-9][0-9.]*|\w+|\s+|.")
"""Texts in quotes, numbers, words and single characters of a text file."""
LARGEST = 6000
"""Largest number of bytes of a file that is changed."""


def makers() -> dict[str, Callable[[Path], Made]]:
    """Return the functions that write a small data set, by name."""
    found = dict(MAKERS)
    for make in MORE:
        found[make.__name__] = make
    return found


def files_to_change(root: Path) -> list[Path]:
    """Return the files of the data set that are no pictures and not too large."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in PICTURES and path.stat().st_size < LARGEST:
            found.append(path)
    return found


def changed(content: bytes, data: bytes) -> bytes:
    """Return what a file contains in a run.

    If the first byte of `data` is odd, it is the rest of `data`. Otherwise each three bytes of it
    name a part of the file's own text, and the word that takes its place.
    """
    if not data or data[0] % 2:
        return data[1:]
    parts = PARTS.findall(content.decode("latin-1"))
    for at in range(1, len(data) - 2, 3):
        place = int.from_bytes(data[at : at + 2], "big") % len(parts)
        parts[place] = WORDS[data[at + 2] % len(WORDS)]
    return "".join(parts).encode("latin-1")


def read_all(made: Made) -> None:
    """Open the source and read every sample. Whatever is no `SegkitError` escapes."""
    message = ""
    try:
        source = open_source(made.data, made.task)
        for name in source.names[:20]:
            sample = source.read(name)
            assert sample.image.ndim == 3
            assert sample.image.size
            assert np.isfinite(sample.image).all()
            assert sample.mask.shape[:2] == sample.image.shape[:2]
    except SegkitError as problem:
        message = str(problem)
    assert "\n" not in message


def main() -> None:
    """Fuzz the source of the first argument."""
    known = makers()
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        sys.exit(f"the first argument is one of: {', '.join(known)}")
    root = Path(tempfile.mkdtemp(prefix="fuzz_sources"))
    (root / "data").mkdir()
    made = known[sys.argv[1]](root / "data")
    files = files_to_change(root / "data")
    if not files:
        sys.exit(f"{sys.argv[1]}: all files are pictures; fuzz_masks.py changes those")
    original = [path.read_bytes() for path in files]
    seeds = root / "seeds"
    seeds.mkdir()
    for number, content in enumerate(original):
        (seeds / f"{number}-bytes").write_bytes(bytes([number, 1]) + content)
        (seeds / f"{number}-parts").write_bytes(bytes([number, 0, 0, 9, 1, 0, 3, 2]))
    warnings.simplefilter("ignore")
    logging.disable()
    codecs.limit_pixels(250_000)

    def read(data: bytes) -> None:
        number = data[0] % len(files) if data else 0
        files[number].write_bytes(changed(original[number], data[1:]))
        try:
            read_all(made)
        finally:
            files[number].write_bytes(original[number])

    options = [f"-max_len={LARGEST + 2}", "-timeout=30", "-rss_limit_mb=4000", str(seeds)]
    atheris.Setup([sys.argv[0], *sys.argv[2:], *options], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
