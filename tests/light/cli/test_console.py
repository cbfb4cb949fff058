"""Progress of items and of the windows of the current item, with and without a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from segkit.cli.console import BarCounter, ConsoleProgress


def console_of(terminal: bool) -> tuple[ConsoleProgress, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, legacy_windows=False)
    return ConsoleProgress(console), stream


def test_a_bar_shows_the_windows_of_the_current_image() -> None:
    progress, stream = console_of(terminal=True)
    with progress.counting("predicting", 2) as counter:
        assert isinstance(counter, BarCounter)
        counter.windows("a", 3, 12)
        task = counter.bars.tasks[0]
        assert task.completed == 0.25
        assert task.fields["text"] == "0/2, 3 of 12 windows"
        counter("a")
        task = counter.bars.tasks[0]
        assert task.completed == 1
        assert task.fields["text"] == "1/2"
    assert "predicting: 1 in" in stream.getvalue()


def test_a_bar_never_moves_back_while_predicted_images_wait_for_being_written() -> None:
    progress, _ = console_of(terminal=True)
    with progress.counting("predicting", 3) as counter:
        assert isinstance(counter, BarCounter)
        completed: list[float] = []
        for name in ("a", "b", "c"):
            for done in range(5):
                counter.windows(name, done, 4)
                completed.append(counter.bars.tasks[0].completed)
        for name in ("a", "b", "c"):
            counter(name)
            completed.append(counter.bars.tasks[0].completed)
    assert completed == sorted(completed)
    assert completed[:11:5] == [0, 1, 2]
    assert completed[-1] == 3


def test_without_a_terminal_a_line_comes_each_minute() -> None:
    progress, stream = console_of(terminal=False)
    with progress.counting("predicting", 1) as counter:
        assert isinstance(counter, BarCounter)
        counter.windows("photo", 1, 40)
        assert stream.getvalue() == ""
        counter.reported -= 61
        counter.windows("photo", 2, 40)
        counter.windows("photo", 3, 40)
        assert stream.getvalue() == "photo: 2 of 40 windows\n"


def test_names_in_messages_are_neither_styles_nor_emoji() -> None:
    progress, stream = console_of(terminal=False)
    progress.message("masks[bold]/:x:.png")
    progress.warning("masks[/bold]/:x:.png")
    with progress.counting("scoring a=[bold], [/b], :x:", 1):
        pass
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["masks[bold]/:x:.png", "warning masks[/bold]/:x:.png"]
    assert lines[2].startswith("scoring a=[bold], [/b], :x:: 0 in ")
    progress, stream = console_of(terminal=True)
    with progress.counting("scoring a=[bold], [/b]", 1) as counter:
        assert isinstance(counter, BarCounter)
        counter.bars.refresh()
    assert "scoring a=[bold], [/b] " in stream.getvalue()


def test_a_terminal_wraps_sentences_between_words_and_never_commands() -> None:
    progress, stream = console_of(terminal=True)
    sentence = "segments " * 30
    command = "  segkit predict " + "image.png " * 30
    progress.message(f"{sentence}\n{command}")
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines[:-1])) <= 100
    assert set(" ".join(lines[:-1]).split()) == {"segments"}
    assert lines[-1].rstrip() == command.rstrip()
    progress, stream = console_of(terminal=False)
    progress.console.soft_wrap = True  # as for standard output that is a file
    progress.message(sentence)
    assert stream.getvalue().rstrip() == sentence.rstrip()
