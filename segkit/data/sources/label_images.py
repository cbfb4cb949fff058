"""Finds the images of label files, only below the folder of images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from segkit.data.sources.label_values import short_repr
from segkit.errors import ConfigError, DataError
from segkit.io.image_files import list_images
from segkit.io.unicode_names import nfc


class Images:
    """The images below a folder, by name and by what a label file calls them.

    Args:
        folder: The folder. Files outside it are never read, whatever a label file says.

    Raises:
        DataError: If the folder is missing or contains no image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name = list_images(folder)
        """The files by the name of their sample, sorted."""
        self._by_path: dict[str, str] = {}
        self._by_file: dict[str, list[str]] = {}
        for name, path in self.by_name.items():
            relative = nfc(path.relative_to(folder).as_posix())
            self._by_path[relative] = name
            self._by_file.setdefault(nfc(path.name), []).append(name)
        if not self.by_name:
            raise DataError(f"{folder}: contains no image", "empty")

    def find(self, reference: str, where: str) -> str | None:
        """Return the name of the sample that a label file calls by a path or an address.

        The longest end of the path that is a file below the folder is taken. Otherwise the only
        file of this name is taken, unless it is in another folder than a relative path says.

        Args:
            reference: A path with slashes or backslashes, or an address.
            where: The label file, for messages.

        Returns:
            The name; None if there is no such image.

        Raises:
            DataError: If several images have this file name.
        """
        text, is_absolute = _path_of(reference)
        parts = [part for part in PurePosixPath(text).parts if part not in ("/", "..", ".")]
        for first in range(len(parts)):
            name = self._by_path.get("/".join(parts[first:]))
            if name is not None:
                return name
        names: list[str] = []
        for name in self._by_file.get(parts[-1] if parts else "", []):
            path = nfc(self.by_name[name].relative_to(self.folder).as_posix())
            if is_absolute or f"/{path}".endswith("/" + "/".join(parts)):
                names.append(name)
        if len(names) > 1:
            raise DataError(
                f"{where}: {short_repr(reference)} can be {' or '.join(names)} below "
                f"{self.folder}; give the images different names",
                "label-image",
            )
        if not names:
            return None
        return names[0]


def _path_of(reference: str) -> tuple[str, bool]:
    """Return the path of a reference with forward slashes, and whether it is absolute.

    The folders of an absolute path or an address are those of another machine or a server.
    """
    local = re.search(r"[?&]d=([^&]+)", reference)
    if local:  # Label Studio's address of a local file: /data/local-files/?d=folder/a.jpg
        return nfc(unquote(local[1]).replace("\\", "/")), True
    is_address = re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", reference) is not None
    if is_address or reference.startswith("/data/"):
        return nfc(unquote(reference.partition("?")[0])), True
    path = nfc(reference.replace("\\", "/"))
    return path, re.match("/|[A-Za-z]:", path) is not None


def folder_of_images(images: Path | None, source: str) -> Path:
    """Return `data.images`; raises `ConfigError` if it is not set."""
    if images is None:
        raise ConfigError(
            f"the {source} source needs the folder of the images",
            "missing-setting",
            setting="data.images",
        )
    return images


def label_file_of(annotations: Path | None, source: str, kind: str) -> Path:
    """Return `data.annotations`; raises `ConfigError` if it is not set.

    Args:
        annotations: The setting.
        source: The name of the source.
        kind: What the file is, for the message.
    """
    if annotations is None:
        raise ConfigError(
            f"the {source} source needs {kind}", "missing-setting", setting="data.annotations"
        )
    return annotations


def files_below(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the label files in a folder and below it, sorted.

    Args:
        folder: The folder.
        suffix: The end of their names, such as ".json".

    Returns:
        The files by their path below the folder without the suffix. Hidden files and folders are
        skipped.

    Raises:
        DataError: If the folder is missing.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder", "missing-file")
    found = {}
    for path in sorted(folder.rglob(f"*{suffix}")):
        relative = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not is_hidden:
            found[relative.as_posix().removesuffix(suffix)] = path
    return found


def by_nfc_name(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return files by their names with accents as one character."""
    return {nfc(name): path for name, path in files.items()}
