"""Which images are predicted: files and folders, names that clash, and shards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.inference.inputs import Inputs, Shard, check_apart, find_images, result_folders, share
from segkit.inference.outputs.writer import Outputs, Results
from tests.helpers.errors import fails, holds


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_are_files_or_folders(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.png", "two/sub/b.tif", "two/text.txt", "two/.hidden.png")
    assert find_images([tmp_path / "one" / "a.png"]) == ({"a": tmp_path / "one" / "a.png"}, [])
    assert list(find_images([tmp_path / "two"]).images) == ["a", "sub/b"]
    twice = find_images([tmp_path / "one", tmp_path / "one" / "a.png", tmp_path / "two" / ".." / "one"])
    assert twice == ({"a": tmp_path / "one" / "a.png"}, [])
    with fails(DataError, "missing-file", tmp_path / "gone"):
        find_images([tmp_path / "one", tmp_path / "gone"])
    (tmp_path / "empty").mkdir()
    with fails(DataError, "empty", tmp_path / "empty", ".png"):
        find_images([tmp_path / "empty"])


def test_images_of_one_name_are_left_out_and_named_the_others_stay(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.jpg", "two/b.png", "two/c.png", "two/c.bmp")
    images, clashes = find_images([tmp_path / "one", tmp_path / "two"])
    assert images == {"b": tmp_path / "two" / "b.png"}
    one, two = tmp_path / "one" / "a.png", tmp_path / "two" / "a.jpg"
    told = dict(clashes)
    assert set(told) == {one, two, tmp_path / "two" / "c.png", tmp_path / "two" / "c.bmp"}
    for path, other in ((one, two), (two, one)):
        assert told[path].startswith(f"{path}: ")
        assert holds(told[path], other)


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 9))
def test_every_image_is_in_exactly_one_shard(names: list[str], count: int) -> None:
    everything = Inputs(
        {name: Path(f"{i}.png") for i, name in enumerate(names)}, [(Path(name + ".x"), "") for name in names]
    )
    shards = [share(everything, Shard(part, count)) for part in range(1, count + 1)]
    assert sorted(name for shard in shards for name in shard.images) == sorted(names)
    assert sorted(path for shard in shards for path, _ in shard.clashes) == sorted(
        path for path, _ in everything.clashes
    )
    assert all(everything.images[name] == path for shard in shards for name, path in shard.images.items())


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


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "-1/8", "2", "two/8", "2/8/1", "", "²/8", "1.5/8"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with fails(ConfigError, "wrong-value", repr(text), setting="--shard"):
        Shard.parse(text)


@pytest.mark.parametrize("out", ["images", "images/.", "linked", "images/sub/.."])
def test_trap_37_results_are_never_written_among_the_images(out: str, tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/sub/b.png")
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    with fails(ConfigError, "contradiction", tmp_path / "images", setting="--out"):
        check_apart(find_images([tmp_path / "images"]).images, Outputs(tmp_path / out).folders)
    with fails(ConfigError, "contradiction", setting="--out"):
        check_apart(find_images([tmp_path / "images" / "a.png"]).images, Outputs(tmp_path / out).folders)


@pytest.mark.parametrize("ending", ["overlays", "probabilities", "uncertainty", "coco", "geojson", "instances"])
def test_trap_37_nor_are_the_folders_beside_the_masks(ending: str, tmp_path: Path) -> None:
    touch(tmp_path, f"x-{ending}/a.png")
    images = find_images([tmp_path / f"x-{ending}"]).images
    wanted = Outputs(tmp_path / "x", True, "tif", ("coco", "geojson", "instances"), True)
    with fails(ConfigError, "contradiction", tmp_path / f"x-{ending}", setting="--out"):
        check_apart(images, wanted.folders)
    check_apart(images, Outputs(tmp_path / "x").folders)  # nothing is written there


def test_the_folders_of_outputs_are_those_that_are_written_to(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "x", True, "tif", ("coco", "geojson", "instances"), True)
    written = {output.folder for output in Results(Task.binary("a"), outputs).outputs}
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
    alone = find_images([tmp_path / "data" / "masks"], tmp_path / "data" / "masks")  # asked for by name
    with fails(ConfigError, "contradiction", setting="--out"):
        check_apart(alone.images, Outputs(tmp_path / "data" / "masks").folders)
