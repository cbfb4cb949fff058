"""Writes files of microscopes: CZI by Zeiss' library, LIF and ND2 by their formats.

The libraries that segkit reads them with (liffile, nd2) decide whether they are right.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.stacks import HEIGHT_OF_A_PLANE, PIXEL, REASON

PACKAGES = {"czi": "pylibCZIrw", "lif": "liffile", "nd2": "nd2"}
"""The package that reads a format."""
METRES = {"Y": PIXEL[0] * 1e-6, "X": PIXEL[1] * 1e-6, "Z": HEIGHT_OF_A_PLANE * 1e-6}
"""The distances that the files state, m."""
ORDER = "TZCYX"
DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4}
"""The number of an axis in the metadata of LIF."""


def has_reader(kind: str) -> bool:
    """Return whether the package of a format is installed; other formats need none."""
    if kind not in PACKAGES:
        return True
    return importlib.util.find_spec(PACKAGES[kind]) is not None


def needs_reader(kind: str) -> pytest.MarkDecorator:
    """Return the mark of tests that need the package of a format."""
    return pytest.mark.skipif(not has_reader(kind), reason=REASON)


def save_microscope(path: Path, images: Sequence[np.ndarray], axes: str = ORDER) -> Path:
    """Write images (those of ND2 have one shape) in the format of the suffix.

    Args:
        path: The file.
        images: Arrays of `axes`; uint8 or uint16.
        axes: Some of T, Z, C, Y and X in this order; S at the end are red, green and blue.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save = {".czi": save_czi, ".lif": save_lif, ".nd2": save_nd2}[path.suffix]
    save(path, images, axes)
    return path


def save_czi(path: Path, images: Sequence[np.ndarray], axes: str) -> None:
    """Write images as scenes side by side."""
    from pylibCZIrw import czi

    further = [axis for axis in axes if axis in "TZC"]
    with czi.create_czi(str(path)) as file:
        left = -7  # the stage has no origin at the corner of an image
        for scene, image in enumerate(images):
            for position in np.ndindex(*image.shape[: len(further)]):
                pixels = image[position]
                pixels = pixels[..., ::-1] if axes.endswith("S") else pixels[..., None]
                file.write(
                    np.ascontiguousarray(pixels),
                    plane=dict(zip(further, position, strict=True)),
                    scene=scene,
                    location=(left, 5),
                )
            left += 100 + image.shape[axes.index("X")]
        file.write_metadata(
            path.stem, scale_x=METRES["X"], scale_y=METRES["Y"], scale_z=METRES["Z"]
        )


def save_lif(path: Path, images: Sequence[np.ndarray], axes: str) -> None:
    """Write images as one series each."""
    elements = ""
    for number, image in enumerate(images):
        elements += _element_of_lif(f"Series{number + 1:03d}", number, image, axes)
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="project">'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    )
    content = _block_of_lif(header)
    for number, image in enumerate(images):
        name = f"MemBlock_{number}"
        about = struct.pack("<BQBI", 0x2A, image.nbytes, 0x2A, len(name))
        about += name.encode("utf-16-le")
        content += struct.pack("<II", 0x70, len(about)) + about + image.tobytes()
    path.write_bytes(content)


def _block_of_lif(text: str) -> bytes:
    about = struct.pack("<BI", 0x2A, len(text)) + text.encode("utf-16-le")
    return struct.pack("<II", 0x70, len(about)) + about


def _element_of_lif(name: str, number: int, image: np.ndarray, axes: str) -> str:
    strides = dict(zip(axes, image.strides, strict=True))
    lengths = dict(zip(axes, image.shape, strict=True))
    bits = 8 * image.dtype.itemsize
    colours = "S" if "S" in axes else "C"
    channels = ""
    for channel in range(lengths.get(colours, 1)):
        channels += (
            f'<ChannelDescription DataType="0" ChannelTag="{channel + 1 if colours == "S" else 0}" '
            f'Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="" '
            f'IsLUTInverted="0" BytesInc="{channel * strides.get(colours, 0)}" BitInc="0"/>'
        )
    dimensions = ""
    for axis, dimension in DIMENSIONS.items():
        if axis in lengths:
            length = METRES.get(axis, 1.0) * (lengths[axis] - 1)
            dimensions += (
                f'<DimensionDescription DimID="{dimension}" NumberOfElements="{lengths[axis]}" '
                f'Origin="0" Length="{length}" Unit="{"s" if axis == "T" else "m"}" '
                f'BytesInc="{strides[axis]}" BitInc="0"/>'
            )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{image.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )


MAGIC = 0x0ABECEDA
NAME_OF_FRAME = 4072
"""Bytes of the name of a frame, so that its pixels begin 4096 bytes after its chunk."""
LEVEL = 11
LOOPS = {"T": 1, "P": 2, "Z": 4}
"""The number of a loop in the metadata of ND2."""


def save_nd2(
    path: Path,
    images: Sequence[np.ndarray],
    axes: str,
    frames: int | None = None,
    changed: Mapping[str, int] | None = None,
) -> None:
    """Write images of one shape as positions of the stage.

    Args:
        path: The file.
        images: The images.
        axes: Their axes.
        frames: The number of frames that are written; all by default.
        changed: Attributes of the file that are to be others.
    """
    array = np.stack(images)
    lengths = dict(zip("P" + axes, array.shape, strict=True))
    in_a_frame = [axis for axis in axes if axis in "CYXS"]
    # the components of a pixel are beside each other
    order = [axis for axis in ("Y", "X", "C", "S") if axis in in_a_frame]
    loops = [axis for axis in "P" + axes if axis in LOOPS and lengths[axis] > 1]
    turned = array.transpose(
        [("P" + axes).index(a) for a in "P" + axes if a not in in_a_frame]
        + [("P" + axes).index(axis) for axis in order]
    )
    stored = turned.reshape(-1, *[lengths[axis] for axis in order])[:frames]
    components = lengths.get("C", 1) * lengths.get("S", 1)
    attributes = {
        "uiWidth": lengths["X"],
        "uiWidthBytes": lengths["X"] * components * array.dtype.itemsize,
        "uiHeight": lengths["Y"],
        "uiComp": components,
        "uiBpcInMemory": 8 * array.dtype.itemsize,
        "uiBpcSignificant": 8 * array.dtype.itemsize,
        "uiSequenceCount": len(stored),
        "eCompression": 2,
        **(changed or {}),
    }
    planes = {
        f"a{number}": {
            "uiCompCount": lengths.get("S", 1),
            "sDescription": f"dye {number}",
            "pFluorescentProbe": {"m_sName": f"dye {number}"},
        }
        for number in range(lengths.get("C", 1))
    }
    pictures = {
        "sPicturePlanes": {"uiCount": len(planes), "sPlaneNew": planes},
        "dCalibration": PIXEL[1],  # ND2 has square pixels
        "bCalibrated": True,
    }
    chunks: list[tuple[bytes, bytes]] = [
        (b"ImageAttributesLV!", _lite({"SLxImageAttributes": attributes})),
        (b"ImageMetadataSeqLV|0!", _lite({"SLxPictureMetadata": pictures})),
    ]
    experiment = _experiment(loops, lengths)
    if experiment:
        chunks.append((b"ImageMetadataLV!", _lite({"SLxExperiment": experiment})))
    content = struct.pack("<IIQ", MAGIC, 32, 64) + b"ND2 FILE SIGNATURE CHUNK NAME01!"
    content += b"Ver3.0".ljust(64, b"\0")
    places = b""
    for number, frame in enumerate(stored):
        data = struct.pack("<d", 0.0) + np.ascontiguousarray(frame).tobytes()
        name = f"ImageDataSeq|{number}!".encode()
        places += name + struct.pack("<QQ", len(content), len(data))
        content += struct.pack("<IIQ", MAGIC, NAME_OF_FRAME, len(data))
        content += name.ljust(NAME_OF_FRAME, b"\0") + data
    for name, data in chunks:
        places += name + struct.pack("<QQ", len(content), len(data))
        content += struct.pack("<IIQ", MAGIC, len(name), len(data)) + name + data
    mark = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    place = struct.pack("<Q", len(content))
    name = b"ND2 FILEMAP SIGNATURE NAME 0001!"
    data = places + mark + place
    content += struct.pack("<IIQ", MAGIC, len(name), len(data)) + name + data
    path.write_bytes(content)


def _experiment(loops: Sequence[str], lengths: Mapping[str, int]) -> dict[str, Any]:
    """Return the loops of an experiment, one in the other; the first is the slowest."""
    found: dict[str, Any] = {}
    for axis in reversed(loops):
        count = lengths[axis]
        parameters: dict[str, Any] = {"uiCount": count}
        if axis == "T":
            parameters |= {"dStart": 0.0, "dPeriod": 1.0, "dDuration": 0.0}
        if axis == "Z":
            parameters["dZStep"] = HEIGHT_OF_A_PLANE
        if axis == "P":
            parameters["Points"] = {
                f"i{number}": {"dPosX": float(number), "dPosY": 0.0} for number in range(count)
            }
        level = {"eType": LOOPS[axis], "uLoopPars": parameters}
        if found:
            level["ppNextLevelEx"] = {"i0": found}
            level["uiNextLevelCount"] = 1
        found = level
    return found


def _lite(values: Mapping[str, Any]) -> bytes:
    """Return values as the records of ND2."""
    return b"".join(_record(name, value) for name, value in values.items())


def _record(name: str, value: Any) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    kinds = {bool: (1, "<B"), int: (3, "<I"), float: (6, "<d")}
    if type(value) in kinds:
        kind, form = kinds[type(value)]
        return struct.pack("BB", kind, len(name) + 1) + text + struct.pack(form, value)
    if isinstance(value, str):
        content = (value + "\0").encode("utf-16-le")
        return struct.pack("BB", 8, len(name) + 1) + text + content
    inside = _lite(value)
    head = struct.pack("BB", LEVEL, len(name) + 1) + text
    length = len(head) + 12 + len(inside)
    return head + struct.pack("<IQ", len(value), length) + inside + bytes(8 * len(value))
