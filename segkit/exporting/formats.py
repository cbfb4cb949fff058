"""Formats of exported models, and the precisions of each."""

from __future__ import annotations

from segkit.errors import ConfigError

PRECISIONS = {
    "litert": ("float32", "int8"),
    "onnx": ("float32", "int8"),
    "openvino": ("float32", "bfloat16", "int8"),
    "savedmodel": ("float32",),
}


def check_precision(format_name: str, precision: str) -> None:
    """Raise `ConfigError` if a format is unknown, or cannot be written in a precision."""
    if format_name not in PRECISIONS:
        raise ConfigError(
            f"allowed are {', '.join(PRECISIONS)}; found {format_name}",
            "unknown-name",
            setting="--format",
        )
    if precision in PRECISIONS[format_name]:
        return
    message = f"{format_name} can be written in {', '.join(PRECISIONS[format_name])}"
    message += f"; found {precision}"
    others = [name for name, allowed in PRECISIONS.items() if precision in allowed]
    if others:
        message += f", which {', '.join(others)} can be written in"
    raise ConfigError(message, "unknown-name", setting="--precision")
