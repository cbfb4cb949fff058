"""Large images on the command line: `--memory`, which images are predicted by windows, and what is told meanwhile."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.inference import Summary
    from segkit.outputs.results import Outputs
    from segkit.tiles import Predict

Images = dict[str, Path]


def add_memory(parser: argparse.ArgumentParser) -> None:
    """The argument `--memory`."""
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="what may be taken in all, as 1.5GB; larger TIFFs go by windows (default: half of what is free)",
    )


def _bytes(text: str) -> int:
    from segkit.errors import ConfigError
    from segkit.memory import parse_bytes

    try:
        return parse_bytes(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def fit_batch(predict: Predict, config: Config, memory: int | None) -> Config:
    """Return the config with a batch that fits `--memory`, 1 at least; without it as it is."""
    from segkit.errors import ConfigError
    from segkit.large.room import room_for

    if memory is None:
        return config
    try:
        batch_size = room_for(predict, config, memory).batch_size
    except ConfigError:  # a window would not fit; smaller images may
        batch_size = 1
    return config.model_copy(update={"predict": config.predict.model_copy(update={"batch_size": batch_size})})


def divide(config: Config, images: Images, outputs: Outputs, memory: int | None) -> tuple[Images, Images]:
    """Return the images that are predicted whole, and those by windows. Raises `ConfigError` for outputs of the latter.

    What was begun or finished by windows stays so, however much memory is free by now.
    """
    from segkit.errors import ConfigError
    from segkit.large.room import allowed, is_large
    from segkit.outputs.results import Outputs

    most = allowed(memory)
    large = {
        name: path
        for name, path in images.items()
        if is_large(config, path, 0 if _is_begun(config, outputs, name) else most)
    }
    if large and outputs != Outputs(outputs.masks):
        raise ConfigError(
            f"{next(iter(large.values()))}: is predicted by windows, and then only its mask is written; leave out --overlay, "
            f"--format and the like, or allow more --memory"
        )
    if large and any(map(any, config.decode.rules(config.task))):
        raise ConfigError(
            f"{next(iter(large.values()))}: is predicted by windows, where objects are not whole; the rules for objects in "
            f"decode (segkit tune --reset removes those that it found) need more --memory"
        )
    return {name: path for name, path in images.items() if name not in large}, large


def _is_begun(config: Config, outputs: Outputs, name: str) -> bool:
    from segkit.large.masks import mask_paths
    from segkit.large.work import work_folder

    masks = mask_paths(config.task, outputs.masks, name)
    return work_folder(outputs.masks / f"{name}.tif").exists() or any(path.exists() for path in masks)


def predict_large_files(
    predict: Predict,
    config: Config,
    images: Images,
    outputs: Outputs,
    weights: str,
    options: argparse.Namespace,
    console: Console,
) -> Summary:
    """Predict large images one after the other; a broken one is noted and the others go on."""
    from segkit.errors import DataError
    from segkit.inference import Summary
    from segkit.large.masks import mask_paths
    from segkit.large.prediction import predict_large
    from segkit.large.room import allowed, room_for
    from segkit.progress import WindowProgress

    done = {
        name
        for name in images
        if options.skip_existing and all(path.exists() for path in mask_paths(config.task, outputs.masks, name))
    }
    failed: list[tuple[Path, str]] = []
    todo = {name: path for name, path in images.items() if name not in done}
    if not todo:
        return Summary(0, len(done), [])
    room = room_for(predict, config, allowed(options.memory))
    for name, path in todo.items():
        try:
            with WindowProgress(name, console) as progress:
                predict_large(predict, config, path, outputs.masks, name, room, weights, progress)
        except (OSError, DataError) as problem:
            failed.append((path, str(problem)))
    return Summary(len(todo) - len(failed), len(done), failed)
