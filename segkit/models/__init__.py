"""Networks: scaling + encoder + decoder + head, joined by `build`."""
