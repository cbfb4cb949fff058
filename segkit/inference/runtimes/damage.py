"""One error for a model that a runtime cannot open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segkit.errors import RunError


@contextmanager
def opening(model: Path, runtime: str) -> Iterator[None]:
    """Turn whatever a runtime raises while it opens a model into a `RunError` that names the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as problem:  # the errors of the runtimes have no other class in common
        first = (str(problem).splitlines() or [type(problem).__name__])[0][:300]
        raise RunError(
            f"{model}: {runtime} cannot open it ({first}). It is damaged, or the network has an operation that {runtime} "
            f"lacks; export again, or choose another --format",
            "damaged-file",
        ) from problem
