"""YAML blocks of docs/how-to are valid configs, and those about files read the described data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID
from segkit.config import Config, read
from segkit.data.parts import open_parts
from segkit.data.sources.source import open_source
from tests.helpers.extras import NO_GEO
from tests.helpers.label_sets import (
    labelme_file,
    labelme_shape,
    studio_region,
    studio_task,
    write_json,
)
from tests.helpers.maps import LEFT, TOP, north_up, write_features, write_raster

PAGES = sorted((Path(__file__).parents[2] / "docs" / "how-to").glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


CONFIGS = {
    f"{page.stem} {i}": block for page in PAGES for i, block in enumerate(blocks(page, "yaml"))
}


def config_of(name: str, folder: Path) -> Config:
    path = folder / "config.yaml"
    path.write_text(CONFIGS[name], encoding="utf-8")
    return read(path)


def save(path: str, pixels: object, mode: str | None = None) -> None:
    """Save 8-bit pixels below the current folder; mode P adds a palette of many colours."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.array(pixels, np.uint8))
    if mode == "P":
        picture.putpalette([(37 * i) % 256 for i in range(768)])
    picture.save(target)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", CONFIGS)
def test_a_yaml_block_is_a_whole_config(here: Path, name: str) -> None:
    assert config_of(name, here).task.classes


def image(folder: str = "data/images", name: str = "a.jpg", width: int = 3) -> None:
    save(f"{folder}/{name}", np.zeros((1, width, 3)))


def ids() -> None:
    image()
    image(name="monday/b.png")
    save("data/masks/a.png", [[0, 2, 255]], "P")
    Path("data/masks/monday").mkdir()
    Image.fromarray(np.array([[1, 1, 0]], np.uint16)).save("data/masks/monday/b.png")


def yes_and_no() -> None:
    image()
    image(name="b.jpg")
    save("data/masks/a.png", [[0, 255, 255]])
    save("data/masks/b.png", [[0, 0, 0]])


def values() -> None:
    image()
    image(name="b.jpg")
    save("data/masks/a.png", [[0, 1, 255]])
    save("data/masks/b.png", [[0, 0, 255]])


def colours() -> None:
    image(width=4)
    save("data/masks/a.png", [[[0, 0, 0], [255, 0, 0], [250, 5, 0], [255, 255, 255]]])


def soft() -> None:
    image(width=16)
    save("data/masks/a.jpg", np.repeat([[0, 255]], 8, axis=1).repeat(8, axis=0))
    save("data/images/a.jpg", np.zeros((8, 16, 3)))


def layers() -> None:
    image()
    save("data/masks/vessel/a.png", [[255, 255, 0]])
    save("data/masks/tumour/a.png", [[0, 255, 0]])


def bands() -> None:
    image()
    Path("data/masks").mkdir()
    pixels = np.array([[[1, 0], [1, 1], [0, 0]]], np.uint8)
    tifffile.imwrite("data/masks/a.tif", pixels, photometric="minisblack", planarconfig="contig")


def beside() -> None:
    image("data/photos")
    save("data/photos/a_mask.png", [[0, 1, 1]])


def listed() -> None:
    [text] = blocks(next(page for page in PAGES if page.stem == "folder"), "csv")
    for name, mask in (("a", "a_v2"), ("b", "b_v1")):
        image("data/photos", f"{name}.jpg")
        save(f"data/labels/{mask}.png", [[0, 1, 1]])
    Path("data/samples.csv").write_text(text)


def own_parts() -> None:
    for part, value in (("train", 1), ("val", 2)):
        image(f"data/{part}/images", f"{part}.jpg")
        save(f"data/{part}/masks/{part}.png", [[0, value, 255]])


def numbered() -> None:
    image()
    save("data/masks/a.png", [[0, 1, 7]])


def combined() -> None:
    """One mask file per object, combined by the code of the page."""
    root = "stage1_train/0a1"
    save(f"{root}/images/0a1.png", np.zeros((1, 3, 4)))
    save(f"{root}/masks/ff.png", [[0, 255, 0]])
    save(f"{root}/masks/ee.png", [[0, 0, 255]])
    [script] = blocks(next(page for page in PAGES if page.stem == "folder"), "py")
    subprocess.run([sys.executable, "-c", script], check=True)


def two_suffixes() -> None:
    image("data/train", "a_sat.jpg")
    save("data/train/a_mask.png", [[0, 255, 0]])


def large() -> None:
    for folder in ("images", "masks"):
        save(f"data/{folder}/a.png", np.eye(1000, 2000))


def stack() -> None:
    pages = np.array([[[0, 255, 255]], [[255, 255, 255]]], np.uint8)
    for folder in ("images", "masks"):
        Path("data", folder).mkdir(parents=True)
        tifffile.imwrite(f"data/{folder}/stack.tif", pages, photometric="minisblack")


def voc() -> None:
    root = "VOCdevkit/VOC2012"
    for name in ("2007_000001", "2007_000002", "2007_000003"):
        image(f"{root}/JPEGImages", f"{name}.jpg")
    save(f"{root}/SegmentationClass/2007_000001.png", [[0, 15, 255]], "P")
    save(f"{root}/SegmentationClass/2007_000002.png", [[20, 1, 255]], "P")
    lists = Path(root, "ImageSets", "Segmentation")
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000001\n")
    (lists / "val.txt").write_text("2007_000002\n")
    [script] = blocks(next(page for page in PAGES if page.stem == "voc"), "sh")
    subprocess.run(["bash", "-euc", script], check=True)


def labelme() -> None:
    shapes = []
    for place, label in enumerate(("person", "puppy", "blurred")):
        shapes.append(labelme_shape(label, [[place, 0], [place + 1, 1]], "rectangle"))
    image("data/annotated", width=4)
    write_json(Path("data/annotated/a.json"), labelme_file(shapes, "a.jpg", (1, 4)))


def labelstudio() -> None:
    image(width=4)
    result = []
    for place, label in enumerate(("person", "tree")):
        value = {"x": 25 * place, "y": 0, "width": 25, "height": 100, "rectanglelabels": [label]}
        result.append(studio_region("rectanglelabels", value, (1, 4)))
    write_json(Path("data/export.json"), [studio_task("/data/upload/a.jpg", result)])


def run_lengths() -> None:
    image("data/train_images")
    Path("data/train.csv").write_text("ImageId,EncodedPixels\na.jpg,2 2\n")


def coco() -> None:
    """Write an image with a person over a dog and a crowd at the right, and others with nothing."""
    regions = [
        {"category_id": 1, "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]]},
        {"category_id": 18, "iscrowd": 0, "segmentation": [[1, 0, 3, 0, 3, 1, 1, 1]]},
        {"category_id": 18, "iscrowd": 1, "segmentation": {"size": [1, 4], "counts": [3, 1]}},
    ]
    categories = [
        {"id": 1, "name": "person"},
        {"id": 18, "name": "dog"},
        {"id": 90, "name": "toothbrush"},
    ]
    Path("data/annotations").mkdir(parents=True)
    for part, names in (("train", ("a", "b")), ("val", ("c",))):
        for name in names:
            image(f"data/{part}2017", f"{name}.jpg", width=4)
        images = [
            {"id": i, "file_name": f"{name}.jpg", "width": 4, "height": 1}
            for i, name in enumerate(names)
        ]
        drawn = [
            {"id": i, "image_id": 0, **region}
            for i, region in enumerate(regions if part == "train" else [])
        ]
        info = {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org"}
        content = {"info": info, "images": images, "annotations": drawn, "categories": categories}
        Path(f"data/annotations/instances_{part}2017.json").write_text(json.dumps(content))


def maps() -> None:
    """Write a sheet of a map, with a house below a road, a ruin, and an area up to column 6."""
    pytest.importorskip("rasterio", reason=NO_GEO)
    shapely = pytest.importorskip("shapely", reason=NO_GEO)
    pixels = np.ones((1, 8, 4), np.uint8)
    write_raster(Path("sheets/a.tif"), pixels, transform=north_up(6))

    def columns(first: int, last: int) -> object:
        return shapely.box(LEFT + 6 * first, TOP - 6, LEFT + 6 * last, TOP)

    shapes = [columns(0, 2), columns(1, 3), columns(4, 5), columns(5, 6)]
    kinds = ["villa", "street", "ruin", "unsure"]
    write_features(Path("labels.gpkg"), shapes, {"kind": kinds}, layer="buildings")
    write_features(Path("labels.gpkg"), [columns(0, 7)], {"n": [1]}, layer="finished")


READ: dict[str, list[tuple[Callable[[], None], str, object]]] = {
    "folder 0": [(ids, "a", [[0, 2, VOID]]), (ids, "monday/b", [[1, 1, 0]])],
    "folder 1": [(yes_and_no, "a", [[0, 1, 1]]), (yes_and_no, "b", [[0, 0, 0]])],
    "folder 2": [(values, "a", [[0, 1, VOID]]), (values, "b", [[0, 0, VOID]])],
    "folder 3": [(colours, "a", [[0, 1, 1, VOID]])],
    "folder 4": [(soft, "a", [[0] * 8 + [1] * 8] * 8)],
    "folder 5": [
        (layers, "a", [[[1, 0], [1, 1], [0, 0]]]),
        (bands, "a", [[[1, 0], [1, 1], [0, 0]]]),
    ],
    "folder 6": [(layers, "a", [[1, 2, 0]])],
    "folder 7": [(beside, "a", [[0, 1, 1]])],
    "folder 8": [(listed, "photos/a", [[0, 1, 1]])],
    "folder 9": [(own_parts, "train", [[0, 1, VOID]])],
    "folder 10": [(numbered, "a", [[0, 1, 1]]), (combined, "0a1", [[0, 1, 1]])],
    "folder 11": [(two_suffixes, "a_sat", [[0, 1, 0]])],
    "folder 12": [(large, "a@0-0", np.eye(468, 452, dtype=int).tolist())],
    "folder 13": [(stack, "stack#001", [[0, 1, 1]]), (stack, "stack#002", [[1, 1, 1]])],
    "coco 0": [(coco, "a", [[1, 1, 2, VOID]]), (coco, "b", [[0, 0, 0, 0]])],
    "maps 0": [(maps, "a", [[1, 2, 2, 0, 0, VOID, 0, VOID]])],
    "voc 0": [(voc, "2007_000001", [[0, 1, VOID]])],
    "voc 1": [
        (voc, "JPEGImages/2007_000001", [[0, 15, VOID]]),
        (voc, "JPEGImages/2007_000002", [[20, 1, VOID]]),
    ],
    "voc 2": [(voc, "JPEGImages/2007_000001", [[0, 1, VOID]])],
    "labels 0": [(labelme, "a", [[1, 2, VOID, 0]])],
    "labels 1": [(labelstudio, "a", [[1, 0, 0, 0]])],
    "labels 2": [(run_lengths, "a", [[0, 1, 1]])],
}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in READ.items() for case in cases]
)
def test_a_config_reads_what_its_page_describes(
    here: Path, name: str, case: tuple[Callable[[], None], str, object]
) -> None:
    build, sample, mask = case
    build()
    config = config_of(name, here)
    assert open_source(config.data, config.task).read(sample).mask.tolist() == mask


def test_every_config_of_the_pages_on_files_is_read() -> None:
    assert {
        name for name in CONFIGS if name.split()[0] in ("folder", "coco", "maps", "voc", "labels")
    } == set(READ)


def test_the_code_about_the_size_of_a_pixel_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [script] = blocks(next(page for page in PAGES if page.stem == "pixel-size"), "py")
    exec(compile(script, "pixel-size.md", "exec"), {"__name__": "page"})
    assert "GeoTIFF" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "build", "sizes"),
    [
        ("folder 8", listed, (1, 1, 0)),
        ("folder 9", own_parts, (1, 1, 0)),
        ("coco 0", coco, (1, 1, 1)),
        ("voc 0", voc, (1, 1, 0)),
        ("voc 1", voc, (1, 1, 0)),
    ],
)
def test_parts_are_those_on_the_page(
    here: Path, name: str, build: Callable[[], None], sizes: tuple[int, int, int]
) -> None:
    build()
    assert tuple(len(part) for part in open_parts(config_of(name, here)).values()) == sizes
