"""Which images are predicted: files and folders, names that clash, and shards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.inference.inputs import Inputs, Shard, check_apart, find_images, result_folders, share
from segkit.inference.outputs.writer import Outputs, Results
from segkit.system.terminal import has_controls
from tests.helpers.errors import fails, holds
from tests.helpers.stand_in import config_of


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_are_files_or_folders(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.png", "two/sub/b.tif", "two/text.txt", "two/.hidden.png")
    assert find_images([tmp_path / "one" / "a.png"]) == ({"a": tmp_path / "one" / "a.png"}, [])
    assert list(find_images([tmp_path / "two"]).images) == ["a", "sub/b"]
    twice = find_images(
        [tmp_path / "one", tmp_path / "one" / "a.png", tmp_path / "two" / ".." / "one"]
    )
    assert twice == ({"a": tmp_path / "one" / "a.png"}, [])
    with fails(DataError, "missing-file", tmp_path / "gone"):
        find_images([tmp_path / "one", tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with fails(DataError, "empty", tmp_path / "empty", ".png"):
        find_images([tmp_path / "empty"])


def test_images_with_the_same_name_are_left_out_and_reported(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.jpg", "two/b.png", "two/c.png", "two/c.bmp")
    images, clashes = find_images([tmp_path / "one", tmp_path / "two"])
    assert images == {"b": tmp_path / "two" / "b.png"}
    one, two = tmp_path / "one" / "a.png", tmp_path / "two" / "a.jpg"
    problems = dict(clashes)
    assert set(problems) == {one, two, tmp_path / "two" / "c.png", tmp_path / "two" / "c.bmp"}
    for path, other in ((one, two), (two, one)):
        assert problems[path].startswith(f"{path}: ")
        assert holds(problems[path], other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.png", "A.png"), ("sub/é.png", "sub/e\u0301.jpg"), ("X/a.png", "x/a.png")],
    ids=ascii,
)
def test_names_that_are_equal_on_some_disks_are_left_out(
    tmp_path: Path, one: str, other: str
) -> None:
    touch(tmp_path, f"1/{one}", f"2/{other}", "1/b.png")
    images, clashes = find_images([tmp_path / "1", tmp_path / "2"])
    assert list(images) == ["b"]
    assert {path for path, _ in clashes} == {tmp_path / "1" / one, tmp_path / "2" / other}


@pytest.mark.parametrize(
    "name", ["con.png", "a\\b.png", "a\nb.png", "\x1b[2J.png", "sub./a.png", "c:a.png"], ids=ascii
)
def test_trap_48_images_whose_masks_could_not_have_their_name_are_left_out(
    tmp_path: Path, name: str
) -> None:
    touch(tmp_path, name, "b.png")
    alone = [tmp_path / name, tmp_path / "b.png"]
    for inputs in ([tmp_path], alone) if "/" not in name else ([tmp_path],):
        images, clashes = find_images(inputs)
        assert list(images) == ["b"]
        assert [path for path, _ in clashes] == [tmp_path / name]
        assert not has_controls(clashes[0][1])


def test_trap_46_a_name_that_is_not_utf_8_is_left_out_and_shown(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "sub/c.png")
    for name in (b"\xff.png", b"sub/\xfe.JPG", b"\xfd/d.png", b"\xfc.heic"):
        path = os.fsencode(tmp_path) + b"/" + name
        Path(os.fsdecode(path)).parent.mkdir(exist_ok=True)
        Path(os.fsdecode(path)).touch()
    notes: list[str] = []
    images, clashes = find_images([tmp_path], report=notes.append)
    assert list(images) == ["b", "sub/c"]
    refused = {os.fsencode(path.relative_to(tmp_path)) for path, _ in clashes}
    assert refused == {b"\xff.png", b"sub/\xfe.JPG", b"\xfd/d.png"}
    for line in [*notes, *(why for _, why in clashes)]:
        assert "\\udcf" in line
        line.encode("utf-8")
    assert len(notes) == 1


def test_trap_46_each_thing_that_is_not_predicted_is_reported(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "in/a.png",
        "in/b.HEIC",
        "in/c.nii.gz",
        "in/d.avif",
        "in/sub/e.dng",
        "in/notes.txt",
        "in/Thumbs.db",
    )
    touch(tmp_path, "in/.hidden.heic", "far/k.png", "far/deep/l.png")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "in" / "broken.png").symlink_to(tmp_path / "gone")
    (tmp_path / "far" / "round").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "twice").symlink_to(tmp_path / "far" / "deep")
    notes: list[str] = []
    images, clashes = find_images([tmp_path / "in"], report=notes.append)
    assert list(images) == [
        "a",
        "broken",
        "linked/deep/l",
        "linked/k",
    ]  # reading says what is wrong with the link
    assert clashes == []
    named = ["b.HEIC", "c.nii.gz", "d.avif", "sub/e.dng", "nowhere", "twice", "linked/round"]
    for name in named:
        assert [line for line in notes if line.startswith(f"{tmp_path / 'in' / name}: ")] != [], (
            name
        )
    assert [line for line in notes if "notes.txt" in line and "Thumbs.db" in line] != []
    assert len(notes) == len(named) + 1


def test_the_error_for_a_folder_without_images_lists_its_files(tmp_path: Path) -> None:
    touch(tmp_path, "a.heic", "b.txt")
    with fails(DataError, "empty", tmp_path / "a.heic", "b.txt", ".jfif"):
        find_images([tmp_path])


def test_trap_37_masks_in_a_linked_folder_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.png", "store/masks/a.png", "store/b.png")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "store")
    images = find_images([tmp_path / "data"], tmp_path / "store" / "masks").images
    assert sorted(images) == ["a", "more/b"]


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 9))
def test_every_image_is_in_exactly_one_shard(names: list[str], count: int) -> None:
    everything = Inputs(
        {name: Path(f"{i}.png") for i, name in enumerate(names)},
        [(Path(name + ".x"), "") for name in names],
    )
    shards = [share(everything, Shard(part, count)) for part in range(1, count + 1)]
    assert sorted(name for shard in shards for name in shard.images) == sorted(names)
    assert sorted(path for shard in shards for path, _ in shard.clashes) == sorted(
        path for path, _ in everything.clashes
    )
    assert all(
        everything.images[name] == path for shard in shards for name, path in shard.images.items()
    )


def test_shards_are_the_same_on_every_machine_and_about_as_large() -> None:
    """Written down once: another hash would give images of a cluster at work to two machines."""
    names = [f"monday/{i}" for i in range(1000)]
    sizes = [sum(Shard(part, 8).holds(name) for name in names) for part in range(1, 9)]
    assert sizes == [141, 144, 129, 120, 112, 125, 104, 125]
    assert Shard(3, 8).holds("a")
    assert Shard(5, 8).holds("ä")
    assert [Shard(part, 8).holds("a\u0308") for part in range(1, 9)] == [
        Shard(part, 8).holds("ä") for part in range(1, 9)
    ]


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "1/0", "-1/8", "2", "two/8", "2/8/1", "", "²/8", "1.5/8"]
)
def test_texts_that_name_no_shard_are_refused(text: str) -> None:
    with fails(ConfigError, "wrong-value", repr(text), setting="--shard"):
        Shard.parse(text)


@pytest.mark.parametrize("out", ["images", "images/.", "linked", "images/sub/.."])
def test_trap_37_results_are_never_written_among_the_images(out: str, tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/sub/b.png")
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    with fails(ConfigError, "contradiction", tmp_path / "images", setting="--out"):
        check_apart(find_images([tmp_path / "images"]).images, Outputs(tmp_path / out).folders)
    with fails(ConfigError, "contradiction", setting="--out"):
        check_apart(
            find_images([tmp_path / "images" / "a.png"]).images, Outputs(tmp_path / out).folders
        )


@pytest.mark.parametrize(
    "ending", ["overlays", "probabilities", "uncertainty", "coco", "geojson", "instances"]
)
def test_trap_37_nor_are_the_folders_beside_the_masks(ending: str, tmp_path: Path) -> None:
    touch(tmp_path, f"x-{ending}/a.png")
    images = find_images([tmp_path / f"x-{ending}"]).images
    wanted = Outputs(tmp_path / "x", True, "tif", ("coco", "geojson", "instances"), True)
    with fails(ConfigError, "contradiction", tmp_path / f"x-{ending}", setting="--out"):
        check_apart(images, wanted.folders)
    check_apart(images, Outputs(tmp_path / "x").folders)  # nothing is written there


def test_the_folders_of_outputs_are_those_that_are_written_to(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "x", True, "tif", ("coco", "geojson", "instances"), True)
    written = {output.folder for output in Results(config_of(Task.binary("a")), outputs).outputs}
    assert set(outputs.folders) == written
    assert written <= set(result_folders(tmp_path / "x"))


def test_trap_37_a_second_call_leaves_out_what_the_first_one_wrote(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "data/a.png",
        "data/sub/b.tif",
        "data/masks/a.png",
        "data/masks/sub/b.png",
        "data/masks-overlays/a.png",
    )
    touch(tmp_path, "data/masks-old/a.png", "other/masks/c.png")
    inputs = [tmp_path / "data", tmp_path / "other"]
    images = find_images(inputs, tmp_path / "data" / "masks").images
    assert sorted(images) == ["a", "masks-old/a", "masks/c", "sub/b"]
    check_apart(images, Outputs(tmp_path / "data" / "masks").folders)
    alone = find_images(
        [tmp_path / "data" / "masks"], tmp_path / "data" / "masks"
    )  # asked for by name
    with fails(ConfigError, "contradiction", setting="--out"):
        check_apart(alone.images, Outputs(tmp_path / "data" / "masks").folders)
