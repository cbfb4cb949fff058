"""Images with a JSON export of Label Studio.

The export is a list of tasks. Each has its image in `data`, and `annotations` with a list `result`
of regions: brush strokes as run lengths, and polygons, rectangles and ellipses whose coordinates
are percentages of the width and height. Source: https://labelstud.io/guide/export and the pages of
the tags, such as https://labelstud.io/tags/brushlabels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from segkit.config import DataConfig
from segkit.data import rle_pack
from segkit.data.rasterise import Bitmap, Ellipse, Shape, Size
from segkit.data.sources.label_images import Images, folder_of_images, label_file_of
from segkit.data.sources.label_source import (
    Content,
    LabelledImage,
    Labels,
    LabelSource,
    Region,
    divide,
)
from segkit.data.sources.label_values import (
    Widths,
    as_list,
    as_object,
    decode_base64,
    decode_picture,
    line_of,
    list_field,
    number_field,
    object_field,
    points_of,
    polygon_of,
    read_json,
    rotated_rectangle,
    short_repr,
    size_of,
    widths_of,
)
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import DataError
from segkit.task import Task

KINDS = ("brush", "bitmask", "polygon", "rectangle", "ellipse", "keypoint")
"""The kinds of regions that are read. Other results, such as choices for the whole image, are no
regions."""
OTHER_REGIONS = ("vector", "magicwand", "paragraph", "video")
"""Kinds of regions that are not read."""
UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


def open_labelstudio(data: DataConfig, task: Task) -> LabelSource:
    """Open the labelstudio source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the JSON export.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the file is not an export, or if images are missing.
    """
    return LabelSource(find_labelstudio(data), task, data)


def find_labelstudio(data: DataConfig) -> Labels:
    """Find the images of the tasks in an export.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If the file is not an export of Label Studio in the format JSON.
    """
    images = Images(folder_of_images(data.images, "labelstudio"))
    path = label_file_of(data.annotations, "labelstudio", "the JSON export of Label Studio")
    results, absent = _results_by_name(path, images, data)
    names, left_out = divide(list(images.by_name), results, data, "leave_out")
    found = {}
    for name in names:
        is_labelled = name in results
        found[name] = LabelledImage(images.by_name[name], path, results.get(name), is_labelled)
    return Labels(
        tool="labelstudio",
        images=found,
        content=partial(read_labelstudio, widths=widths_of(data)),
        parts=parts_by_folder(found),
        unlabelled=left_out,
        absent=absent,
    )


def _results_by_name(
    path: Path, images: Images, data: DataConfig
) -> tuple[dict[str, Any], list[str]]:
    """Return the regions and the place of each labelled task, and the images that are not there."""
    results: dict[str, Any] = {}
    absent = []
    predicted = 0
    for number, value in enumerate(as_list(read_json(path), str(path))):
        where = f"{path}: task [{number}]"
        entry = as_object(value, where)
        result = _result_of(entry, where)
        if result is None and entry.get("predictions"):
            predicted += 1
            if data.use_predictions:
                result = _predicted_result(entry, where)
        name = _image_of(entry, images, where)
        if name is None:
            absent.append(str(_reference(object_field(entry, "data", where))))
        elif name in results:
            raise DataError(f"{where}: another task has the image {name}", "label-entry")
        elif result is not None:
            results[name] = (result, where)
    is_all_background = data.without_labels == "background"
    if predicted and not results and not data.use_predictions and not is_all_background:
        raise DataError(
            f"{path}: nobody has annotated a task, and {predicted} tasks have predictions of a "
            f"model. If these are the labels, set data.use_predictions: true",
            "empty",
        )
    return results, absent


def _result_of(task: Mapping[str, Any], where: str) -> list[Any] | None:
    """Return the regions of a task; None if nobody has labelled it.

    Annotations that were cancelled do not count. If there are several, the ground truth is taken.
    """
    if "annotations" not in task:
        raise DataError(
            f"{where}: has no 'annotations'; export the project in the format JSON, not JSON-MIN",
            "label-entry",
        )
    finished = []
    for value in list_field(task, "annotations", where):
        annotation = as_object(value, f"{where}: annotations")
        if not annotation.get("was_cancelled"):
            finished.append(annotation)
    chosen = [annotation for annotation in finished if annotation.get("ground_truth")] or finished
    if not chosen:
        return None
    if len(chosen) > 1:
        raise DataError(
            f"{where}: has {len(chosen)} annotations, and it is not known which one counts. Mark "
            f"one of them as the ground truth in Label Studio, or delete the others",
            "label-entry",
        )
    return list_field(chosen[0], "result", f"{where}: annotations")


def _predicted_result(task: Mapping[str, Any], where: str) -> list[Any]:
    """Return the regions of the prediction of a task; raises `DataError` if there are several."""
    predictions = list_field(task, "predictions", where)
    if len(predictions) > 1:
        raise DataError(
            f"{where}: has {len(predictions)} predictions, and it is not known which one counts. "
            f"Delete the others in Label Studio",
            "label-entry",
        )
    prediction = as_object(predictions[0], f"{where}: predictions")
    return list_field(prediction, "result", f"{where}: predictions")


def _reference(fields: Mapping[str, Any]) -> Any:
    """Return the field of a task that probably is the image."""
    if "image" in fields:
        return fields["image"]
    return next((value for value in fields.values() if isinstance(value, str)), "")


def _image_of(task: Mapping[str, Any], images: Images, where: str) -> str | None:
    """Return the name of the image of a task; None if there is no such image."""
    fields = object_field(task, "data", where)
    texts = [value for value in fields.values() if isinstance(value, str)]
    if isinstance(fields.get("image"), str):
        texts = [fields["image"]]
    found = set()
    for text in texts:
        name = images.find(text, where)
        if name is None:
            folder, slash, file = text.rpartition("/")
            name = images.find(folder + slash + UPLOADED.sub("", file, count=1), where)
        if name is not None:
            found.add(name)
    if len(found) > 1:
        raise DataError(
            f"{where}: several fields name images ({', '.join(sorted(found))}); segkit reads tasks "
            f"of one image",
            "label-entry",
        )
    return next(iter(found), None)


def read_labelstudio(labelled: LabelledImage, widths: Widths) -> Content:
    """Read the regions of an image.

    Args:
        labelled: The image, with the result and the place of its task as `entry`.
        widths: How points are drawn.

    Raises:
        DataError: With the file and the task, if the result is not valid.
    """
    result, where = labelled.entry
    sizes: set[Size] = set()
    regions: list[Region] = []
    labels_by_id = _labels_by_id(result)
    for number, value in enumerate(result):
        place = f"{where}: result[{number}]"
        entry = as_object(value, place)
        kind = str(entry.get("type", "")).removesuffix("labels")
        if kind in OTHER_REGIONS:
            raise DataError(f"{place}: regions of the type {kind} are not read", "label-shape")
        if kind not in KINDS or _is_empty(entry):
            continue
        size = size_of(entry, "original_height", "original_width", place)
        if size is not None:
            sizes.add(size)
        _check_upright(entry, place)
        fields = object_field(entry, "value", place)
        make = partial(_shape_of, fields, kind, widths, place)
        for label in _labels_of(entry, fields, labels_by_id, place):
            regions.append(Region(label, kind, f"result[{number}]", make))
    if len(sizes) > 1:
        raise DataError(f"{where}: regions state different sizes of the image", "label-entry")
    return Content(regions, next(iter(sizes), None))


def _is_empty(entry: Mapping[str, Any]) -> bool:
    """Return whether a region is a brush without strokes."""
    fields = entry.get("value")
    return isinstance(fields, dict) and fields.get("rle") == []


def _labels_by_id(result: Sequence[Any]) -> dict[Any, list[str]]:
    """Return the labels that a result of the type labels sets for the region of the same id."""
    labels = {}
    for value in result:
        if isinstance(value, dict) and value.get("type") == "labels":
            fields = value.get("value")
            if isinstance(fields, dict) and isinstance(fields.get("labels"), list):
                labels[str(value.get("id"))] = [str(label) for label in fields["labels"]]
    return labels


def _labels_of(
    entry: Mapping[str, Any],
    fields: Mapping[str, Any],
    labels_by_id: Mapping[Any, list[str]],
    where: str,
) -> Iterator[str]:
    """Yield the labels of a region; it has several if the user may choose several."""
    labels = fields.get(str(entry.get("type")))
    if labels is None:
        labels = labels_by_id.get(str(entry.get("id")), [""])
    for label in as_list(labels, f"{where}: labels") or [""]:
        if not isinstance(label, str):
            raise DataError(f"{where}: a label is text; found {short_repr(label)}", "label-entry")
        yield label


def _check_upright(entry: Mapping[str, Any], where: str) -> None:
    if number_field(entry, "image_rotation", where, 0):
        raise DataError(
            f"{where}: the image was turned in Label Studio (image_rotation), but the file is not; "
            f"turn the image file and label it again",
            "label-entry",
        )


def _shape_of(
    fields: Mapping[str, Any], kind: str, widths: Widths, where: str, size: Size
) -> Shape:
    """Make a region of Label Studio."""
    height, image_width = size
    if kind == "brush":
        if fields.get("format") != "rle":
            found = short_repr(fields.get("format"))
            raise DataError(f"the format of a brush must be rle; found {found}", "label-shape")
        return Bitmap(0, 0, rle_pack.decode_brush(list_field(fields, "rle", where), size))
    if kind == "bitmask":
        return _bitmask(fields, size)
    if kind == "polygon":
        return polygon_of([_pixels(fields.get("points"), size)], size)
    x = number_field(fields, "x", where) / 100 * image_width
    y = number_field(fields, "y", where) / 100 * height
    if kind == "keypoint":
        return line_of(points_of([[x, y]], size), widths, "keypoint")
    degrees = number_field(fields, "rotation", where, 0)
    if kind == "ellipse":
        radius_x = number_field(fields, "radiusX", where) / 100 * image_width
        radius_y = number_field(fields, "radiusY", where) / 100 * height
        return Ellipse(x, y, radius_x, radius_y, degrees)
    across = number_field(fields, "width", where) / 100 * image_width
    down = number_field(fields, "height", where) / 100 * height
    return rotated_rectangle(x, y, across, down, degrees)


def _pixels(points: Any, size: Size) -> Any:
    """Return points in pixels; values that are no points stay, and are refused later."""
    if not isinstance(points, list):
        return points
    height, width = size
    scaled = []
    for point in points:
        is_point = isinstance(point, list) and len(point) == 2
        if is_point and all(type(value) in (int, float) for value in point):
            scaled.append([_percent(point[0], width), _percent(point[1], height)])
        else:
            scaled.append(point)
    return scaled


def _percent(value: float, side: int) -> float:
    """Return a percentage of a side in pixels; numbers too large for a float become infinite."""
    try:
        return value / 100 * side
    except OverflowError:
        return float("inf")


def _bitmask(fields: Mapping[str, Any], size: Size) -> Bitmap:
    """Return the pixels of a PNG of the whole image in a data URL."""
    address = fields.get("imageDataURL")
    prefix = "data:image/png;base64,"
    if not isinstance(address, str) or not address.startswith(prefix):
        raise DataError(
            f"a bitmask has an imageDataURL of a PNG; found {short_repr(address)}", "label-shape"
        )
    pixels = decode_picture(decode_base64(address.removeprefix(prefix), "bitmask"), "bitmask")
    if pixels.shape != size:
        raise DataError(
            f"the bitmask has {pixels.shape[1]} x {pixels.shape[0]} pixels, the image "
            f"{size[1]} x {size[0]}",
            "label-shape",
        )
    return Bitmap(0, 0, pixels)


def is_labelstudio(content: Any) -> bool:
    """Return whether the content of a JSON file is an export of Label Studio."""
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    return isinstance(content[0].get("data"), dict) and "annotations" in content[0]
