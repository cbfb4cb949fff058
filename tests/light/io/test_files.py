from __future__ import annotations

import errno
import io
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segkit import VOID, DataError, Task
from segkit.data.sources.folder import in_folders
from segkit.io.atomic import atomic, together
from segkit.io.images import read_image, write_picture
from segkit.io.masks import read_mask, write_mask
from tests.helpers.draws import KINDS, masks, task_of, tasks
from tests.helpers.errors import fails

IDS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 8), np.uint8))
COLOURS = [0, 0, 0, 200, 0, 0, 0, 200, 0, 200, 200, 0] + [9, 9, 9] * 252


def palette_png(path: Path) -> Path:
    picture = Image.fromarray(IDS)
    picture.putpalette(COLOURS)
    picture.save(path)
    return path


def test_trap_25_palette_indices_are_read_not_their_colours(tmp_path: Path) -> None:
    path = palette_png(tmp_path / "a.png")
    assert np.unique(np.asarray(Image.open(path).convert("L"))).tolist() != [0, 1, 2, 3]
    np.testing.assert_array_equal(read_mask(path), IDS)


def test_trap_25_colour_masks_are_refused_and_grey_ones_in_rgb_are_not(tmp_path: Path) -> None:
    Image.open(palette_png(tmp_path / "a.png")).convert("RGB").save(tmp_path / "colour.png")
    Image.fromarray(IDS).convert("RGB").save(tmp_path / "grey.png")
    with fails(DataError, "mask-colours", tmp_path / "colour.png", 3, "data.mask_colours"):
        read_mask(tmp_path / "colour.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), IDS)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_trap_26_masks_of_16_bits_keep_their_values(tmp_path: Path, name: str) -> None:
    ids = IDS.astype(np.uint16) * 100
    Image.fromarray(ids).save(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), ids)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp"])
def test_trap_26_masks_of_1_bit_give_0_and_1(tmp_path: Path, name: str) -> None:
    yes = IDS % 2 == 1
    Image.fromarray(yes).save(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), yes.astype(np.uint8))


def test_trap_27_jpeg_masks_need_a_threshold(tmp_path: Path) -> None:
    Image.fromarray((IDS % 2) * 255).save(tmp_path / "a.jpg", quality=50)
    with fails(
        DataError, "mask-lossy", tmp_path / "a.jpg", "JPEG", "PNG", "data.mask_threshold: 128"
    ):
        read_mask(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.jpg", threshold=128), IDS % 2)


def test_trap_27_a_jpeg_that_is_called_png_is_refused_too(tmp_path: Path) -> None:
    Image.fromarray(IDS * 60).save(tmp_path / "a.png", format="JPEG")
    with fails(DataError, "mask-lossy", tmp_path / "a.png", "JPEG"):
        read_mask(tmp_path / "a.png")


def test_trap_27_lossy_webp_masks_are_refused_and_lossless_ones_are_not(tmp_path: Path) -> None:
    picture = Image.fromarray(IDS).convert("RGB")
    picture.save(tmp_path / "lossless.webp", lossless=True)
    picture.save(tmp_path / "lossy.webp")
    np.testing.assert_array_equal(read_mask(tmp_path / "lossless.webp"), IDS)
    with fails(DataError, "mask-lossy", tmp_path / "lossy.webp", "WebP"):
        read_mask(tmp_path / "lossy.webp")


def test_trap_27_jpeg_inside_tiff_is_refused_too(tmp_path: Path) -> None:
    Image.fromarray(IDS * 60).save(tmp_path / "a.tif", compression="jpeg")
    with fails(DataError, "mask-lossy", tmp_path / "a.tif", "JPEG"):
        read_mask(tmp_path / "a.tif")


def _with_alpha(path: Path, alpha: int) -> Path:
    channels = np.stack([IDS, IDS, IDS, np.full_like(IDS, 255)], axis=-1)
    channels[0, 0, 3] = alpha
    if path.suffix == ".tif":
        tifffile.imwrite(path, channels, photometric="rgb", extrasamples=["unassalpha"])
    else:
        Image.fromarray(channels).save(path)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_trap_28_only_an_opaque_alpha_channel_is_ignored(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_mask(_with_alpha(tmp_path / name, 255)), IDS)
    with fails(DataError, "mask-alpha", tmp_path / name):
        read_mask(_with_alpha(tmp_path / name, 0))


def test_trap_28_smoothed_edges_are_read_by_a_threshold(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 90, 128, 255]], np.uint8)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", threshold=128).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("shape", "code"),
    [((8, 8), "mask-values"), ((8, 8, 2), "mask-alpha"), ((8, 8, 4), "mask-alpha")],
)
def test_a_mask_of_fractions_is_refused(tmp_path: Path, shape: tuple[int, ...], code: str) -> None:
    """The last of two or four bands counts as alpha channel, and of fractions it is not opaque."""
    plane = "contig" if len(shape) == 3 else None
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.full(shape, 0.5, np.float32),
        photometric="minisblack",
        planarconfig=plane,
    )
    with fails(DataError, code, tmp_path / "a.tif"):
        read_mask(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", IDS.astype(np.float32))
    np.testing.assert_array_equal(read_mask(tmp_path / "b.tif"), IDS)


def test_trap_29_images_and_masks_are_both_turned_as_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown after a quarter turn clockwise
    lying = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for name in ("image.png", "mask.png"):
        Image.fromarray(lying).save(tmp_path / name, exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png")[..., 0], np.rot90(lying, -1))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.rot90(lying, -1))


@given(st.data())
@settings(max_examples=20)
def test_a_written_mask_is_read_back_unchanged_by_the_folder_source(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task, void=False))
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Path(folder, "images", "a.png"), np.zeros((*mask.shape[:2], 3), np.uint8))
        write_mask(task, mask, Path(folder, "masks"), "a")
        sample = in_folders(Path(folder, "images"), Path(folder, "masks"), task).read("a")
    np.testing.assert_array_equal(sample.mask, mask)
    assert sample.mask.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", [[0, 1, VOID], [0, 0, VOID], [1, 1, VOID], [VOID, VOID, VOID]])
def test_an_unlabelled_pixel_never_comes_back_as_a_class(
    tmp_path: Path, kind: str, pixels: list[int]
) -> None:
    task, mask = task_of(kind), np.array([pixels], np.uint8)
    write_picture(tmp_path / "images" / "a.png", np.zeros((1, 3, 3), np.uint8))
    whole = np.stack([mask] * task.channels, axis=-1) if task.kind == "multilabel" else mask
    try:
        write_mask(task, whole, tmp_path / "masks", "a")
        read = in_folders(tmp_path / "images", tmp_path / "masks", task).read("a").mask
    except DataError:
        read = np.full_like(whole, VOID)  # to refuse such a file is as safe
    assert (read[whole == VOID] == VOID).all()


def test_trap_34_a_mask_file_holds_ids_and_the_palette_of_the_task(tmp_path: Path) -> None:
    task = Task.multiclass(["background", "a", "b"], palette=[(0, 0, 0), (250, 0, 0), (0, 250, 0)])
    (path,) = write_mask(task, np.array([[0, 1, 2], [2, 1, 0]], np.uint8), tmp_path, "sub/a")
    assert path == tmp_path / "sub" / "a.png"
    picture = Image.open(path)
    assert (picture.mode, picture.size) == ("P", (3, 2))
    assert np.asarray(picture).tolist() == [[0, 1, 2], [2, 1, 0]]
    assert np.asarray(picture.convert("RGB"))[0].tolist() == [
        list(colour) for colour in task.palette
    ]


def test_trap_34_ids_up_to_254_are_not_wrapped(tmp_path: Path) -> None:
    task = Task.multiclass([f"class {i}" for i in range(255)])
    ids = np.arange(255, dtype=np.uint8)[None]
    np.testing.assert_array_equal(read_mask(write_mask(task, ids, tmp_path, "a")[0]), ids)


def test_yes_no_masks_are_written_as_0_and_255_in_a_folder_per_class(tmp_path: Path) -> None:
    paths = write_mask(Task.multilabel(["a", "b"]), np.array([[[0, 1]]], np.uint8), tmp_path, "x")
    assert paths == [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    assert [np.asarray(Image.open(path)).tolist() for path in paths] == [[[0]], [[255]]]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_an_older_file_stays_where_a_folder_is_in_the_way_of_another(tmp_path: Path) -> None:
    overlay, mask = tmp_path / "overlay.png", tmp_path / "mask.png"
    overlay.mkdir()
    mask.write_bytes(b"older")
    with pytest.raises(IsADirectoryError, match=r"overlay\.png"), together([overlay, mask]):
        pytest.fail("nothing is written")
    assert mask.read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [mask, overlay]


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(
        stream, "PNG"
    )
    (tmp_path / "short.png").write_bytes(stream.getvalue()[:400])
    (tmp_path / "text.tif").write_text("no picture")
    for name in ("text.png", "short.png", "text.tif"):
        for read in (read_image, read_mask):
            with fails(DataError, "unreadable", tmp_path / name):
                read(tmp_path / name)
    for read in (read_image, read_mask):
        with fails(DataError, "missing-file", tmp_path / "gone.png"):
            read(tmp_path / "gone.png")


def test_a_tiff_whose_second_page_of_another_kind_leads_to_itself_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.ones((3, 4), np.uint8), metadata=None)
        writer.write(np.ones((3, 4), np.uint16), metadata=None)
    with tifffile.TiffFile(path) as tiff:
        second = tiff.pages[1]
        link = second.offset + 2 + 12 * len(second.tags)
        where = second.offset
    content = bytearray(path.read_bytes())
    content[link : link + 4] = where.to_bytes(4, "little")
    path.write_bytes(content)
    with fails(DataError, "unreadable", path):
        read_image(path)


def test_an_error_without_a_reason_is_that_of_a_full_disk_while_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the attempt, whose removal makes room, are still there then."""
    usage = shutil.disk_usage(tmp_path)
    for free, expected in ((1000, errno.ENOSPC), (10**9, None)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        problem = OSError("3 requested and 0 written")
        with suppress(OSError), atomic(tmp_path / "a.npy"):
            raise problem
        assert problem.errno == expected
