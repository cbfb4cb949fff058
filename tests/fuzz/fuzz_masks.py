"""Any bytes as a picture file: pixels or a SegkitError. `python tests/fuzz/fuzz_masks.py
-max_total_time=60`.
"""

from __future__ import annotations

import logging
import struct
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["segkit", "PIL", "tifffile"]):
    import tifffile
    from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin  # noqa: F401 (loaded here to be instrumented)

    from segkit.io import codecs
    from segkit.io.images import read_image
    from segkit.io.masks import read_colours, read_layers, read_mask

import numpy as np

from segkit import SegkitError

PNG = b"\x89PNG\r\n\x1a\n"
READERS = (
    (read_image, 3),
    (read_mask, 2),
    (read_layers, 3),
    (read_colours, 3),
    (lambda path: read_mask(path, threshold=128), 2),
)
"""Each with the axes of what it returns."""
SUFFIXES = {
    b"II": ".tif",
    b"MM": ".tif",
    b"\xff\xd8": ".jpg",
    b"BM": ".bmp",
    b"RI": ".webp",
    b"P5": ".pgm",
    b"P6": ".ppm",
    b"GI": ".gif",
}
"""The suffix of a file that begins with these two bytes; others are read as PNG."""


def with_checksums(data: bytes) -> bytes:
    """Return a PNG whose chunks have right checksums: with wrong ones no changed byte would get to
    a decoder.
    """
    if not data.startswith(PNG):
        return data
    repaired, at = PNG, len(PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        repaired += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return repaired + data[at:]


def _seed(folder: Path) -> None:
    """Write small pictures of each kind that segkit reads."""
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = Image.fromarray(grey)
    palette.putpalette(list(range(256)) * 3)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    palette.save(folder / "palette.png", exif=exif)
    for name, array in {
        "grey": grey,
        "bits": grey > 5,
        "deep": grey.astype(np.uint16) * 999,
        "rgb": np.stack([grey] * 3, axis=-1),
        "rgba": np.stack([grey] * 4, axis=-1),
    }.items():
        Image.fromarray(array).save(folder / f"{name}.png")
    for name, array in {
        "grey": grey,
        "deep": grey.astype(np.uint16),
        "float": grey.astype(np.float32),
    }.items():
        tifffile.imwrite(folder / f"{name}.tif", array)
    tifffile.imwrite(
        folder / "bands.tif",
        np.stack([grey] * 5),
        planarconfig="separate",
        photometric="minisblack",
    )
    tifffile.imwrite(
        folder / "palette.tif", grey, photometric="palette", colormap=np.zeros((3, 256), np.uint16)
    )
    tifffile.imwrite(folder / "packed.tif", grey, compression="zlib", tile=(16, 16))
    Image.fromarray(grey).save(folder / "lzw.tif", compression="tiff_lzw")
    for suffix in ("jpg", "bmp", "webp", "pgm", "gif"):
        Image.fromarray(grey).save(folder / f"grey.{suffix}")
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "rgb.jpg", exif=exif)


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz_masks"))
    (root / "seeds").mkdir()
    _seed(root / "seeds")
    warnings.simplefilter("ignore")
    logging.disable()  # tifffile's, thousands a second
    codecs.limit_pixels(250_000)

    def read(data: bytes) -> None:
        path = root / f"a{SUFFIXES.get(data[:2], '.png')}"
        path.write_bytes(with_checksums(data))
        for reader, axes in READERS:
            try:
                array = reader(path)
            except SegkitError as problem:
                message = str(problem)
            else:
                message = path.name
                assert array.ndim == axes
                assert array.size
                assert np.isfinite(array).all()
            assert path.name in message

    atheris.Setup([*sys.argv, "-max_len=4000", "-timeout=30", str(root / "seeds")], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
