"""Palettes of mask files, which give each index a colour."""

from __future__ import annotations

import numpy as np

from segkit.errors import DataError
from segkit.task import values_of

WHITE = 0xFFFFFF
"""White as a packed colour 0xrrggbb."""


class Palettes:
    """Checks that a palette index has the same colour in all mask files of a data set.

    Only then is the index a class id.

    Args:
        yes_no: Whether the masks are yes/no masks.
    """

    def __init__(self, yes_no: bool) -> None:
        self.yes_no = yes_no
        self._first: dict[int, tuple[int, str]] = {}

    def check(self, raw: np.ndarray, palette: np.ndarray | None, where: str) -> None:
        """Check one mask against the masks before.

        Args:
            raw: The indices, (H, W).
            palette: Their colours, (N, 3) uint8, or None for a file without a palette.
            where: The file, for messages.

        Raises:
            DataError: If an index had another colour in an earlier file. In a yes/no mask, also if
                black is not index 0, because index 0 means no.
        """
        if palette is None:
            return
        colours = used_colours(raw, palette)
        for index, colour in colours.items():
            first_colour, first_file = self._first.setdefault(index, (colour, where))
            if first_colour != colour:
                raise DataError(
                    f"{where}: index {index} of the palette is #{colour:06x} here and "
                    f"#{first_colour:06x} in {first_file}, so indices are not class ids. "
                    f"Set data.mask_colours to the meaning of each colour",
                    "mask-palette",
                )
        if self.yes_no and colours.get(0) not in (None, 0) and 0 in colours.values():
            raise DataError(
                f"{where}: index 0 of the palette is #{colours[0]:06x} and a later index is black, "
                f"but index 0 would be read as no. "
                f"Set data.mask_colours to the meaning of each colour",
                "mask-palette",
            )


def used_colours(raw: np.ndarray, palette: np.ndarray) -> dict[int, int]:
    """Return the packed colour 0xrrggbb of each index that occurs.

    >>> used_colours(np.array([[1, 0]], np.uint8), np.array([[0, 0, 0], [255, 0, 0]], np.uint8))
    {0: 0, 1: 16711680}
    """
    found = values_of(raw)
    packed = pack_colours(palette[found])
    return dict(zip(found.tolist(), packed.tolist(), strict=True))


def is_black_and_white(raw: np.ndarray, palette: np.ndarray) -> bool:
    """Return whether the colours of all indices (H, W) that occur are black or white."""
    return set(used_colours(raw, palette).values()) <= {0, WHITE}


def pack_colours(rgb: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) as numbers 0xrrggbb, (...) int32."""
    red = rgb[..., 0].astype(np.int32)
    green = rgb[..., 1].astype(np.int32)
    packed: np.ndarray = (red << 16) | (green << 8) | rgb[..., 2]
    return packed
