"""Finds the folder of a prepared TensorFlow data set, and downloads the data set on request."""

from __future__ import annotations

from pathlib import Path

from segkit.config import DataConfig
from segkit.config.trust import untrusted
from segkit.errors import ConfigError, DataError, one_line

INFO = "dataset_info.json"


def find_folder(data: DataConfig) -> Path:
    """Find the folder of a prepared data set.

    It is `data.data_dir` if that folder is a prepared data set. Otherwise TensorFlow Datasets looks
    for `data.name` in `data.data_dir`, or in its own folder. A data set that is not prepared is
    downloaded only with `data.download`.

    Args:
        data: The `data` section of a config.

    Returns:
        The folder that contains dataset_info.json.

    Raises:
        ConfigError: If neither `data.name` nor `data.data_dir` is set, or if the code of a
            community's data set would be imported without `data.trust`.
        DataError: If there is no such data set, or if it cannot be downloaded.
    """
    if data.data_dir is not None and (data.data_dir / INFO).is_file():
        return data.data_dir
    if data.name is not None:
        return _find_by_name(data.name, data)
    if data.data_dir is None:
        raise ConfigError(
            "the tfds source needs data.name, or data.data_dir with a prepared data set",
            "missing-setting",
            setting="data",
        )
    raise DataError(
        f"{data.data_dir}: contains no prepared data set ({INFO}){_hint(data.data_dir)}", "empty"
    )


def _hint(folder: Path) -> str:
    """Return where below a folder a prepared data set is."""
    for depth in ("*", "*/*", "*/*/*"):
        found = sorted(folder.glob(f"{depth}/{INFO}"))
        if found:
            return f"; there is one in {found[0].parent}"
    return ""


def _find_by_name(name: str, data: DataConfig) -> Path:
    """Return the folder of a prepared data set, or prepare it if `data.download` allows that."""
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    # This does not run the data set's own builder: its code first asks a bucket of Google, and
    # without a network it waits for minutes.
    try:
        builder = tfds.core.read_only_builder.builder_from_files(name, data_dir=_folder_of(data))
        return Path(builder.data_dir)
    except tfds.core.DatasetNotFoundError as problem:
        if not data.download:
            raise _not_prepared(name, data, tfds.core.constants.DATA_DIR) from problem
    except Exception as problem:  # such as an unknown version, or several folders of one name
        raise DataError(f"{name}: {one_line(problem)}") from problem
    namespace = tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace
    if namespace and not data.trust:  # TFDS would fetch and import Python code from there
        raise untrusted("data.name", name)
    return _prepare(name, data)


def _not_prepared(name: str, data: DataConfig, default_folder: str) -> DataError:
    folder = _folder_of(data)
    option = f" --data_dir {folder}" if folder else ""
    return DataError(
        f"{name}: is not prepared in {folder or default_folder}. "
        f"Set data.download: true, or run `tfds build {name}{option}`",
        "empty",
    )


def _folder_of(data: DataConfig) -> str | None:
    return str(data.data_dir) if data.data_dir else None


def _prepare(name: str, data: DataConfig) -> Path:
    """Download and prepare a data set with its own builder."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=_folder_of(data))
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except Exception as problem:
        raise DataError(
            f"{name}: cannot be downloaded and prepared ({one_line(problem)})",
            "not-fetched",
        ) from problem
    return Path(builder.data_dir)
