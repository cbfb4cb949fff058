"""Predictions of a GeoTIFF have its location, and are VOID where it has no data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import Config, DataConfig, RunConfig
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import Subset
from segkit.evaluation.evaluate import score_part
from segkit.inference.files import Summary, predict_files
from segkit.inference.large.files import separate_large
from segkit.inference.large.predict import predict_large
from segkit.inference.outputs.summary import header, read_summary
from segkit.inference.outputs.writer import Outputs
from segkit.io.images import read_pixels, write_picture
from segkit.io.masks import mask_paths, read_mask
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.large_cases import ROOM
from tests.helpers.stand_in import config_of, network, picture

pytestmark = pytest.mark.long

KEYS = (1, 1, 0, 4, 1024, 0, 1, 1, 1025, 0, 1, 1, 2049, 34737, 7, 0, 3072, 0, 1, 32633)
SCALED = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0, 0, 0, 400_000.5, 5_600_000.25, 0), True),
    (34735, "H", len(KEYS), KEYS, True),
    (34736, "d", 2, (6378137.0, 298.257223563), True),
    (34737, "s", 8, "WGS 84|", True),
]
TURNED = [
    (34264, "d", 16, (0.4, 0.3, 0, 500, 0.3, -0.4, 0, 900, 0, 0, 0, 0, 0, 0, 0, 1), True),
    SCALED[2],
    *SCALED[3:],
]
PLACES = {"a pixel scale and a tie point": SCALED, "a transformation": TURNED}
MODEL = (
    "ModelPixelScale",
    "ModelTiepoint",
    "ModelTransformation",
    "GTModelTypeGeoKey",
    "ProjectedCSTypeGeoKey",
)
OUTPUTS: dict[str, Any] = {"probabilities": "tif", "formats": ("instances",), "uncertainty": True}


def geotiff(
    path: Path, image: np.ndarray, tags: list[Any], nodata: str | None = None, **how: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    more = [] if nodata is None else [(42113, "s", 0, nodata, True)]
    tifffile.imwrite(path, image, photometric="rgb", extratags=[*tags, *more], **how)
    return path


def place(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tiff:
        found = tiff.geotiff_metadata or {}
    return {key: str(value) for key, value in found.items()}


def nodata_tag(path: Path) -> str | None:
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags.get(42113)
    return None if tag is None else str(tag.value)


def predicted(
    task: Task, images: dict[str, Path], outputs: Outputs, config: Config | None = None, **more: Any
) -> Summary:
    chosen = config or config_of(task)
    return predict_files(
        lambda batch: network(batch, task),
        RunConfig.model_validate(dict(chosen)),
        images,
        outputs,
        **more,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", PLACES)
def test_every_raster_output_has_the_location_of_the_image(
    tmp_path: Path, kind: str, where: str
) -> None:
    task, image = task_of(kind), picture(1, 20, 30)
    path = geotiff(tmp_path / "in" / "a.tif", image, PLACES[where])
    write_picture(tmp_path / "in" / "b.png", image)
    outputs = Outputs(tmp_path / "out", **OUTPUTS)
    assert predicted(task, {"a": path, "b": tmp_path / "in" / "b.png"}, outputs).failed == []
    expected = place(path)
    assert set(MODEL[3:]) < set(expected) & set(MODEL)
    written = list(tmp_path.rglob("out*/**/a.tif"))
    assert len(written) == 3 - 1 + 2 * task.planes
    for found in written:
        assert place(found) == expected, found
        assert nodata_tag(found) is None
    own = mask_paths(task, outputs.masks, "a", ".tif")
    for with_place, without in zip(own, mask_paths(task, outputs.masks, "b"), strict=True):
        np.testing.assert_array_equal(tifffile.imread(with_place), read_png(without))


def read_png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


NUMBERS = {"mask_values": {9: "void", 1: "background", 2: "liver", 3: "tumour"}}
COLOURS = {"mask_colours": {"#0a0a0a": "background", "#ff0000": "liver", "#00ff00": "tumour"}}
VOIDS: dict[str, tuple[Task, dict[str, Any], Any, str]] = {
    "ids": (task_of("multiclass"), {}, 255, "255"),
    "yes and no": (task_of("binary"), {}, 128, "128"),
    "several classes": (task_of("multilabel"), {}, 128, "128"),
    "numbers of the data set": (task_of("multiclass"), NUMBERS, 9, "9"),
    "colours of the data set": (task_of("multiclass"), COLOURS, [128] * 3, "128"),
}
"""Task, how masks are read, what void is stored as, and the tag that says so."""


@pytest.mark.parametrize("way", ["whole", "by windows"])
@pytest.mark.parametrize("name", VOIDS)
def test_trap_39_pixels_without_data_become_void(tmp_path: Path, name: str, way: str) -> None:
    task, setting, stored, tag = VOIDS[name]
    config = config_of(task).model_copy(update={"data": DataConfig.model_validate(setting)})
    image = picture(1, 100, 130)
    image[10:40, 20:120] = 7
    image[50, 60] = (7, 7, 8)  # one band holds data
    path = geotiff(tmp_path / "in" / "a.tif", image, SCALED, "7")
    plain = geotiff(tmp_path / "in" / "b.tif", image, SCALED)
    outputs, masks = Outputs(tmp_path / "out"), {}
    for image_name, file in (("a", path), ("b", plain)):
        if way == "whole":
            assert predicted(task, {image_name: file}, outputs, config).failed == []
        else:
            predict_large(
                lambda batch: network(batch, task), config, file, outputs.masks, image_name, ROOM
            )
        masks[image_name] = [
            tifffile.imread(found) for found in sorted(outputs.masks.rglob(f"{image_name}.tif"))
        ]
    missing = (image == 7).all(-1)
    assert missing.sum() == 3000
    assert len(masks["a"]) == task.planes
    for found, without in zip(masks["a"], masks["b"], strict=True):
        np.testing.assert_array_equal(found[~missing], without[~missing])
        assert (found[missing] == np.array(stored)).all()
        assert not (without == np.array(stored)).all(axis=tuple(range(2, without.ndim))).any()
    for found in outputs.masks.rglob("*.tif"):
        assert place(found) == place(path)
        assert nodata_tag(found) == (tag if found.name == "a.tif" else None)


HIDDEN = ["alpha on a map", "alpha", "an internal mask on a map", "an internal mask"]


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_pixels_are_void_whether_the_image_is_read_whole_or_by_windows(
    tmp_path: Path, name: str, kind: str
) -> None:
    task = task_of(kind)
    image = picture(1, 100, 130)
    hidden = np.zeros(image.shape[:2], bool)
    hidden[10:40, 20:120] = True
    tags = SCALED if "map" in name else []
    path = tmp_path / "a.tif"
    if "alpha" in name:
        alpha = np.where(hidden, 0, 255).astype(np.uint8)
        geotiff(path, np.dstack([image, alpha]), tags, extrasamples=["unassalpha"])
    else:
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(image, photometric="rgb", extratags=tags)
            tiff.write(~hidden, photometric="mask", subfiletype=4)
    outputs = Outputs(tmp_path / "whole")
    assert predicted(task, {"a": path}, outputs).failed == []
    predict_large(
        lambda batch: network(batch, task), config_of(task), path, tmp_path / "windows", "a", ROOM
    )
    suffix = ".tif" if tags else ".png"
    own = mask_paths(task, outputs.masks, "a", suffix)
    by_windows = mask_paths(task, tmp_path / "windows", "a", ".tif")
    for whole, windows in zip(own, by_windows, strict=True):
        mask = read_mask(whole)
        np.testing.assert_array_equal(mask, read_mask(windows))
        void = VOID if task.stores_ids else 128
        np.testing.assert_array_equal(mask == void, hidden)
        if tags:
            assert nodata_tag(whole) == nodata_tag(windows) == str(void)


def test_pixels_without_data_are_in_no_table_object_or_probability(tmp_path: Path) -> None:
    task, image = task_of("multiclass"), picture(1, 40, 30)
    image[:20] = 0
    path = geotiff(tmp_path / "a.tif", image, SCALED, "0")
    outputs = Outputs(tmp_path / "out", overlays=True, **OUTPUTS)
    assert predicted(task, {"a": path}, outputs).failed == []
    for folder in ("out-probabilities", "out-uncertainty"):
        values = tifffile.imread(tmp_path / folder / "a.tif")
        assert np.isnan(values[:20]).all()
        assert not np.isnan(values[20:]).any()
        assert nodata_tag(tmp_path / folder / "a.tif") == "nan"
    assert not tifffile.imread(tmp_path / "out-instances" / "a.tif")[:20].any()
    row = read_summary(task, tmp_path / "out-summary.csv")["a"]
    columns = dict(zip(header(task), row, strict=True))
    assert sum(int(columns[f"{name} area"]) for name in task.classes) == 20 * 30
    assert columns["labelled"] == str(20 * 30)
    for name in task.classes:
        area = int(columns[f"{name} area"])
        assert float(columns[f"{name} labelled_share"]) == round(area / (20 * 30), 6)
        assert float(columns[f"{name} share"]) == round(area / (40 * 30), 6)
    (tmp_path / "out-summary.csv").unlink()
    assert (
        predicted(task, {"a": path}, outputs, skip_existing=True).skipped == 1
    )  # now counted in the file
    assert read_summary(task, tmp_path / "out-summary.csv")["a"] == row


def test_a_run_scored_against_its_own_masks_with_nodata_is_perfect(tmp_path: Path) -> None:
    """Where void is named in the data set's coding, or is segkit's 255 among ids."""
    task, image = task_of("multiclass"), picture(1, 40, 30)
    image[:20] = 0
    path = geotiff(tmp_path / "in" / "a.tif", image, SCALED, "0")
    for number, setting in enumerate(({}, NUMBERS)):
        config = config_of(task).model_copy(update={"data": DataConfig.model_validate(setting)})
        masks = tmp_path / f"out{number}"
        predicted(task, {"a": path}, Outputs(masks), config)
        source = in_folders(tmp_path / "in", masks, task, config.data)
        assert (source.read("a").mask[:20] == VOID).all()
        report = score_part(
            lambda batch: network(batch, task), config, Subset(source, source.names)
        )
        assert {values["dice"] for values in report["classes"].values()} == {1.0}
        assert sum(values["pixels_true"] for values in report["classes"].values()) == 20 * 30


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("-9999", [-9999, 1, 0], [False, True, True]),
        ("-3.4028234663852886e+38", [-3.4028234663852886e38, 1, 0], [False, True, True]),
        ("nan", [math.nan, 1, 0], [False, True, True]),
        (" 0 ", [1, 0, 2], [True, False, True]),
        ("none", [1, 0, 2], None),
        ("-9999", [1, 255, 0], None),
    ],
)
def test_the_value_of_no_data_is_read_as_gdal_writes_it(
    tmp_path: Path, text: str, values: list[float], expected: list[bool] | None
) -> None:
    kind = np.uint8 if min(values) >= 0 and not math.isnan(values[0]) else np.float32
    tifffile.imwrite(
        tmp_path / "a.tif", np.array([values], kind), extratags=[(42113, "s", 0, text, True)]
    )
    found = read_pixels(tmp_path / "a.tif").valid
    assert (None if found is None else found[0].tolist()) == expected


def test_an_image_has_one_mask_whatever_its_suffix(tmp_path: Path) -> None:
    task, image = task_of("binary"), picture(1, 20, 30)
    path = geotiff(tmp_path / "in" / "a.tif", image, SCALED)
    outputs = Outputs(tmp_path / "out")
    write_picture(
        tmp_path / "out" / "a.png", image[..., :1] * 0
    )  # an older version's, without a place
    before = (tmp_path / "out" / "a.png").read_bytes()
    ((failed, problem),) = predicted(task, {"a": path}, outputs).failed
    assert failed == path
    assert str(tmp_path / "out" / "a.png") in problem
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert predicted(task, {"a": path}, outputs, skip_existing=True).skipped == 1
    (tmp_path / "out" / "a.png").unlink()
    assert predicted(task, {"a": path}, outputs).written == 1
    with fails(DataError, "duplicate-name", tmp_path / "out" / "a.png"):
        (tmp_path / "out" / "a.png").write_bytes(before)
        predict_large(
            lambda batch: network(batch, task), config_of(task), path, tmp_path / "out", "a", ROOM
        )


def test_a_mask_on_the_map_does_not_count_as_predicted_in_windows(tmp_path: Path) -> None:
    """A plain TIFF's .tif mask is, so that a .png never becomes a second mask of it."""
    task = task_of("binary")
    config, outputs = config_of(task), Outputs(tmp_path / "out")
    placed = geotiff(tmp_path / "in" / "a.tif", picture(1, 100, 130), SCALED)
    plain = geotiff(tmp_path / "in" / "b.tif", picture(1, 100, 130), [])
    images = {"a": placed, "b": plain}
    for name in images:
        predict_large(
            lambda batch: network(batch, task), config, images[name], outputs.masks, name, ROOM
        )
    assert separate_large(config, images, outputs, 10**12) == ({"a": placed}, {"b": plain})
    with fails(ConfigError, "contradiction", plain, "--overlay"):
        separate_large(config, images, outputs._replace(overlays=True), 10**12)
    assert predicted(task, {"a": placed}, outputs._replace(overlays=True)).written == 1


@pytest.mark.parametrize("how", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_names_of_a_coordinate_system_are_copied_exactly(
    tmp_path: Path, how: dict[str, Any]
) -> None:
    """Other tags count their bytes."""
    task, text = task_of("binary"), b"Gau\xdf-Kr\xfcger\xb5|\0"
    path = geotiff(
        tmp_path / "a.tif",
        picture(1, 20, 30),
        [*SCALED[:-1], (34737, "s", len(text), text, True)],
        **how,
    )
    assert predicted(task, {"a": path}, Outputs(tmp_path / "out", **OUTPUTS)).failed == []
    for found in tmp_path.rglob("out*/a.tif"):
        assert text in found.read_bytes()
        assert place(found) == place(path)


@pytest.mark.parametrize(
    "tag",
    [
        (33550, "s", 4, "abc", True),
        (34735, "d", 2, (0.5, 1e300), True),
        (34737, "H", 2, (1, 2), True),
        (33922, "H", 1, 1, True),
    ],
)
def test_the_mask_is_written_despite_damaged_location_tags(
    tmp_path: Path, tag: tuple[Any, ...]
) -> None:
    path = geotiff(tmp_path / "a.tif", picture(1, 20, 30), [tag])
    assert (
        predicted(task_of("binary"), {"a": path}, Outputs(tmp_path / "out", **OUTPUTS)).failed == []
    )
    assert (tmp_path / "out" / "a.png").exists()


def test_an_image_with_an_orientation_has_no_location(tmp_path: Path) -> None:
    """Its mask is upright, unlike the pixels that the tags speak of."""
    task = task_of("binary")
    path = geotiff(tmp_path / "a.tif", picture(1, 20, 30), [*SCALED, (274, "H", 1, 6, True)])
    assert predicted(task, {"a": path}, Outputs(tmp_path / "out")).failed == []
    assert read_png(tmp_path / "out" / "a.png").shape == (30, 20)
