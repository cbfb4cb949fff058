"""An exported model on disk: a folder with the model and export.json, which is all that prediction needs. No Keras here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

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
"""What the model is called in each format; OpenVINO keeps its weights in model.bin beside it."""
PRECISIONS = ("float32", "int8", "bfloat16")


LARGEST_RECORD = 2**24
"""Bytes of export.json."""


class Checked(Section):
    """What was found when both models predicted the same images, and how long each took for the first of them."""

    images: int
    largest_difference: float
    decided_alike: float
    """Share of the decisions, from 0 to 1, that are the same."""
    dice_keras: float | None
    dice_export: float | None
    """Mean foreground Dice on the validation part; None without such a part, or where no class occurs."""
    seconds_keras: float
    seconds_export: float
    """Median for one image, the two taking turns on the machine of the export."""

    @property
    def time_ratio(self) -> float:
        """The export's time as a share of Keras'."""
        return self.seconds_export / self.seconds_keras


class ExportRecord(Section):
    """What stands in export.json."""

    format: str
    precision: str
    segkit: str
    model_sha256: str
    """Of the model.keras that it was made from."""
    config: RunConfig
    checked: Checked | None = None
    float32_layers: list[str] = Field(default=[])
    """Layers that an int8 model keeps in float32 besides head and scaling."""
    files_sha256: dict[str, str] = Field(default={})
    """Of each file of the model, by its path in the folder; empty in exports of older versions."""
    record_sha256: str | None = None
    """Of everything else in export.json; None in exports of older versions."""


class Exported:
    """A folder with export.json and a model, in RUN/exports or copied to anywhere."""

    def __init__(self, path: Path, record: ExportRecord) -> None:
        self.path, self.record = path, record
        self.model = path / FILES[record.format]

    @classmethod
    def read(cls, path: Path) -> Exported:
        """Return the export in a folder. Raises `RunError` if export.json or the model is missing or damaged."""
        file = path / "export.json"
        try:
            record = ExportRecord.model_validate_json(read_bytes(file, LARGEST_RECORD))
        except OSError as problem:
            raise RunError(
                f"{file}: cannot be read ({problem.strerror})",
                "missing-file",
            ) from problem
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RunError(
                f"{file}: not written by segkit export, or damaged ({where}: {first['msg']})",
                "damaged-file",
            ) from problem
        except ConfigError as problem:
            raise RunError(f"{file}: {problem}", "damaged-file") from problem
        except DataError as problem:  # a pipe, or too large
            raise RunError(str(problem), "damaged-file") from problem
        _check_record(file, record)
        found = cls(path, record)
        if special_kind(found.model):
            raise RunError(
                f"{found.model}: is {special_kind(found.model)}, not a file", "damaged-file"
            )
        if not found.model.exists():
            raise RunError(
                f"{path}: {found.model.name} is missing beside export.json; copy the whole folder",
                "missing-file",
            )
        return found

    def check(self) -> None:
        """Raise `RunError` unless every file of the model is as it was written. Older exports carry no checksums."""
        for name, digest in self.record.files_sha256.items():
            file = self.path / name
            if not file.is_file():
                raise RunError(
                    f"{file}: is missing; copy the whole folder, or export again", "missing-file"
                )
            if sha256(file) != digest:
                raise RunError(
                    f"{file}: is damaged, for its checksum is not that of export.json; copy it again, or export again",
                    "damaged-file",
                )

    @property
    def name(self) -> str:
        """Format and precision, such as "onnx float32"."""
        return f"{self.record.format} {self.record.precision}"

    def config(self) -> RunConfig:
        """Return the config of the run at the time of the export."""
        return self.record.config

    def is_of(self, model: Path) -> bool:
        """Return whether it was made from this model file."""
        return self.record.model_sha256 == sha256(model)


def _check_record(file: Path, record: ExportRecord) -> None:
    """Raise `RunError` if export.json is not as it was written, or names what this version does not know."""
    if record.record_sha256 is not None and record.record_sha256 != _digest(record):
        raise RunError(
            f"{file}: is damaged or was edited, for its checksum is another one; copy it again, or export again",
            "damaged-file",
        )
    known: dict[str, Collection[str]] = {record.format: FILES, record.precision: PRECISIONS}
    for name, names in known.items():
        if name not in names:
            raise RunError(
                f"{file}: {name!r} is unknown; known are {', '.join(names)}", "unknown-name"
            )


def _digest(record: ExportRecord) -> str:
    content = record.model_dump(mode="json", exclude={"record_sha256"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the model in a folder of an export, by its path there."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path != folder / "export.json"
    )
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def is_export(path: Path) -> bool:
    """Return whether a folder holds an export."""
    return (path / "export.json").is_file()


def export_folders(run: Path) -> list[Path]:
    """Return the exports in a run folder, by name; half-written ones are hidden."""
    put_back(run / "exports")
    return [file.parent for file in sorted((run / "exports").glob("[!.]*/export.json"))]


def update_exports(run: Path, model: Path, config: RunConfig) -> int:
    """Write a run's config, as it decodes now, into the run's exports of `model`; return how many there are.

    Those of fewer bits were checked as the run decoded before, so they count as unchecked if that changed.
    """
    kept = 0
    for folder in export_folders(run):
        with suppress(RunError):  # a damaged one is passed over by prediction, too
            found = Exported.read(folder)
            if found.is_of(model):
                holds = found.record.precision == "float32" or found.record.config == config
                update = {"config": config} if holds else {"config": config, "checked": None}
                write_text(
                    folder / "export.json", record_text(found.record.model_copy(update=update))
                )
                kept += 1
    return kept


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def record_text(record: ExportRecord) -> str:
    """Return the text of export.json, with its checksum."""
    record = record.model_copy(update={"record_sha256": _digest(record)})
    return json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
