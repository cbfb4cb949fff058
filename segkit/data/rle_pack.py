"""Label Studio's run lengths of brush strokes: the binary format of the package rle-pack.

A stream of bits, the highest bit of a byte first: the number of values (32 bits), the bits of a
value less one (5 bits), and four sizes of counts less one (4 bits each). Then follow groups of
values: a bit that says whether one value is repeated, the number of a size (2 bits), the count less
one in that size, and the repeated value, or as many values as counted.

Label Studio packs the four bytes red, green, blue and alpha of each pixel, row by row. The edges of
a stroke may be smoothed. A pixel belongs to it if its alpha is at least half of the highest one.

Source: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack#encoding-format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.errors import DataError

BANDS = 4
"""Bytes of a pixel: red, green, blue and alpha."""
WORD = 8
"""Bits of a value. Label Studio packs bytes."""
HEADER = 32 + 5 + 4 * 4
"""Bits before the first group."""
COUNT_SIZES = (3, 4, 8, 16)
"""The sizes of counts, in bits, that the encoder uses."""


class _Bits:
    """Reads numbers from a stream of bits."""

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.position = 0
        self.end = 8 * len(packed)

    def number(self, bits: int) -> int:
        """Read a number of some bits."""
        after = self.position + bits
        if after > self.end:
            raise _cut_off()
        first = self.position // 8
        last = (after + 7) // 8
        value = int.from_bytes(self.packed[first:last], "big")
        self.position = after
        return (value >> (8 * last - after)) & ((1 << bits) - 1)

    def values(self, count: int) -> np.ndarray:
        """Read bytes that need not begin at a whole byte."""
        after = self.position + WORD * count
        if after > self.end:
            raise _cut_off()
        first = self.position // 8
        part = np.frombuffer(self.packed[first : (after + 7) // 8], np.uint8)
        offset = self.position - 8 * first
        bits = np.unpackbits(part)[offset : offset + WORD * count]
        self.position = after
        return np.packbits(bits)


def decode_brush(packed: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a brush stroke.

    Args:
        packed: The bytes, numbers from 0 to 255.
        size: Height and width of the image.

    Returns:
        (H, W) bool.

    Raises:
        DataError: If the bytes are cut off, or are not those of an image of this size.
    """
    height, width = size
    stream = _Bits(_as_bytes(packed))
    total = stream.number(32)
    word = stream.number(5) + 1
    if total != BANDS * height * width or word != WORD:
        raise DataError(
            f"the run lengths of {width} x {height} pixels must have {BANDS * height * width} "
            f"values of {WORD} bits; found {total} of {word}",
            "label-rle",
        )
    sizes = [stream.number(4) + 1 for _ in COUNT_SIZES]
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        is_repeated = stream.number(1)
        count = stream.number(sizes[stream.number(2)]) + 1
        if count > total - done:
            raise DataError(
                f"the run lengths hold more than the {total} values that they announce", "label-rle"
            )
        if is_repeated:
            values[done : done + count] = stream.number(WORD)
        else:
            values[done : done + count] = stream.values(count)
        done += count
    alpha = values.reshape(height, width, BANDS)[..., BANDS - 1]
    half = max(1, (int(alpha.max(initial=0)) + 1) // 2)
    return np.asarray(alpha >= half)


def encode_brush(mask: np.ndarray) -> list[int]:
    """Return the bytes of a mask, which `decode` and Label Studio read.

    Args:
        mask: (H, W) bool.

    Returns:
        Numbers from 0 to 255.
    """
    flat = mask.ravel().astype(bool)
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, flat.size)
    counts = BANDS * np.diff(ends, prepend=0)
    parts = [_binary(BANDS * flat.size, 32), _binary(WORD - 1, 5)]
    parts += [_binary(bits - 1, 4) for bits in COUNT_SIZES]
    for end, count in zip(ends.tolist(), counts.tolist(), strict=True):
        parts += _groups(count, 255 * int(flat[end - 1]))
    bits = "".join(parts)
    padded = bits + "0" * (-len(bits) % 8)
    return list(int(padded, 2).to_bytes(len(padded) // 8, "big"))


def _groups(count: int, value: int) -> list[str]:
    """Return the groups of a value that is repeated, as texts of 0 and 1."""
    groups = []
    most = 1 << COUNT_SIZES[-1]
    while count > 0:
        taken = min(count, most)
        number = next(i for i, bits in enumerate(COUNT_SIZES) if taken <= 1 << bits)
        size = COUNT_SIZES[number]
        groups.append("1" + _binary(number, 2) + _binary(taken - 1, size) + _binary(value, WORD))
        count -= taken
    return groups


def _binary(value: int, bits: int) -> str:
    return format(value, f"0{bits}b")


def _as_bytes(packed: Sequence[int]) -> bytes:
    try:
        content = bytes(packed)
    except (TypeError, ValueError) as problem:
        raise DataError(
            "run lengths of Label Studio are a list of numbers from 0 to 255", "label-rle"
        ) from problem
    if 8 * len(content) < HEADER:
        raise _cut_off()
    return content


def _cut_off() -> DataError:
    return DataError("the run lengths are cut off; export them again", "label-rle")
