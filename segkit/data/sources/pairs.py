"""Which mask files belong to which image: by name in folders, or by a list file."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.config import DataConfig
from segkit.data.sources.labelling_tools import of_a_tool
from segkit.data.sources.pair_names import PARTS, find_suffixes, parts_by_folder
from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.files import check_is_file
from segkit.io.images import SUFFIXES, list_images
from segkit.io.pages import pages_apart, pages_of
from segkit.io.unicode_names import by_nfc, existing, nfc

COLUMNS = ("image", "mask", "split")
"""Columns of a list that are no classes."""
SEPARATORS = ",;\t"
LARGEST_LIST = 2**30
"""Bytes of a CSV list."""


class Pair(NamedTuple):
    """An image and its mask files by class; the one file of all classes goes by the name ""."""

    image: Path
    masks: Mapping[str, Path]


class Pairs(NamedTuple):
    """Pairs by name, and the names of each part where a list file says so."""

    by_name: dict[str, Pair]
    parts: dict[str, list[str]]


def find_pairs(data: DataConfig, labels: tuple[str, ...]) -> Pairs:
    """Return the pairs of a `data` section; `labels` are the classes that may have a folder or column of their own.

    Raises `DataError` where a partner is missing, and `ConfigError` if the settings do not say where to look.
    """
    pairs = (
        _from_list(data, data.list_file, labels)
        if data.list_file is not None
        else _from_folders(data, labels)
    )
    return _pages_apart(pairs) if data.pages == "samples" else pairs


def _pages_apart(pairs: Pairs) -> Pairs:
    """Return each page of an image of several as a sample of its own, NAME#001, with the pages of its masks."""
    images = pages_apart({name: pair.image for name, pair in pairs.by_name.items()}, "samples")
    names: dict[str, list[str]] = {}
    for page in images:
        name = page if page in pairs.by_name else page.rpartition("#")[0]
        names.setdefault(name, []).append(page)
    by_name: dict[str, Pair] = {}
    for name, pages in names.items():
        masks = {
            label: _pages_of_mask(path, pairs.by_name[name].image, len(pages))
            for label, path in pairs.by_name[name].masks.items()
        }
        for number, page in enumerate(pages):
            by_name[page] = Pair(
                images[page], {label: paths[number] for label, paths in masks.items()}
            )
    parts = {
        part: [page for name in inside for page in names[name]]
        for part, inside in pairs.parts.items()
    }
    return Pairs(by_name, parts)


def _pages_of_mask(path: Path, image: Path, count: int) -> list[Path]:
    found = pages_of(path, "samples")
    if len(found) != count:
        raise DataError(f"{path}: has {len(found)} page(s), its image {image} has {count}", "pages")
    return found


def _from_folders(data: DataConfig, labels: tuple[str, ...]) -> Pairs:
    if data.images is None or data.masks is None:
        raise ConfigError(
            "the folder source needs data.images and data.masks, or data.list_file",
            "missing-setting",
            setting="data",
        )
    images = list_images(data.images)
    if data.images == data.masks or data.images in data.masks.parents:
        images = {name: path for name, path in images.items() if not _is_mask(path, data)}
    if not images:
        raise DataError(
            f"{data.images}: holds no image; segkit reads {', '.join(SUFFIXES)}", "empty"
        )
    _check_image_suffix(images, data)
    by_nfc(images)  # refuses two that look alike
    stems = {name: nfc(name).removesuffix(nfc(data.image_suffix)) for name in images}
    found = {
        label: by_nfc(_masks_in(folder, data))
        for label, folder in mask_folders(data, data.masks, labels).items()
    }
    for label, masks in found.items():
        _check_partners(stems.values(), masks, data, data.masks / label)
    pairs = {}
    for name, image in images.items():
        theirs = {label: masks[stems[name]] for label, masks in found.items()}
        pairs[name] = Pair(image, theirs)
    return Pairs(pairs, parts_by_folder(pairs))


def _check_image_suffix(images: Iterable[str], data: DataConfig) -> None:
    without = [name for name in images if not _ends(name, data.image_suffix)]
    if without:
        raise DataError(
            f"{data.images}: {len(without)} images whose names do not end in {data.image_suffix} (data.image_suffix): "
            f"{_few(without)}",
            "unpaired",
        )


def mask_folders(data: DataConfig, masks: Path, labels: tuple[str, ...]) -> dict[str, Path]:
    """Return the sub-folders of the classes, or the mask folder itself as "" if its files hold all classes."""
    if not masks.is_dir():
        raise DataError(f"{masks}: there is no such folder", "unpaired")
    with codecs.naming(masks):
        inside = {path.name for path in masks.iterdir() if path.is_dir()} - _folders_in(data.images)
    inside = {nfc(name) for name in inside}
    named = {name: existing(masks / name) for name in labels}
    missing = [
        name
        for name in labels
        if nfc(name.partition("/")[0]) not in inside or not named[name].is_dir()
    ]
    if (
        inside
        and missing
        and (len(missing) < len(labels) or not any(path.is_file() for path in masks.iterdir()))
    ):
        raise DataError(
            f"{masks}: where masks have one sub-folder a class, each class has one; missing: {', '.join(missing)}; found: "
            f"{', '.join(sorted(inside))}",
            "unpaired",
        )
    return {"": masks} if missing else named


def _folders_in(folder: Path | None) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder else set()


def _masks_in(folder: Path, data: DataConfig) -> dict[str, Path]:
    found = list_images(folder)
    if not data.mask_suffix:
        return found
    return {
        nfc(name)[: -len(nfc(data.mask_suffix))]: path
        for name, path in found.items()
        if _ends(name, data.mask_suffix)
    }


def _is_mask(path: Path, data: DataConfig) -> bool:
    if data.images != data.masks:
        return data.masks in path.parents
    if not data.mask_suffix:
        raise ConfigError(
            "data.images and data.masks are one folder; say which files are masks",
            "missing-setting",
            setting="data.mask_suffix",
        )
    return _ends(path.stem, data.mask_suffix)


def _ends(name: str, suffix: str) -> bool:
    return nfc(name).endswith(nfc(suffix))


def _check_partners(
    images: Collection[str], masks: Collection[str], data: DataConfig, mask_folder: Path
) -> None:
    wanted, found = set(images), set(masks)
    for names, what, where in (
        (wanted - found, "images without a mask of the same name in", mask_folder),
        (found - wanted, "masks without an image of the same name in", data.images),
    ):
        if names:
            raise DataError(
                f"{len(names)} {what} {where}: {_few(names)}. {_how_to_pair(wanted, found, data)}",
                "unpaired",
            )


def _how_to_pair(images: set[str], masks: set[str], data: DataConfig) -> str:
    """Return what to do about images and masks that do not pair as the settings say."""
    said = bool(data.mask_suffix or data.image_suffix)
    suffixes = find_suffixes(images, masks)
    if suffixes and any(suffixes) and not said:
        return f"The names pair by {suffixes}. Or list the pairs in a CSV file: data.list_file"
    tool = of_a_tool(data.images, data.masks)
    if tool:
        return tool
    alone = {name.partition("/")[0] for name in images - masks}
    if len(alone) == 1 and not masks - images and parts_by_folder(images):
        [folder] = alone
        return f"If the images in {folder} have no masks, name the other folders: data.images: {data.images}/train, ..."
    return (
        "Masks pair with images by name (a.jpg with a.png; with a_mask.png by data.mask_suffix: _mask); add what is "
        "missing or move the others away. Names of any other kind pair by a CSV list: data.list_file"
    )


def _few(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")


def _from_list(data: DataConfig, path: Path, labels: tuple[str, ...]) -> Pairs:
    rows, columns = read_list(path, labels)
    own = [label for label in labels if label in columns]
    if not ("mask" in columns or own):
        raise _wrong_columns(path, columns, labels)
    pairs: dict[str, Pair] = {}
    parts: dict[str, list[str]] = {}
    unsaid: list[str] = []
    for line, row in rows:
        where = f"{path}, line {line}"
        cells = {
            column: _file(row[column], path, where) for column in ["image", *(own or ["mask"])]
        }
        name = _name(cells["image"], path.parent)
        if name in pairs:
            raise DataError(
                f"{where}: {name} was listed before; a name stands for one image", "list"
            )
        pairs[name] = Pair(cells["image"], {label: cells[label or "mask"] for label in own or [""]})
        if row.get("split"):
            parts.setdefault(_part(row["split"], where), []).append(name)
        else:
            unsaid.append(where)
    if not pairs:
        raise DataError(f"{path}: lists no image", "empty")
    if parts and unsaid:
        raise DataError(
            f"{unsaid[0]}: split is empty, but other lines say {', '.join(parts)}; say it in each",
            "list",
        )
    return Pairs(dict(sorted(pairs.items())), parts)


def read_list(
    path: Path, labels: Sequence[str] = ()
) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Return each row of a CSV list with the number of its line, and the names of the columns.

    Columns are separated by commas, semicolons or tabs. The names image, mask and split are in lower case, however the
    file writes them; those of classes are as in the file. Empty rows are left out. Raises `DataError` if the file cannot be
    read or has no column of images; `labels` are the classes that may have a column of their own.
    """
    check_is_file(path, LARGEST_LIST)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head = stream.readline()
            stream.seek(0)
            separator = max(SEPARATORS, key=head.count)
            reader = csv.DictReader(stream, delimiter=separator, skipinitialspace=True)
            columns = [_column(name) for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [(reader.line_num, dict(row)) for row in reader]
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "list") from problem
    except (csv.Error, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({problem})", "list") from problem
    if columns.count("image") != 1 or columns.count("mask") > 1:
        raise _wrong_columns(path, columns, labels)
    return [
        (line, row) for line, row in rows if any(row.get(column) for column in columns)
    ], columns


def _column(name: str) -> str:
    plain = name.strip()
    return plain.lower() if plain.lower() in COLUMNS else plain


def _wrong_columns(path: Path, columns: Sequence[str], labels: Sequence[str]) -> DataError:
    of_classes = ""
    if labels:
        of_classes = f" ({', '.join(labels)})"
    return DataError(
        f"{path}: the columns are image, mask and, if wanted, split; or one a class instead of mask{of_classes}; found "
        f"{', '.join(columns)}",
        "list",
    )


def _file(cell: str | None, listing: Path, where: str) -> Path:
    path = existing(listing.parent / (cell or ""))
    if not cell or not os.path.isfile(path):  # noqa: PTH113 (is_file raises for a name of 300 characters)
        raise DataError(
            f"{where}: there is no file {cell or '(empty cell)'} (paths start at the list's folder)",
            "list",
        )
    return path


def _name(image: Path, root: Path) -> str:
    """Return the image's path below the list's folder, or its file name if it lies elsewhere, without suffix."""
    inside = image.is_relative_to(root) and ".." not in image.parts
    return (image.relative_to(root).with_suffix("").as_posix()) if inside else image.stem


def _part(word: str, where: str) -> str:
    if word.strip().lower() not in PARTS:
        raise DataError(f"{where}: split is train, validation or test; found {word!r}", "list")
    return PARTS[word.strip().lower()]
