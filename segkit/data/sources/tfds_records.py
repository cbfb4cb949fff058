"""The records of a prepared TensorFlow data set: found, read one at a time, and their pictures decoded by Pillow."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from segkit.config.trust import untrusted
from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.files import read_bytes
from segkit.io.names import why_unsafe
from segkit.io.pictures import open_picture
from segkit.system.terminal import shown

PNG = b"\x89PNG"
LARGEST_JSON = 2**26
"""Bytes of what describes a data set."""
CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
"""Where features.json names a class; "type" is what older versions wrote."""
OWN_FEATURES = "tensorflow_datasets."
MOST_RECORDS = 5_000_000
"""Of a split; a place in memory is kept for each."""
SMALLEST_RECORD = 16
"""Bytes of a record of TFRecord that holds nothing."""
CUT_OFF = 1000
"""Records that may be missing in a file that was cut off; each is named when it is read."""


class RecordLocation(NamedTuple):
    """Where a record lies: the file, and its number there and in its split."""

    path: Path
    number: int
    split: str
    number_in_split: int


class Records:
    """A data set's records by place; only what is asked for is read, by any number of threads."""

    def __init__(self, folder: Path, trust: bool = False) -> None:
        self.folder = folder
        check_metadata(folder, trust)
        self._builder = _open_builder(folder)
        self.info = self._builder.info
        self._check_lengths()
        self._offsets: dict[Path, list[tuple[int, int]]] = {}
        self._slices: dict[str, Any] = {}
        self._lock = threading.Lock()

    def places(self, split: str) -> dict[str, RecordLocation]:
        """Return the places of a split ("train", "train[:80%]") by name, "train/000012".

        Raises `ConfigError` for a split that the data set does not have, `DataError` for a missing file.
        """
        splits = self.info.splits
        try:
            instructions = splits[split].file_instructions
        except (KeyError, ValueError) as problem:
            raise ConfigError(
                f"{self.folder} has {', '.join(sorted(splits))}; found {split!r}",
                "unknown-name",
                setting="data.split",
            ) from problem
        starts, found = self._starts(), dict[str, RecordLocation]()
        for part in instructions:
            path, (name, start) = Path(part.filename), starts[str(part.filename)]
            if not path.is_file():
                raise DataError(
                    f"{path}: is missing from the data set; copy it or prepare the data set again",
                    "shard",
                )
            self._check_room(path, part.examples_in_shard)
            end = part.examples_in_shard if part.take < 0 else part.skip + part.take
            for i in range(part.skip, end):
                found[f"{name}/{start + i:06d}"] = RecordLocation(path, i, name, start + i)
        if not found:
            raise DataError(f"{self.folder}: {split} holds no record", "empty")
        return found

    def _check_lengths(self) -> None:
        """Raise `DataError` if the splits claim more records than could be listed in memory."""
        for name, split in self.info.splits.items():
            why = why_unsafe(name)
            if why:
                raise DataError(
                    f"{self.folder}: a split called {shown(name)}: {why}", "unsafe-name"
                )
            lengths = split.shard_lengths
            if any(length < 0 for length in lengths) or sum(lengths) > MOST_RECORDS:
                raise DataError(
                    f"{self.folder}: {shown(name)} claims {sum(lengths):,} records in shardLengths; up to {MOST_RECORDS:,} "
                    f"are read",
                    "shard",
                )

    def _check_room(self, path: Path, records: int) -> None:
        """Raise `DataError` if a file cannot hold nearly as many records as the data set claims."""
        fitting = path.stat().st_size // SMALLEST_RECORD
        if self.info.file_format.value == "tfrecord" and records > fitting + CUT_OFF:
            raise DataError(
                f"{path}: shardLengths claims {records:,} records, and there is room for {fitting:,}; copy it or prepare the "
                f"data set again",
                "shard",
            )

    def _starts(self) -> dict[str, tuple[str, int]]:
        """Return the split of each file, and the number of its first record there."""
        starts: dict[str, tuple[str, int]] = {}
        for name, split in self.info.splits.items():
            ends = np.cumsum([0, *split.shard_lengths]).tolist()
            starts |= {
                str(path): (name, start) for path, start in zip(split.filepaths, ends, strict=False)
            }
        return starts

    def read(self, place: RecordLocation, where: str) -> bytes:
        """Return a record; raises `DataError`, naming `where`, if its file ends before it does."""
        if self.info.file_format.value != "tfrecord":
            with (
                self._lock,
                codecs.naming(Path(where)),
            ):  # array_record makes no promise about threads
                return bytes(self._slice(place.split)[place.number_in_split])
        with codecs.naming(place.path):
            with self._lock:
                if place.path not in self._offsets:
                    self._offsets[place.path] = record_offsets(place.path)
            offsets = self._offsets[place.path]
            if place.number >= len(offsets):
                raise DataError(
                    f"{where}: is cut off; {place.path} ends after {len(offsets)} whole records. Copy it or prepare the "
                    f"data set again",
                    "shard",
                )
            start, length = offsets[place.number]
            with place.path.open("rb") as stream:
                stream.seek(start)
                return stream.read(length)

    def _slice(self, split: str) -> Any:
        if split not in self._slices:
            import tensorflow_datasets as tfds  # type: ignore[import-untyped]

            raw = tfds.decode.DeserializeMethod.RAW_BYTES
            self._slices[split] = self._builder.as_data_source(split, deserialize_method=raw)
        return self._slices[split]


def check_metadata(folder: Path, trust: bool) -> None:
    """Raise an error if the JSON files of a data set are no files or too large, or name Python to import without `trust`.

    TensorFlow Datasets imports the module of each class of features that it does not know.
    """
    for path in sorted(folder.glob("*.json")):
        content = read_bytes(path, LARGEST_JSON)
        if path.name == "features.json" and not trust:
            for name in _class_names(content):
                if not name.startswith(OWN_FEATURES):
                    raise untrusted(f"{path}", shown(name))


def _class_names(content: bytes) -> list[str]:
    """Return the names of classes in a features.json, wherever they stand, also in text that is JSON itself.

    There are none if it is no JSON, which TensorFlow Datasets says later.
    """
    left: list[Any] = [_parsed(content)]
    names: list[str] = []
    while left:
        value = left.pop()
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, dict):
            names += [value[key] for key in CLASS_KEYS if isinstance(value.get(key), str)]
            left += value.values()
        elif isinstance(value, list):
            left += value
    return names


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _open_builder(folder: Path) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder)
    except Exception as problem:
        raise DataError(
            f"{folder}: cannot be opened as a TensorFlow data set ({problem})"
        ) from problem


def record_offsets(path: Path) -> list[tuple[int, int]]:
    """Return start and length of each whole record of a TFRecord file.

    A record is its length (uint64), a checksum of that (4 bytes), the data, and its checksum (4 bytes).
    """
    size, at, found = path.stat().st_size, 0, []
    with path.open("rb") as stream:
        while at + 16 <= size:
            stream.seek(at)
            length = int.from_bytes(stream.read(8), "little")
            if at + 16 + length > size:
                break
            found.append((at + 12, length))
            at += 16 + length
    return found


def picture(content: bytes, feature: Any, mask_of: str | None, lossy_too: bool) -> np.ndarray:
    """Return the pixels of an encoded picture: those of an image with the feature's channels, those of a mask as stored."""
    channels = feature.shape[-1]
    with open_picture(io.BytesIO(content)) as opened:
        if mask_of and not lossy_too and opened.format in ("JPEG", "MPO"):
            raise DataError(
                f"{mask_of}: the mask is stored as JPEG, which changes its values; for a yes/no mask "
                f"data.mask_threshold: 128 reads it all the same",
                "mask-lossy",
            )
        if content[:4] == PNG and content[24] == 16 and content[25] != 0:
            array = codecs.deep_png(content)
        else:
            array = np.asarray(_with_channels(opened, channels, mask_of is not None))
    if array.ndim == 3 and channels in (1, 3) and array.shape[-1] == 4:
        array = array[..., :3]
    if feature.np_dtype == np.float32:  # stored as the four bytes of each number
        return np.ascontiguousarray(array).view(np.float32)
    return np.repeat(array[..., None], 3, axis=-1) if array.ndim == 2 and channels == 3 else array


def _with_channels(picture: Image.Image, channels: int | None, mask: bool) -> Image.Image:
    """Return an image as grey, RGB or RGBA; of a mask only the palette of one that is declared RGB is applied."""
    deep = picture.mode[0] in "IF"
    if mask:
        return picture.convert("RGB") if picture.mode == "P" and channels == 3 else picture
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(
        channels or 0, "RGB" if picture.mode == "P" else picture.mode
    )
    return picture if deep or picture.mode == mode else picture.convert(mode)
