"""Rules by which the names of images, masks and folders belong together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError

PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
"""Names that lists and folders use for the parts of a data set."""
SAMPLED = 20
"""Images that are compared with all masks, and pairs of suffixes that are tried."""
OF_MASKS = ("mask", "label", "seg", "gt", "manual", "annot", "truth")
"""Words in the suffix of a mask, by which it is recognised in a folder of images and masks."""
OF_SEVERAL = ("_gtFine_labelIds",)
"""Suffixes of masks that are preferred if several kinds of files pair, as in Cityscapes."""


PREFIX = re.compile(r"(?P<prefix>[^\W\d_]+[ _.-]*)(?P<rest>.+)", re.DOTALL)
"""A name that begins with a word, such as image_1 or mask-a."""


class Prefixes(NamedTuple):
    """The words with which all image names and all mask names begin; the rest is equal."""

    image: str
    mask: str


class Suffixes(NamedTuple):
    """The ends of all image names and of all mask names after the beginning that they share."""

    image: str
    mask: str

    def __str__(self) -> str:
        """Return the settings that name the suffixes."""
        settings = (("data.image_suffix", self.image), ("data.mask_suffix", self.mask))
        return " and ".join(f"{setting}: {suffix}" for setting, suffix in settings if suffix)


def find_suffixes(
    images: Collection[str], masks: Collection[str], together: bool = False
) -> Suffixes | None:
    """Find the suffixes with which images pair with masks.

    Args:
        images: Names of the images, without the ending of the file.
        masks: Names of the masks, without the ending.
        together: Whether both are in one folder. Then `images` and `masks` are the names of all its
            files.

    Returns:
        The suffixes with which most images have exactly one mask. None if that is less than half of
        the images, or if several pairs of suffixes are equally good.

    Raises:
        DataError: If the masks have one file per object; see `check_one_mask_per_image`.
    """
    check_one_mask_per_image(images)
    image_names = set(images)
    mask_names = set(masks)
    if image_names & mask_names and not together:
        return Suffixes("", "")
    counts = {}
    for suffixes in _candidates(image_names, mask_names):
        counts[suffixes] = _count_pairs(suffixes, image_names, mask_names, together)
    most = max(counts.values(), default=0)
    expected = len(image_names) // 2 if together else len(image_names)
    if 2 * most < expected:
        return None
    best = [suffixes for suffixes, count in counts.items() if count == most]
    preferred = [suffixes for suffixes in best if suffixes.mask in OF_SEVERAL]
    choice = preferred or best
    return choice[0] if len(choice) == 1 else None


def _candidates(images: Collection[str], masks: Collection[str]) -> list[Suffixes]:
    """Return the most frequent ends of image and mask names after a shared beginning."""
    found: Counter[Suffixes] = Counter()
    for image in sorted(images)[:SAMPLED]:
        for mask in masks:
            shared = _shared_beginning(image, mask).rstrip("_-. ")
            if image == mask or not shared or shared.endswith("/"):
                continue
            suffixes = Suffixes(image[len(shared) :], mask[len(shared) :])
            next_is_digit = suffixes.image[:1].isdigit() or suffixes.mask[:1].isdigit()
            if shared[-1].isdigit() and next_is_digit:  # the names differ within a number
                continue
            found[suffixes] += 1
    return [suffixes for suffixes, _ in found.most_common(SAMPLED)]


def _shared_beginning(one: str, other: str) -> str:
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return one[:length]


def _count_pairs(
    suffixes: Suffixes, images: Collection[str], masks: Collection[str], together: bool
) -> int:
    """Return how many images have a mask; in one folder the suffixes must distinguish them."""
    if together and not suffixes.mask:
        return 0
    if together and suffixes.image and not _has_mask_word(suffixes.mask):
        return 0
    with_mask_suffix = {name for name in masks if name.endswith(suffixes.mask)}
    with_image_suffix = {name for name in images if name.endswith(suffixes.image)}
    if together:
        with_image_suffix -= with_mask_suffix
    mask_stems = {name.removesuffix(suffixes.mask) for name in with_mask_suffix}
    image_stems = {name.removesuffix(suffixes.image) for name in with_image_suffix}
    return len(image_stems & mask_stems)


def find_prefixes(images: Collection[str], masks: Collection[str]) -> Prefixes | None:
    """Find the prefixes with which images pair with masks, such as image_1 with mask_1.

    Args:
        images: Names of the images, without the ending of the file.
        masks: Names of the masks, without the ending.

    Returns:
        The prefixes, if all masks begin with one word for masks, all images begin with one other
        word or with none, and at least half of the images have a mask. Otherwise None.
    """
    mask_prefix = _shared_prefix(masks)
    if not _has_mask_word(mask_prefix):
        return None
    mask_rests = {without_prefix(name, mask_prefix) for name in masks}
    for image_prefix in ("", _shared_prefix(images)):
        if _has_mask_word(image_prefix):
            continue
        image_rests = {without_prefix(name, image_prefix) for name in images}
        if 2 * len(image_rests & mask_rests) >= len(images):
            return Prefixes(image_prefix, mask_prefix)
    return None


def without_prefix(name: str, prefix: str) -> str:
    """Remove the prefix from a name, after its folders.

    >>> without_prefix("monday/mask_1", "mask_")
    'monday/1'
    """
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.removeprefix(prefix)}"


def _shared_prefix(names: Collection[str]) -> str:
    """Return the word with which all names begin, with its separator; "" if there is none."""
    prefixes = set()
    for name in names:
        found = PREFIX.fullmatch(name.rpartition("/")[2])
        prefixes.add(found["prefix"] if found else "")
    return prefixes.pop() if len(prefixes) == 1 else ""


def _has_mask_word(text: str) -> bool:
    return any(word in text.lower() for word in OF_MASKS)


def check_one_mask_per_image(names: Collection[str], root: Path | None = None) -> None:
    """Refuse the layout ID/images/ID with mask files in ID/masks, as in the Data Science Bowl 2018.

    Args:
        names: Names of all files, without their ending.
        root: The folder of the files, for the message.

    Raises:
        DataError: If an image has this layout. The message says how to combine its masks.

    >>> check_one_mask_per_image(["a1/images/a1", "a1/masks/b2", "a1/masks/c3"])
    Traceback (most recent call last):
    segkit.errors.DataError: a1/masks: one mask file per object, ...
    """
    folders = set()
    for name in names:
        found = re.fullmatch(r"((?:.*/)?([^/]+))/images/\2", name, re.DOTALL)
        if found:
            folders.add(found[1])
    for name in names:
        folder, _, file = name.rpartition("/masks/")
        if file and folder in folders:
            place = f"{folder}/masks" if root is None else root / folder / "masks"
            raise DataError(
                f"{place}: one mask file per object, as in the Data Science Bowl 2018, but segkit "
                f"reads one mask file per image. Combine the masks of each image as "
                f"'One mask file per object' in docs/how-to/folder.md shows, and read the new "
                f"files with data.mask_ids: instances",
                "unpaired",
            )


def parts_by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Sort names into parts by their first folder.

    Args:
        names: Sample names with "/" between folders.

    Returns:
        The names by part if all folders are called like parts, and "train" and another part are
        among them; otherwise {}.

    >>> parts_by_folder(["train/a", "val/b"])
    {'train': ['train/a'], 'validation': ['val/b']}
    >>> parts_by_folder(["monday/a", "val/b"])
    {}
    """
    parts: dict[str, list[str]] = {}
    for name in names:
        folder, slash, _ = name.partition("/")
        part = PARTS.get(folder.lower()) if slash else None
        if part is None:
            return {}
        parts.setdefault(part, []).append(name)
    if "train" in parts and len(parts) > 1:
        return parts
    return {}


def with_a_mask(
    stems: Mapping[str, str], masks_by_class: Mapping[str, Mapping[str, Path]], folder: Path
) -> dict[str, str]:
    """Return the images that have a mask, each with the name that it shares with the mask.

    Args:
        stems: The shared name of each image.
        masks_by_class: The masks of each class by their shared names.
        folder: The folder of the masks, for the error.

    Raises:
        DataError: If no image has a mask.
    """
    have_masks: set[str] = set().union(*masks_by_class.values())
    found = {name: stem for name, stem in stems.items() if stem in have_masks}
    if not found:
        raise DataError(f"{folder}: has no mask with the name of an image", "unpaired")
    return found
