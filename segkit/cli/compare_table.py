"""The table that `segkit compare` prints. Scores per class and per seed stand in table.md."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from segkit.evaluation.tables import as_cell
from segkit.system.terminal import shown


def settings_table(results: dict[str, Any]) -> Table:
    """Return one row per setting that finished a training. It fits into 80 columns.

    Args:
        results: Contents of results.json.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("setting", overflow="fold")
    for header in ("Dice", "95 % interval", "IoU", "images/s"):
        table.add_column(header, justify="right", no_wrap=True)
    for setting in results["settings"]:
        if not setting["seeds"]:
            continue
        dice = setting["dice_foreground"]
        table.add_row(
            Text(shown(setting["name"])),
            as_cell(dice["value"]),
            f"{as_cell(dice['low'])} - {as_cell(dice['high'])}",
            as_cell(setting["iou_foreground"]["value"]),
            f"{setting['images_per_second']:.1f}",
        )
    return table
