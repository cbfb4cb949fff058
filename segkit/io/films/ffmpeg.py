"""Runs the ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

from segkit.errors import ConfigError, DataError
from segkit.system.packages import need

EXTRA = "video"
"""The extra of keras-segkit that installs imageio-ffmpeg."""
VIDEO = "0:V:0"
"""The first video stream that is no cover picture, for ffmpeg's option -map."""


def library() -> Any:
    """Return the module imageio_ffmpeg.

    Raises:
        ConfigError: If it is not installed.
    """
    module = need("imageio_ffmpeg", EXTRA)
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns of turned films
    return module


def has_ffmpeg() -> bool:
    """Return whether imageio-ffmpeg is installed, so that films can be read."""
    try:
        library()
    except ConfigError:
        return False
    return True


def input_of(path: Path) -> str:
    """Return a path as ffmpeg takes it for a file, whatever its name looks like.

    >>> input_of(Path("http:/a.mp4"))
    'file:http:/a.mp4'
    """
    return f"file:{path}"


def output_of(arguments: list[str], path: Path) -> str:
    """Run ffmpeg with a film as its input, and return what it writes to standard output.

    Args:
        arguments: What follows the input.
        path: The film.

    Raises:
        ConfigError: If imageio-ffmpeg is not installed.
        DataError: If ffmpeg fails, or the film has no such stream ("film-stream").
    """
    program = library().get_ffmpeg_exe()
    command = [program, "-v", "error", "-nostdin", "-i", input_of(path), *arguments, "-"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace")
        if "matches no streams" in reason:
            message = f"{path}: has no video stream; choose another film, or leave it out"
            raise DataError(message, "film-stream")
        raise unreadable(path, reason)
    return done.stdout.decode("ascii", "replace")


def unreadable(path: Path, reason: str) -> DataError:
    """Return the error for a film that ffmpeg cannot read, with the first line of its reason."""
    lines = [line for line in reason.splitlines() if line.strip()] or ["ffmpeg gives no reason"]
    first = " ".join(lines[0].split())
    message = f"{path}: cannot be read as a film ({first})"
    return DataError(f"{message}; copy it again, or convert it with ffmpeg", "unreadable")
