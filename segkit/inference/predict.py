"""Masks for files: which images, by which network, on which machine, into which folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.inference.files import Summary, predict_files, write_files
from segkit.inference.inputs import Shard, check_apart, find_images, share
from segkit.inference.large.files import divide, each_large_written, fit_batch
from segkit.inference.large.memory_budget import MemoryBudget, allowed, room_for
from segkit.inference.load import (
    AUTO,
    PathLike,
    as_paths,
    check_runtime,
    config_together,
    open_together,
)
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.io.coding import segkit_coding
from segkit.io.coding_record import record_of
from segkit.io.georeference import has_place
from segkit.io.overlay import OverlayStyle, check_overlay
from segkit.io.pages import pages_apart
from segkit.system.memory import parse_bytes
from segkit.system.progress import Progress

SHOWN = 3
"""Images that a message names."""


class NetworkOptions(NamedTuple):
    """Which networks predict, and how."""

    runs: list[Path]
    runtime: str = AUTO
    tta: str | None = None


class Cluster(NamedTuple):
    """A Ray cluster to predict on."""

    address: str | None = None
    """HOST:PORT or "auto"; None: a cluster of this machine alone, for this call."""
    worker_cpus: int | None = None
    """CPUs of each worker; up to 4 by default."""


class OutputOptions(NamedTuple):
    """What to write, and within which bounds."""

    outputs: Outputs
    skip_existing: bool
    memory: int | None
    """Bytes that may be taken in all; None: half of what is free."""
    others: Mapping[str, Path]
    """Images by name, also those that other shards predict into the same folders."""


def predict(
    run: PathLike | Sequence[PathLike],
    images: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    overlay: bool | OverlayStyle = False,
    probabilities: str | None = None,
    uncertainty: bool = False,
    formats: Sequence[str] = (),
    tta: str | None = None,
    runtime: str = AUTO,
    skip_existing: bool = False,
    shard: str = "1/1",
    memory: int | str | None = None,
    cluster: Cluster | None = None,
    coding: str = "data",
    progress: Progress | None = None,
) -> Summary:
    """Predict masks for images, in each image's own size. A broken image is noted, and the others go on.

    Args:
        run: A run folder or an export; or several, whose probabilities are averaged.
        images: Image files, or folders of them.
        out: The folder of the masks. Whatever else is written goes into folders beside it, such as OUT-overlays.
        overlay: Draw the masks over the images, too: True or "both", "fill" (tinted areas) or "outlines".
        probabilities: Write probabilities, too: "tif" (float32), "tif16" (float16) or "npy".
        uncertainty: Write maps of uncertainty, too.
        formats: Write objects, too: "geojson", "coco" or "instances".
        tta: "flips" or "rotations": average over 4 mirrored, or 8 mirrored and turned, views of each image.
        runtime: "auto" (the fastest that is exported and installed), "keras", "onnx", "litert" or "openvino".
        skip_existing: Leave out images whose results are there.
        shard: "2/8" predicts the second of eight shares of the images.
        memory: What may be taken in all, in bytes or as "1.5GB"; larger TIFFs are predicted by windows.
        cluster: A `segkit.inference.predict.Cluster`: predict on a Ray cluster instead of this machine.
        coding: "data": masks are stored as those that the run was trained on, so that `segkit.evaluate` and another
            training read them; "segkit": class ids, or 0 and 255, whatever the data set uses.
        progress: Receives what is loaded and how many images are done.

    Returns:
        How many masks were written and skipped, and what failed. `stopped` says why the rest was not tried.

    Raises:
        ConfigError: For settings that do not fit together, results that would lie among the images or among masks that
            are stored in another way, or a package that is not installed.
        DataError: If there is no image.
        RunError: If there is no finished run.
    """
    progress = progress or Progress()
    check_overlay(overlay)
    chosen_shard = Shard.parse(shard)
    formats = [formats] if isinstance(formats, str) else formats
    for name in formats:
        catalog.find(catalog.OUTPUTS, name, "--format")
    if probabilities is not None:
        catalog.find(catalog.PROBABILITIES, probabilities, "--probabilities")
    if cluster is not None and cluster.worker_cpus is not None and cluster.worker_cpus < 1:
        raise ConfigError(f"1 or more; found {cluster.worker_cpus}", setting="--worker-cpus")
    most = parse_bytes(memory) if isinstance(memory, str) else memory
    found = find_images(as_paths(images), Path(out), lambda line: progress.message(f"note: {line}"))
    own = share(found, chosen_shard)
    outputs = Outputs(
        Path(out), overlay, probabilities, tuple(dict.fromkeys(formats)), uncertainty, coding
    )
    check_apart(found.images, outputs.folders)
    network = NetworkOptions(as_paths(run), runtime, tta)
    work = OutputOptions(outputs, skip_existing, most, found.images)
    if cluster is not None:
        summary = _predict_on_cluster(network, own.images, work, cluster, progress)
    else:
        summary = _predict_here(network, own.images, work, progress)
    return summary._replace(failed=own.clashes + summary.failed)


def _tell_coding(
    config: RunConfig, outputs: Outputs, images: Mapping[str, Path], progress: Progress
) -> None:
    """Say how masks are stored unless it is segkit's own way, and which images lie on a map.

    Raises `ConfigError` if they cannot be stored so, or if the folder holds others.
    """
    results = Results(config, outputs)
    results.check_coding(images)
    record = record_of(results.coding)
    if record != record_of(segkit_coding(config.task)):
        progress.message(
            f"masks: as the data set stores them ({record.in_words()}); --coding segkit stores class ids, or 0 and 255"
        )
    on_map = [path.name for path in images.values() if has_place(path)]
    if on_map:
        shown = ", ".join(on_map[:SHOWN])
        more = f" and {len(on_map) - SHOWN} more" if len(on_map) > SHOWN else ""
        progress.message(
            f"masks of images that lie on a map are TIFFs in the same place: {shown}{more}"
        )


def _predict_here(
    network: NetworkOptions, images: dict[str, Path], work: OutputOptions, progress: Progress
) -> Summary:
    """Predict on this machine: first what fits into memory, then large images by windows."""
    paths = list(images.values())
    opened = open_together(
        network.runs, network.runtime, network.tta, work.outputs.uncertainty, paths
    )
    opened.announce(progress)
    _tell_coding(opened.config, work.outputs, images, progress)
    config = fit_batch(opened.predict, opened.config, work.memory)
    images = pages_apart(images, config.data.pages)
    work = work._replace(others=pages_apart(work.others, config.data.pages))
    usual, large = divide(config, images, work.outputs, work.memory)
    room = None
    if large:  # whether there is memory for a window is known before anything is written
        room = room_for(opened.predict, config, allowed(work.memory))
    watch = ScaleWatch(config.input)
    with progress.counting("predicting", len(usual)) as done:
        summary = predict_files(
            opened.predict,
            config,
            usual,
            work.outputs,
            work.skip_existing,
            done,
            work.others,
            done.windows,
            watch,
        )
    if room is not None and not summary.stopped:
        by_windows = predict_large_files(
            opened.predict,
            config,
            large,
            work.outputs,
            opened.weights,
            room,
            work.skip_existing,
            progress,
            work.others,
            watch,
        )
        summary = summary.plus(by_windows)
    warning = watch.warning()
    if warning:
        progress.warning(warning)
    return summary


def predict_large_files(
    network: Predict,
    config: RunConfig,
    images: dict[str, Path],
    outputs: Outputs,
    weights: str,
    room: MemoryBudget,
    skip_existing: bool = False,
    progress: Progress | None = None,
    others: Iterable[str] = (),
    watch: ScaleWatch | None = None,
) -> Summary:
    """Predict large images by windows, one after the other; a broken one is noted and the others go on.

    `weights` identify the networks: a prediction that was begun with others begins anew.
    """
    progress = progress or Progress()
    each = partial(
        each_large_written, network, config, weights, room, progress.windows, scale=watch
    )
    return write_files(each, Results(config, outputs), images, skip_existing, others=others)


def _predict_on_cluster(
    network: NetworkOptions,
    images: Mapping[str, Path],
    work: OutputOptions,
    where: Cluster,
    progress: Progress,
) -> Summary:
    """Predict on a Ray cluster; the tables of all images are written here."""
    from segkit.inference import cluster

    check_runtime(network.runtime)
    config = config_together(network.runs, network.tta)[0]
    images = pages_apart(images, config.data.pages)
    work = work._replace(others=pages_apart(work.others, config.data.pages))
    _tell_coding(config, work.outputs, images, progress)
    runs = [cluster.absolute(path) for path in network.runs]
    outputs = work.outputs
    with cluster.connected(where.address) as ray:
        plan = cluster.plan_of(ray, where.worker_cpus)
        progress.message(f"engine: ray, {plan.workers} worker(s) of {plan.cpus} CPU(s)")
        task_of_worker = cluster.WorkerTask(
            partial(open_together, runs, network.runtime, network.tta, outputs.uncertainty),
            outputs._replace(masks=cluster.absolute(outputs.masks)),
            work.memory,
            plan.neighbours,
        )
        each = partial(cluster.each_written_on, ray, task_of_worker, plan, progress.message)
        with progress.counting("predicting", len(images)) as done:
            return write_files(
                each, Results(config, outputs), images, work.skip_existing, done, work.others
            )
