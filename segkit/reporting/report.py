"""`segkit.report`: scores a run, and writes one HTML page that shows the result."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import markupsafe

from segkit.config import RunConfig
from segkit.data.parts import held_out, open_parts, readable_part
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.evaluation.evaluate import (
    ScoreOptions,
    check_tolerance,
    open_labels,
    score_opened,
    with_sets_of,
)
from segkit.evaluation.stored_masks import advising_set, with_stored_masks
from segkit.html.page import render_page
from segkit.inference.export_choice import AUTO
from segkit.inference.load import PathLike, as_paths, check_runtime, config_of, open_together
from segkit.inspection.summary import read_data_summary
from segkit.io.atomic import write_text, write_text_for_user
from segkit.io.failures import sentence
from segkit.io.json_files import read_object
from segkit.reporting.album import PICTURES, Album
from segkit.reporting.content import Reported, page_values
from segkit.run import Run
from segkit.system.progress import Progress

SCRIPT = Path(__file__).with_name("templates") / "report.js"
MOST_PICTURES = 500
"""Largest number of images with pictures; more would be too small to see anything."""


class ScoredImages(NamedTuple):
    """The images that a report scores."""

    part: Subset | None
    """None if the run has neither a test nor a validation part."""
    where: str
    """What the report calls them, such as "the test part"."""
    name: str | None = None
    """Name of the part; None for images that the user names."""
    arguments: Sequence[str] = ()
    """The arguments of `segkit report` that name them."""
    settings: Sequence[str] = ()
    """How their masks are stored, if not like those of the training."""


def report(
    runs: PathLike | Sequence[PathLike],
    images: PathLike | None = None,
    masks: PathLike | None = None,
    *,
    out: PathLike = "report.html",
    pictures: int = PICTURES,
    tolerance: float | None = None,
    trust: bool = False,
    tta: str | None = None,
    runtime: str = AUTO,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
) -> Path:
    """Score a run, and write an HTML page with scores, curves, pictures and settings.

    Args:
        runs: A run folder or an export; or several, whose probabilities are averaged.
        images: A folder of images; by default the test part of the run, else its validation part.
        masks: Their masks, as `segkit.evaluate` takes them.
        out: The page; an existing file is replaced.
        pictures: Number of images that are shown: mostly the worst, some in the middle, the best.
        tolerance: Tolerance of the normalised surface Dice, as in `segkit.evaluate`.
        trust: Whether Python code that the run's data section names may be imported.
        tta: "flips" or "rotations": average over mirrored, or mirrored and rotated copies.
        runtime: Library that runs the network: "auto", "keras", "onnx", "litert" or "openvino".
        settings: How `masks` are stored, as in `segkit.evaluate`.
        progress: Receives which model is loaded, and the number of scored images.

    Returns:
        The path of the page.

    Raises:
        SegkitError: For settings that contradict each other, and files that cannot be used.
    """
    paths = as_paths(runs)
    options = _score_options(pictures, tolerance, runtime)
    with advising_set(masks is None, settings):
        scored = _find_images(paths[0], images, masks, settings, trust)
        reported = _score(paths, scored, pictures, options, tta, runtime, progress or Progress())
    return _write_page(Path(out), reported)


def _write_page(path: Path, reported: Reported) -> Path:
    write_text_for_user(path, report_html(reported))
    return path


def _score_options(pictures: int, tolerance: float | None, runtime: str) -> ScoreOptions:
    check_runtime(runtime)
    check_pictures(pictures)
    check_tolerance(tolerance)
    return ScoreOptions(boundary=True, tolerance=tolerance)


def _score(
    paths: Sequence[Path],
    scored: ScoredImages,
    pictures: int,
    options: ScoreOptions,
    tta: str | None,
    runtime: str,
    progress: Progress,
) -> Reported:
    """Score the images, if there are any, and return everything that the page is made of."""
    config = config_of(paths[0])
    album = Album(config.task, pictures)
    scores: dict[str, Any] | None = None
    if scored.part is not None:
        opened = open_together(paths, runtime, tta)
        opened = opened._replace(config=with_stored_masks(opened.config, scored.settings))
        opened = with_sets_of(opened, scored.part.source)
        config = opened.config
        album = Album(config.task, pictures)
        scores = score_opened(opened, scored.part, options._replace(seen=album.add), progress)
        if scored.name is not None:
            scores = {"part": scored.name, **scores}
    arguments = list(scored.arguments)
    if options.tolerance is not None:
        arguments += ["--tolerance", str(options.tolerance)]
    if tta:
        arguments += ["--tta", tta]
    return collect(paths, config, scored.where, scores, album, arguments)


def check_pictures(pictures: int) -> None:
    """Raise `ConfigError` for a number of images that a page cannot show."""
    if not 0 <= pictures <= MOST_PICTURES:
        raise ConfigError(f"0 to {MOST_PICTURES}; found {pictures}", setting="--pictures")


def _find_images(
    run: Path,
    images: PathLike | None,
    masks: PathLike | None,
    settings: Sequence[str],
    trust: bool,
) -> ScoredImages:
    """Return the images of the folders that the user names, or those of the run's own data."""
    if (images is None) != (masks is None):
        missing = "--masks" if masks is None else "--images"
        raise ConfigError("images and masks belong together", "missing-setting", setting=missing)
    if images is not None and masks is not None:
        config = with_stored_masks(config_of(run), settings)
        source = open_labels(config, images, masks)
        arguments = ["--images", str(images), "--masks", str(masks)]
        for setting in settings:
            arguments += ["--set", setting]
        part = Subset(source, source.names)
        return ScoredImages(part, str(images), arguments=arguments, settings=settings)
    if settings:
        raise ConfigError(
            "says how masks are stored, and needs --images and --masks",
            "missing-setting",
            setting="--set",
        )
    return _own_images(Run.open(run).config_made_with(trust))


def _own_images(config: RunConfig) -> ScoredImages:
    parts = open_parts(config)
    try:
        name = scored_part_name(config, parts)
    except ConfigError:
        return ScoredImages(None, "no part")
    return ScoredImages(readable_part(parts[name], config), f"the {name} part", name)


def scored_part_name(config: RunConfig, parts: dict[str, Subset]) -> str:
    """Return the part on which a run is scored: "test", or "validation" for a fold or without one.

    Raises:
        ConfigError: If both parts are empty.
    """
    return "validation" if config.data.fold else held_out(parts)


def collect(
    paths: Sequence[Path],
    config: RunConfig,
    where: str,
    scores: dict[str, Any] | None,
    album: Album | None = None,
    arguments: Sequence[str] = (),
) -> Reported:
    """Return everything that a report is made of.

    Args:
        paths: The run folders or exports, at least one.
        config: The config with which they predict.
        where: The images that were scored.
        scores: The report of the evaluation; None if nothing was scored.
        album: The scores and pictures of single images; None if they are unknown.
        arguments: The arguments of `segkit report` with which it can be made again.
    """
    first = Run(paths[0])
    histories = {}
    for path in paths:
        if Run(path).history.is_file():
            histories[str(path)] = Run(path).rows()
    text = config.as_yaml()
    if first.config_file.is_file():
        text = first.config_file.read_text(encoding="utf-8")
    return Reported(
        config=config,
        runs=paths,
        where=where,
        scores=scores,
        images=album.scores if album else (),
        chapters=album.chapters() if album else (),
        histories=histories,
        environment=_environment_of(first),
        data=read_data_summary(first.data) if first.data.is_file() else None,
        config_text=text,
        arguments=arguments,
    )


def _environment_of(run: Run) -> dict[str, Any]:
    """Return the content of environment.json; empty if there is no such file."""
    if not run.environment.is_file():
        return {}
    return read_object(run.environment, (), "remove it")


def report_html(reported: Reported) -> str:
    """Return the page of a report.

    Args:
        reported: Everything that it is made of.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    values = {
        **page_values(reported),
        "script": markupsafe.Markup(script),  # noqa: S704 (a file of segkit)
        "script_hash": f"sha256-{digest}",
    }
    return render_page("segkit.reporting", "report.html.jinja", values)


def write_report(
    run: Run,
    config: RunConfig,
    part: str,
    scores: dict[str, Any],
    album: Album,
    progress: Progress,
) -> None:
    """Write report.html of a run after its training.

    Args:
        run: The run.
        config: The config with which it predicts.
        part: Name of the scored part.
        scores: The content of scores.json.
        album: The scores and pictures of the images.
        progress: Receives a warning if the file cannot be written. The training does not fail,
            because its result is complete.
    """
    reported = collect([run.path], config, f"the {part} part", scores, album)
    try:
        write_text(run.report_page, report_html(reported))
    except OSError as problem:
        progress.warning(
            f"{sentence(problem)}. The training is complete; make its report with: segkit report "
            f"{run.path}"
        )
