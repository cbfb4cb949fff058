"""Images and masks paired by a list file, and the parts that it names."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.config import Config, DataConfig, PartConfig
from segkit.data.parts import open_parts
from segkit.data.sources.pairs import find_pairs
from segkit.inspection.mask_format.contents import masks_in_list
from tests.helpers.errors import fails, holds
from tests.helpers.listings import LABELS, listing, shown, touch


def test_a_list_pairs_by_its_columns_and_names_by_its_paths(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "out/other name.png", "b.png", "c.png")
    found = find_pairs(
        listing(
            tmp_path,
            ("mask", "image", "note"),
            ("out/other name.png", "in/a.jpg", "x"),
            ("c.png", "b.png", ""),
        ),
        (),
    )
    assert shown(found, tmp_path) == {
        "b": ("b.png", {"": "c.png"}),
        "in/a": ("in/a.jpg", {"": "out/other name.png"}),
    }
    assert found.parts == {}


def test_a_list_may_have_one_column_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "v.png", "t.png")
    data = listing(tmp_path, ("image", "tumour", "vessel"), ("a.jpg", "t.png", "v.png"))
    assert find_pairs(data, LABELS).by_name["a"].masks == {
        "vessel": tmp_path / "v.png",
        "tumour": tmp_path / "t.png",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_has_names_of_every_script_spaces_commas_and_a_byte_order_mark(
    tmp_path: Path, encoding: str
) -> None:
    names = ["ä ö, ü", "図 1", 'it\'s "quoted"', "two\nlines"]
    touch(tmp_path, *(f"{name}{end}.png" for name in names for end in ("", "_m")))
    rows = [(f"{name}.png", f"{name}_m.png") for name in names]
    found = find_pairs(listing(tmp_path, ("image", "mask"), *rows, encoding=encoding), ())
    assert sorted(found.by_name) == sorted(names)


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
@pytest.mark.parametrize("head", [("image", "mask", "split"), ("Image", "MASK", " Split ")])
def test_a_list_is_read_however_a_spreadsheet_writes_it(
    tmp_path: Path, separator: str, head: tuple[str, ...]
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "m.png")
    rows = [head, ("a.jpg", "m.png", "train"), ("", "", ""), ("b.jpg", "m.png", "Test")]
    path = tmp_path / "list.csv"
    path.write_text("\r\n".join(separator.join(row) for row in rows) + "\r\n\r\n")
    found = find_pairs(DataConfig(list_file=path), ())
    assert shown(found, tmp_path) == {"a": ("a.jpg", {"": "m.png"}), "b": ("b.jpg", {"": "m.png"})}
    assert found.parts == {"train": ["a"], "test": ["b"]}
    assert masks_in_list(path) == ([tmp_path / "m.png"] * 2, [])


def test_two_columns_of_one_meaning_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "m.png")
    with fails(DataError, "list", tmp_path / "list.csv", "image, image, mask"):
        find_pairs(listing(tmp_path, ("image", "Image", "mask"), ("a.jpg", "a.jpg", "m.png")), ())
    for columns in (("img", "mask"), ("a.jpg", "m.png")):
        with fails(DataError, "list", tmp_path / "list.csv", ", ".join(columns)):
            masks_in_list(listing(tmp_path, columns, ("a.jpg", "m.png")).list_file)


def test_files_elsewhere_go_by_their_own_name(tmp_path: Path) -> None:
    touch(tmp_path, "lists/x", "images/a.jpg", "masks/a.png")
    (tmp_path / "lists" / "x").unlink()
    data = listing(
        tmp_path / "lists", ("image", "mask"), ("../images/a.jpg", str(tmp_path / "masks/a.png"))
    )
    assert list(find_pairs(data, ()).by_name) == ["a"]


HEAD = ("image", "mask", "split")


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ([HEAD, ("a.jpg", "a.png", ""), ("gone.jpg", "a.png", "")], ["line 3", "gone.jpg"]),
        ([HEAD, ("a.jpg", "", "")], ["line 2"]),
        ([HEAD, ("a.jpg",)], ["line 2"]),
        ([HEAD, (), ("a.jpg", "gone.png", "")], ["line 3", "gone.png"]),
        ([HEAD, ("a.jpg", "x" * 300, "")], ["line 2", "x" * 300]),
        ([HEAD, ("a.jpg", "\x00/ä.png", "")], ["line 2"]),
        ([HEAD, ("a.jpg", ".", "")], ["line 2", " . "]),
        ([HEAD, ("a.jpg", "a.png", "trane")], ["line 2", "train", "validation", "test", "'trane'"]),
        ([HEAD, ("a.jpg", "a.png", ""), ("a.jpg", "a.png", "")], ["line 3", "a"]),
        ([HEAD, ("a.jpg", "a.png", "test"), ("b.jpg", "a.png", "")], ["line 3", "split", "test"]),
        ([("image", "masks"), ("a.jpg", "a.png")], ["(vessel, tumour)", "image, masks"]),
        ([("mask", "vessel"), ("a.png", "a.png")], ["(vessel, tumour)", "mask, vessel"]),
        ([HEAD], []),
        ([], ["(vessel, tumour)"]),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, rows: list[tuple[str, ...]], values: list[object]
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "a.png")
    with fails(DataError, "empty" if rows == [HEAD] else "list", tmp_path / "list.csv", *values):
        find_pairs(listing(tmp_path, *rows), LABELS)


def test_a_file_that_is_not_a_list_is_refused(tmp_path: Path) -> None:
    with fails(DataError, "list", tmp_path / "list.csv", os.strerror(errno.ENOENT)):
        find_pairs(DataConfig(list_file=tmp_path / "list.csv"), ())
    (tmp_path / "list.csv").write_bytes(b"\xff\xfeimage\x00mask\x81")
    with fails(DataError, "list", tmp_path / "list.csv", "UTF-8"):
        find_pairs(DataConfig(list_file=tmp_path / "list.csv"), ())
    with fails(DataError, "list", tmp_path, os.strerror(errno.EISDIR)):
        find_pairs(DataConfig(list_file=tmp_path), ())


@given(st.binary(max_size=80) | st.text('image,mask"\n;x', max_size=40).map(str.encode))
def test_any_bytes_as_a_list_give_pairs_or_a_data_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "list.csv").write_bytes(content)
        with pytest.raises(DataError) as problem:
            find_pairs(DataConfig(list_file=Path(folder, "list.csv")), LABELS)
        assert problem.value.code in ("list", "empty")
        assert holds(str(problem.value), Path(folder, "list.csv"))


WORDS = {
    "train": ["train", "training", " Train "],
    "validation": ["validation", "val", "valid", "VAL"],
    "test": ["test", "TEST "],
}


@given(st.data())
def test_the_parts_of_a_list_are_honoured(data: st.DataObject) -> None:
    said = data.draw(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=12))
    words = [data.draw(st.sampled_from(WORDS[part])) for part in said]
    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder), "m.png", *(f"{i}.jpg" for i in range(len(said))))
        found = find_pairs(
            listing(Path(folder), HEAD, *((f"{i}.jpg", "m.png", w) for i, w in enumerate(words))),
            (),
        )
    expected: dict[str, list[str]] = {}
    for i, part in enumerate(said):
        expected.setdefault(part, []).append(str(i))
    assert found.parts == expected


def _listed(root: Path, parts: dict[str, int], **data: object) -> dict[str, list[str]]:
    """Open a list with these numbers of images per part; their names begin with the part."""
    rows = [
        (f"{part}{i}.jpg", "m.png", part) for part, count in parts.items() for i in range(count)
    ]
    touch(root, "m.png", *(row[0] for row in rows))
    settings = {"list_file": listing(root, HEAD, *rows).list_file, **data}
    config = Config(task=Task.binary("crack"), data=DataConfig.model_validate(settings))
    return {part: list(subset.names) for part, subset in open_parts(config).items()}


def test_trap_33_parts_that_a_list_names_are_used_as_they_are(tmp_path: Path) -> None:
    parts = _listed(tmp_path, {"train": 4, "validation": 2, "test": 3}, validation=0.4, test=0.4)
    assert {
        part: {name.rstrip("0123456789") for name in names} for part, names in parts.items()
    } == {part: {part} for part in parts}
    assert {part: len(names) for part, names in parts.items()} == {
        "train": 4,
        "validation": 2,
        "test": 3,
    }


def test_trap_33_with_train_and_test_in_a_list_only_the_training_part_is_split(
    tmp_path: Path,
) -> None:
    parts = _listed(tmp_path, {"train": 20, "test": 3}, validation=0.3, test=0.5)
    assert parts["test"] == ["test0", "test1", "test2"]
    assert sorted(parts["train"] + parts["validation"]) == sorted(f"train{i}" for i in range(20))
    assert len(parts["validation"]) > 0


def test_trap_33_the_test_samples_of_a_list_are_never_trained_on(tmp_path: Path) -> None:
    parts = _listed(tmp_path, {"validation": 5, "test": 5})
    assert not set(parts["train"]) & {*parts["validation"], *parts["test"]}


def test_trap_33_a_part_in_folders_of_its_own_beside_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    parts = _listed(
        tmp_path,
        {"train": 5},
        test=PartConfig(images=tmp_path / "images", masks=tmp_path / "masks"),
    )
    assert parts["test"] == ["a"]


def test_a_part_may_have_a_list_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "c.jpg", "m.png")
    own = listing(
        tmp_path, HEAD, ("b.jpg", "m.png", "test"), ("c.jpg", "m.png", "train"), name="own.csv"
    ).list_file
    parts = _listed(tmp_path, {"train": 5}, test=PartConfig(list_file=own))
    assert parts["test"] == ["b"]


def test_without_folders_or_a_list_there_is_nothing_to_open() -> None:
    with fails(
        ConfigError,
        "missing-setting",
        "data.images",
        "data.masks",
        "data.list_file",
        setting="data",
    ):
        find_pairs(DataConfig(), ())
