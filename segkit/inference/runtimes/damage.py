"""The error for a model that a runtime cannot open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segkit.errors import RunError


@contextmanager
def opening(model: Path, runtime: str) -> Iterator[None]:
    """Turn any error that a runtime raises while it opens a model into a `RunError`.

    Args:
        model: The file of the model, which the error names.
        runtime: The name of the runtime, for the message.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as problem:  # the runtimes have no error class in common
        lines = str(problem).splitlines() or [type(problem).__name__]
        raise RunError(
            f"{model}: {runtime} cannot open it ({lines[0][:300]}). It is damaged, or the network "
            f"has an operation that {runtime} does not support; export again, or choose another "
            f"--format",
            "damaged-file",
        ) from problem
