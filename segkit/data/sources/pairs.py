"""Pairs images with their mask files: by name in folders, or by a list file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from segkit.config import DataConfig
from segkit.data.sources.csv_list import CsvRow, read_list, unlabelled_in, wrong_columns
from segkit.data.sources.labelling_tools import of_a_tool
from segkit.data.sources.pair_names import (
    PARTS,
    check_one_mask_per_image,
    find_prefixes,
    find_suffixes,
    parts_by_folder,
    with_a_mask,
    without_prefix,
)
from segkit.data.sources.pair_pages import (
    Pair,
    Pairs,
    at_levels,
    planes_of_images,
    separate_pages,
    separate_planes,
    stack_folders,
)
from segkit.data.sources.probabilities import with_arrays
from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.io.images import SUFFIXES, list_images
from segkit.io.ome_zarr import is_ome_zarr
from segkit.io.planes import planes_apart
from segkit.io.unicode_names import by_nfc, existing, nfc

MOST_LISTED = 5
"""Names that a message lists at most."""
_HOW_TO_LEAVE_OUT = "To leave out such images, set data.missing_masks: leave_out"
_HOW_TO_LEAVE_OPEN = "If a class without a mask was not annotated, set data.missing_masks: void"


def find_pairs(data: DataConfig, labels: tuple[str, ...]) -> Pairs:
    """Pair the images of a `data` section with their masks.

    Args:
        data: The section, with `images` and `masks`, or with `list_file`.
        labels: The classes that may have a mask folder or a column of their own.

    Returns:
        The pairs, sorted by name.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If an image has no mask, or a mask no image.
    """
    if data.list_file is not None:
        pairs = _from_list(data.list_file, labels, data.missing_masks)
        pairs = at_levels(pairs, data.microns_per_pixel)
        if data.axes is not None:
            return separate_planes(pairs, data.axes)
    else:
        pairs = _from_folders(data, labels)
        pairs = at_levels(pairs, data.microns_per_pixel)
    if data.pages == "samples":
        return separate_pages(pairs)
    return pairs


def _from_folders(data: DataConfig, labels: tuple[str, ...]) -> Pairs:
    """Pair files with equal names, apart from suffixes, in the folders of images and masks."""
    if data.images is None or data.masks is None:
        raise ConfigError(
            "the folder source needs data.images and data.masks, or data.list_file",
            "missing-setting",
            setting="data",
        )
    images = list_images(data.images)
    check_one_mask_per_image(images, data.images)
    if data.images == data.masks or data.images in data.masks.parents:
        images = {name: path for name, path in images.items() if not _is_mask(path, data)}
    if not images:
        raise DataError(
            f"{data.images}: contains no image; segkit reads {', '.join(SUFFIXES)}", "empty"
        )
    _check_image_suffix(images, data)
    by_nfc(images)  # raises an error for two names that look alike
    stems = {name: nfc(name).removesuffix(nfc(data.image_suffix)) for name in images}
    if data.axes is not None:
        images, stems = planes_of_images(images, stems, data.axes)
    masks_by_class: dict[str, Mapping[str, Path]] = {}
    for label, folder in mask_folders(data, data.masks, labels).items():
        masks: Mapping[str, Path] = by_nfc(_masks_in(folder, data))
        if not data.mask_suffix and not data.image_suffix:
            masks = _named_like_images(masks, stems.values())
        masks = planes_apart(masks, data.axes)
        masks_by_class[label] = masks
    if data.missing_masks == "leave_out":
        stems = with_a_mask(stems, masks_by_class, data.masks)
    _check_all_partners(stems.values(), masks_by_class, data, data.masks)
    pairs = {}
    for name, stem in stems.items():
        image = images[name]
        found = {label: masks[stem] for label, masks in masks_by_class.items() if stem in masks}
        pairs[name] = Pair(image, found)
    return Pairs(pairs, parts_by_folder(pairs), _without_mask(pairs, labels))


def _check_all_partners(
    stems: Collection[str],
    masks_by_class: Mapping[str, Mapping[str, Path]],
    data: DataConfig,
    folder: Path,
) -> None:
    """Raise `DataError` if an image has no mask or a mask no image, in the masks of any class."""
    are_optional = data.missing_masks == "void" and "" not in masks_by_class
    for label, masks in masks_by_class.items():
        needing = [stem for stem in stems if stem in masks or not are_optional]
        _check_partners(needing, masks, data, folder / label)
    if are_optional:
        have_masks: set[str] = set().union(*masks_by_class.values())
        _check_partners(stems, have_masks, data, folder)


def _without_mask(pairs: Mapping[str, Pair], labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the classes without a mask of each sample, if classes have masks of their own."""
    unlabelled = {}
    for name, pair in pairs.items():
        if "" not in pair.masks and len(pair.masks) < len(labels):
            unlabelled[name] = tuple(label for label in labels if label not in pair.masks)
    return unlabelled


def _named_like_images(masks: Mapping[str, Path], images: Collection[str]) -> Mapping[str, Path]:
    """Return masks by the names of their images, if only their prefixes differ."""
    if not set(masks).isdisjoint(images) or find_suffixes(images, masks):
        return masks
    prefixes = find_prefixes(images, masks)
    if prefixes is None:
        return masks
    names = {without_prefix(name, prefixes.image): name for name in images}
    renamed = {}
    for name, path in masks.items():
        rest = without_prefix(name, prefixes.mask)
        renamed[names.get(rest, name)] = path
    return renamed


def _check_image_suffix(images: Iterable[str], data: DataConfig) -> None:
    without = [name for name in images if not _ends_with(name, data.image_suffix)]
    if without:
        raise DataError(
            f"{data.images}: {len(without)} images whose names do not end in {data.image_suffix} "
            f"(data.image_suffix): {_list_names(without)}",
            "unpaired",
        )


def _folders_and_files(masks: Path) -> tuple[set[str], bool]:
    """Return the names of the sub-folders that are no images, and whether there is a mask file."""
    folders = set()
    has_files = False
    with codecs.naming(masks):
        for path in masks.iterdir():
            if path.is_file() or is_ome_zarr(path):
                has_files = True
            elif path.is_dir():
                folders.add(path.name)
    return folders, has_files


def mask_folders(data: DataConfig, masks: Path, labels: tuple[str, ...]) -> dict[str, Path]:
    """Find the folders of the mask files.

    Args:
        data: The `data` section of a config.
        masks: The folder of masks.
        labels: The classes that may have a sub-folder of their own.

    Returns:
        The sub-folder of each class, or `masks` itself as "" if its files have all classes.

    Raises:
        DataError: If the folder, or the sub-folder of a class, is missing.
    """
    if not masks.is_dir():
        raise DataError(f"{masks}: there is no such folder", "unpaired")
    folders, has_files = _folders_and_files(masks)
    if data.images:  # folders that images have, too, are not classes
        folders -= {path.name for path in data.images.iterdir() if path.is_dir()}
        if data.axes is not None:
            folders -= stack_folders(data.images)
    names = {nfc(name) for name in folders}
    by_class = {label: existing(masks / label) for label in labels}
    missing = []
    for label in labels:
        if nfc(label.partition("/")[0]) not in names or not by_class[label].is_dir():
            missing.append(label)
    if not missing:
        return by_class
    some_exist = len(missing) < len(labels)
    if some_exist and data.missing_masks == "void":
        return {label: path for label, path in by_class.items() if label not in missing}
    if names and (some_exist or not has_files):
        advice = f". {_HOW_TO_LEAVE_OPEN}" if some_exist else ""
        raise DataError(
            f"{masks}: if masks have sub-folders, each class needs one; missing: "
            f"{', '.join(missing)}; found: {', '.join(sorted(names))}{advice}",
            "unpaired",
        )
    return {"": masks}


def _masks_in(folder: Path, data: DataConfig) -> dict[str, Path]:
    """Return the mask files of a folder by the name that they share with their image."""
    files = list_images(folder)
    if data.mask_probabilities:
        files = with_arrays(files, folder)
    suffix = nfc(data.mask_suffix)
    if not suffix:
        return files
    found = {}
    for name, path in files.items():
        if _ends_with(name, suffix):
            found[nfc(name).removesuffix(suffix)] = path
    return found


def _is_mask(path: Path, data: DataConfig) -> bool:
    """Return whether a file in the folder of images is a mask, if masks are there, too."""
    if data.masks and data.images != data.masks:
        return data.masks in path.parents
    if not data.mask_suffix:
        raise ConfigError(
            "data.images and data.masks are one folder; set the suffix of the masks",
            "missing-setting",
            setting="data.mask_suffix",
        )
    return _ends_with(path.stem, data.mask_suffix)


def _ends_with(name: str, suffix: str) -> bool:
    return nfc(name).endswith(nfc(suffix))


def _check_partners(
    images: Collection[str], masks: Collection[str], data: DataConfig, mask_folder: Path
) -> None:
    """Raise `DataError` unless each image has a mask and each mask an image."""
    image_names = set(images)
    mask_names = set(masks)
    alone = image_names - mask_names
    message = f"{len(alone)} images without a mask of the same name in {mask_folder}"
    if not alone:
        alone = mask_names - image_names
        message = f"{len(alone)} masks without an image of the same name in {data.images}"
    if alone:
        advice = _how_to_pair(image_names, mask_names, data)
        if alone <= image_names and mask_names and mask_names <= image_names:
            advice = f"{_HOW_TO_LEAVE_OUT}. {advice}"
            if mask_folder != data.masks:
                advice = f"{_HOW_TO_LEAVE_OPEN}. {advice}"
        raise DataError(f"{message}: {_list_names(alone)}. {advice}", "unpaired")


def _how_to_pair(images: set[str], masks: set[str], data: DataConfig) -> str:
    """Describe what to do about images and masks that do not pair with the settings."""
    suffixes = find_suffixes(images, masks)
    if suffixes and any(suffixes) and not data.mask_suffix and not data.image_suffix:
        return f"The names pair with {suffixes}. Or list the pairs in a CSV file: data.list_file"
    tool = of_a_tool(data.images, data.masks)
    if tool:
        return tool
    folders = {name.partition("/")[0] for name in images - masks}
    if len(folders) == 1 and not masks - images and parts_by_folder(images):
        [folder] = folders
        return (
            f"If the images in {folder} have no masks, name the other folders: "
            f"data.images: {data.images}/train, ..."
        )
    return (
        "Masks pair with images by name (a.jpg with a.png; with a_mask.png by "
        "data.mask_suffix: _mask); add what is missing or move the others away. "
        "Pairs with other names need a CSV list: data.list_file"
    )


def _list_names(names: Collection[str]) -> str:
    listed = sorted(names)[:MOST_LISTED]
    if len(names) > MOST_LISTED:
        listed.append("...")
    return ", ".join(listed)


def _from_list(path: Path, labels: tuple[str, ...], missing_masks: str) -> Pairs:
    """Pair the files of each row of a CSV list; `data.missing_masks` says whether some may lack."""
    rows, columns = read_list(path, labels)
    classes = [label for label in labels if label in columns]
    if not classes and "mask" not in columns:
        raise wrong_columns(path, columns, labels)
    pairs: dict[str, Pair] = {}
    parts: dict[str, list[str]] = {}
    unlabelled: dict[str, tuple[str, ...]] = {}
    without_part: list[str] = []
    for row in rows:
        where = f"{path}, line {row.line}"
        if missing_masks == "leave_out" and not any(row.cells[x] for x in classes or ["mask"]):
            continue
        pair = _pair_of_row(row, classes, path, where, missing_masks == "void")
        name = _name(pair.image, path.parent)
        if name in pairs:
            raise DataError(
                f"{where}: {name} was listed before; a name stands for one image", "list"
            )
        pairs[name] = pair
        missing = set(unlabelled_in(row, labels, where))
        if missing_masks == "void" and classes:
            missing.update(label for label in labels if label not in pair.masks)
        if missing:
            unlabelled[name] = tuple(label for label in labels if label in missing)
        split = row.cells.get("split")
        if split:
            parts.setdefault(_part(split, where), []).append(name)
        else:
            without_part.append(where)
    if not pairs:
        raise DataError(f"{path}: lists no image", "empty")
    if parts and without_part:
        raise DataError(
            f"{without_part[0]}: split is empty, but other lines name {', '.join(parts)}; "
            f"fill it in each line",
            "list",
        )
    return Pairs(dict(sorted(pairs.items())), parts, unlabelled)


def column_of_list(path: Path, column: str) -> dict[str, str | None]:
    """Return the cells of a column of a CSV list by the names of the samples.

    Args:
        path: The list.
        column: The name of the column.

    Returns:
        The cells without spaces around them; None for an empty one.

    Raises:
        DataError: If the list cannot be read, or has no such column.
    """
    rows, columns = read_list(path)
    if column not in columns:
        raise DataError(
            f"{path}: has no column {column} (data.groups); its columns are {', '.join(columns)}",
            "list",
        )
    cells: dict[str, str | None] = {}
    for row in rows:
        image = _file(row.cells["image"], path, f"{path}, line {row.line}")
        cells[_name(image, path.parent)] = (row.cells[column] or "").strip() or None
    return cells


def _pair_of_row(
    row: CsvRow, classes: list[str], path: Path, where: str, are_optional: bool
) -> Pair:
    """Return the image and the masks of a row; without class columns, the one mask."""
    image = _file(row.cells["image"], path, where)
    if not classes:
        return Pair(image, {"": _file(row.cells["mask"], path, where)})
    filled = [label for label in classes if row.cells[label] or not are_optional] or classes
    return Pair(image, {label: _file(row.cells[label], path, where) for label in filled})


def _file(cell: str | None, listing: Path, where: str) -> Path:
    path = existing(listing.parent / (cell or ""))
    if cell and is_ome_zarr(path):
        return path
    if not cell or not os.path.isfile(path):  # noqa: PTH113 (is_file raises for a name of 300 characters)
        raise DataError(
            f"{where}: there is no file {cell or '(empty cell)'} "
            f"(paths start at the folder of the list)",
            "list",
        )
    return path


def _name(image: Path, root: Path) -> str:
    """Return the path below the list's folder, or the name of a file elsewhere, without suffix."""
    if image.is_relative_to(root) and ".." not in image.parts:
        return image.relative_to(root).with_suffix("").as_posix()
    return image.stem


def _part(word: str, where: str) -> str:
    """Return the part that a cell of the column split names."""
    part = PARTS.get(word.strip().lower())
    if part is None:
        raise DataError(f"{where}: split must be train, validation or test; found {word!r}", "list")
    return part
