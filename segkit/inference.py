"""Masks for files: read ahead, predict in batches or tiles, decode, write under temporary names and rename."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit import files, mask_files
from segkit.config import Config
from segkit.errors import DataError, RunError
from segkit.overlay import overlay
from segkit.prefetch import prefetch
from segkit.tiles import Predict, predict_tiled

Named = tuple[str, np.ndarray]
Progress = Callable[[str], None]


class Outputs(NamedTuple):
    """Where the results go: masks, and pictures and probabilities in folders beside them if asked for."""

    masks: Path
    overlays: Path | None = None
    probabilities: Path | None = None

    @classmethod
    def beside(cls, masks: Path, overlays: bool, probabilities: bool) -> Outputs:
        """MASKS, MASKS-overlays, MASKS-probabilities: the mask folder holds masks alone, as the folder source reads it."""
        one, two = masks.with_name(masks.name + "-overlays"), masks.with_name(masks.name + "-probabilities")
        return cls(masks, one if overlays else None, two if probabilities else None)


class Summary(NamedTuple):
    """What became of the images."""

    written: int
    skipped: int
    failed: list[tuple[Path, str]]


def find_images(inputs: Sequence[Path]) -> dict[str, Path]:
    """Return the images of files and folders by name. Raises `DataError` if there is none or two share a name."""
    found: dict[str, Path] = {}
    for path in inputs:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        for name, image in (files.list_images(path) if path.is_dir() else {path.stem: path}).items():
            if name in found:
                raise DataError(
                    f"{found[name]} and {image}: would both be written as {name}.png; predict them in two calls"
                )
            found[name] = image
    if not found:
        raise DataError(f"{', '.join(map(str, inputs))}: no image; segkit reads {', '.join(files.SUFFIXES)}")
    return found


def predict_files(
    predict: Predict,
    config: Config,
    images: dict[str, Path],
    outputs: Outputs,
    skip_existing: bool = False,
    progress: Progress = lambda name: None,
) -> Summary:
    """Predict every image and write its mask in the image's own size; a broken one is noted and the others go on."""
    todo = {name: path for name, path in images.items() if not (skip_existing and _is_done(config, outputs, name))}
    failed: list[tuple[Path, str]] = []

    def read(name: str) -> Named | None:
        try:
            return name, fit(config, files.read_image(todo[name]), str(todo[name]))
        except DataError as problem:
            failed.append((todo[name], str(problem)))
            progress(name)
            return None

    readable = (item for item in prefetch(read, todo) if item is not None)

    def write(answer: tuple[str, np.ndarray, np.ndarray]) -> bool:
        name, image, probabilities = answer
        try:
            _write(config, outputs, name, image, probabilities)
        except (OSError, DataError) as problem:
            failed.append((todo[name], str(problem)))
            return False
        finally:
            progress(name)
        return True

    # the network runs here, in the thread that asks for the next answer, while another writes the ones before
    written = sum(prefetch(write, predict_images(predict, config, readable), workers=1))
    return Summary(written, len(images) - len(todo), sorted(failed))


def predict_images(
    predict: Predict, config: Config, images: Iterable[Named]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, image, probabilities (H, W, classes)) in order: neighbours of one size in a batch, large ones in tiles."""
    batch: list[Named] = []
    settings, align = config.predict, config.model.stride
    for name, image in images:
        if batch and (image.shape != batch[0][1].shape or len(batch) == settings.batch_size):
            yield from _predict_batch(predict, batch)
            batch = []
        if max(image.shape[:2]) > settings.tile:
            yield (
                name,
                image,
                predict_tiled(image, predict, settings.tile, settings.overlap, settings.batch_size, align),
            )
        else:
            batch.append((name, image))
    yield from _predict_batch(predict, batch)


def fit(config: Config, image: np.ndarray, where: str) -> np.ndarray:
    """Return the image as the run's model takes it. Raises `DataError` for other bands or another depth than trained on."""
    given = config.input
    if given is None:
        raise RunError("config.yaml has no `input` section: the run was not made by train.py")
    if str(image.dtype) != given.dtype:
        raise DataError(f"{where}: is {image.dtype}; the model was trained on {given.dtype} images and scales those")
    return files.fit_channels(image, given.channels, where)


def _predict_batch(predict: Predict, batch: list[Named]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    if batch:
        answers = predict(np.stack([image for _, image in batch]))
        for (name, image), answer in zip(batch, answers, strict=True):
            yield name, image, answer


def _is_done(config: Config, outputs: Outputs, name: str) -> bool:
    wanted = mask_files.mask_paths(config.task, outputs.masks, name)
    if outputs.overlays:
        wanted.append(outputs.overlays / f"{name}.png")
    if outputs.probabilities:
        wanted.append(outputs.probabilities / f"{name}.tif")
    return all(path.exists() for path in wanted)


def _write(config: Config, outputs: Outputs, name: str, image: np.ndarray, probabilities: np.ndarray) -> None:
    mask = config.task.decode(probabilities)
    if outputs.probabilities:
        files.write_tiff(outputs.probabilities / f"{name}.tif", probabilities)
    if outputs.overlays:
        files.write_picture(outputs.overlays / f"{name}.png", overlay(config.task, image, mask))
    mask_files.write_mask(config.task, mask, outputs.masks, name)
