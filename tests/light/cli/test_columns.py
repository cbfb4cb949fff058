"""On a terminal of 80 columns no table, bar or help text of the command line wraps or is cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from segkit.cli.commands import COMMANDS, make_parser
from segkit.cli.compare_table import settings_table
from segkit.cli.console import ConsoleProgress
from segkit.system.progress import TrainingStatus

COLUMNS = 80


def terminal() -> Console:
    return Console(
        width=COLUMNS,
        file=io.StringIO(),
        record=True,
        force_terminal=True,
        legacy_windows=False,
    )


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_fits(command: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    lines = make_parser(command).format_help().splitlines()
    assert max(map(len, lines)) <= COLUMNS


def test_the_table_of_a_comparison_fits() -> None:
    name = "train.learning_rate=0.0005, batch=16"
    interval = {"value": 0.12345, "low": 0.1, "high": 0.2}
    setting = {
        "name": name,
        "seeds": [0],
        "dice_foreground": interval,
        "iou_foreground": interval,
        "images_per_second": 12345.6,
    }
    without_training = {"name": "stopped", "seeds": []}
    console = terminal()
    console.print(settings_table({"settings": [setting, without_training]}))
    lines = console.export_text().splitlines()
    row = [cell for line in lines if line.startswith(name) for cell in line.split()]
    assert row == [*name.split(), "0.1235", "0.1000", "-", "0.2000", "0.1235", "12345.6"]
    assert not any("stopped" in line for line in lines)


def test_the_bar_of_a_long_training_fits() -> None:
    console = terminal()
    with ConsoleProgress(console).training() as report:
        scores = {"loss": 0.1, "dice_foreground": 0.25, "iou_foreground": 0.125, "seconds": 1.0}
        status = TrainingStatus(
            epoch=999,
            epochs=1000,
            step=9999,
            steps=10000,
            loss=12.3456,
            share=0.5,
            seconds_left=359999.0,
            logs=scores,
        )
        report(status)
        report(status._replace(logs=None))
        report.bars.refresh()
        (line,) = console.render_lines(report.bars.get_renderable(), pad=False)
    text = "".join(segment.text for segment in line)
    assert len(text) <= COLUMNS
    for words in (
        "epoch  999/1000",
        "step 9999/10000",
        "loss 12.3456",
        "dice 0.250",
        "99:59:59 left",
    ):
        assert words in text
