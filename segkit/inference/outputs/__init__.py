"""What prediction writes: one module a format, each from the same `Answer`; `results` writes what was asked for."""
