"""Exported models: folders with a model and export.json, which are all that prediction needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from segkit.config import RunConfig
from segkit.config.section import Section
from segkit.errors import ConfigError, DataError, RunError
from segkit.io.atomic import write_text
from segkit.io.files import read_bytes, special_kind
from segkit.io.folders import put_back

FILES = {
    "litert": "model.tflite",
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "savedmodel": "saved_model",
}
"""The name of the model in each format; OpenVINO stores weights in model.bin beside it."""
PRECISIONS = ("float32", "int8", "bfloat16")
"""The types of weights and computations of an exported model."""
LARGEST_RECORD = 2**24
"""Largest size of export.json in bytes."""


class Checked(Section):
    """The comparison of an export with its Keras model on the same images."""

    images: int
    """The number of images."""
    largest_difference: float
    """The largest difference of two probabilities."""
    decided_alike: float
    """The share of equal decisions in the masks, from 0 to 1."""
    dice_keras: float | None
    """Mean foreground Dice of the Keras model on the validation part; None without such a part, or
    if no class occurs."""
    dice_export: float | None
    """The same for the export."""
    seconds_keras: float
    """Median time of the Keras model for one image, on the machine that made the export."""
    seconds_export: float
    """The same for the export; the two models took turns."""
    timed_shape: tuple[int, int, int, int] | None = None
    """Batch, height, width and channels of the timed images; None in exports of older versions."""
    threads: int | None = None
    """The number of threads of the export; None in exports of older versions."""
    p95_keras: float | None = None
    """The 95th percentile of the times of the Keras model; None in exports of older versions."""
    p95_export: float | None = None
    """The same for the export."""

    @property
    def time_ratio(self) -> float:
        """Time of the export divided by the time of the Keras model."""
        return self.seconds_export / self.seconds_keras


class ExportRecord(Section):
    """The content of export.json."""

    format: str
    """A key of `FILES`."""
    precision: str
    """One of `PRECISIONS`."""
    segkit: str
    """The version of segkit that made the export."""
    model_sha256: str
    """SHA-256 of the exported model.keras."""
    config: RunConfig
    """The config of the run."""
    checked: Checked | None = None
    """The comparison with the Keras model; None if there is none for the current config."""
    float32_layers: list[str] = Field(default=[])
    """Layers of an int8 model that stay in float32, besides head and scaling."""
    files_sha256: dict[str, str] = Field(default={})
    """SHA-256 of each file of the model by its path in the folder; empty in exports of older
    versions."""
    record_sha256: str | None = None
    """SHA-256 of all other values in export.json; None in exports of older versions."""


class Exported:
    """A folder with export.json and a model, in RUN/exports or copied elsewhere."""

    def __init__(self, path: Path, record: ExportRecord) -> None:
        self.path = path
        self.record = record
        self.model = path / FILES[record.format]

    @classmethod
    def read(cls, path: Path) -> Exported:
        """Return the export in a folder.

        Args:
            path: The folder.

        Raises:
            RunError: If export.json or the model is missing, or if export.json is damaged.
        """
        file = path / "export.json"
        record = _read_record(file)
        _check_record(file, record)
        exported = cls(path, record)
        kind = special_kind(exported.model)
        if kind:
            raise RunError(f"{exported.model}: is {kind}, not a file", "damaged-file")
        if not exported.model.exists():
            raise RunError(
                f"{path}: {exported.model.name} is missing beside export.json. Copy the whole "
                f"folder",
                "missing-file",
            )
        return exported

    def check(self) -> None:
        """Check the files of the model by their checksums, which older exports do not have.

        Raises:
            RunError: If a file is missing or has changed.
        """
        for name, digest in self.record.files_sha256.items():
            file = self.path / name
            if not file.is_file():
                raise RunError(
                    f"{file}: is missing. Copy the whole folder, or export again", "missing-file"
                )
            if sha256(file) != digest:
                raise RunError(
                    f"{file}: is damaged, because its checksum differs from the one in "
                    f"export.json. Copy it again, or export again",
                    "damaged-file",
                )

    @property
    def name(self) -> str:
        """Format and precision, such as "onnx float32"."""
        return f"{self.record.format} {self.record.precision}"

    def config(self) -> RunConfig:
        """Return the config of the run."""
        return self.record.config

    def is_of(self, model: Path) -> bool:
        """Return whether the export was made from a model.

        Args:
            model: The file model.keras.
        """
        return self.record.model_sha256 == sha256(model)


def _read_record(file: Path) -> ExportRecord:
    """Return the content of export.json, without checking it."""
    try:
        return ExportRecord.model_validate_json(read_bytes(file, LARGEST_RECORD))
    except OSError as problem:
        raise RunError(
            f"{file}: cannot be read ({problem.strerror})",
            "missing-file",
        ) from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(
            f"{file}: was not written by segkit export, or is damaged ({where}: {first['msg']})",
            "damaged-file",
        ) from problem
    except ConfigError as problem:
        raise RunError(f"{file}: {problem}", "damaged-file") from problem
    except DataError as problem:  # a pipe, or too large
        raise RunError(str(problem), "damaged-file") from problem


def _check_record(file: Path, record: ExportRecord) -> None:
    """Raise `RunError` if export.json has changed, or if its format is unknown to this version."""
    if record.record_sha256 is not None and record.record_sha256 != _digest(record):
        raise RunError(
            f"{file}: is damaged or was edited, because its checksum differs. Copy it again, or "
            f"export again",
            "damaged-file",
        )
    known: dict[str, Collection[str]] = {record.format: FILES, record.precision: PRECISIONS}
    for name, names in known.items():
        if name not in names:
            raise RunError(
                f"{file}: {name!r} is unknown; known are {', '.join(names)}", "unknown-name"
            )


def _digest(record: ExportRecord) -> str:
    """Return the SHA-256 of all values but `record_sha256`."""
    content = record.model_dump(mode="json", exclude={"record_sha256"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an exported model, by its path in the folder.

    Args:
        folder: The folder of the export; export.json is left out.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / "export.json":
            digests[path.relative_to(folder).as_posix()] = sha256(path)
    return digests


def is_export(path: Path) -> bool:
    """Return whether a folder holds an export."""
    return (path / "export.json").is_file()


def export_folders(run: Path) -> list[Path]:
    """Return the folders of exports in a run folder, sorted by name.

    Incomplete exports are left out, because the names of their folders begin with a dot.
    """
    put_back(run / "exports")
    records = sorted((run / "exports").glob("[!.]*/export.json"))
    return [record.parent for record in records]


def update_exports(run: Path, model: Path, config: RunConfig) -> int:
    """Copy the config of a run, with its current decoding settings, into the run's exports.

    If the config has changed, the comparison of int8 and bfloat16 exports with the Keras model no
    longer holds and is removed.

    Args:
        run: The run folder.
        model: Its model.keras; exports of another model do not change.
        config: The config of the run.

    Returns:
        The number of exports with the config.
    """
    updated = 0
    for folder in export_folders(run):
        with suppress(RunError):  # prediction ignores damaged exports, too
            exported = Exported.read(folder)
            if exported.is_of(model):
                record = _with_config(exported.record, config)
                write_text(folder / "export.json", record_text(record))
                updated += 1
    return updated


def _with_config(record: ExportRecord, config: RunConfig) -> ExportRecord:
    """Return the record with another config, and without a comparison that no longer holds."""
    update: dict[str, Any] = {"config": config}
    if record.precision != "float32" and record.config != config:
        update["checked"] = None
    return record.model_copy(update=update)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_text(record: ExportRecord) -> str:
    """Return the text of export.json, including its checksum."""
    record = record.model_copy(update={"record_sha256": _digest(record)})
    return json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
