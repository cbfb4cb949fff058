from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.mask_layers import from_layers
from segkit.io.masks import read_layers
from tests.helpers.errors import fails, holds

NAMES = ["background", "liver", "tumour", "vessel"]
PARTS = NAMES[1:]
ORGANS = Task.multiclass(NAMES)
NO_BACKGROUND = Task.multiclass(PARTS)
LABELS = Task.multilabel(PARTS)
CRACK = Task.binary("crack")


def row(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


def by_loop(pixel: dict[str, int], task: Task, on_top: Sequence[str]) -> int | str:
    """Return the id of one pixel of an exclusive task, or which error it is."""
    inside = [name for name, value in pixel.items() if value == 1]
    if len([name for name in inside if name not in on_top]) > 1:
        return "overlap"
    if not inside:
        if any(value == VOID for value in pixel.values()):
            return VOID
        return "mask-values" if task.background is None else task.classes.index(task.background)
    top = next((name for name in on_top if name in inside), inside[0])
    return task.classes.index(top)


@given(st.data())
def test_exclusive_layers_equal_a_loop_over_the_pixels(data: st.DataObject) -> None:
    task = data.draw(
        st.sampled_from([ORGANS, NO_BACKGROUND, Task.multiclass(NAMES, head="sigmoid")])
    )
    on_top = data.draw(st.lists(st.sampled_from(PARTS), unique=True))
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    values = st.sampled_from([0, 0, 0, 1, VOID])
    layers = {name: data.draw(arrays.arrays(np.uint8, shape, elements=values)) for name in PARTS}
    expected = [
        [
            by_loop({name: int(layers[name][y, x]) for name in PARTS}, task, on_top)
            for x in range(shape[1])
        ]
        for y in range(shape[0])
    ]
    problems = {value for line in expected for value in line if isinstance(value, str)}
    if problems:
        with pytest.raises(DataError) as problem:
            from_layers(layers, task, on_top or None, "a.png")
        assert problem.value.code in problems
        assert holds(str(problem.value), "a.png")
        return
    mask = from_layers(layers, task, on_top or None, "a.png")
    assert (mask.tolist(), mask.dtype) == (expected, np.uint8)
    np.testing.assert_array_equal(task.encode(mask, void=VOID), mask)


@given(
    st.permutations(PARTS),
    arrays.arrays(np.uint8, (3, 2, 2), elements=st.sampled_from([0, 1, VOID])),
)
def test_multilabel_layers_are_stacked_by_name(order: list[str], values: np.ndarray) -> None:
    layers = dict(zip(order, values, strict=True))
    mask = from_layers(layers, LABELS, None, "a.png")
    for y, x, channel in np.ndindex(2, 2, 3):
        assert mask[y, x, channel] == layers[LABELS.classes[channel]][y, x]


def test_a_binary_mask_is_its_only_layer() -> None:
    assert from_layers({"crack": row(0, 1, VOID)}, CRACK, None, "a.png").tolist() == [[0, 1, VOID]]


def test_the_first_class_of_on_top_wins() -> None:
    layers = {"liver": row(1, 1, 1, 0), "tumour": row(0, 1, 1, 1), "vessel": row(0, 0, 1, 0)}
    for on_top, expected in (
        (["vessel", "tumour", "liver"], [1, 2, 3, 2]),
        (["tumour", "vessel"], [1, 2, 2, 2]),
        (["liver", "tumour", "vessel"], [1, 1, 1, 2]),
    ):
        assert from_layers(layers, ORGANS, on_top, "a.png").tolist() == [expected]


def test_an_undecided_overlap_is_refused_and_the_error_names_classes_and_settings() -> None:
    layers = {"liver": row(1, 1, 0), "tumour": row(0, 1, 1), "vessel": row(0, 1, 1)}
    with fails(
        DataError, "overlap", "a.png", 2, "(liver, tumour, vessel)", "multilabel", "data.on_top"
    ):
        from_layers(layers, ORGANS, None, "a.png")
    with fails(DataError, "overlap", "a.png", 1):
        from_layers(layers, ORGANS, ["vessel"], "a.png")


def test_without_a_background_every_pixel_needs_a_class() -> None:
    layers = {"liver": row(1, 0), "tumour": row(0, 1), "vessel": row(0, 0)}
    assert from_layers(layers, NO_BACKGROUND, None, "a.png").tolist() == [[0, 1]]
    layers["tumour"] = row(0, 0)
    with fails(DataError, "mask-values", "a.png", "background"):
        from_layers(layers, NO_BACKGROUND, None, "a.png")


def test_unlabelled_pixels_stay_so_where_no_class_is() -> None:
    layers = {"liver": row(0, VOID, VOID), "tumour": row(0, 0, 1), "vessel": row(VOID, 0, 0)}
    assert from_layers(layers, ORGANS, None, "a.png").tolist() == [[VOID, VOID, 2]]


def class_folders(
    root: Path, task: Task, layers: dict[str, np.ndarray], **data: object
) -> FolderSource:
    """Save each layer as MASKS/CLASS/a.png beside a black image, and open the folders."""
    shape = next(iter(layers.values())).shape
    for path, pixels in [(root / "images/a.png", np.zeros((*shape, 3), np.uint8))] + [
        (root / "masks" / name / "a.png", layer) for name, layer in layers.items()
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    folders = {"images": root / "images", "masks": root / "masks"}
    return FolderSource(DataConfig.model_validate({**folders, **data}), task)


def test_class_folders_of_an_exclusive_task_give_ids(tmp_path: Path) -> None:
    layers = {"liver": row(0, 255, 255), "tumour": row(0, 0, 255), "vessel": row(0, 0, 0)}
    assert class_folders(tmp_path, ORGANS, layers, on_top=["tumour"]).read("a").mask.tolist() == [
        [0, 1, 2]
    ]
    with fails(DataError, "overlap", tmp_path / "images" / "a.png", 1, "(liver, tumour)"):
        class_folders(tmp_path, ORGANS, layers).read("a")


def test_values_of_an_exclusive_layer_mean_present_or_absent(tmp_path: Path) -> None:
    layers = {"liver": row(0, 7, 0), "tumour": row(0, 0, 9), "vessel": row(0, 0, 0)}
    values = {0: "absent", 7: "present", 9: "void"}
    assert class_folders(tmp_path, ORGANS, layers, mask_values=values).read("a").mask.tolist() == [
        [0, 1, VOID]
    ]
    with fails(
        ConfigError, "unknown-name", "absent, present", "liver, tumour", setting="data.mask_values"
    ):
        class_folders(
            tmp_path, ORGANS, layers, mask_values={0: "background", 7: "liver", 9: "tumour"}
        )


def test_on_top_names_classes(tmp_path: Path) -> None:
    known = "background, liver, tumour, vessel"
    with fails(ConfigError, "unknown-name", known, "livr", setting="data.on_top"):
        class_folders(tmp_path, ORGANS, {"liver": row(0)}, on_top=["livr"])


def test_class_folders_of_a_binary_task(tmp_path: Path) -> None:
    assert class_folders(tmp_path, CRACK, {"crack": row(0, 255)}).read("a").mask.tolist() == [
        [0, 1]
    ]


def bands(root: Path, array: np.ndarray, task: Task = LABELS, **data: object) -> FolderSource:
    """Save (H, W, C) as one multi-band TIFF mask beside a black image, and open the folders."""
    for name in ("images", "masks"):
        (root / name).mkdir(exist_ok=True)
    Image.fromarray(np.zeros((*array.shape[:2], 3), np.uint8)).save(root / "images" / "a.png")
    layout = "contig" if array.ndim == 3 else None
    tifffile.imwrite(root / "masks" / "a.tif", array, photometric="minisblack", planarconfig=layout)
    folders = {"images": root / "images", "masks": root / "masks"}
    return FolderSource(DataConfig.model_validate({**folders, **data}), task)


YES = np.array([[[0, 1, 0], [1, 1, 1]], [[0, 0, 0], [0, 0, 1]]], np.uint8)


@pytest.mark.parametrize(
    "stored",
    [
        YES,
        YES * 255,
        YES.astype(np.uint16),
        YES.astype(np.uint16) * 65535,
        YES.astype(np.float32),
        YES.astype(np.int16),
    ],
    ids=["0/1", "0/255", "16 bits 0/1", "16 bits 0/65535", "float", "signed"],
)
def test_a_multilabel_mask_can_be_one_file_with_one_band_per_class(
    tmp_path: Path, stored: np.ndarray
) -> None:
    mask = bands(tmp_path, stored).read("a").mask
    np.testing.assert_array_equal(mask, YES)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize("layout", ["separate", "pages"])
def test_bands_may_be_stored_as_planes_or_pages(tmp_path: Path, layout: str) -> None:
    planes = np.ascontiguousarray(np.moveaxis(YES, -1, 0))
    if layout == "pages":
        with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
            tiff.write(planes, photometric="minisblack", metadata={"axes": "CYX"})
    else:
        tifffile.imwrite(
            tmp_path / "a.tif", planes, photometric="minisblack", planarconfig="separate"
        )
    np.testing.assert_array_equal(read_layers(tmp_path / "a.tif"), YES)


def test_a_wrong_number_of_bands_is_refused_with_the_classes(tmp_path: Path) -> None:
    for array, found in (
        (YES[..., :2], 2),
        (YES[..., 0], 1),
        (np.concatenate([YES, YES], axis=-1), 6),
    ):
        with fails(
            DataError,
            "mask-channels",
            tmp_path / "masks" / "a.tif",
            3,
            "(liver, tumour, vessel)",
            found,
        ):
            bands(tmp_path, array).read("a")


def test_trap_06_bands_of_one_file_mean_yes_by_one_value(tmp_path: Path) -> None:
    mixed = YES.copy()
    mixed[..., 2] *= 255
    with fails(DataError, "mask-values", tmp_path / "masks" / "a.tif", 255, 1):
        bands(tmp_path, mixed).read("a")
    values = {0: "absent", 1: "present", 255: "void"}
    read = bands(tmp_path, mixed, mask_values=values).read("a").mask
    np.testing.assert_array_equal(read, np.where(mixed == 255, VOID, mixed))


def test_soft_bands_need_a_threshold(tmp_path: Path) -> None:
    soft = YES * 200 + np.uint8(20)
    with fails(DataError, "mask-values", tmp_path / "masks" / "a.tif", "20, 220"):
        bands(tmp_path, soft).read("a")
    np.testing.assert_array_equal(bands(tmp_path, soft, mask_threshold=128).read("a").mask, YES)


def test_bands_with_fractions_or_nan_are_refused(tmp_path: Path) -> None:
    for value in (0.5, np.nan, np.inf):
        broken = YES.astype(np.float32)
        broken[0, 0, 0] = value
        for threshold in (None, 1):
            with fails(DataError, "mask-values", tmp_path / "masks" / "a.tif", "NaN"):
                bands(tmp_path, broken, mask_threshold=threshold).read("a")


def test_a_png_of_three_channels_is_three_bands(tmp_path: Path) -> None:
    opened = bands(tmp_path, YES)
    (tmp_path / "masks" / "a.tif").unlink()
    Image.fromarray(YES * 255).save(tmp_path / "masks" / "a.png")
    opened = FolderSource(opened.data, LABELS)
    np.testing.assert_array_equal(opened.read("a").mask, YES)


def test_layers_of_another_size_than_the_image_are_refused(tmp_path: Path) -> None:
    opened = bands(tmp_path, YES)
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(tmp_path / "images" / "a.png")
    with fails(DataError, "mask-size", tmp_path / "masks" / "a.tif", 2, 1):
        opened.read("a")
