"""Files and lists for the tests of pairing."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hypothesis import strategies as st

from segkit.config import DataConfig
from segkit.data.sources.pair_pages import Pairs
from segkit.data.sources.pairs import find_pairs

LABELS, CRACK = ("vessel", "tumour"), ("crack",)


STEMS = st.sampled_from(["a", "b_m", "c_m_m", "monday/a", "monday/d.e", "tue/x/b", "_m", "ö é"])


def touch(root: Path, *names: str) -> None:
    """Make empty files; pairing looks at names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(
    root: Path,
    masks: str = "masks",
    images: str = "images",
    labels: tuple[str, ...] = CRACK,
    **data: object,
) -> Pairs:
    return find_pairs(
        DataConfig.model_validate({"images": root / images, "masks": root / masks, **data}), labels
    )


def shown(found: Pairs, root: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the pairs with paths below `root` as text."""
    return {
        name: (
            pair.image.relative_to(root).as_posix(),
            {k: p.relative_to(root).as_posix() for k, p in pair.masks.items()},
        )
        for name, pair in found.by_name.items()
    }


def listing(
    root: Path, *rows: tuple[str, ...], name: str = "list.csv", encoding: str = "utf-8"
) -> DataConfig:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (root / name).write_text(text.getvalue(), encoding=encoding)
    return DataConfig(list_file=root / name)
