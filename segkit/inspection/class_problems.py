"""Problems of classes: names, missing and rare ones, unlabelled pixels, sides, tiny objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from segkit.config.config import describe_sided_classes
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.problem import Problem, problem_of
from segkit.task import Task

RARE = 0.001
"""Share of the labelled pixels below which a class is called rare."""
ONE_SIDE = 0.95
"""Share of a class's pixels in one half of the image, and share of such images, to have a side."""
SIDE_IMAGES = 10
"""Smallest number of images for which a class is said to have a side."""
TINY = 9
"""Size of a connected piece below which it is called tiny, pixels."""
FEW_KNOWN = 10
"""Number of training images below which a partly labelled class is said to be known in few."""
BACKGROUND_LIKE = frozenset(
    {"bg", "bgr", "bgnd", "bkg", "bkgd", "backgr", "backgrnd", "none", "nothing", "empty"}
)
"""Class names, in lower-case letters, that many data sets use for the background."""
UNLABELLED_LIKE = frozenset(
    {"unlabeled", "unlabelled", "unannotated", "unknown", "undefined", "ignore", "ignored", "void"}
)
"""Class names, in lower-case letters, that many data sets use for unlabelled pixels."""


def background_names(task: Task) -> list[Problem]:
    """Return a warning for each foreground class with the name of a background or of void."""
    found = []
    for index in task.foreground:
        name = task.classes[index]
        if _letters(name) in UNLABELLED_LIKE:
            message = (
                f"the class {name!r} is trained and scored as an object. If its pixels are "
                f"unlabelled, map its value to void (data.mask_values or data.mask_colours). If "
                f"they are the background, {_as_background(task, name)}"
            )
            found.append(problem_of("warning", "background-name", message))
        elif is_background_like(name):
            message = (
                f"the class {name!r} is trained and scored as an object. If it is the background, "
                f"{_as_background(task, name)}"
            )
            found.append(problem_of("warning", "background-name", message))
    return found


def is_background_like(name: str) -> bool:
    """Return whether many data sets use a name like this for the background."""
    return "background" in _letters(name) or _letters(name) in BACKGROUND_LIKE


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalpha())


def _as_background(task: Task, name: str) -> str:
    if not task.stores_ids:
        return "remove it from task.classes: a pixel without a class is the background"
    if task.background is None:
        return f"set task.background: {name!r}"
    return f"map its value to {task.background!r}, which is the task's background already"


def objects_as_classes(task: Task, numbered: Mapping[str, object]) -> list[Problem]:
    """Return a warning for each data set whose numbers of single objects are read as classes.

    Args:
        task: The task.
        numbered: A description of the numbers, by the name of the data set; the name is "" if there
            is only one.
    """
    problems = []
    for name, objects in numbered.items():
        masks = f"the masks of the set {name}" if name else "the masks"
        setting = f"data.sets.{name}.mask_ids" if name else "data.mask_ids"
        message = (
            f"{masks} seem to hold {objects}, but the task has {task.channels} classes. If they "
            f"are objects, set {setting}: instances and task.kind: binary; if the numbers are "
            f"classes, set {setting}: classes"
        )
        problems.append(problem_of("warning", "mask-instances", message))
    return problems


def find_class_problems(
    task: Task, facts: Sequence[SampleFingerprint], flips: bool
) -> Iterator[Problem]:
    """Yield the problems of classes in a data set that was read completely.

    Args:
        task: The task.
        facts: The fingerprints of all samples, at least one.
        flips: Whether training mirrors images.
    """
    yield from _absent_classes(task, facts)
    yield from _rare_classes(task, facts)
    yield from _unlabelled(task, facts)
    yield from _never_absent(task, facts)
    yield from _uncertain_background(task, facts)
    yield from _known_in_few(task, facts)
    yield from _empty_masks(task, facts)
    yield from _sides(task, facts, flips)
    yield from _tiny_objects(task, facts)
    complete = any((fact.known == fact.labelled).all() for fact in facts)
    if task.can_overlap and complete and not any(fact.overlap for fact in facts):
        message = (
            "no pixel belongs to two classes. If the classes always exclude each other, a "
            "multiclass task learns this; if they can overlap in later images, change nothing"
        )
        yield problem_of("warning", "no-overlap", message)


def _absent_classes(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem for each part in which classes do not occur."""
    by_part: dict[str, list[SampleFingerprint]] = {}
    for fact in facts:
        by_part.setdefault(fact.part, []).append(fact)
    in_training = _absent(task, by_part.get("train", []), learned=True)
    if len(in_training) == len(task.foreground):
        message = f"the training masks have no pixel of {', '.join(in_training)}"
        message += ": there is nothing to learn"
        if any((fact.known < fact.labelled).any() for fact in by_part.get("train", [])):
            message += (
                ". Some pixels may be such a class, but of none the masks say that it is one. "
                "Label some objects completely, or add points inside"
            )
        yield problem_of("error", "nothing-to-learn", message)
        return
    for part, samples in by_part.items():
        absent = _absent(task, samples, learned=part == "train")
        if part == "validation" and len(absent) == len(task.foreground):
            message = (
                f"the validation part has no {', no '.join(absent)}, so its score cannot compare "
                f"epochs: the best epoch is then the one with the smallest validation loss. Put "
                f"images with objects into this part (data.validation)"
            )
            yield problem_of("warning", "unscored", message)
        elif absent:
            consequence = "it has no score there"
            if part == "train":
                consequence = "it cannot be learned"
            message = (
                f"no pixel of {', '.join(absent)} in the {part} part, so {consequence}. Add images "
                f"that show it, or choose other parts"
            )
            yield problem_of("warning", "absent-class", message)


def _absent(task: Task, facts: Sequence[SampleFingerprint], learned: bool) -> list[str]:
    """Return the names of the foreground classes without a pixel.

    If they are to be learned, a soft label with a probability above 0 is enough.
    """
    present = np.zeros(task.channels, bool)
    for fact in facts:
        present |= fact.classes > 0
        if learned and fact.probable is not None:
            present |= fact.probable
    return [task.classes[index] for index in task.foreground if not present[index]]


def _rare_classes(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    pixels = np.sum([fact.classes for fact in facts], axis=0)
    known = np.sum([fact.known for fact in facts], axis=0)
    rare = []
    for index in task.foreground:
        if 0 < pixels[index] < RARE * known[index]:
            rare.append(f"{task.classes[index]} {100 * pixels[index] / known[index]:.2g} %")
    if rare:
        message = (
            f"some classes are rare: {', '.join(rare)} of the pixels. Give them a larger weight "
            f"(class_weights), or crop patches where they are (train.foreground)"
        )
        yield problem_of("warning", "rare-class", message)


def _unlabelled(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    labelled = sum(fact.labelled for fact in facts)
    total = sum(fact.pixels for fact in facts)
    if labelled < total / 2:
        message = (
            f"{100 * (1 - labelled / total):.0f} % of the pixels are unlabelled (void), as in "
            f"masks of strokes or points. If this is not intended, name the class of these pixels "
            f"in data.mask_values or data.mask_colours"
        )
        files = [fact.name for fact in facts if fact.labelled < fact.pixels / 2]
        yield problem_of("warning", "void", message, files)


def _never_absent(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem for the classes of which the masks say only where they are."""
    never = []
    for index in task.foreground:
        present = sum(fact.classes[index] for fact in facts)
        known = sum(fact.known[index] for fact in facts)
        if 0 < present == known < sum(fact.pixels for fact in facts):
            never.append(task.classes[index])
    if never:
        message = (
            f"the masks say of no pixel that it is not {', not '.join(never)}, so a network that "
            f"finds it everywhere would be right. Label pixels without it (draw strokes of the "
            f"background, too), or images in which all of it is annotated"
        )
        yield problem_of("warning", "never-absent", message)


def _uncertain_background(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem if the background has its own probability, and no pixel is surely background.

    Classes that compete for one probability learn the background from sets of classes, too: it is
    what all of them have in common.
    """
    background = task.background_index
    if background is None or task.classes_compete or not task.sets:
        return
    train = [fact for fact in facts if fact.part == "train"]
    if any(fact.classes[background] for fact in train):
        return
    message = (
        f"each class has a probability of its own (task.head), and the training masks have no "
        f"pixel that is surely {task.background}, so {task.background} will hardly be predicted. "
        f"Leave task.head out, so that the classes share one probability, or annotate all classes "
        f"in some images"
    )
    yield problem_of("warning", "no-background", message)


def _known_in_few(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem for the classes that are known in few images of the training part."""
    train = [fact for fact in facts if fact.part == "train" and fact.labelled]
    few = []
    for index in task.foreground:
        known = sum(bool(fact.known[index] == fact.labelled) for fact in train)
        if known < min(FEW_KNOWN, len(train)):
            few.append(f"{task.classes[index]} in {known}")
    if few:
        message = (
            f"of {len(train)} training images, few say everywhere whether a pixel is the class: "
            f"{', '.join(few)}. A network learns such a class from few images, and what it finds "
            f"in the others is not checked. Annotate it in {FEW_KNOWN} images or more"
        )
        yield problem_of("warning", "known-in-few", message)


def _empty_masks(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    empty = [fact.name for fact in facts if not fact.classes[list(task.foreground)].any()]
    if len(empty) > len(facts) / 2:
        message = (
            f"{len(empty)} of {len(facts)} masks are empty. If the objects in these images were "
            f"not annotated, remove the images"
        )
        yield problem_of("warning", "empty-masks", message, empty)


def _sides(task: Task, facts: Sequence[SampleFingerprint], flips: bool) -> Iterator[Problem]:
    if not flips:
        return
    if task.sided:
        yield problem_of("error", "sides", describe_sided_classes(task.sided))
        return
    sided = one_sided(task, facts)
    if sided:
        message = (
            f"{', '.join(sided)} lies in the same half of nearly all images. If its side matters, "
            f"set augment.flip_horizontal: false"
        )
        yield problem_of("warning", "sides", message)


def one_sided(task: Task, facts: Sequence[SampleFingerprint]) -> list[str]:
    """Return the classes that lie in the same half of nearly all images.

    Classes in `task.flip_pairs`, and classes in fewer than `SIDE_IMAGES` images, are left out.
    """
    paired: set[str] = set()
    for pair in task.flip_pairs:
        paired.update(pair)
    sided = []
    for index in task.foreground:
        if task.classes[index] not in paired and _is_on_one_side(facts, index):
            sided.append(task.classes[index])
    return sided


def _is_on_one_side(facts: Sequence[SampleFingerprint], index: int) -> bool:
    shares = [fact.left[index] / fact.classes[index] for fact in facts if fact.classes[index]]
    if len(shares) < SIDE_IMAGES:
        return False
    left = np.mean(np.array(shares) >= ONE_SIDE)
    right = np.mean(np.array(shares) <= 1 - ONE_SIDE)
    return bool(max(left, right) >= ONE_SIDE)


def _tiny_objects(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    for index in task.foreground:
        sizes = np.concatenate([fact.objects[index] for fact in facts])
        if sizes.size < 10 or np.median(sizes) >= TINY:
            continue
        small = []
        for fact in facts:
            if fact.objects[index].size and np.median(fact.objects[index]) < TINY:
                small.append(fact.name)
        message = (
            f"half of the {sizes.size} connected pieces of {task.classes[index]} are smaller than "
            f"{TINY} pixels. If they are noise, clean the masks; if they are objects, use larger "
            f"images"
        )
        yield problem_of("warning", "tiny-objects", message, small)
