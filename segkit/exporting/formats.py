"""Formats of exported models, and the precisions that each is written in."""

from __future__ import annotations

from segkit.errors import ConfigError

PRECISIONS = {
    "litert": ("float32", "int8"),
    "onnx": ("float32", "int8"),
    "openvino": ("float32", "bfloat16", "int8"),
    "savedmodel": ("float32",),
}


def check_precision(format_name: str, precision: str) -> None:
    """Raise `ConfigError` if a format is unknown or cannot be written in a precision."""
    if format_name not in PRECISIONS:
        raise ConfigError(
            f"known are {', '.join(PRECISIONS)}; found {format_name}",
            "unknown-name",
            setting="--format",
        )
    if precision not in PRECISIONS[format_name]:
        others = [name for name, known in PRECISIONS.items() if precision in known]
        raise ConfigError(
            f"{format_name} is written in {', '.join(PRECISIONS[format_name])}; found {precision}"
            + (f", which {', '.join(others)} can" if others else ""),
            "unknown-name",
            setting="--precision",
        )
