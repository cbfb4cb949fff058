"""The records of a prepared TensorFlow data set: found, read one at a time, and their pictures decoded by Pillow."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.pictures import open_picture

PNG = b"\x89PNG"


class Place(NamedTuple):
    """Where a record lies: the file, and its number there and in its split."""

    path: Path
    number: int
    split: str
    number_in_split: int


class Records:
    """A data set's records by place; only what is asked for is read, by any number of threads."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._builder = folder, _open_builder(folder)
        self.info = self._builder.info
        self._offsets: dict[Path, list[tuple[int, int]]] = {}
        self._slices: dict[str, Any] = {}
        self._lock = threading.Lock()

    def places(self, split: str) -> dict[str, Place]:
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
        starts, found = self._starts(), dict[str, Place]()
        for part in instructions:
            path, (name, start) = Path(part.filename), starts[str(part.filename)]
            if not path.is_file():
                raise DataError(f"{path}: is missing from the data set; copy it or prepare the data set again", "shard")
            end = part.examples_in_shard if part.take < 0 else part.skip + part.take
            for i in range(part.skip, end):
                found[f"{name}/{start + i:06d}"] = Place(path, i, name, start + i)
        if not found:
            raise DataError(f"{self.folder}: {split} holds no record", "empty")
        return found

    def _starts(self) -> dict[str, tuple[str, int]]:
        """Return the split of each file, and the number of its first record there."""
        starts: dict[str, tuple[str, int]] = {}
        for name, split in self.info.splits.items():
            ends = np.cumsum([0, *split.shard_lengths]).tolist()
            starts |= {str(path): (name, start) for path, start in zip(split.filepaths, ends, strict=False)}
        return starts

    def read(self, place: Place, where: str) -> bytes:
        """Return a record; raises `DataError`, naming `where`, if its file ends before it does."""
        if self.info.file_format.value != "tfrecord":
            with self._lock, codecs.naming(Path(where)):  # array_record makes no promise about threads
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


def _open_builder(folder: Path) -> Any:
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder)
    except Exception as problem:
        raise DataError(f"{folder}: cannot be opened as a TensorFlow data set ({problem})") from problem


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
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels or 0, "RGB" if picture.mode == "P" else picture.mode)
    return picture if deep or picture.mode == mode else picture.convert(mode)
