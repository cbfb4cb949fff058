from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, DataError, Task
from segkit.config import Config
from segkit.data.pairs import Pairs, find_pairs
from segkit.data.parts import open_parts
from segkit.data_config import DataConfig, PartConfig
from tests.light.draws import says

LABELS, CRACK = ("vessel", "tumour"), ("crack",)
STEMS = st.sampled_from(["a", "b_m", "c_m_m", "monday/a", "monday/d.e", "tue/x/b", "_m", "ö é"])


def touch(root: Path, *names: str) -> None:
    """Make empty files; pairing looks at names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(
    root: Path, masks: str = "masks", images: str = "images", labels: tuple[str, ...] = CRACK, **data: object
) -> Pairs:
    return find_pairs(DataConfig.model_validate({"images": root / images, "masks": root / masks, **data}), labels)


def shown(found: Pairs, root: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the pairs with paths below `root` as text."""
    return {
        name: (
            pair.image.relative_to(root).as_posix(),
            {k: p.relative_to(root).as_posix() for k, p in pair.masks.items()},
        )
        for name, pair in found.by_name.items()
    }


def listing(root: Path, *rows: tuple[str, ...], name: str = "list.csv", encoding: str = "utf-8") -> DataConfig:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (root / name).write_text(text.getvalue(), encoding=encoding)
    return DataConfig(list_file=root / name)


def test_files_of_one_name_pair_in_nested_folders_too(tmp_path: Path) -> None:
    touch(tmp_path / "images", "b.jpg", "monday/a.TIF", "monday/deep/a.png", ".hidden.png", "notes.txt")
    touch(tmp_path / "masks", "b.png", "monday/a.png", "monday/deep/a.png")
    found = pairs(tmp_path)
    assert found.parts == {}
    assert shown(found, tmp_path) == {
        "b": ("images/b.jpg", {"": "masks/b.png"}),
        "monday/a": ("images/monday/a.TIF", {"": "masks/monday/a.png"}),
        "monday/deep/a": ("images/monday/deep/a.png", {"": "masks/monday/deep/a.png"}),
    }


LAYOUTS = {"two folders": ("images", "masks"), "one folder": ("all", "all"), "masks inside": ("all", "all/masks")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_suffix_of_the_masks_pairs_in_every_layout(tmp_path: Path, layout: str) -> None:
    images, masks = LAYOUTS[layout]
    touch(tmp_path / images, "a.jpg", "monday/b.jpg")
    touch(tmp_path / masks, "a_mask.png", "monday/b_mask.png")
    assert shown(pairs(tmp_path, masks, images, mask_suffix="_mask"), tmp_path) == {
        "a": (f"{images}/a.jpg", {"": f"{masks}/a_mask.png"}),
        "monday/b": (f"{images}/monday/b.jpg", {"": f"{masks}/monday/b_mask.png"}),
    }


def test_masks_inside_the_images_folder_need_no_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "masks/a.png")
    assert shown(pairs(tmp_path, "masks", "."), tmp_path) == {"a": ("a.jpg", {"": "masks/a.png"})}


def test_one_folder_for_both_needs_a_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "all", "a.jpg", "a_mask.png")
    with pytest.raises(ConfigError, match=r"one folder; say by data\.mask_suffix which files are masks"):
        pairs(tmp_path, "all", "all")


@given(st.sets(STEMS), st.sets(STEMS), st.sampled_from(["", "_m"]), st.sampled_from(sorted(LAYOUTS)))
@settings(max_examples=100)
def test_pairing_equals_a_loop_over_the_names(images: set[str], masks: set[str], suffix: str, layout: str) -> None:
    """An image pairs with the file that is called like it and the suffix; whoever is left alone is an error."""
    one, other = LAYOUTS[layout]
    if one == other and not suffix:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        touch(root / one, *(f"{name}.jpg" for name in images), ".x")
        touch(root / other, *(f"{name}{suffix}.png" for name in masks), ".x")
        wanted = [name for name in images if not (one == other and name.endswith(suffix))]
        there = [f"{name}{suffix}" for name in masks]
        if one == other:
            there += [name for name in images if name.endswith(suffix)]
        partners = [name.removesuffix(suffix) for name in there]
        if not wanted or sorted(wanted) != sorted(partners):
            with pytest.raises(DataError):
                pairs(root, other, one, mask_suffix=suffix)
            return
        found = pairs(root, other, one, mask_suffix=suffix)
        assert list(found.by_name) == sorted(wanted)
        for name, pair in found.by_name.items():
            assert pair.image == root / one / f"{name}.jpg"
            assert pair.masks[""].with_suffix("") == root / other / f"{name}{suffix}"


@pytest.mark.parametrize("suffix", ["", "_mask"])
def test_missing_partners_are_named_either_way(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / "images", "a.jpg", *(f"x{i}.jpg" for i in range(7)))
    touch(tmp_path / "masks", f"a{suffix}.png")
    with pytest.raises(DataError) as problem:
        pairs(tmp_path, mask_suffix=suffix)
    assert says(problem, "7 images without a mask", tmp_path / "masks", ": x0, x1, x2, x3, x4, ...", "data.mask_suffix")
    assert problem.value.code == "unpaired"
    for i in range(7):
        (tmp_path / "images" / f"x{i}.jpg").unlink()
    touch(tmp_path / "masks", f"b{suffix}.png")
    with pytest.raises(DataError) as problem:
        pairs(tmp_path, mask_suffix=suffix)
    assert says(problem, "1 masks without an image", tmp_path / "images", ": b.")


@pytest.mark.parametrize(
    "task",
    [Task.multilabel(list(LABELS)), Task.multiclass(["background", *LABELS]), Task.multiclass(list(LABELS))],
    ids=lambda task: f"{task.kind} {len(task.classes)}",
)
def test_a_mask_can_be_a_file_in_each_class_folder(tmp_path: Path, task: Task) -> None:
    touch(tmp_path, "images/a.jpg", "images/monday/b.jpg")
    touch(tmp_path / "masks", *(f"{label}/{name}.png" for label in LABELS for name in ("a", "monday/b")))
    found = pairs(tmp_path, labels=tuple(task.classes[i] for i in task.foreground))
    assert shown(found, tmp_path) == {
        name: (f"images/{name}.jpg", {label: f"masks/{label}/{name}.png" for label in LABELS})
        for name in ("a", "monday/b")
    }


def test_a_binary_mask_can_lie_in_the_folder_of_its_class(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/crack/a.png")
    assert shown(pairs(tmp_path, labels=("crack",)), tmp_path) == {
        "a": ("images/a.jpg", {"crack": "masks/crack/a.png"})
    }


def test_a_class_name_with_a_slash_is_a_folder_in_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/organ/liver/a.png", "masks/organ/lung/a.png")
    found = pairs(tmp_path, labels=("organ/liver", "organ/lung"))
    assert set(found.by_name["a"].masks) == {"organ/liver", "organ/lung"}


def test_folders_that_the_images_have_too_are_no_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "images/vessel/a.jpg", "masks/vessel/a.png")
    assert shown(pairs(tmp_path, labels=LABELS), tmp_path) == {
        "vessel/a": ("images/vessel/a.jpg", {"": "masks/vessel/a.png"})
    }


def test_missing_and_incomplete_class_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/vessel/a.png", "masks/Tumour/a.png")
    with pytest.raises(DataError) as problem:
        pairs(tmp_path, labels=LABELS)
    assert says(problem, tmp_path / "masks", "missing: tumour;", "found: Tumour, vessel")
    (tmp_path / "masks" / "Tumour").rename(tmp_path / "masks" / "tumour")
    (tmp_path / "masks" / "tumour" / "a.png").rename(tmp_path / "masks" / "tumour" / "b.png")
    with pytest.raises(DataError) as problem:
        pairs(tmp_path, labels=LABELS)
    assert says(problem, "1 images without a mask", tmp_path / "masks" / "tumour", ": a.")


def test_a_list_pairs_by_its_columns_and_names_by_its_paths(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "out/other name.png", "b.png", "c.png")
    found = find_pairs(
        listing(tmp_path, ("mask", "image", "note"), ("out/other name.png", "in/a.jpg", "x"), ("c.png", "b.png", "")),
        (),
    )
    assert shown(found, tmp_path) == {"b": ("b.png", {"": "c.png"}), "in/a": ("in/a.jpg", {"": "out/other name.png"})}
    assert found.parts == {}


def test_a_list_may_have_a_column_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "v.png", "t.png")
    data = listing(tmp_path, ("image", "tumour", "vessel"), ("a.jpg", "t.png", "v.png"))
    assert find_pairs(data, LABELS).by_name["a"].masks == {"vessel": tmp_path / "v.png", "tumour": tmp_path / "t.png"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_list_has_names_of_every_script_spaces_commas_and_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    names = ["ä ö, ü", "図 1", 'it\'s "quoted"', "two\nlines"]
    touch(tmp_path, *(f"{name}{end}.png" for name in names for end in ("", "_m")))
    rows = [(f"{name}.png", f"{name}_m.png") for name in names]
    found = find_pairs(listing(tmp_path, ("image", "mask"), *rows, encoding=encoding), ())
    assert sorted(found.by_name) == sorted(names)


def test_files_elsewhere_go_by_their_own_name(tmp_path: Path) -> None:
    touch(tmp_path, "lists/x", "images/a.jpg", "masks/a.png")
    (tmp_path / "lists" / "x").unlink()
    data = listing(tmp_path / "lists", ("image", "mask"), ("../images/a.jpg", str(tmp_path / "masks/a.png")))
    assert list(find_pairs(data, ()).by_name) == ["a"]


HEAD = ("image", "mask", "split")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [HEAD, ("a.jpg", "a.png", ""), ("gone.jpg", "a.png", "")],
            ["line 3", "there is no file gone.jpg", "list's folder"],
        ),
        ([HEAD, ("a.jpg", "", "")], ["line 2", "(empty cell)"]),
        ([HEAD, ("a.jpg",)], ["line 2", "(empty cell)"]),
        ([HEAD, (), ("a.jpg", "gone.png", "")], ["line 3", "gone.png"]),
        ([HEAD, ("a.jpg", "x" * 300, "")], ["line 2", "there is no file xxx"]),
        ([HEAD, ("a.jpg", ".", "")], ["line 2", "there is no file ."]),
        ([HEAD, ("a.jpg", "a.png", "trane")], ["line 2", "train, validation or test", "'trane'"]),
        ([HEAD, ("a.jpg", "a.png", ""), ("a.jpg", "a.png", "")], ["line 3", "a was listed before", "one image"]),
        (
            [HEAD, ("a.jpg", "a.png", "test"), ("b.jpg", "a.png", "")],
            ["line 3", "split is empty", "other lines say test"],
        ),
        (
            [("image", "masks"), ("a.jpg", "a.png")],
            ["columns are image, mask", "(vessel, tumour)", "found image, masks"],
        ),
        ([("mask", "vessel"), ("a.png", "a.png")], ["columns are image, mask", "found mask, vessel"]),
        ([HEAD], ["lists no image"]),
        ([], ["columns are image, mask"]),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, rows: list[tuple[str, ...]], words: list[str]
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "a.png")
    with pytest.raises(DataError) as problem:
        find_pairs(listing(tmp_path, *rows), LABELS)
    assert says(problem, tmp_path / "list.csv", *words)
    assert problem.value.code in ("list", "empty")


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.csv: cannot be read \(No such file"):
        find_pairs(DataConfig(list_file=tmp_path / "list.csv"), ())
    (tmp_path / "list.csv").write_bytes(b"\xff\xfeimage\x00mask\x81")
    with pytest.raises(DataError, match=r"list\.csv: not a CSV file in UTF-8"):
        find_pairs(DataConfig(list_file=tmp_path / "list.csv"), ())
    with pytest.raises(DataError, match="cannot be read"):
        find_pairs(DataConfig(list_file=tmp_path), ())


@given(st.binary(max_size=80) | st.text('image,mask"\n;x', max_size=40).map(str.encode))
def test_any_bytes_as_a_list_give_pairs_or_a_data_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "list.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"list\.csv"):
            find_pairs(DataConfig(list_file=Path(folder, "list.csv")), LABELS)


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
        found = find_pairs(listing(Path(folder), HEAD, *((f"{i}.jpg", "m.png", w) for i, w in enumerate(words))), ())
    expected: dict[str, list[str]] = {}
    for i, part in enumerate(said):
        expected.setdefault(part, []).append(str(i))
    assert found.parts == expected


def _listed(root: Path, parts: dict[str, int], **data: object) -> dict[str, list[str]]:
    """Open the parts of a list that says so many images of each; their names begin with the part's."""
    rows = [(f"{part}{i}.jpg", "m.png", part) for part, count in parts.items() for i in range(count)]
    touch(root, "m.png", *(row[0] for row in rows))
    settings = {"list_file": listing(root, HEAD, *rows).list_file, **data}
    config = Config(task=Task.binary("crack"), data=DataConfig.model_validate(settings))
    return {part: list(subset.names) for part, subset in open_parts(config).items()}


def test_trap_33_parts_that_a_list_names_are_used_as_they_are(tmp_path: Path) -> None:
    parts = _listed(tmp_path, {"train": 4, "validation": 2, "test": 3}, validation=0.4, test=0.4)
    assert {part: {name.rstrip("0123456789") for name in names} for part, names in parts.items()} == {
        part: {part} for part in parts
    }
    assert {part: len(names) for part, names in parts.items()} == {"train": 4, "validation": 2, "test": 3}


def test_trap_33_a_list_of_train_and_test_shares_its_training_part_alone(tmp_path: Path) -> None:
    parts = _listed(tmp_path, {"train": 20, "test": 3}, validation=0.3, test=0.5)
    assert parts["test"] == ["test0", "test1", "test2"]
    assert sorted(parts["train"] + parts["validation"]) == sorted(f"train{i}" for i in range(20))
    assert len(parts["validation"]) > 0


def test_trap_33_what_a_list_calls_test_is_never_trained_on(tmp_path: Path) -> None:
    parts = _listed(tmp_path, {"validation": 5, "test": 5})
    assert not set(parts["train"]) & {*parts["validation"], *parts["test"]}


def test_trap_33_a_part_in_folders_of_its_own_beside_a_list(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    parts = _listed(tmp_path, {"train": 5}, test=PartConfig(images=tmp_path / "images", masks=tmp_path / "masks"))
    assert parts["test"] == ["a"]


def test_a_part_may_have_a_list_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "c.jpg", "m.png")
    own = listing(tmp_path, HEAD, ("b.jpg", "m.png", "test"), ("c.jpg", "m.png", "train"), name="own.csv").list_file
    parts = _listed(tmp_path, {"train": 5}, test=PartConfig(list_file=own))
    assert parts["test"] == ["b"]


def test_without_folders_or_a_list_there_is_nothing_to_open() -> None:
    with pytest.raises(ConfigError, match=r"data\.images and data\.masks, or data\.list_file"):
        find_pairs(DataConfig(), ())
