"""Mask files that describe their values (white as 0, nodata, palettes, pages); accents."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource, in_folders
from segkit.data.sources.source import open_source
from segkit.io.images import write_picture
from tests.helpers.errors import fails
from tests.helpers.tiff_palettes import write_bits

BINARY = Task.binary("roof")
THREE = Task.multiclass(["background", "road", "tree"])
OBJECT = np.zeros((10, 12), bool)
OBJECT[2:6, 3:9] = True
IDS = np.where(OBJECT, 2, 0).astype(np.uint8)
IDS[7:, 1:4] = 1
HIDDEN = np.zeros((10, 12), bool)
HIDDEN[:2] = True


def source(root: Path, task: Task, **settings: Any) -> FolderSource:
    for path in (root / "masks").rglob("*.*"):
        name = path.relative_to(root / "masks").with_suffix("").as_posix()
        if not list((root / "images").glob(f"{name}.*")):
            write_picture(root / "images" / f"{name}.png", np.full((10, 12, 1), 9, np.uint8))
    return in_folders(root / "images", root / "masks", task, DataConfig(**settings))


def tiff(
    root: Path, values: np.ndarray, name: str = "a", nodata: object = None, **how: Any
) -> None:
    (root / "masks").mkdir(exist_ok=True)
    tags = [] if nodata is None else [(42113, "s", 0, str(nodata), True)]
    tifffile.imwrite(root / "masks" / f"{name}.tif", values, extratags=tags, **how)


def indexed(root: Path, name: str, indices: np.ndarray, *colours: tuple[int, int, int]) -> None:
    (root / "masks").mkdir(exist_ok=True)
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(root / "masks" / name)


BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize("compression", [None, "packbits"])
def test_trap_39_white_is_yes_where_0_is_white(tmp_path: Path, compression: str | None) -> None:
    tiff(
        tmp_path,
        np.where(OBJECT, 0, 255).astype(np.uint8),
        "a",
        photometric="miniswhite",
        compression=compression,
    )
    tiff(tmp_path, ~OBJECT, "b", photometric="miniswhite", compression=compression)
    tiff(tmp_path, OBJECT, "c", photometric="minisblack", compression=compression)
    Image.fromarray(OBJECT).save(
        tmp_path / "masks" / "d.tif", compression="group4", tiffinfo={262: 0}
    )
    for way in ("a", "b", "c", "d"):
        np.testing.assert_array_equal(source(tmp_path, BINARY).read(way).mask, OBJECT)


def test_trap_39_grey_edges_are_cut_as_they_are_seen(tmp_path: Path) -> None:
    tiff(tmp_path, np.where(OBJECT, 100, 200).astype(np.uint8), photometric="miniswhite")
    np.testing.assert_array_equal(
        source(tmp_path, BINARY, mask_threshold=128).read("a").mask, OBJECT
    )


def test_trap_39_ids_are_refused_if_0_is_white(tmp_path: Path) -> None:
    tiff(tmp_path, IDS, photometric="miniswhite")
    with fails(DataError, "mask-white", tmp_path / "masks" / "a.tif", "0, 1, 2"):
        source(tmp_path, THREE).read("a")


NODATA: dict[str, tuple[Task, np.ndarray, object, dict[str, Any]]] = {
    "ids of 16 bits": (THREE, IDS.astype(np.uint16), 65535, {}),
    "ids with a sign": (THREE, IDS.astype(np.int16), -9999, {}),
    "ids in floats": (THREE, IDS.astype(np.float32), "nan", {}),
    "ids of 8 bits": (THREE, IDS, 254, {}),
    "ids that begin with 1": (
        THREE,
        IDS + np.uint8(1),
        0,
        {"mask_values": {1: "background", 2: "road", 3: "tree"}},
    ),
    "yes and no": (BINARY, OBJECT.astype(np.uint8), 255, {}),
    "yes and no of 16 bits": (BINARY, OBJECT.astype(np.uint16) * 65535, 7, {}),
    "named as void": (
        THREE,
        IDS,
        77,
        {"mask_values": {0: "background", 1: "road", 2: "tree", 77: "void"}},
    ),
    "grey": (BINARY, np.where(OBJECT, 200, 100).astype(np.uint8), 255, {"mask_threshold": 128}),
}


@pytest.mark.parametrize("what", NODATA)
def test_trap_39_no_data_of_a_mask_is_void(tmp_path: Path, what: str) -> None:
    task, values, nodata, settings = NODATA[what]
    hole = np.nan if nodata == "nan" else nodata
    tiff(tmp_path, np.where(HIDDEN, hole, values).astype(values.dtype), nodata=nodata)
    tiff(tmp_path, np.full((10, 12), hole).astype(values.dtype), "b", nodata=nodata)
    expected = np.where(HIDDEN, VOID, IDS if task is THREE else OBJECT)
    found = source(tmp_path, task, **settings)
    np.testing.assert_array_equal(found.read("a").mask, expected)
    assert np.unique(found.read("b").mask).tolist() == [VOID]


@pytest.mark.parametrize(("task", "values"), [(THREE, IDS), (BINARY, OBJECT.astype(np.uint8))])
def test_trap_39_a_nodata_value_that_is_a_class_is_refused(
    tmp_path: Path, task: Task, values: np.ndarray
) -> None:
    tiff(tmp_path, values, nodata=0)
    with fails(DataError, "mask-nodata", tmp_path / "masks" / "a.tif", "data.mask_values"):
        source(tmp_path, task).read("a")
    names = (
        {0: "background", 1: "road", 2: "tree"} if task is THREE else {0: "absent", 1: "present"}
    )
    np.testing.assert_array_equal(source(tmp_path, task, mask_values=names).read("a").mask, values)
    void = {value: "void" if value == 0 else name for value, name in names.items()}
    np.testing.assert_array_equal(
        source(tmp_path, task, mask_values=void).read("a").mask, np.where(values == 0, VOID, values)
    )


def test_trap_39_no_data_of_colours_and_of_bands_is_void(tmp_path: Path) -> None:
    colours = np.array([(0, 0, 255), RED, GREEN], np.uint8)[IDS]
    colours[HIDDEN] = 255
    tiff(tmp_path, colours, nodata=255, photometric="rgb")
    named = {"#0000ff": "background", "#ff0000": "road", "#00ff00": "tree"}
    expected = np.where(HIDDEN, VOID, IDS)
    np.testing.assert_array_equal(
        source(tmp_path, THREE, mask_colours=named).read("a").mask, expected
    )
    white = {**named, "#ffffff": "tree"}
    np.testing.assert_array_equal(
        source(tmp_path, THREE, mask_colours=white).read("a").mask, np.where(HIDDEN, 2, IDS)
    )
    indices = np.where(HIDDEN, 0, IDS + 1).astype(np.uint8)
    palette = np.zeros((256, 3), np.uint16)
    palette[:4] = np.array([WHITE, (0, 0, 255), RED, GREEN]) * 257
    tiff(tmp_path, indices, nodata=0, photometric="palette", colormap=palette.T)
    np.testing.assert_array_equal(
        source(tmp_path, THREE, mask_colours=named).read("a").mask, expected
    )
    np.testing.assert_array_equal(
        source(tmp_path, THREE, mask_colours=white).read("a").mask, np.where(HIDDEN, 2, IDS)
    )
    bands = np.dstack([OBJECT, IDS == 1]).astype(np.uint8)
    bands[HIDDEN] = 9
    tiff(tmp_path, bands, nodata=9, photometric="minisblack", planarconfig="contig")
    both = source(tmp_path, Task.multilabel(["roof", "road"])).read("a").mask
    np.testing.assert_array_equal(
        both, np.where(HIDDEN[..., None], VOID, np.dstack([OBJECT, IDS == 1]))
    )


def test_trap_39_what_a_page_of_transparency_hides_is_void(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with tifffile.TiffWriter(tmp_path / "masks" / "a.tif") as file:
        file.write(IDS, metadata=None)
        file.write(~HIDDEN, subfiletype=4, photometric="mask", metadata=None)
    np.testing.assert_array_equal(
        source(tmp_path, THREE).read("a").mask, np.where(HIDDEN, VOID, IDS)
    )


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_trap_39_alpha_of_a_mask_on_a_map_is_void_and_elsewhere_refused(
    tmp_path: Path, photometric: str
) -> None:
    alpha = np.where(HIDDEN, 0, 255).astype(np.uint8)
    values = np.dstack([IDS, alpha] if photometric == "minisblack" else [IDS, IDS, IDS, alpha])
    how: dict[str, Any] = {
        "photometric": photometric,
        "planarconfig": "contig",
        "extrasamples": ["unassalpha"],
    }
    (tmp_path / "masks").mkdir()
    place = [(33550, "d", 3, (1.0, 1.0, 0.0), True)]
    tifffile.imwrite(tmp_path / "masks" / "a.tif", values, extratags=place, **how)
    tifffile.imwrite(tmp_path / "masks" / "b.tif", values, **how)
    found = source(tmp_path, THREE)
    np.testing.assert_array_equal(found.read("a").mask, np.where(HIDDEN, VOID, IDS))
    with fails(DataError, "mask-alpha", tmp_path / "masks" / "b.tif"):
        found.read("b")


def test_trap_39_where_the_image_has_no_data_the_mask_is_void(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    heights = np.where(HIDDEN, -9999, 200).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "images" / "a.tif", heights, extratags=[(42113, "s", 0, "-9999", True)]
    )
    tiff(tmp_path, IDS)
    sample = source(tmp_path, THREE).read("a")
    np.testing.assert_array_equal(sample.mask, np.where(HIDDEN, VOID, IDS))
    assert np.unique(sample.image).tolist() == [200]
    np.testing.assert_array_equal(sample.valid, ~HIDDEN)
    layers = np.dstack([OBJECT, IDS == 1]).astype(np.uint8)
    tiff(tmp_path, layers, photometric="minisblack", planarconfig="contig")
    mask = source(tmp_path, Task.multilabel(["roof", "road"])).read("a").mask
    np.testing.assert_array_equal(mask, np.where(HIDDEN[..., None], VOID, layers))


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_trap_40_white_is_yes_wherever_it_stands_in_a_palette(tmp_path: Path, suffix: str) -> None:
    indexed(tmp_path, f"a{suffix}", ~OBJECT, WHITE, BLACK)
    indexed(tmp_path, f"b{suffix}", OBJECT, BLACK, WHITE)
    indexed(tmp_path, f"c{suffix}", np.zeros((10, 12)), BLACK)
    Image.fromarray(OBJECT).save(tmp_path / "masks" / "d.png")
    Image.fromarray(OBJECT * np.uint8(255)).save(tmp_path / "masks" / "e.bmp")
    found = source(tmp_path, BINARY)
    for name, expected in (("a", OBJECT), ("b", OBJECT), ("c", 0 * OBJECT)):
        np.testing.assert_array_equal(found.read(name).mask, expected)


def test_trap_40_a_palette_tiff_is_read_by_the_same_rule(tmp_path: Path) -> None:
    colours = np.zeros((3, 256), np.uint16)
    colours[:, 0] = 65535
    tiff(tmp_path, (~OBJECT).astype(np.uint8), photometric="palette", colormap=colours)
    np.testing.assert_array_equal(source(tmp_path, BINARY).read("a").mask, OBJECT)
    write_bits(tmp_path / "masks" / "a.tif", ~OBJECT, [WHITE, BLACK])
    np.testing.assert_array_equal(source(tmp_path, BINARY).read("a").mask, OBJECT)


@pytest.mark.parametrize("task", [BINARY, THREE])
@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_trap_40_an_index_with_two_colours_is_refused(
    tmp_path: Path, task: Task, suffix: str
) -> None:
    indexed(tmp_path, f"a{suffix}", OBJECT, BLACK, RED)
    indexed(tmp_path, f"b{suffix}", OBJECT, BLACK, GREEN)
    found = source(tmp_path, task)
    np.testing.assert_array_equal(found.read("a").mask, OBJECT)
    with fails(
        DataError,
        "mask-palette",
        tmp_path / "masks" / f"b{suffix}",
        "#00ff00",
        "#ff0000",
        "data.mask_colours",
    ):
        found.read("b")
    named = {"#000000": task.classes[0] if task is THREE else "absent"}
    named |= dict.fromkeys(("#ff0000", "#00ff00"), "road" if task is THREE else "present")
    for name in ("a", "b"):
        np.testing.assert_array_equal(
            source(tmp_path, task, mask_colours=named).read(name).mask, OBJECT
        )


def test_trap_40_colours_that_do_not_occur_may_differ(tmp_path: Path) -> None:
    indexed(tmp_path, "a.png", OBJECT, BLACK, RED, GREEN)
    indexed(tmp_path, "b.png", OBJECT, BLACK, RED, WHITE)
    for name in ("a", "b"):
        np.testing.assert_array_equal(source(tmp_path, THREE).read(name).mask, OBJECT)


def test_trap_40_no_is_black_if_black_is_one_of_two_colours(tmp_path: Path) -> None:
    indexed(tmp_path, "a.png", ~OBJECT, RED, BLACK)
    with fails(
        DataError, "mask-palette", tmp_path / "masks" / "a.png", "#ff0000", "data.mask_colours"
    ):
        source(tmp_path, BINARY).read("a")
    np.testing.assert_array_equal(source(tmp_path, THREE).read("a").mask, ~OBJECT)
    named = {0: "present", 1: "absent"}
    np.testing.assert_array_equal(
        source(tmp_path, BINARY, mask_values=named).read("a").mask, OBJECT
    )


def test_trap_40_a_threshold_compares_the_greys_of_a_palette(tmp_path: Path) -> None:
    indexed(tmp_path, "a.gif", ~OBJECT, (200, 200, 200), (90, 90, 90))
    np.testing.assert_array_equal(
        source(tmp_path, BINARY, mask_threshold=128).read("a").mask, OBJECT
    )


def stacks(root: Path, task_masks: np.ndarray) -> DataConfig:
    for folder, values in (
        ("images", np.arange(3)[:, None, None] * 50 + np.zeros((10, 12))),
        ("masks", task_masks),
    ):
        (root / folder).mkdir()
        tifffile.imwrite(root / folder / "s.tif", values.astype(np.uint8), photometric="minisblack")
    return DataConfig(images=root / "images", masks=root / "masks", pages="samples")


def test_trap_39_pages_of_a_stack_are_samples_with_the_pages_of_its_mask(tmp_path: Path) -> None:
    pages = np.stack([OBJECT, ~OBJECT, 0 * OBJECT]).astype(np.uint8) * 255
    found = open_source(stacks(tmp_path, pages), BINARY)
    assert list(found.names) == ["s#001", "s#002", "s#003"]
    for page, name in enumerate(found.names):
        sample = found.read(name)
        assert np.unique(sample.image).tolist() == [50 * page]
        np.testing.assert_array_equal(sample.mask, pages[page] > 0)
    assert isinstance(found, FolderSource)
    assert found.image_file("s#002") == tmp_path / "images" / "s.tif"
    assert found.files("s#002") == [tmp_path / "images" / "s.tif", tmp_path / "masks" / "s.tif"]


def test_a_stack_and_a_mask_of_other_pages_do_not_fit(tmp_path: Path) -> None:
    data = stacks(tmp_path, np.zeros((2, 10, 12)))
    with fails(DataError, "pages", tmp_path / "masks" / "s.tif", 2, 3):
        open_source(data, BINARY)


def test_a_single_picture_beside_a_stack_keeps_its_name(tmp_path: Path) -> None:
    data = stacks(tmp_path, np.zeros((3, 10, 12)))
    write_picture(tmp_path / "images" / "p.png", np.zeros((10, 12, 1), np.uint8))
    write_picture(tmp_path / "masks" / "p.png", OBJECT[..., None] * np.uint8(255))
    found = open_source(data, BINARY)
    assert list(found.names) == ["p", "s#001", "s#002", "s#003"]
    np.testing.assert_array_equal(found.read("p").mask, OBJECT)


def test_stacks_in_a_list_are_in_the_part_of_their_line(tmp_path: Path) -> None:
    stacks(tmp_path, np.zeros((3, 10, 12)))
    (tmp_path / "list.csv").write_text(
        "image,mask,split\nimages/s.tif,masks/s.tif,test\n", encoding="utf-8"
    )
    found = open_source(DataConfig(list_file=tmp_path / "list.csv", pages="samples"), BINARY)
    assert dict(found.parts) == {"test": [f"images/s#00{page}" for page in (1, 2, 3)]}


ACCENTS = "Köln"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_with_accents_pair_however_they_are_written(
    tmp_path: Path, forms: tuple[str, str]
) -> None:
    image, mask = (unicodedata.normalize(form, ACCENTS) for form in forms)  # type: ignore[arg-type]
    write_picture(tmp_path / "images" / f"{image}.png", np.zeros((10, 12, 1), np.uint8))
    write_picture(tmp_path / "masks" / f"{mask}_mäsk.png", OBJECT[..., None].astype(np.uint8))
    suffix = unicodedata.normalize(forms[0], "_mäsk")  # type: ignore[arg-type]
    found = in_folders(
        tmp_path / "images", tmp_path / "masks", BINARY, DataConfig(mask_suffix=suffix)
    )
    np.testing.assert_array_equal(found.read(image).mask, OBJECT)
    (tmp_path / "list.csv").write_text(
        f"image,mask\nimages/{mask}.png,masks/{image}_mäsk.png\n", encoding="utf-8"
    )
    listed = open_source(DataConfig(list_file=tmp_path / "list.csv"), BINARY)
    np.testing.assert_array_equal(listed.read(listed.names[0]).mask, OBJECT)


def test_class_folders_with_accents_are_found_however_they_are_written(tmp_path: Path) -> None:
    labels = ["Bäume", "Straße"]
    for label in labels:
        folder = tmp_path / "masks" / unicodedata.normalize("NFD", label)
        write_picture(folder / "a.png", OBJECT[..., None].astype(np.uint8))
    write_picture(tmp_path / "images" / "a.png", np.zeros((10, 12, 1), np.uint8))
    found = in_folders(tmp_path / "images", tmp_path / "masks", Task.multilabel(labels))
    np.testing.assert_array_equal(found.read("a").mask, np.dstack([OBJECT, OBJECT]))


def test_two_names_that_look_alike_are_refused(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        for folder in ("images", "masks"):
            name = unicodedata.normalize(form, ACCENTS)  # type: ignore[arg-type]
            write_picture(tmp_path / folder / f"{name}.png", np.zeros((10, 12, 1), np.uint8))
    with fails(DataError, "duplicate-name"):
        in_folders(tmp_path / "images", tmp_path / "masks", BINARY)
