"""Small data sets of labelling tools, written as the documentation of each tool shows its files."""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a rectangle, in pixels."""
Labelled = Mapping[str, Sequence[tuple[str, Box]]]
"""The rectangles of each image, with their labels."""
Sizes = Mapping[str, tuple[int, int]]
"""Height and width of each image."""


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def save_images(folder: Path, sizes: Sizes, ending: str = ".png") -> None:
    for seed, (name, size) in enumerate(sizes.items()):
        path = folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(*size, seed)).save(path)


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def corners(box: Box) -> list[list[float]]:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def png(pixels: np.ndarray, **settings: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **settings)
    return stream.getvalue()


def labelme_shape(label: str, points: Any, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    """Return a shape as labelme 5 writes it."""
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
        **more,
    }


def labelme_file(
    shapes: Sequence[Any], image: str, size: tuple[int, int], **more: Any
) -> dict[str, Any]:
    """Return the content of a JSON file of labelme 5."""
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
        **more,
    }


def labelme(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root, sizes)
    for name, boxes in labelled.items():
        shapes = [labelme_shape(label, corners(box)) for label, box in boxes]
        content = labelme_file(shapes, f"{Path(name).name}.png", sizes[name])
        write_json(root / f"{name}.json", content)
    return {"source": "labelme", "images": root}


def brush(label: str, rle: Sequence[int], size: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Return a brush stroke of Label Studio."""
    value = {"format": "rle", "rle": list(rle), "brushlabels": [label]}
    return studio_region("brushlabels", value, size, **more)


def studio_region(
    kind: str, value: Mapping[str, Any], size: tuple[int, int], **more: Any
) -> dict[str, Any]:
    """Return a region of Label Studio."""
    return {
        "id": "Dx_aB91ISN",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "origin": "manual",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": value,
        **more,
    }


def studio_task(image: str, result: Sequence[Any], **more: Any) -> dict[str, Any]:
    """Return a task of Label Studio's JSON export."""
    annotation = {"id": 8, "was_cancelled": False, "ground_truth": False, "result": result}
    return {"id": 1, "data": {"image": image}, "annotations": [annotation | more]}


def labelstudio(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "images", sizes)
    tasks = []
    for name, boxes in labelled.items():
        height, width = sizes[name]
        result = []
        for label, box in boxes:
            points = [[100 * x / width, 100 * y / height] for x, y in corners(box)]
            value = {"points": points, "closed": True, "polygonlabels": [label]}
            result.append(studio_region("polygonlabels", value, sizes[name]))
        tasks.append(studio_task(f"/data/local-files/?d=images/{name}.png", result))
    annotations = write_json(root / "export.json", tasks)
    return {"source": "labelstudio", "images": root / "images", "annotations": annotations}


def cvat_xml(images: str, labels: Sequence[str] = ()) -> str:
    """Return a file of CVAT for images 1.1 with these <image> elements."""
    names = "".join(f"<label><name>{name}</name><color>#33ddff</color></label>" for name in labels)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
        f"<meta><task><id>4</id><name>t</name><labels>{names}</labels></task></meta>"
        f"{images}</annotations>\n"
    )


def cvat(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "images", sizes)
    elements = []
    for number, (name, boxes) in enumerate(labelled.items()):
        height, width = sizes[name]
        shapes = []
        for label, box in boxes:
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(box))
            shapes.append(
                f'<polygon label={quoteattr(label)} source="manual" occluded="0" '
                f'points="{points}" z_order="0"></polygon>'
            )
        elements.append(
            f'<image id="{number}" name={quoteattr(name + ".png")} width="{width}" '
            f'height="{height}">{"".join(shapes)}</image>'
        )
    declared = dict.fromkeys(label for boxes in labelled.values() for label, _ in boxes)
    path = root / "annotations.xml"
    path.write_text(cvat_xml("".join(elements), list(declared)), encoding="utf-8")
    return {"source": "cvat", "images": root / "images", "annotations": path}


def via_region(shape: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
    """Return a region of VIA 2."""
    return {"shape_attributes": shape, "region_attributes": attributes}


def via_polygon(box: Box) -> dict[str, Any]:
    return {
        "name": "polygon",
        "all_points_x": [x for x, _ in corners(box)],
        "all_points_y": [y for _, y in corners(box)],
    }


def via_metadata(root: Path, regions: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return VIA's table of images."""
    content = {}
    for file, own in regions.items():
        size = (root / file).stat().st_size if (root / file).exists() else 1
        entry = {"filename": file, "size": size, "regions": own, "file_attributes": {}}
        content[f"{file}{size}"] = entry
    return content


def via(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "images", sizes)
    regions = {}
    for name, boxes in labelled.items():
        own = [via_region(via_polygon(box), type=label) for label, box in boxes]
        regions[f"{name}.png"] = own
    content = {
        "_via_settings": {"core": {}},
        "_via_img_metadata": via_metadata(root / "images", regions),
        "_via_attributes": {"region": {}, "file": {}},
    }
    path = write_json(root / "via_project.json", content)
    return {"source": "via", "images": root / "images", "annotations": path}


def supervisely_object(label: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "classTitle": label, "geometryType": kind, "tags": [], **fields}


def supervisely_bitmap(label: str, left: int, top: int, pixels: np.ndarray) -> dict[str, Any]:
    """Return a bitmap as the SDK of Supervisely packs it: a palette PNG in which 0 is
    transparent.
    """
    paletted = Image.fromarray(pixels.astype(np.uint8), "P")
    paletted.putpalette([0, 0, 0, 255, 255, 255])
    stream = io.BytesIO()
    paletted.save(stream, "PNG", transparency=0, optimize=0)
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    return supervisely_object(label, "bitmap", bitmap={"data": data, "origin": [left, top]})


def supervisely(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "ds" / "img", sizes)
    declared = dict.fromkeys(label for boxes in labelled.values() for label, _ in boxes)
    classes = [{"title": label, "shape": "polygon", "color": "#0F8A8A"} for label in declared]
    write_json(root / "meta.json", {"classes": classes, "tags": []})
    for name, boxes in labelled.items():
        objects = []
        for label, box in boxes:
            points = {"exterior": corners(box), "interior": []}
            objects.append(supervisely_object(label, "polygon", points=points))
        height, width = sizes[name]
        content = {"size": {"height": height, "width": width}, "tags": [], "objects": objects}
        write_json(root / "ds" / "ann" / f"{name}.png.json", content)
    return {"source": "supervisely", "images": root}


def yolo(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "images" / "train", sizes)
    declared = list(dict.fromkeys(label for boxes in labelled.values() for label, _ in boxes))
    for name, boxes in labelled.items():
        height, width = sizes[name]
        lines = []
        for label, box in boxes:
            words = [f"{x / width:.6f} {y / height:.6f}" for x, y in corners(box)]
            lines.append(" ".join([str(declared.index(label)), *words]))
        path = root / "labels" / "train" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(declared))
    (root / "data.yaml").write_text(f"path: elsewhere\ntrain: images/train\nnames:\n{names}")
    return {"source": "yolo", "images": root}


def qupath_feature(label: str | None, geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an annotation as QuPath 0.5 exports it."""
    properties: dict[str, Any] = {"objectType": "annotation"}
    if label is not None:
        properties["classification"] = {"name": label, "color": [200, 0, 0]}
    return {"type": "Feature", "id": "1f2e", "geometry": geometry, "properties": properties}


def qupath(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root, sizes)
    for name, boxes in labelled.items():
        features = []
        for label, box in boxes:
            ring = corners(box)
            geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
            features.append(qupath_feature(label, geometry))
        content = {"type": "FeatureCollection", "features": features}
        write_json(root / f"{name}.geojson", content)
    return {"source": "qupath", "images": root}


def filled(boxes: Sequence[Box], size: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre is in a box, by a plain loop."""
    mask = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            for left, top, right, bottom in boxes:
                if left <= column + 0.5 < right and top <= row + 0.5 < bottom:
                    mask[row, column] = True
    return mask


def run_pairs(mask: np.ndarray) -> str:
    """Return Kaggle's run lengths down the columns, by a plain loop."""
    words: list[str] = []
    length = 0
    flat = [*mask.T.ravel().tolist(), False]
    for number, inside in enumerate(flat, start=1):
        if inside:
            length += 1
        elif length:
            words += [str(number - length), str(length)]
            length = 0
    return " ".join(words)


def rle(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "images", sizes)
    path = root / "train.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["ImageId", "ClassId", "EncodedPixels"])
        for name, boxes in labelled.items():
            for label, box in boxes:
                table.writerow([f"{name}.png", label, run_pairs(filled([box], sizes[name]))])
            if not boxes:
                table.writerow([f"{name}.png", "", ""])
    order = {"order": "column"}
    images = root / "images"
    return {"source": "rle", "images": images, "annotations": path, "run_lengths": order}


def cityscapes(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    save_images(root / "leftImg8bit" / "train", sizes, "_leftImg8bit.png")
    for name, boxes in labelled.items():
        objects = [{"label": label, "polygon": corners(box)} for label, box in boxes]
        height, width = sizes[name]
        content = {"imgHeight": height, "imgWidth": width, "objects": objects}
        write_json(root / "gtFine" / "train" / f"{name}_gtFine_polygons.json", content)
    return {"source": "cityscapes", "images": root}


Maker = Callable[[Path, Sizes, Labelled], dict[str, Any]]
MAKERS: dict[str, Maker] = {
    "cityscapes": cityscapes,
    "cvat": cvat,
    "labelme": labelme,
    "labelstudio": labelstudio,
    "qupath": qupath,
    "rle": rle,
    "supervisely": supervisely,
    "via": via,
    "yolo": yolo,
}
"""Write a data set of rectangles, and return the settings of `data` that read it."""
PREFIXES = {"cityscapes": "train/", "supervisely": "ds/", "yolo": "train/"}
"""What stands before the name of an image in the names of samples."""


def roboflow(root: Path, sizes: Sizes, labelled: Labelled) -> dict[str, Any]:
    """Write one folder per part as Roboflow does, with the first image in train."""
    labels = list(dict.fromkeys(label for boxes in labelled.values() for label, _ in boxes))
    categories = [{"id": 0, "name": "things", "supercategory": "none"}]
    for number, label in enumerate(labels, start=1):
        categories.append({"id": number, "name": label, "supercategory": "things"})
    parts = dict(zip(sizes, ("train", "valid", "test"), strict=True))
    for name, part in parts.items():
        save_images(root / part, {name: sizes[name]})
        height, width = sizes[name]
        image = {"id": 0, "file_name": f"{name}.png", "height": height, "width": width}
        annotations = []
        for number, (label, box) in enumerate(labelled.get(name, ())):
            annotations.append(
                {
                    "id": number,
                    "image_id": 0,
                    "category_id": labels.index(label) + 1,
                    "iscrowd": 0,
                    "segmentation": [[value for corner in corners(box) for value in corner]],
                }
            )
        content = {"images": [image], "annotations": annotations, "categories": categories}
        write_json(root / part / "_annotations.coco.json", content)
    return {"source": "roboflow", "images": root}


def voc(root: Path, sizes: Sizes, masks: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Write palette masks of VOC, an image without a mask, and the lists of the parts."""
    save_images(root / "JPEGImages", {**sizes, "unused": (4, 4)}, ".jpg")
    for name, mask in masks.items():
        path = root / "SegmentationClass" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        paletted = Image.fromarray(mask, "P")
        paletted.putpalette([(37 * i) % 256 for i in range(768)])
        paletted.save(path)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    names = list(masks)
    (lists / "train.txt").write_text("\n".join(names[:-1]) + "\n")
    (lists / "val.txt").write_text(f"{names[-1]}\n")
    return {"source": "voc", "images": root}
