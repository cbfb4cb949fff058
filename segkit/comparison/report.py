"""A comparison in words: one sentence on which setting is better, and the table for people, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segkit.comparison.results import FEW, LEAST


def verdict(results: dict[str, Any]) -> str:
    """Return which setting is better, and whether by more than chance."""
    pairs, images = results["comparisons"], results["images"]
    if not pairs:
        return "Nothing can be said: fewer than two settings have a score to compare."
    dice = {
        row["name"]: row["dice_foreground"]["value"] for row in results["settings"] if row["seeds"]
    }
    best = pairs[0]["better"]
    if images < LEAST:
        return _without_chance(best, pairs, dice, images)
    verdict = (
        _one(pairs[0], dice, images) if len(pairs) == 1 else _several(best, pairs, dice, images)
    )
    if images < FEW:
        verdict += f" These are few images: below {FEW}, intervals are too narrow, so {images} others may say otherwise."
    if any(pair["of_seeds"] == 1 for pair in pairs):
        return f"{verdict} With one training each, what another seed would change is not known."
    if any(pair["more_than_chance"] and pair["ahead"] < pair["of_seeds"] for pair in pairs):
        return f"{verdict} Not every seed agrees, so other trainings may turn it."
    return verdict


def _without_chance(
    best: str, pairs: Sequence[dict[str, Any]], dice: dict[str, float], images: int
) -> str:
    others = ", ".join(f"{pair['other']} {dice[pair['other']]:.4f}" for pair in pairs)
    return (
        f"{best} has the highest foreground Dice here, {dice[best]:.4f} (others: {others}). Whether that is chance cannot be "
        f"said from {images} images; give the part {LEAST} or more, better {FEW}."
    )


def _one(pair: dict[str, Any], dice: dict[str, float], images: int) -> str:
    best, other = pair["better"], pair["other"]
    if not pair["more_than_chance"]:
        return (
            f"Neither is better by more than chance: {best} has a foreground Dice of {dice[best]:.4f} and {other} of "
            f"{dice[other]:.4f}, {_apart(pair)} over {images} images."
        )
    return (
        f"{best} is better than {other} by more than chance: foreground Dice {dice[best]:.4f} against {dice[other]:.4f}, "
        f"{_apart(pair)} over {images} images."
    )


def _several(
    best: str, pairs: Sequence[dict[str, Any]], dice: dict[str, float], images: int
) -> str:
    parts = [f"{best} has the best foreground Dice, {dice[best]:.4f}"]
    for clear, words in (
        (True, "better by more than chance than"),
        (False, "better, but not by more than chance, than"),
    ):
        which = [
            f"{pair['other']} ({_apart(pair)})"
            for pair in pairs
            if pair["more_than_chance"] is clear
        ]
        if which:
            parts.append(f"{words} {', '.join(which)}")
    return (
        f"{'; '.join(parts)}. These are {len(pairs)} comparisons on the same {images} images, each with its own risk of 5 % "
        f"to see a difference where there is none."
    )


def _apart(pair: dict[str, Any]) -> str:
    return (
        f"a difference of {pair['difference']:.4f} (95 % interval {_signed(pair['low'])} to {_signed(pair['high'])}, "
        f"ahead in {pair['ahead']} of {pair['of_seeds']} seeds)"
    )


def _signed(value: float | None) -> str:
    return "?" if value is None else f"{value:.4f}"


def markdown(results: dict[str, Any]) -> str:
    """Return the verdict, the settings, the classes and what failed, as a page."""
    done = [row for row in results["settings"] if row["seeds"]]
    lines = [verdict(results), "", *_settings(done), ""]
    if len(done) and len(done[0]["dice_of_class"]) > 1:
        lines += [*_classes(done), ""]
    lines += [
        f"{results['minutes']:g} minutes a training. Scores are of the {results['images']} images of the {results['part']} "
        "part: pixels of all images and seeds counted together, best epoch of each training. In brackets the 95 % interval "
        f"over images ({results['resamples']:,} bootstrap resamples); it does not hold what other trainings would change, "
        "of which *by seed* gives an idea. The calibration error is the expected one (15 bins); *of head* over the "
        'questions that the head asks, *of mask* over "is what the mask says right?", which can be compared between '
        "heads. Images/s: the network on this machine, images read before.",
    ]
    failed = [
        f"- {row['name']}, seed {seed}: {why}"
        for row in results["settings"]
        for seed, why in row["failed"].items()
    ]
    return "\n".join(lines + (["", "Failed:", "", *failed] if failed else [])) + "\n"


def _settings(rows: Sequence[dict[str, Any]]) -> list[str]:
    titles = [
        "setting",
        "foreground Dice",
        "by seed",
        "foreground IoU",
        "calibration error of mask",
        "of head",
    ]
    titles += ["parameters", "images/s", "steps"]
    table = []
    for row in rows:
        dice = row["dice_foreground"]
        scores = [
            _ends(dice),
            ", ".join(_shown(value) for value in dice["by_seed"]),
            _ends(row["iou_foreground"]),
        ]
        scores += [
            _ends(row["calibration_error_of_mask"]),
            _shown(row["calibration_error"]["value"]),
        ]
        steps = ", ".join(f"{count:,}" for count in row["steps"])
        table.append(
            [
                row["name"],
                *scores,
                f"{row['parameters']:,}",
                f"{row['images_per_second']:.1f}",
                steps,
            ]
        )
    return _table(titles, table)


def _classes(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["dice_of_class"])
    return _table(
        ["Dice of", *(row["name"] for row in rows)],
        [[name, *(_ends(row["dice_of_class"][name]) for row in rows)] for name in names],
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (titles, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], "|" + "---|" * len(titles), *lines[1:]]


def _ends(score: dict[str, Any]) -> str:
    return f"{_shown(score['value'])} [{_shown(score['low'])}, {_shown(score['high'])}]"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
