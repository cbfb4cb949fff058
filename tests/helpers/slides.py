"""Writes whole slides, whose levels openslide reads as well."""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

REASON = "tiffslide or openslide is not installed"
MICRONS = 0.25
"""The side of a pixel of the largest level, µm."""
SIZE = (704, 896)
"""Height and width of the largest level: multiples of the steps of all levels."""
STEPS = (1, 4, 16)
"""Pixels of the largest level along a side of one pixel of each level."""
TILE = (64, 64)
GLASS = (243, 243, 243)
STAIN = (190, 80, 160)
DARK_STAIN = (90, 40, 120)


def has_slides() -> bool:
    """Return whether slides can be read, by segkit and by the oracle."""
    return all(importlib.util.find_spec(name) for name in ("tiffslide", "openslide"))


def tissue(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return where a slide shows tissue, (H, W) bool: a disc at the upper left, far from others."""
    rows, columns = np.indices(size)
    return np.hypot(rows - 180, columns - 200) < 110


def nuclei(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return where the tissue is dark, (H, W) bool: two squares."""
    found = np.zeros(size, bool)
    found[120:168, 160:216] = True
    found[200:240, 240:272] = True
    return found


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Return a slide of tissue on glass with noise, (H, W, 3) uint8."""
    values = np.empty((*size, 3), np.int16)
    values[:] = GLASS
    values[tissue(size)] = STAIN
    values[nuclei(size)] = DARK_STAIN
    values += np.random.default_rng(seed).integers(-3, 4, size)[..., None].astype(np.int16)
    return values.astype(np.uint8)


def level_of(array: np.ndarray, step: int) -> np.ndarray:
    """Return the mean of step x step pixels, rounded, as segkit and other programs do."""
    height, width, channels = array.shape
    pieces = array.reshape(height // step, step, width // step, step, channels)
    return np.rint(pieces.mean(axis=(1, 3))).astype(np.uint8)


def save_svs(
    path: Path,
    array: np.ndarray,
    microns: float | None = MICRONS,
    steps: Sequence[int] = STEPS,
) -> Path:
    """Write a slide as Aperio does: levels in tiles, and a thumbnail after the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = array.shape[:2]
    about = "Aperio Image Library v11.2.1\r\n"
    size = "" if microns is None else f"|AppMag = 40|MPP = {microns}"
    with tifffile.TiffWriter(path) as writer:
        for number, step in enumerate(steps):
            level = level_of(array, step)
            text = f"{about}{width}x{height} [0,0 {level.shape[1]}x{level.shape[0]}] {size}"
            writer.write(level, photometric="rgb", tile=TILE, description=text, metadata=None)
            if number == 0:
                thumbnail = level_of(array, max(steps))
                writer.write(
                    thumbnail, photometric="rgb", description=f"{about}thumbnail", metadata=None
                )
    return path


def save_pyramid(
    path: Path, array: np.ndarray, microns: float = MICRONS, steps: Sequence[int] = STEPS
) -> Path:
    """Write an OME-TIFF whose smaller levels are SubIFDs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"axes": "YXS"}
    for axis in "YX":
        metadata |= {f"PhysicalSize{axis}": microns, f"PhysicalSize{axis}Unit": "µm"}
    with tifffile.TiffWriter(path, ome=True) as writer:
        options = {"photometric": "rgb", "tile": TILE}
        writer.write(array, subifds=len(steps) - 1, metadata=metadata, **options)
        for step in steps[1:]:
            writer.write(level_of(array, step), subfiletype=1, metadata=None, **options)
    return path


class Tag(NamedTuple):
    """A tag of a TIFF: its number, the code of its type in TIFF and in `struct`, and its values."""

    number: int
    kind: int
    code: str
    values: tuple[float | bytes, ...]

    def data(self) -> bytes:
        return struct.pack(f"<{self.code}", *self.values)

    def count(self) -> int:
        size = struct.calcsize(self.code)
        return size // {"s": 1, "H": 2, "I": 4, "i": 4, "f": 4, "R": 8}[self.type()]

    def type(self) -> str:
        return {2: "s", 3: "H", 4: "I", 5: "R", 9: "i", 11: "f"}[self.kind]


def save_ndpi(
    path: Path, array: np.ndarray, microns: float = MICRONS, steps: Sequence[int] = STEPS
) -> Path:
    """Write a slide as Hamamatsu does: 64-bit offsets in a TIFF of 32 bits, a JPEG for each level.

    Each row of blocks of a JPEG ends with a restart marker, and a tag names its place. The last
    page is a picture of the whole glass.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = bytearray(struct.pack("<2sHQ", b"II", 42, 0))
    link = 4
    pages = [(level_of(array, step), 40 / step, microns * step) for step in steps]
    pages.append((np.full((40, 120, 3), 200, np.uint8), -1.0, 100.0))
    for pixels, lens, size in pages:
        jpeg = io.BytesIO()
        blocks = pixels.shape[1] // 8
        image = Image.fromarray(pixels)
        image.save(jpeg, "JPEG", quality=95, subsampling=0, restart_marker_blocks=blocks)
        tags = _ndpi_tags(pixels.shape, jpeg.getvalue(), len(file), lens, size)
        file += jpeg.getvalue()
        link = _append_page(file, link, tags)
    path.write_bytes(file)
    return path


def _ndpi_tags(
    shape: tuple[int, ...], jpeg: bytes, offset: int, lens: float, microns: float
) -> list[Tag]:
    scan = jpeg.index(b"\xff\xda")
    starts = [scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")]
    for place in range(starts[0], len(jpeg) - 1):
        if jpeg[place] == 0xFF and 0xD0 <= jpeg[place + 1] <= 0xD7:
            starts.append(place + 2)
    per_cm = (round(1e7 / microns), 1000)
    return [
        Tag(256, 4, "I", (shape[1],)),
        Tag(257, 4, "I", (shape[0],)),
        Tag(258, 3, "3H", (8, 8, 8)),
        Tag(259, 3, "H", (7,)),
        Tag(262, 3, "H", (6,)),
        Tag(271, 2, "10s", (b"Hamamatsu",)),
        Tag(272, 2, "7s", (b"C13210",)),
        Tag(273, 4, "I", (offset,)),
        Tag(277, 3, "H", (3,)),
        Tag(278, 4, "I", (shape[0],)),
        Tag(279, 4, "I", (len(jpeg),)),
        Tag(282, 5, "2I", per_cm),
        Tag(283, 5, "2I", per_cm),
        Tag(284, 3, "H", (1,)),
        Tag(296, 3, "H", (3,)),
        Tag(530, 3, "2H", (1, 1)),
        Tag(65420, 4, "I", (1,)),
        Tag(65421, 11, "f", (lens,)),
        Tag(65422, 9, "i", (0,)),
        Tag(65423, 9, "i", (0,)),
        Tag(65424, 9, "i", (0,)),
        Tag(65426, 4, f"{len(starts)}I", tuple(starts)),
    ]


def _append_page(file: bytearray, link: int, tags: Sequence[Tag]) -> int:
    """Append the tags of a page, write its place at `link`, and return the place of the next."""
    entries = []
    for tag in tags:
        data = tag.data()
        value = data.ljust(4, b"\0")
        if len(data) > 4:
            value = struct.pack("<I", len(file))
            file += data + b"\0" * (len(data) % 2)
        entries.append(struct.pack("<HHI", tag.number, tag.kind, tag.count()) + value)
    struct.pack_into("<Q", file, link, len(file))
    file += struct.pack("<H", len(entries)) + b"".join(entries)
    next_link = len(file)
    file += bytes(8 + 4 * len(entries))  # the upper halves of all values are 0
    return next_link


SCN = """<?xml version="1.0" encoding="utf-8"?>
<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="1">
<collection name="slide" uuid="2" sizeX="{wide}" sizeY="{high}" barcode="">
{images}
</collection></scn>"""
SCN_IMAGE = """<image name="image" uuid="3"><creationDate>2020-01-01T00:00:00Z</creationDate>
<device model="Leica SCN400" version="1.5"/><pixels>{dimensions}</pixels>
<view sizeX="{wide}" sizeY="{high}" offsetX="{left}" offsetY="{top}" spacingZ="0"/>
<scanSettings><objectiveSettings><objective>{lens}</objective></objectiveSettings>
<illuminationSettings><numericalAperture>0.65</numericalAperture>
<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image>"""
SCN_CORNER = (352, 448)
"""Row and column of the slide, in pixels of the largest level, where the scanned field begins."""


def save_scn(
    path: Path, array: np.ndarray, microns: float = MICRONS, steps: Sequence[int] = STEPS
) -> Path:
    """Write a slide as Leica does: a picture of the whole glass, and a field of it in levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nm = round(microns * 1000)
    high, wide = array.shape[0] * 2, array.shape[1] * 2
    glass = level_of(np.full((high, wide, 3), 200, np.uint8), 16)
    whole = {"wide": wide * nm, "high": high * nm, "left": 0, "top": 0, "lens": 1}
    field = {
        "wide": array.shape[1] * nm,
        "high": array.shape[0] * nm,
        "left": SCN_CORNER[1] * nm,
        "top": SCN_CORNER[0] * nm,
        "lens": 40,
    }
    levels = [level_of(array, step) for step in steps]
    images = SCN_IMAGE.format(dimensions=_dimensions([glass], 0), **whole)
    images += SCN_IMAGE.format(dimensions=_dimensions(levels, 1), **field)
    about = SCN.format(wide=wide * nm, high=high * nm, images=images)
    options = {"photometric": "rgb", "tile": TILE, "metadata": None, "software": False}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(glass, description=about, **options)
        for step, level in zip(steps, levels, strict=True):
            per_cm = 1e4 / (microns * step)
            writer.write(level, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", **options)
    return path


def _dimensions(levels: Sequence[np.ndarray], first_page: int) -> str:
    found = ""
    for number, level in enumerate(levels):
        height, width = level.shape[:2]
        found += f'<dimension sizeX="{width}" sizeY="{height}" r="{number}"'
        found += f' ifd="{first_page + number}"/>'
    return found


BIF_TILE = 256
"""The side of a tile of a BIF file. A tile of a smaller level holds several of the largest one."""
BIF_OVERLAP = 16
"""The pixels that neighbouring tiles of a BIF file share."""


def save_bif(path: Path, array: np.ndarray, microns: float = MICRONS) -> Path:
    """Write a slide as Ventana does: tiles that overlap, and where they do in XML.

    Only whole tiles are written: pixels that fill no tile are left out. There is a second level of
    half the size, whose tiles hold four tiles of the first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    down, across = bif_tiles(array.shape)
    advance = BIF_TILE - BIF_OVERLAP
    stored = np.zeros((down * BIF_TILE, across * BIF_TILE, 3), np.uint8)
    for row in range(down):
        for column in range(across):
            tile = array[row * advance :, column * advance :][:BIF_TILE, :BIF_TILE]
            stored[row * BIF_TILE :, column * BIF_TILE :][:BIF_TILE, :BIF_TILE] = tile
    scan = f'<iScan Magnification="40" ScanRes="{microns}" Z-layers="1"/>'
    stitching = _stitching(down, across)
    options = {"photometric": "rgb", "metadata": None, "software": "ScanOutputManager 1"}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        label = np.full((40, 120, 3), 200, np.uint8)
        writer.write(label, description="Label Image", extratags=[_xmp(scan)], **options)
        writer.write(
            stored,
            tile=(BIF_TILE, BIF_TILE),
            description="level=0 mag=40 quality=95",
            extratags=[_xmp(stitching)],
            **options,
        )
        writer.write(
            level_of(stored, 2),
            tile=(BIF_TILE, BIF_TILE),
            description="level=1 mag=20 quality=95",
            **options,
        )
    return path


def bif_tiles(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns of tiles that fit into an image: even numbers."""
    advance = BIF_TILE - BIF_OVERLAP
    down = (shape[0] - BIF_OVERLAP) // advance // 2 * 2
    across = (shape[1] - BIF_OVERLAP) // advance // 2 * 2
    return down, across


def _xmp(text: str) -> tuple[int, int, int, bytes, bool]:
    data = text.encode()
    return 700, 1, len(data), data, True


def _stitching(down: int, across: int) -> str:
    """Return the XML of the joints. Tiles count from below, alternately to the right and left."""
    numbers = np.arange(1, down * across + 1).reshape(down, across)
    numbers[1::2] = numbers[1::2, ::-1]
    numbers = numbers[::-1]
    joints = ""
    for row in range(down):
        for column in range(across):
            if column + 1 < across:
                pair = (numbers[row, column], numbers[row, column + 1])
                joints += _joint(*pair, "RIGHT", BIF_OVERLAP, 0)
            if row > 0:
                joints += _joint(
                    numbers[row, column], numbers[row - 1, column], "UP", 0, BIF_OVERLAP
                )
    return (
        f'<EncodeInfo><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" Pos-X="0"'
        f' Pos-Y="0" Width="{BIF_TILE}" Height="{BIF_TILE}" NumRows="{down}"'
        f' NumCols="{across}">{joints}</ImageInfo></SlideStitchInfo>'
        f'<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )


def _joint(first: int, second: int, direction: str, across: int, down: int) -> str:
    return (
        f'<TileJointInfo FlagJoined="1" Confidence="99" Direction="{direction}" Tile1="{first}"'
        f' Tile2="{second}" OverlapX="{across}" OverlapY="{down}"/>'
    )
