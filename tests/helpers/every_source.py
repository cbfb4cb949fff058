"""One small data set for every source."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID, Task
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from tests.helpers import label_sets
from tests.helpers.extras import NO_GEO
from tests.helpers.films import SIZE, save_film
from tests.helpers.scans import need, save_nifti, save_series

CRACK = Task.binary("crack")


ORGANS = Task.multiclass(["background", "liver", "tumour"])


LABELS = Task.multilabel(["liver", "tumour"])


NAMES = ("a", "b", "c d/ä")


SHAPES = {"a": (6, 8), "b": (5, 5), "c d/ä": (1, 3)}


class Made(NamedTuple):
    """The settings of a small source, and the file that the sample `name` is read from, if there is
    one.
    """

    task: Task
    data: DataConfig
    name: str
    file: Path | None


def image(name: str) -> np.ndarray:
    rng = np.random.default_rng(len(name))
    return rng.integers(0, 256, (*SHAPES[name], 3), np.uint8)


def ids(name: str, top: int) -> np.ndarray:
    height, width = SHAPES[name]
    return (np.arange(height * width).reshape(height, width) % (top + 1)).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    else:
        Image.fromarray(pixels).save(path)
    return path


def in_folders(
    root: Path, task: Task, masks: Callable[[str], dict[str, np.ndarray]], **more: object
) -> Made:
    """Save an image and its mask files (by path below the masks' folder) for each name."""
    for name in NAMES:
        save(root / "images" / f"{name}.png", image(name))
        for where, pixels in masks(name).items():
            save(root / "masks" / where, pixels)
    folders = {"images": root / "images", "masks": root / "masks", **more}
    return Made(task, DataConfig.model_validate(folders), "a", root / "images" / "a.png")


def folder(root: Path) -> Made:
    return in_folders(root, CRACK, lambda name: {f"{name}.png": ids(name, 1) * 255})


def folder_of_ids(root: Path) -> Made:
    made = in_folders(
        root, ORGANS, lambda name: {f"{name}.png": np.where(ids(name, 3) == 3, VOID, ids(name, 3))}
    )
    return made._replace(file=root / "masks" / "a.png")


def folder_of_colours(root: Path) -> Made:
    colours = {"#000000": "background", "#ff0000": "liver", "#00ff00": "tumour", "#ffffff": "void"}
    table = np.array([[int(key[i : i + 2], 16) for i in (1, 3, 5)] for key in colours], np.uint8)
    return in_folders(
        root, ORGANS, lambda name: {f"{name}.png": table[ids(name, 3)]}, mask_colours=colours
    )


def folder_of_classes(root: Path) -> Made:
    made = in_folders(
        root,
        ORGANS,
        lambda name: {
            f"{label}/{name}.png": (ids(name, 2) == i) for i, label in ((1, "liver"), (2, "tumour"))
        },
    )
    return made._replace(file=root / "masks" / "tumour" / "a.png")


def folder_of_bands(root: Path) -> Made:
    made = in_folders(
        root,
        LABELS,
        lambda name: {f"{name}.tif": np.stack([ids(name, 1), 1 - ids(name, 1)], axis=-1)},
    )
    return made._replace(file=root / "masks" / "a.tif")


def listed(root: Path) -> Made:
    made = folder(root)
    lines = [
        f"images/{name}.png,masks/{name}.png,{part}"
        for name, part in zip(NAMES, ("train", "val", "test"), strict=True)
    ]
    (root / "list.csv").write_text("\n".join(["image,mask,split", *lines]), encoding="utf-8")
    return made._replace(data=DataConfig(list_file=root / "list.csv"), name="images/a")


def several_sets(root: Path) -> Made:
    made = folder_of_ids(root / "one")
    other = folder_of_colours(root / "two")
    sets = {}
    for name, data in (("one", made.data), ("two", other.data)):
        sets[name] = data.model_dump(mode="json", include={"images", "masks", "mask_colours"})
    return Made(ORGANS, DataConfig(sets=sets), "one/a", made.file)


def folder_with_partial_labels(root: Path) -> Made:
    made = folder_of_ids(root)
    for name, (height, width) in SHAPES.items():
        area = np.ones((height, width), np.uint8)
        area[:, width // 2 :] = 0
        save(root / "areas" / f"{name}.png", area)
    partial = {"labelled_area": {"masks": root / "areas"}, "point_radius": 2}
    data = DataConfig.model_validate({**made.data.model_dump(), **partial})
    return Made(ORGANS, data, "a", root / "areas" / "a.png")


def shapes(root: Path) -> Made:
    return Made(
        Task.binary("disc"),
        DataConfig(source="shapes", count=5, size=(16, 24)),
        "shape_00000",
        None,
    )


def coco(root: Path) -> Made:
    images, annotations = [], []
    for number, name in enumerate(NAMES):
        save(root / "images" / f"{name}.png", image(name))
        height, width = SHAPES[name]
        images.append({"id": number, "file_name": f"{name}.png", "width": width, "height": height})
        corners = [0, 0, width / 2, 0, width / 2, height, 0, height]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 3,
                "segmentation": [corners],
                "iscrowd": 0,
            }
        )
    values = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "liver"}],
    }
    (root / "coco.json").write_text(json.dumps(values), encoding="utf-8")
    data = DataConfig(source="coco", images=root / "images", annotations=root / "coco.json")
    task = Task.multiclass(["background", "liver"])
    return Made(task, data, open_source(data, task).names[0], root / "images" / "a.png")


def tfds(root: Path) -> Made:
    """Write a prepared data set by hand: two JSON files, and records of PNG pictures in each
    split.
    """
    pictures = {
        key: {
            "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
            "image": {
                "shape": {"dimensions": ["-1", "-1", channels]},
                "dtype": "uint8",
                "encodingFormat": "png",
            },
        }
        for key, channels in (("image", "3"), ("segmentation_mask", "1"))
    }
    features = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": pictures},
    }
    splits = [
        {
            "name": split,
            "shardLengths": ["2"],
            "numBytes": "1",
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        }
        for split in ("train", "test")
    ]
    info = {"name": "made", "version": "1.0.0", "fileFormat": "tfrecord", "splits": splits}
    (root / "features.json").write_text(json.dumps(features))
    (root / "dataset_info.json").write_text(json.dumps(info))
    for split in ("train", "test"):
        records = [
            example(image=png(root, image(name)), segmentation_mask=png(root, ids(name, 2)))
            for name in ("a", "b")
        ]
        framed = [
            struct.pack("<Q", len(record)) + b"\0" * 4 + record + b"\0" * 4 for record in records
        ]
        (root / f"made-{split}.tfrecord-00000-of-00001").write_bytes(b"".join(framed))
    data = DataConfig(source="tfds", data_dir=root)
    return Made(ORGANS, data, "train/000001", root / "made-train.tfrecord-00000-of-00001")


def png(root: Path, pixels: np.ndarray) -> bytes:
    return save(root / "written" / "x.png", pixels).read_bytes()


def example(**values: bytes) -> bytes:
    """Return a tf.train.Example of byte features in protocol buffer's own form."""
    entries = [
        field(field(key.encode()) + field(field(field(value)), number=2))
        for key, value in values.items()
    ]  # Features.feature: key and Feature.bytes_list.value
    return field(b"".join(entries))


def field(content: bytes, number: int = 1) -> bytes:
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length % 128 + 128]), length // 128
    return bytes([number * 8 + 2]) + size + bytes([length]) + content


def of_a_tool(tool: str, root: Path) -> Made:
    """Write the left half of each image as an object; only the last image has nothing."""
    label = "car" if tool == "cityscapes" else "liver"
    labelled: dict[str, list[tuple[str, label_sets.Box]]] = {}
    for name in NAMES:
        height, width = SHAPES[name]
        labelled[name] = [(label, (0, 0, (width + 1) // 2, height))]
    if tool == "cityscapes":  # outside its polygons nothing is known
        for name, boxes in labelled.items():
            boxes.insert(0, ("road", (0, 0, SHAPES[name][1], SHAPES[name][0])))
    settings = label_sets.MAKERS[tool](root, SHAPES, labelled)
    data = DataConfig.model_validate(settings)
    task = Task.multiclass(["road", "car"] if tool == "cityscapes" else ["background", "liver"])
    name = label_sets.PREFIXES.get(tool, "") + "a"
    image = next(path for path in sorted(root.rglob("a*")) if path.suffix == ".png")
    labels = sorted(root.rglob("a*.*json"))
    return Made(task, data, name, labels[0] if labels else image)


def maker_of(tool: str) -> Callable[[Path], Made]:
    """Return the function that writes the small data set of a labelling tool."""

    def make(root: Path) -> Made:
        return of_a_tool(tool, root)

    make.__name__ = tool
    return make


def roboflow(root: Path) -> Made:
    labelled = {name: [("liver", (0, 0, 2, 1))] for name in SHAPES}
    data = DataConfig.model_validate(label_sets.roboflow(root, SHAPES, labelled))
    task = Task.multiclass(["background", "liver"])
    return Made(task, data, "train/a", root / "train" / "a.png")


def voc(root: Path) -> Made:
    masks = {name: ids(name, 1) * 15 for name in NAMES}
    data = DataConfig.model_validate(label_sets.voc(root, SHAPES, masks))
    data = data.model_copy(update={"labels": {"*": "background"}})
    task = Task.multiclass(["background", "person"])
    return Made(task, data, "a", root / "SegmentationClass" / "a.png")


def scans(root: Path) -> Made:
    """Write a volume of three slices and one of two, the second compressed."""
    need("nibabel")
    labels = np.arange(4 * 5 * 3).reshape(4, 5, 3) % 3
    for name, count in (("a.nii", 3), ("b.nii.gz", 2)):
        values = np.random.default_rng(count).integers(-1000, 1000, (4, 5, count))
        save_nifti(root / "images" / name, values.astype(np.int16))
        save_nifti(root / "masks" / name, labels[..., :count].astype(np.uint8))
    data = DataConfig(source="scans", images=root / "images", masks=root / "masks")
    return Made(ORGANS, data, "a/slice_003", root / "images" / "a.nii")


def video(root: Path) -> Made:
    """Write a film of four frames, of which two have a mask, and one of two frames."""
    for film, numbers in (("a", (2, 4)), ("b", (1,))):
        save_film(root / "images" / f"{film}.mkv", count=max(numbers))
        for number in numbers:
            mask = np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE) % 3
            save(root / "masks" / film / f"frame_{number:06d}.png", mask)
    data = DataConfig(source="video", images=root / "images", masks=root / "masks")
    return Made(ORGANS, data, "a/frame_000004", root / "images" / "a.mkv")


def scans_of_dicom(root: Path) -> Made:
    """Write a series with a label volume."""
    need("nibabel", "pydicom")
    labels = np.arange(3 * 4 * 5).reshape(5, 4, 3) % 3
    save_series(root / "images" / "ct", np.zeros((3, 4, 5), np.int16) - 7)
    matrix = np.diag([-0.7, -0.8, 5.0, 1.0])
    matrix[:3, 3] = (20, 30, 40)
    mask = save_nifti(root / "masks" / "ct.nii", labels.astype(np.uint8), matrix)
    data = DataConfig(source="scans", images=root / "images", masks=root / "masks")
    return Made(ORGANS, data, "ct/slice_003", mask)


def folder_of_stacks(root: Path) -> Made:
    images = np.stack([image("a") // (number + 1) for number in range(3)])
    path = root / "images" / "a.tif"
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, np.moveaxis(images, -1, 1), imagej=True, metadata={"axes": "ZCYX"})
    for number in (1, 2, 3):
        save(root / "masks" / "a" / f"Z00{number}.png", ids("a", 1) * 255)
    folders = {"images": root / "images", "masks": root / "masks", "axes": {"Z": "samples"}}
    return Made(CRACK, DataConfig.model_validate(folders), "a/Z001", path)


def vector(root: Path) -> Made:
    """Write a GeoTIFF of each name, side by side on the map, and a polygon on each of them."""
    rasterio = pytest.importorskip("rasterio", reason=NO_GEO)
    shapely = pytest.importorskip("shapely", reason=NO_GEO)
    from tests.helpers.maps import write_features

    boxes = []
    for number, name in enumerate(NAMES):
        height, width = SHAPES[name]
        path = root / "images" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        left = 400_000 + 100 * number
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=3,
            dtype="uint8",
            crs="EPSG:32633",
            transform=rasterio.Affine(1, 0, left, 0, -1, 5_800_000),
        ) as file:
            file.write(np.moveaxis(image(name), -1, 0))
        boxes.append(shapely.box(left, 5_800_000 - height, left + width / 2, 5_800_000))
    labels = root / "labels.gpkg"
    write_features(labels, boxes, {"class": ["liver"] * len(boxes)}, "EPSG:32633")
    data = DataConfig.model_validate(
        {
            "source": "vector",
            "images": root / "images",
            "annotations": labels,
            "vector": {"class_column": "class"},
        }
    )
    task = Task.multiclass(["background", "liver"])
    return Made(task, data, "a", root / "images" / "a.tif")


MAKERS: dict[str, Callable[[Path], Made]] = {
    "coco": coco,
    "folder": folder,
    "roboflow": roboflow,
    "scans": scans,
    "shapes": shapes,
    "tfds": tfds,
    "video": video,
    "vector": vector,
    "voc": voc,
}
for tool in label_sets.MAKERS:
    MAKERS[tool] = maker_of(tool)


"""One for each source of the catalog, by its name there."""


MORE = [
    folder_of_ids,
    folder_of_colours,
    folder_of_classes,
    folder_of_bands,
    folder_of_stacks,
    listed,
    scans_of_dicom,
    several_sets,
    folder_with_partial_labels,
]


every_source = pytest.mark.parametrize(
    "make", [*MAKERS.values(), *MORE], ids=lambda make: make.__name__
)
