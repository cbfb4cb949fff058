"""`predict`: masks for image files, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Unpack

from segkit import catalog
from segkit.config import RunConfig
from segkit.config.arguments import with_settings
from segkit.data.pixel_size import PixelSize
from segkit.errors import ConfigError
from segkit.inference.axes import parse_axes, with_axes
from segkit.inference.export_choice import AUTO
from segkit.inference.files import Summary, predict_files, write_files
from segkit.inference.inputs import (
    Shard,
    check_apart,
    divide_images,
    find_images,
    read_scans,
    share,
)
from segkit.inference.large.files import fit_batch, predict_and_write_large, separate_large
from segkit.inference.large.memory_budget import MemoryBudget, budget_within, memory_limit
from segkit.inference.load import (
    LoadedRun,
    PathLike,
    as_paths,
    check_runtime,
    config_together,
    open_together,
)
from segkit.inference.outputs.extra_outputs import EXTRA_DEFAULTS, ExtraOutputs
from segkit.inference.outputs.overlay_films import write_overlay_films
from segkit.inference.outputs.shape_options import ShapeOptions, check_shapes
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.resolution import check_sizes, check_whole, parse_resolution
from segkit.inference.scale import ScaleWatch
from segkit.inference.tiles import Predict
from segkit.io.coding import segkit_coding
from segkit.io.coding_record import record_of
from segkit.io.georeference import has_place
from segkit.io.overlay import check_overlay
from segkit.io.plane_addresses import Axes
from segkit.system.memory import parse_bytes
from segkit.system.progress import Progress

MAX_NAMES = 3
"""Images that a message names."""


class NetworkOptions(NamedTuple):
    """Which networks predict, and how."""

    runs: list[Path]
    runtime: str = AUTO
    tta: str | None = None


class Cluster(NamedTuple):
    """A Ray cluster to predict on."""

    address: str | None = None
    """HOST:PORT or "auto"; None starts a cluster of this machine alone for this call."""
    worker_cpus: int | None = None
    """CPUs of each worker; up to 4 by default."""


class OutputOptions(NamedTuple):
    """What to write, and how much memory to use."""

    outputs: Outputs
    skip_existing: bool
    memory: int | None
    """Memory limit in bytes; None stands for half of the free memory."""
    others: Mapping[str, Path]
    """Image files by name, also those that other shards predict into the same folders."""
    resolution: str | None = None
    """The resolution that the network sees, as `segkit.inference.resolution` reads it."""
    every_frame: int = 1
    """The distance of the frames of films that are predicted."""
    axes: Axes | None = None
    """The meaning of the axes of stacks; None stands for that of the run."""


@with_settings(EXTRA_DEFAULTS)
def predict(
    run: PathLike | Sequence[PathLike],
    images: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    tta: str | None = None,
    runtime: str = AUTO,
    shard: str = "1/1",
    memory: int | str | None = None,
    cluster: Cluster | None = None,
    progress: Progress | None = None,
    **extras: Unpack[ExtraOutputs],
) -> Summary:
    """Predict masks for images, in each image's own size. A broken image does not stop the others.

    Args:
        run: A run folder or an export; or several, whose probabilities are averaged.
        images: Image files, or folders of them.
        out: The folder of the masks; other results are beside it, such as in OUT-overlays.
        tta: "flips" or "rotations" averages over 4 or 8 views of each image.
        runtime: "auto" (the fastest usable one), "keras", "onnx", "litert" or "openvino".
        shard: "2/8" predicts the second of eight shares of the images.
        memory: Memory limit in bytes or as "1.5GB". Larger TIFFs, JPEG 2000 images,
            VRTs, stacks and slides are predicted in windows.
        cluster: A `segkit.inference.predict.Cluster` to use instead of this machine.
        progress: Receives what is loaded and how many images are done.
        extras: What else is written; see `segkit.inference.predict.ExtraOutputs`.

    Returns:
        How many masks were written and skipped, and what failed.

    Raises:
        SegkitError: If settings do not fit together, or there is no image or no finished run.
    """
    network = NetworkOptions(as_paths(run), runtime, tta)
    output = _output_options(Path(out), memory, extras)
    part = Shard.parse(shard)
    return _predict(network, as_paths(images), output, part, cluster, progress or Progress())


def _output_options(out: Path, memory: int | str | None, extras: ExtraOutputs) -> OutputOptions:
    return OutputOptions(
        _parse_outputs(out, extras),
        extras.get("skip_existing", False),
        _as_bytes(memory),
        {},
        extras.get("resolution"),
        _check_every_frame(extras.get("every_frame", 1)),
        parse_axes(extras.get("axes")),
    )


def _parse_outputs(out: Path, extras: ExtraOutputs) -> Outputs:
    """Return the outputs. Raises `ConfigError` for one that does not exist."""
    overlay = extras.get("overlay", False)
    check_overlay(overlay)
    probabilities = extras.get("probabilities")
    if probabilities is not None:
        catalog.find(catalog.PROBABILITIES, probabilities, "--probabilities")
    formats = extras.get("formats", ())
    if isinstance(formats, str):
        formats = [formats]
    for name in formats:
        catalog.find(catalog.ALL_OUTPUTS, name, "--format")
    uncertainty = extras.get("uncertainty", False)
    coding = extras.get("coding", "data")
    unique = tuple(dict.fromkeys(formats))
    shapes = ShapeOptions.parse(extras.get("smallest", 0), extras.get("simplify", 0.0))
    check_shapes(shapes, unique)
    return Outputs(out, overlay, probabilities, unique, uncertainty, coding, shapes)


def _check_every_frame(every: int) -> int:
    """Return the distance of frames. Raises `ConfigError` if it is below 1."""
    if every < 1:
        raise ConfigError(f"1 or more; found {every}", setting="--every-frame")
    return every


def _as_bytes(memory: int | str | None) -> int | None:
    return parse_bytes(memory) if isinstance(memory, str) else memory


def _predict(
    network: NetworkOptions,
    images: list[Path],
    output: OutputOptions,
    shard: Shard,
    cluster: Cluster | None,
    progress: Progress,
) -> Summary:
    """Find the images, and predict this process' share of them."""
    if cluster is not None and cluster.worker_cpus is not None and cluster.worker_cpus < 1:
        raise ConfigError(f"1 or more; found {cluster.worker_cpus}", setting="--worker-cpus")
    masks = output.outputs.masks
    found = find_images(
        images,
        masks,
        lambda line: progress.message(f"note: {line}"),
        read_scans(network.runs, network.tta, output.outputs.formats),
    )
    check_apart(found.images, output.outputs.folders)
    own = share(found, shard)
    output = output._replace(others=found.images)
    if cluster is None:
        summary = _predict_here(network, own.images, output, progress)
    else:
        summary = _predict_on_cluster(network, own.images, output, cluster, progress)
    return summary._replace(failed=own.clashes + summary.failed)


def _predict_here(
    network: NetworkOptions, images: Mapping[str, Path], output: OutputOptions, progress: Progress
) -> Summary:
    """Predict on this machine: first the images that fit into memory, then the large ones."""
    paths = list(images.values())
    with_entropy = output.outputs.uncertainty
    loaded = open_together(network.runs, network.runtime, network.tta, with_entropy, paths)
    loaded.announce(progress)
    _report_coding(loaded.config, output.outputs, images, progress)
    loaded = loaded._replace(config=fit_batch(loaded.predict, loaded.config, output.memory))
    images, output = _with_pages(loaded.config, images, output)
    resolution = _check_sizes(loaded.config, images, output, progress)
    whole, large = separate_large(loaded.config, images, output.outputs, output.memory)
    check_whole(large, resolution)
    budget = None
    if large:  # fails before anything is written if there is no memory for a window
        limit = memory_limit(output.memory)
        budget = budget_within(loaded.predict, loaded.config, limit)
    scale = ScaleWatch(loaded.config.input)
    summary = _predict_whole(loaded, whole, output, progress, scale, resolution)
    if budget is not None and not summary.stopped:
        in_windows = predict_large_files(
            loaded.predict,
            loaded.config,
            large,
            output.outputs,
            loaded.fingerprint,
            budget,
            output.skip_existing,
            progress,
            output.others,
            scale,
        )
        summary = summary.plus(in_windows)
    _warn_of_scale(scale, progress)
    return _with_overlay_films(summary, images, output.outputs)


def _predict_whole(
    loaded: LoadedRun,
    images: Mapping[str, Path],
    output: OutputOptions,
    progress: Progress,
    scale: ScaleWatch,
    resolution: PixelSize | None,
) -> Summary:
    """Predict the images that fit into memory."""
    with progress.counting("predicting", len(images)) as counter:
        return predict_files(
            loaded.predict,
            loaded.config,
            images,
            output.outputs,
            output.skip_existing,
            counter,
            output.others,
            counter.windows,
            scale,
            resolution,
        )


def predict_large_files(
    network: Predict,
    config: RunConfig,
    images: Mapping[str, Path],
    outputs: Outputs,
    fingerprint: str,
    budget: MemoryBudget,
    skip_existing: bool = False,
    progress: Progress | None = None,
    others: Iterable[str] = (),
    scale: ScaleWatch | None = None,
) -> Summary:
    """Predict large images in windows, one after the other, as `predict_files` does with others.

    Args:
        network: The network.
        config: The config of the run.
        images: Image files by name.
        outputs: What to write: masks, and formats of `catalog.LARGE_OUTPUTS`.
        fingerprint: Identifies the network. A prediction begun with another one starts again.
        budget: What fits into the memory.
        skip_existing: Whether images whose masks exist are left out.
        progress: Shows the windows of each image.
        others: Names of images that other calls predict into the same folder.
        scale: Sees each window, to warn of another range of values.
    """
    progress = progress or Progress()
    each = partial(
        predict_and_write_large, network, config, fingerprint, budget, progress.windows, scale=scale
    )
    return write_files(each, Results(config, outputs), images, skip_existing, others=others)


def _predict_on_cluster(
    network: NetworkOptions,
    images: Mapping[str, Path],
    output: OutputOptions,
    cluster: Cluster,
    progress: Progress,
) -> Summary:
    """Predict on a Ray cluster. Workers write the images, and this process writes the tables."""
    from segkit.inference import cluster as engine

    check_runtime(network.runtime)
    config, _ = config_together(network.runs, network.tta)
    images, output = _with_pages(config, images, output)
    outputs = output.outputs
    resolution = _check_sizes(config, images, output, progress)
    _report_coding(config, outputs, images, progress)
    runs = [engine.absolute_path(path) for path in network.runs]
    open_runs = partial(open_together, runs, network.runtime, network.tta, outputs.uncertainty)
    shared_outputs = outputs._replace(masks=engine.absolute_path(outputs.masks))
    scale = ScaleWatch(config.input)
    with engine.connected(cluster.address) as ray:
        plan = engine.plan_of(ray, cluster.worker_cpus)
        progress.message(f"engine: ray, {plan.workers} worker(s) of {plan.cpus} CPU(s)")
        task = engine.WorkerTask(
            open_runs, shared_outputs, output.memory, plan.neighbours, resolution=resolution
        )
        each = partial(
            engine.predict_and_write_on_cluster, ray, task, plan, progress.message, scale=scale
        )
        with progress.counting("predicting", len(images)) as counter:
            results = Results(config, outputs)
            summary = write_files(
                each, results, images, output.skip_existing, counter, output.others
            )
    _warn_of_scale(scale, progress)
    return _with_overlay_films(summary, images, outputs)


def _check_sizes(
    config: RunConfig, images: Mapping[str, Path], output: OutputOptions, progress: Progress
) -> PixelSize | None:
    """Return the resolution that the network sees; None for that of each image.

    Raises `ConfigError` if the pixel size of an image is needed and unknown.
    """
    resolution = parse_resolution(output.resolution, config)
    warning = check_sizes(config, images, resolution)
    if warning is not None:
        progress.warning(warning)
    return resolution


def _with_pages(
    config: RunConfig, images: Mapping[str, Path], output: OutputOptions
) -> tuple[dict[str, Path], OutputOptions]:
    """Divide films into frames, and stacks and scans as `axes` says or the run's data are read."""
    config = with_axes(config, output.axes)
    others = divide_images(config, output.others, output.every_frame)
    divided = divide_images(config, images, output.every_frame)
    return divided, output._replace(others=others)


def _with_overlay_films(summary: Summary, images: Mapping[str, Path], outputs: Outputs) -> Summary:
    """Join the overlays of frames to films, and return the summary with what failed."""
    if not outputs.overlays or summary.stopped:
        return summary
    return summary._replace(failed=summary.failed + write_overlay_films(outputs.masks, images))


def _warn_of_scale(scale: ScaleWatch, progress: Progress) -> None:
    """Warn if the images have another range of values than the training images."""
    warning = scale.warning()
    if warning:
        progress.warning(warning)


def _report_coding(
    config: RunConfig, outputs: Outputs, images: Mapping[str, Path], progress: Progress
) -> None:
    """Report how masks are stored unless it is segkit's own way, and which images lie on a map.

    Raises `ConfigError` if they cannot be stored so, or if the folder holds others.
    """
    results = Results(config, outputs)
    results.check_coding(images)
    record = record_of(results.coding)
    if record != record_of(segkit_coding(config.task)):
        progress.message(
            f"masks: as the data set stores them ({record.in_words()}); --coding segkit stores "
            f"class ids, or 0 and 255"
        )
    on_map = [path.name for path in images.values() if has_place(path)]
    if on_map:
        names = ", ".join(on_map[:MAX_NAMES])
        if len(on_map) > MAX_NAMES:
            names += f" and {len(on_map) - MAX_NAMES} more"
        progress.message(f"masks of images that lie on a map are TIFFs in the same place: {names}")
