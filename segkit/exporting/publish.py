"""`segkit.publish`: writes a run as a package for another program or for a model hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from segkit import catalog
from segkit.errors import ConfigError
from segkit.exporting.publishing.hub import push_folder
from segkit.exporting.publishing.publication import Publication
from segkit.io.folders import whole_folder
from segkit.run import Run
from segkit.system.progress import Progress

Writer = Callable[[Publication, Path], None]
"""Writes the files of a package into an empty folder."""


def publish(
    run: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    authors: Sequence[str] = (),
    license: str | None = None,
    push: str | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a run as a package for another program or for a model hub.

    Args:
        run: A run folder.
        to: A name of `segkit.catalog.PUBLISHERS`: "bioimageio" for the BioImage Model Zoo,
            "deepness" for the QGIS plugin Deepness, or "hub" for a model hub.
        out: The folder of the package. It must not exist, or be empty.
        authors: Names of the authors; "bioimageio" needs one.
        license: An SPDX identifier such as "MIT"; "bioimageio" needs it.
        push: A repository such as "user/cells" for a "hub" package; by default nothing is uploaded.
        trust: Whether Python code that the run's data section names may be imported.
        progress: Receives what is done.

    Returns:
        The folder of the package.

    Raises:
        ConfigError: For an unknown target, a missing package, author or license, and a run that the
            target cannot use.
        DataError: If the run's data cannot be opened, from which the test image is taken.
        RunError: If there is no finished run, or if the folder is not empty.
    """
    _check_target(to, push)
    progress = progress or Progress()
    publication = Publication(Run.open(Path(run)), tuple(authors), license, trust, progress)
    place = Path(out)
    _write(publication, to, place)
    if push is not None:
        push_folder(place, push)
    return place


def _check_target(to: str, push: str | None) -> None:
    """Raise `ConfigError` for an unknown target, or one that is not uploaded."""
    catalog.find(catalog.PUBLISHERS, to, "--to")
    if push is not None and to != "hub":
        raise ConfigError(f"only for --to hub; found --to {to}", "contradiction", setting="--push")


def _write(publication: Publication, to: str, place: Path) -> None:
    """Write the package into its folder, which appears when it is complete."""
    write: Writer = catalog.load_part(catalog.PUBLISHERS, to)
    with whole_folder(place) as folder:
        write(publication, folder)
