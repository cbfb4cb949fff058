"""A folder for a model hub: the files of a run that prediction needs, and its download."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from segkit.config.config import RunConfig
from segkit.errors import ConfigError, RunError, one_line
from segkit.exporting.publishing.publication import Publication
from segkit.io.atomic import write_text
from segkit.io.folders import whole_folder
from segkit.run import Run
from segkit.system.packages import need

PATHS = ("images", "masks", "list_file", "annotations", "data_dir", "cache_folder")
"""Settings of the section `data` that name folders and files of the machine."""
PART_PATHS = ("images", "masks", "annotations", "list_file")
"""The same in the parts of the section `data`."""
USE = """
## Use

```
pip install keras-segkit
segkit pull {source} --run model
segkit predict model IMAGES --out masks
```

In Python, `segkit.Predictor("model")` predicts arrays.
"""


def write_hub(publication: Publication, folder: Path) -> None:
    """Write the model, its config without paths, its scores, exports and model card.

    Args:
        publication: What is published.
        folder: An empty folder.
    """
    run = publication.run
    card = publication.card()
    if publication.license is not None:
        card = re.sub(r"(?m)^license: .*$", f"license: {publication.license}", card, count=1)
    write_text(folder / "README.md", card + USE.format(source="REPOSITORY"))
    write_text(folder / "config.yaml", without_paths(run.config_made_with()).as_yaml())
    for file in (run.model, run.tuned, run.scores):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    exported = publication.exported
    copied = folder / "exports" / exported.path.name
    shutil.copytree(exported.path, copied)


def without_paths(config: RunConfig) -> RunConfig:
    """Return a config without the folders, files and file names of the training data."""
    data = config.data.model_copy(update=dict.fromkeys(PATHS) | {"keep_together": ()})
    for part in ("validation", "test"):
        given = getattr(data, part)
        if hasattr(given, "images"):
            emptied = given.model_copy(update=dict.fromkeys(PART_PATHS))
            data = data.model_copy(update={part: emptied})
    return config.model_copy(update={"data": data})


def push_folder(folder: Path, repository: str) -> None:
    """Upload a folder to a repository of the Hugging Face hub; the repository is made if needed.

    Args:
        folder: A folder of `write_hub`.
        repository: Its name, "user/name".

    Raises:
        ConfigError: If huggingface_hub is not installed.
        RunError: If the hub refuses.
    """
    hub = need("huggingface_hub", "hub")
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    write_text(readme, text.replace("segkit pull REPOSITORY", f"segkit pull {repository}"))
    try:
        api = hub.HfApi()
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=str(folder))
    except (hub.errors.HfHubHTTPError, ValueError, OSError) as problem:
        raise RunError(
            f"{repository}: was not uploaded ({one_line(problem)})", "not-fetched"
        ) from problem


def pull(source: str | os.PathLike[str], run: str | os.PathLike[str]) -> Run:
    """Make a run folder from a published one.

    Args:
        source: A folder of `segkit publish --to hub`, or the name of a repository, "user/name".
        run: The run folder to make. It must not exist, or be empty.

    Returns:
        The run.

    Raises:
        ConfigError: If huggingface_hub is needed and not installed.
        RunError: If the source cannot be read or holds no run, or if the folder is not empty.
    """
    place = Path(run)
    if Path(source).is_dir():
        published = Path(source)
    else:
        published = _download(os.fspath(source))
    Run.open(published).config()
    with whole_folder(place) as folder:
        shutil.copytree(published, folder, dirs_exist_ok=True)
    return Run.open(place)


def _download(repository: str) -> Path:
    """Return the folder with the files of a repository."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ConfigError(
            f"a folder, or a repository such as user/name; found {repository!r}",
            "missing-file",
            setting="SOURCE",
        )
    hub = need("huggingface_hub", "hub")
    try:
        return Path(hub.snapshot_download(repository))
    except (hub.errors.HfHubHTTPError, ValueError, OSError) as problem:
        raise RunError(
            f"{repository}: cannot be downloaded ({one_line(problem)})", "not-fetched"
        ) from problem
