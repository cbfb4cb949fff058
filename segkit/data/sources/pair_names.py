"""How names of images and masks belong together where they are not the same: what each has more than the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
"""What lists and folders call the parts of a data set."""
SAMPLED = 20
"""Images whose names are compared with all masks, and ways to pair that are tried."""
OF_MASKS = ("mask", "label", "seg", "gt", "manual", "annot", "truth")
"""Words in the suffix of a mask, by which it is known from its image in one folder."""
OF_SEVERAL = ("_gtFine_labelIds",)
"""Suffixes of masks to take where several kinds of files would pair, as in Cityscapes."""


class Suffixes(NamedTuple):
    """What the names of all images and all masks have after the part that both share."""

    image: str
    mask: str

    def __str__(self) -> str:
        settings = (("data.image_suffix", self.image), ("data.mask_suffix", self.mask))
        return " and ".join(f"{setting}: {suffix}" for setting, suffix in settings if suffix)


def find_suffixes(
    images: Collection[str], masks: Collection[str], together: bool = False
) -> Suffixes | None:
    """Return the suffixes by which most images have exactly one mask; None if there are none, or several ways.

    Args:
        images: Names without the ending of the file.
        masks: The same.
        together: Whether both lie in one folder, so that `images` and `masks` are the names of all its files.
    """
    names = set(images)
    drawn = set(masks)
    if names & drawn and not together:
        return Suffixes("", "")
    paired = {
        suffixes: _paired(suffixes, names, drawn, together)
        for suffixes in _candidates(names, drawn)
    }
    most = max(paired.values(), default=0)
    pictures = len(names)
    if together:
        pictures //= 2
    if 2 * most < pictures:
        return None
    best = [suffixes for suffixes, count in paired.items() if count == most]
    known = [suffixes for suffixes in best if suffixes.mask in OF_SEVERAL]
    choice = known or best
    return choice[0] if len(choice) == 1 else None


def _candidates(images: Collection[str], masks: Collection[str]) -> list[Suffixes]:
    """Return what some images and masks have beyond the beginning that both share, the most frequent ones."""
    found: Counter[Suffixes] = Counter()
    for image in sorted(images)[:SAMPLED]:
        for mask in masks:
            shared = _beginning(image, mask).rstrip("_-. ")
            suffixes = Suffixes(image[len(shared) :], mask[len(shared) :])
            in_a_number = shared[-1:].isdigit() and any(suffix[:1].isdigit() for suffix in suffixes)
            if shared and not shared.endswith("/") and image != mask and not in_a_number:
                found[suffixes] += 1
    return [suffixes for suffixes, _ in found.most_common(SAMPLED)]


def _beginning(one: str, other: str) -> str:
    """Return the characters with which both begin."""
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return one[:place]
    return min(one, other, key=len)


def _paired(
    suffixes: Suffixes, images: Collection[str], masks: Collection[str], together: bool
) -> int:
    """Return how many images have a mask; in one folder both suffixes must tell them apart."""
    if together and not suffixes.mask:
        return 0
    if together and suffixes.image and not any(word in suffixes.mask.lower() for word in OF_MASKS):
        return 0
    drawn = {name for name in masks if name.endswith(suffixes.mask)}
    pictures = {name for name in images if name.endswith(suffixes.image)}
    if together:
        pictures -= drawn
    stems = {name.removesuffix(suffixes.mask) for name in drawn}
    return len({name.removesuffix(suffixes.image) for name in pictures} & stems)


def parts_by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names by part if all of them lie in folders called train and val or test; else nothing.

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
    return parts if "train" in parts and len(parts) > 1 else {}
