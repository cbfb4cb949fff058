"""What is wrong with a data set, each problem with a code, the files, and the mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from segkit.config.config import told_sides
from segkit.data.sources.source import Subset
from segkit.inspection.duplicate_files import Placed
from segkit.inspection.fingerprint import SampleFingerprint, Survey
from segkit.inspection.near_duplicates import near_pairs, same_images
from segkit.inspection.problem import SHOWN as SHOWN
from segkit.inspection.problem import Problem as Problem
from segkit.inspection.ranges import odd_ranges
from segkit.io.image_files import LeftOut
from segkit.system.terminal import shown
from segkit.task import Task

MOST_LISTED = 50
"""Files that are not read that get a line each."""
RARE = 0.001
"""Share of the labelled pixels below which a class is called rare."""
ONE_SIDE = 0.95
"""Share of a class's pixels in one half of the image, in nearly all images, from which it has a side."""


def find_problems(
    task: Task, survey: Survey, flips: bool = True, skip_broken: bool = False
) -> list[Problem]:
    """Return all problems, errors first. `flips` says whether training is to mirror images.

    With `skip_broken` broken samples are warnings. Of a survey that stopped early only what it saw is told.
    """
    facts = survey.facts
    found = [
        *_broken(survey, "warning" if skip_broken else "error"),
        *_no_samples(survey, skip_broken),
    ]
    found += background_names(task)
    if facts:
        found += [*_unlike(facts), *_copies(facts)]
    if facts and len(facts) + len(survey.broken) >= survey.total:
        found += [*_missing(task, facts), *_shares(task, facts)]
        found += [*_sides(task, facts, flips), *_objects(task, facts), *_odd_images(facts)]
        if task.can_overlap and not any(fact.overlap for fact in facts):
            found.append(Problem("no-overlap", "warning", _NO_OVERLAP))
    return sorted(found, key=lambda problem: problem.level)


def left_out_of(parts: Mapping[str, Subset]) -> list[Problem]:
    """Return a warning for each kind of entry that the sources left out because `data.skip_broken` says so, and for each
    file that looks like an image and is not read.
    """
    sources = {id(subset.source): subset.source for subset in parts.values()}.values()
    counts: Counter[str] = Counter()
    for source in sources:
        counts.update(getattr(source, "skipped", {}))
    entries = [entry for source in sources for entry in getattr(source, "left_out", ())]
    return _not_read(list(dict.fromkeys(entries))) + [
        Problem(
            code,
            "warning",
            f"{number} broken entries left out, as data.skip_broken says; their pixels are unlabelled",
        )
        for code, number in counts.items()
    ]


def decided_by(parts: Mapping[str, Subset]) -> list[Problem]:
    """Return a warning for each choice that the sources made because the files leave one."""
    sources = {id(subset.source): subset.source for subset in parts.values()}.values()
    decisions: list[tuple[str, str]] = []
    for source in sources:
        decisions += getattr(source, "decisions", [])
    return [Problem(code, "warning", message) for code, message in dict.fromkeys(decisions)]


def _not_read(entries: Sequence[LeftOut]) -> list[Problem]:
    listed = [
        Problem("not-read", "warning", f"{shown(entry.path)}: not read, {entry.why}")
        for entry in entries[:MOST_LISTED]
    ]
    more = [shown(entry.path) for entry in entries[MOST_LISTED:]]
    if more:
        listed.append(_problem("not-read", "warning", "and more are not read", more))
    return listed


_NO_OVERLAP = (
    "no pixel belongs to two classes, so they may exclude each other. If they always do, a multiclass task "
    "learns it; if they may hold together in images to come, leave it as it is"
)


def _problem(
    code: str, level: Literal["error", "warning"], message: str, names: Sequence[str]
) -> Problem:
    return Problem(code, level, message, tuple(names[:SHOWN]), len(names))


def _broken(survey: Survey, level: Literal["error", "warning"]) -> Iterator[Problem]:
    for code in dict.fromkeys(sample.code for sample in survey.broken):
        alike = [sample for sample in survey.broken if sample.code == code]
        yield _problem(code, level, alike[0].message, [sample.name for sample in alike])


def _no_samples(survey: Survey, skip_broken: bool) -> Iterator[Problem]:
    if not survey.total:
        yield Problem("empty", "error", "the data set holds no sample")
    elif skip_broken and not survey.facts:
        yield Problem(
            "empty",
            "error",
            f"none of the {survey.total} samples can be read, so nothing is left to train on",
        )


def _unlike(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Images of one data set have one depth; grey ones may stand among RGB."""
    for code, of, may in (
        ("depth", lambda fact: fact.dtype, ()),
        ("channels", lambda fact: f"{fact.bands} band(s)", ({"1 band(s)", "3 band(s)"},)),
    ):
        kinds = Counter(of(fact) for fact in facts)
        usual = kinds.most_common(1)[0][0]
        other = [fact.name for fact in facts if of(fact) != usual]
        told = ", ".join(f"{kind} ({count} images)" for kind, count in kinds.most_common())
        if other and set(kinds) not in may:
            message = f"images of one data set are alike; found {told}. Convert the others to {usual} or leave them out"
            yield _problem(code, "error", message, other)


NO_SCORE = 6
"""Images below which a score says nothing."""
FEW = 20
"""Images below which a score depends on which of them test."""
LARGE = 1024
"""Side of an image, in pixels, from which regions of it can be samples of their own."""


def few_images(parts: Mapping[str, Subset], facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return a warning that says what a data set of few images allows."""
    count = len(set().union(*map(_images, parts.values())))
    if not 0 < count < FEW:
        return []
    samples = sum(len(subset) for subset in parts.values())
    if samples > count:
        said = (
            f"the {samples} samples are regions of {count} image(s), so a score says how well these are known, and not "
            f"how well others will be"
        )
        return [Problem("few-images", "warning", said)]
    said = _allowed_by(count)
    if any(min(fact.size) >= LARGE for fact in facts):
        said += (
            f". The images are large: data.blocks: {LARGE // 2} makes samples of regions of them"
        )
    return [Problem("few-images", "warning", said)]


def _allowed_by(count: int) -> str:
    if count == 1:
        return (
            "1 image: none is left to choose the best epoch or for a score. Training (data.validation: 0, data.test: 0) "
            "shows only whether a network can learn it"
        )
    if count < NO_SCORE:
        return (
            f"{count} images: a network can learn them, but a score of so few says little. Train on all of them "
            f"(data.validation: 0, data.test: 0), or score each image by a network that was trained on the others: segkit "
            f"train CONFIG --set data.test=0 --fold all/{count}"
        )
    return (
        f"{count} images: a test part of 15 % holds about {max(1, round(0.15 * count))}, so its score depends on which. "
        f"Cross-validation scores each image once: segkit train CONFIG --set data.test=0 --fold all/5"
    )


def objects_as_classes(task: Task, objects: str) -> Problem:
    """Return the warning that masks whose numbers seem to be objects are read as classes; `objects` says so in words."""
    message = (
        f"{objects}, as it seems, but the task has {task.channels} classes. If they are objects, say data.mask_ids: "
        f"instances and task.kind: binary; if the numbers are classes, data.mask_ids: classes"
    )
    return Problem("mask-instances", "warning", message)


def _images(subset: Subset) -> list[tuple[int, str]]:
    """Return the images that the samples of a part are, or are cut from."""
    image_of = getattr(subset.source, "image_of", lambda name: name)
    return [(id(subset.source), image_of(name)) for name in subset.names]


BACKGROUND_LIKE = frozenset(
    {"bg", "bgr", "bgnd", "bkg", "bkgd", "backgr", "backgrnd", "none", "nothing", "empty"}
)
"""Names of classes, of letters in lower case, that a background has in many data sets."""
UNLABELLED_LIKE = frozenset(
    {"unlabeled", "unlabelled", "unannotated", "unknown", "undefined", "ignore", "ignored", "void"}
)
"""Names that pixels have which nobody labelled."""


def background_names(task: Task) -> list[Problem]:
    """Return a warning for each foreground class that is called like a background, or like what nobody labelled."""
    found = []
    for name in (task.classes[index] for index in task.foreground):
        letters = "".join(letter for letter in name.lower() if letter.isalpha())
        if letters in UNLABELLED_LIKE:
            message = (
                f"the class {name!r} is trained and scored as an object. If its pixels are unlabelled, map its value to "
                f"void (data.mask_values or data.mask_colours); if they are the background, {_as_background(task, name)}"
            )
            found.append(Problem("background-name", "warning", message))
        elif "background" in letters or letters in BACKGROUND_LIKE:
            message = (
                f"the class {name!r} is trained and scored as an object. If it is the background, "
                f"{_as_background(task, name)}"
            )
            found.append(Problem("background-name", "warning", message))
    return found


def _as_background(task: Task, name: str) -> str:
    if task.stores_ids and task.background is None:
        return f"say task.background: {name!r}"
    if task.stores_ids:
        return (
            f"note that task.background is {task.background!r} already; map its value to that class"
        )
    return "leave it out of task.classes: a pixel of no class is the background"


def leak(groups: Sequence[Sequence[SampleFingerprint | Placed]]) -> Problem:
    """Return the error that the same image is in two parts, in one group or more."""
    across = [_equals(group) for group in groups]
    message = f"the same image is in two parts, so the scores would be too good: {across[0]}. Remove one of them"
    return _problem("leak", "error", message, across)


def _equals(group: Sequence[SampleFingerprint | Placed]) -> str:
    return " = ".join(f"{sample.name} ({sample.part})" for sample in group[:3])


def _copies(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    across: list[list[SampleFingerprint]] = []
    within: list[str] = []
    for group in same_images(facts):
        if group[0].blank:
            continue  # tiles of nothing are alike everywhere
        if len({fact.part for fact in group}) > 1:
            across.append(group)
        else:
            within.append(_equals(group))
    if across:
        yield leak(across)
    if within:
        message = f"the same image occurs more than once: {within[0]}. Remove the copies, unless they weigh on purpose"
        yield _problem("duplicates", "warning", message, within)
    yield from _near_copies(facts)


def _near_copies(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    across: list[str] = []
    within: list[str] = []
    for one, other in near_pairs(facts):
        pair = f"{one.name} ({one.part}) ~ {other.name} ({other.part})"
        (across if one.part != other.part else within).append(pair)
    if across:
        yield _problem(
            "near-leak",
            "warning",
            f"images of two parts look nearly the same: {across[0]}. If they are copies, or neighbours of one series, put "
            f"them into one part, or the scores will be too good",
            across,
        )
    if within:
        yield _problem(
            "near-duplicates",
            "warning",
            f"images of one part look nearly the same: {within[0]}. Remove copies; keep neighbours of one series together "
            f"when the data are split, or the scores will be too good",
            within,
        )


def _missing(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Classes that a part lacks."""
    train = [fact for fact in facts if fact.part == "train"]
    pixels = np.sum([fact.classes for fact in train], axis=0) if train else np.zeros(task.channels)
    if not pixels[list(task.foreground)].any():
        names = ", ".join(task.classes[i] for i in task.foreground)
        yield Problem(
            "nothing-to-learn",
            "error",
            f"the training masks hold no pixel of {names}: nothing to learn",
        )
        return
    for part in dict.fromkeys(fact.part for fact in facts):
        counts = np.sum([fact.classes for fact in facts if fact.part == part], axis=0)
        absent = [task.classes[i] for i in task.foreground if not counts[i]]
        if part == "validation" and len(absent) == len(task.foreground):
            yield Problem(
                "unscored",
                "warning",
                f"the validation part shows no {', no '.join(absent)}, so no score tells its epochs apart: the best epoch "
                f"is then the one of the least validation loss. Give the part images that show objects (data.validation)",
            )
        elif absent:
            what = "cannot be learned" if part == "train" else "has no score there"
            yield Problem(
                "absent-class",
                "warning",
                f"no pixel of {', '.join(absent)} in the {part} part, so it {what}. Add images that show it, or choose "
                f"other parts",
            )


def _shares(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    pixels = np.sum([fact.classes for fact in facts], axis=0)
    labelled, total = sum(fact.labelled for fact in facts), sum(fact.pixels for fact in facts)
    rare = [i for i in task.foreground if 0 < pixels[i] < RARE * labelled]
    if rare:
        told = ", ".join(f"{task.classes[i]} {100 * pixels[i] / labelled:.2g} %" for i in rare)
        message = f"rare classes: {told} of the pixels. Weigh them (class_weights), or draw patches where they are"
        yield Problem("rare-class", "warning", message)
    if labelled < total / 2:
        message = (
            f"{100 * (1 - labelled / total):.0f} % of the pixels are unlabelled (void). If that is not meant, say in "
            f"data.mask_values which class they are"
        )
        yield _problem(
            "void",
            "warning",
            message,
            [fact.name for fact in facts if fact.labelled < fact.pixels / 2],
        )
    empty = [fact.name for fact in facts if not fact.classes[list(task.foreground)].any()]
    if len(empty) > len(facts) / 2:
        message = f"{len(empty)} of {len(facts)} masks are empty. If their objects are not drawn, leave these images out"
        yield _problem("empty-masks", "warning", message, empty)


def _sides(task: Task, facts: Sequence[SampleFingerprint], flips: bool) -> Iterator[Problem]:
    if flips and task.sided:
        yield Problem("sides", "error", told_sides(task.sided))
    elif flips and one_sided(task, facts):
        told = ", ".join(one_sided(task, facts))
        message = f"in nearly all images {told} lies in one half; if its side matters, switch augment.flip_horizontal off"
        yield Problem("sides", "warning", message)


def one_sided(task: Task, facts: Sequence[SampleFingerprint]) -> list[str]:
    """Return the unpaired classes that lie in one half of nearly all images, of ten images or more."""
    paired = {name for pair in task.flip_pairs for name in pair}
    return [
        task.classes[i]
        for i in task.foreground
        if task.classes[i] not in paired and _on_one_side(facts, i)
    ]


def _on_one_side(facts: Sequence[SampleFingerprint], index: int) -> bool:
    shares = [fact.left[index] / fact.classes[index] for fact in facts if fact.classes[index]]
    if len(shares) < 10:
        return False
    left, right = (np.mean(np.array(shares) >= ONE_SIDE), np.mean(np.array(shares) <= 1 - ONE_SIDE))
    return bool(max(left, right) >= ONE_SIDE)


def _objects(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    for index in task.foreground:
        areas = np.concatenate([fact.objects[index] for fact in facts])
        if areas.size >= 10 and np.median(areas) < 9:
            message = (
                f"half of the pieces of {task.classes[index]} are smaller than 9 pixels ({areas.size} pieces): noise in the "
                f"masks, to be cleaned, or objects that need larger images"
            )
            small = [
                fact.name
                for fact in facts
                if fact.objects[index].size and np.median(fact.objects[index]) < 9
            ]
            yield _problem("tiny-objects", "warning", message, small)


def _odd_images(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    flat = [fact.name for fact in facts if fact.low == fact.high]
    if flat:
        yield _problem(
            "flat-image",
            "warning",
            "images of one value throughout; leave them out if that is not meant",
            flat,
        )
    yield from odd_ranges(facts)
