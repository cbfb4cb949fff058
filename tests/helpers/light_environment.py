"""A folder for PYTHONPATH that holds a wheel and links to the packages that the wheel requires.

It stands for a new environment with only these packages. Nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def make_environment(folder: Path, wheel: Path, extras: Iterable[str]) -> dict[str, Distribution]:
    """Unpack a wheel and link the packages that it requires.

    Returns:
        The linked distributions by name.
    """
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        [name] = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    found: dict[str, Distribution] = {}
    _collect(metadata.get_all("Requires-Dist", []), tuple(extras), found)
    for each in found.values():
        _link(folder, each)
    return found


def _collect(
    requirements: Iterable[str], extras: tuple[str, ...], found: dict[str, Distribution]
) -> None:
    """Add the required distributions, and those that they require, to `found`."""
    for text in requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in found or not _is_wanted(requirement, extras):
            continue
        found[name] = distribution(name)
        _collect(found[name].requires or [], tuple(requirement.extras), found)


def _is_wanted(requirement: Requirement, extras: tuple[str, ...]) -> bool:
    marker = requirement.marker
    if marker is None:
        return True
    return any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _link(folder: Path, installed: Distribution) -> None:
    """Link the files and folders at the top of a distribution.

    Folders are made and their files linked, because OpenCV follows a link to the folder itself.
    """
    tops = {path.parts[0] for path in installed.files or [] if path.parts[0] != ".."}
    for top in tops:
        source = Path(str(installed.locate_file(top)))
        target = folder / top
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(
                source, target, copy_function=_hard_link, dirs_exist_ok=True, ignore=ignore
            )
        elif source.is_file() and not target.exists():
            _hard_link(str(source), str(target))


def _hard_link(source: str, target: str) -> None:
    """Link a file; copy it if the folders are on different disks."""
    with suppress(FileExistsError):
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(source, target)


def size(installed: Iterable[Distribution]) -> int:
    """Return the bytes of the files of some distributions."""
    total = 0
    for each in installed:
        for path in each.files or []:
            located = Path(str(each.locate_file(path)))
            if located.is_file():
                total += located.stat().st_size
    return total
