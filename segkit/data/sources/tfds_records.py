"""Records of a prepared TensorFlow data set: located, read one by one, and decoded by Pillow."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from segkit.config.trust import untrusted
from segkit.errors import ConfigError, DataError, one_line
from segkit.io import codecs
from segkit.io.files import read_bytes
from segkit.io.names import why_unsafe
from segkit.io.pictures import open_picture
from segkit.system import terminal

PNG = b"\x89PNG"
LARGEST_JSON = 2**26
"""Largest JSON file of a data set, in bytes."""
CLASS_KEYS = ("pythonClassName", "python_class_name", "type")
"""Keys of features.json that name a class; older versions wrote "type"."""
OWN_FEATURES = "tensorflow_datasets."
MOST_RECORDS = 5_000_000
"""Largest number of records of a split, because the location of each stays in memory."""
RECORD_FRAME = 16
"""Bytes of a TFRecord record around its data: the length (8), and two checksums (4 each)."""
CUT_OFF = 1000
"""Records that may be missing at the end of a file; reading one of them names it."""


class RecordLocation(NamedTuple):
    """The file of a record, the record's number in the file, and its number in the split."""

    path: Path
    number: int
    split: str
    number_in_split: int


class Records:
    """The records of a data set. Any number of threads may read them.

    Args:
        folder: The folder of the data set.
        trust: Whether Python that the data set names may be imported.

    Raises:
        ConfigError: If the data set names Python to import, and `trust` is False.
        DataError: If the data set cannot be opened.
    """

    def __init__(self, folder: Path, trust: bool = False) -> None:
        self.folder = folder
        check_metadata(folder, trust)
        self._builder = _open_builder(folder)
        self.info = self._builder.info
        self._check_splits()
        self._offsets: dict[Path, list[tuple[int, int]]] = {}
        self._slices: dict[str, Any] = {}
        self._lock = threading.Lock()

    def places(self, split: str) -> dict[str, RecordLocation]:
        """Locate the records of a split.

        Args:
            split: A split, or a slice of one: "train", "train[:80%]".

        Returns:
            The location by name, such as "train/000012".

        Raises:
            ConfigError: If the data set does not have the split.
            DataError: If a file is missing or too short, or if the split has no record.
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
        first_records = self._first_records()
        found: dict[str, RecordLocation] = {}
        for part in instructions:
            path = Path(part.filename)
            self._check_file(path, part.examples_in_shard)
            name, first = first_records[str(part.filename)]
            end = part.skip + part.take
            if part.take < 0:  # all records of the file
                end = part.examples_in_shard
            for number in range(part.skip, end):
                in_split = first + number
                found[f"{name}/{in_split:06d}"] = RecordLocation(path, number, name, in_split)
        if not found:
            raise DataError(f"{self.folder}: {split} contains no record", "empty")
        return found

    def _check_splits(self) -> None:
        """Raise `DataError` if a split claims too many records, or its files have no names."""
        for name, split in self.info.splits.items():
            reason = why_unsafe(name)
            if reason:
                raise DataError(
                    f"{self.folder}: a split called {terminal.shown(name)}: {reason}",
                    "unsafe-name",
                )
            lengths = split.shard_lengths
            total = sum(lengths)
            if any(length < 0 for length in lengths) or total > MOST_RECORDS:
                raise DataError(
                    f"{self.folder}: {terminal.shown(name)} claims {total:,} records in "
                    f"shardLengths; segkit reads up to {MOST_RECORDS:,}",
                    "shard",
                )
            try:
                _ = split.filepaths
            except Exception as problem:  # a template of str.format can raise errors of every type
                raise DataError(
                    f"{self.folder}: the files of {terminal.shown(name)} cannot be named "
                    f"({one_line(problem)}); correct filepathTemplate in dataset_info.json",
                    "shard",
                ) from problem

    def _check_file(self, path: Path, records: int) -> None:
        """Raise `DataError` if a file is missing, or much too short for its number of records."""
        if not path.is_file():
            raise DataError(
                f"{path}: is missing from the data set; copy it or prepare the data set again",
                "shard",
            )
        if self.info.file_format.value != "tfrecord":
            return
        fitting = path.stat().st_size // RECORD_FRAME
        if records > fitting + CUT_OFF:
            raise DataError(
                f"{path}: shardLengths claims {records:,} records, but the file has room for at "
                f"most {fitting:,}; copy it or prepare the data set again",
                "shard",
            )

    def _first_records(self) -> dict[str, tuple[str, int]]:
        """Return the split of each file, and the number in the split of the file's first record."""
        first_records: dict[str, tuple[str, int]] = {}
        for name, split in self.info.splits.items():
            first = 0
            for path, length in zip(split.filepaths, split.shard_lengths, strict=False):
                first_records[str(path)] = (name, first)
                first += length
        return first_records

    def read(self, place: RecordLocation, where: str) -> bytes:
        """Read a record.

        Args:
            place: Where the record is.
            where: How messages call the record.

        Returns:
            The serialized example.

        Raises:
            DataError: If the record's file ends before it does, or cannot be read.
        """
        if self.info.file_format.value != "tfrecord":
            # The lock is needed because array_record does not promise to be safe in threads.
            with self._lock, codecs.naming(Path(where)):
                return bytes(self._slice(place.split)[place.number_in_split])
        with codecs.naming(place.path):
            with self._lock:
                if place.path not in self._offsets:
                    self._offsets[place.path] = record_offsets(place.path)
            offsets = self._offsets[place.path]
            if place.number >= len(offsets):
                raise DataError(
                    f"{where}: is cut off; {place.path} ends after {len(offsets)} whole records. "
                    f"Copy it or prepare the data set again",
                    "shard",
                )
            start, length = offsets[place.number]
            with place.path.open("rb") as stream:
                stream.seek(start)
                return stream.read(length)

    def _slice(self, split: str) -> Any:
        """Return the data source of a split that is not stored as TFRecord."""
        if split not in self._slices:
            import tensorflow_datasets as tfds  # type: ignore[import-untyped]

            raw = tfds.decode.DeserializeMethod.RAW_BYTES
            self._slices[split] = self._builder.as_data_source(split, deserialize_method=raw)
        return self._slices[split]


def check_metadata(folder: Path, trust: bool) -> None:
    """Check the JSON files of a data set before TensorFlow Datasets reads them.

    TensorFlow Datasets imports the module of each feature class that it does not know.

    Args:
        folder: The folder of the data set.
        trust: Whether features.json may name Python to import.

    Raises:
        ConfigError: If features.json names Python to import, and `trust` is False.
        DataError: If a JSON file is not a plain file, or is too large.
    """
    for path in sorted(folder.glob("*.json")):
        content = read_bytes(path, LARGEST_JSON)
        if path.name == "features.json" and not trust:
            for name in _class_names(content):
                if not name.startswith(OWN_FEATURES):
                    raise untrusted(f"{path}", terminal.shown(name))


def _class_names(content: bytes) -> list[str]:
    """Return all class names in a features.json, also in strings that contain JSON themselves.

    Content that is not JSON has none; TensorFlow Datasets reports it later.
    """
    pending: list[Any] = [_parse_json(content)]
    names: list[str] = []
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            value = _parse_json(value)
        if isinstance(value, dict):
            names += [value[key] for key in CLASS_KEYS if isinstance(value.get(key), str)]
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return names


def _parse_json(text: str | bytes) -> Any:
    """Return the content, or None if the text is not JSON."""
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
            f"{folder}: cannot be opened as a TensorFlow data set ({one_line(problem)})"
        ) from problem


def record_offsets(path: Path) -> list[tuple[int, int]]:
    """Locate the whole records of a TFRecord file.

    A record is its length (uint64), a checksum of the length (4 bytes), the data, and a checksum of
    the data (4 bytes): https://www.tensorflow.org/tutorials/load_data/tfrecord.

    Args:
        path: The file.

    Returns:
        Start and length of each record's data, in bytes. A record that is cut off is not listed.
    """
    size = path.stat().st_size
    position = 0
    found = []
    with path.open("rb") as stream:
        while position + RECORD_FRAME <= size:
            stream.seek(position)
            length = int.from_bytes(stream.read(8), "little")
            end = position + RECORD_FRAME + length
            if end > size:
                break
            found.append((position + 12, length))
            position = end
    return found


def picture(content: bytes, feature: Any, mask_of: str | None, lossy_too: bool) -> np.ndarray:
    """Decode a picture of a record.

    Args:
        content: The encoded picture.
        feature: Its feature, which declares the number of channels and the dtype.
        mask_of: The name of the record, for messages, if the picture is a mask; None for an image.
        lossy_too: Whether a mask may be a JPEG.

    Returns:
        An image with the channels of the feature, (H, W) or (H, W, C), or a mask as it is stored.

    Raises:
        DataError: If a mask is a JPEG and `lossy_too` is False.
    """
    channels = feature.shape[-1]
    with open_picture(io.BytesIO(content)) as opened:
        if mask_of and not lossy_too and opened.format in ("JPEG", "MPO"):
            raise DataError(
                f"{mask_of}: the mask is stored as JPEG, which changes its values; "
                f"a yes/no mask can be read with data.mask_threshold: 128",
                "mask-lossy",
            )
        if _is_deep_colour(content):
            array = codecs.deep_png(content)
        elif mask_of is not None:
            array = np.asarray(_with_declared_palette(opened, channels))
        else:
            array = np.asarray(_with_channels(opened, channels))
    if array.ndim == 3 and channels in (1, 3) and array.shape[-1] == 4:
        array = array[..., :3]
    if feature.np_dtype == np.float32:  # the picture stores the four bytes of each number
        return np.ascontiguousarray(array).view(np.float32)
    if array.ndim == 2 and channels == 3:
        return np.repeat(array[..., None], 3, axis=-1)
    return array


def _is_deep_colour(content: bytes) -> bool:
    """Return whether a PNG has 16 bits per channel and is not grey; Pillow reads only 8 of them."""
    return content[:4] == PNG and content[24] == 16 and content[25] != 0


def _with_declared_palette(mask: Image.Image, channels: int | None) -> Image.Image:
    """Return a mask in colours if it has a palette and its feature is RGB; otherwise as stored."""
    if mask.mode == "P" and channels == 3:
        return mask.convert("RGB")
    return mask


def _with_channels(image: Image.Image, channels: int | None) -> Image.Image:
    """Return an image as grey, RGB or RGBA; an image of more than 8 bits stays as it is."""
    is_deep = image.mode[0] in "IF"
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if channels in modes:
        mode = modes[channels]
    elif image.mode == "P":
        mode = "RGB"
    else:
        mode = image.mode
    if is_deep or image.mode == mode:
        return image
    return image.convert(mode)
