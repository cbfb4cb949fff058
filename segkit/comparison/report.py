"""The verdict of a comparison in sentences, and the page table.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segkit.comparison.results import FEW, LEAST

TITLES = (
    "setting",
    "foreground Dice",
    "by seed",
    "foreground IoU",
    "calibration error of mask",
    "of head",
    "parameters",
    "images/s",
    "steps",
)


def verdict(results: dict[str, Any]) -> str:
    """Return which setting is better, and whether the difference is more than chance.

    Args:
        results: The content of results.json, of which "settings", "comparisons" and "images" are
            used.
    """
    pairs = results["comparisons"]
    images = results["images"]
    if not pairs:
        return "Nothing can be compared: fewer than two settings have a score."
    dice = {}
    for row in results["settings"]:
        if row["seeds"]:
            dice[row["name"]] = row["dice_foreground"]["value"]
    number, units = interval_units(results)
    if number < LEAST:
        return _without_chance(pairs, dice, number, units)
    over = f"{images} images"
    if units == "groups":
        over += f" of {number} groups"
    if len(pairs) == 1:
        sentences = [_one_pair(pairs[0], dice, over)]
    else:
        sentences = [_several_pairs(pairs, dice, over)]
    if number < FEW:
        sentences.append(
            f"These are few {units}: with fewer than {FEW} no interval can be promised, so "
            f"{number} other {units} may give another result."
        )
    if any(pair["of_seeds"] == 1 for pair in pairs):
        sentences.append("Each setting was trained once, so the effect of the seed is not known.")
    elif any(pair["more_than_chance"] and pair["ahead"] < pair["of_seeds"] for pair in pairs):
        sentences.append("Not every seed agrees, so other trainings may give another result.")
    return " ".join(sentences)


def interval_units(results: dict[str, Any]) -> tuple[int, str]:
    """Return how many units the intervals are over, and what they are called.

    Args:
        results: The content of results.json, of which "images" and "groups" are used. Older files
            have no "groups".
    """
    if results.get("groups") is None:
        return results["images"], "images"
    return results["groups"], "groups"


def _without_chance(
    pairs: Sequence[dict[str, Any]], dice: dict[str, float], number: int, units: str
) -> str:
    best = pairs[0]["better"]
    others = ", ".join(f"{pair['other']} {dice[pair['other']]:.4f}" for pair in pairs)
    return (
        f"{best} has the highest foreground Dice, {dice[best]:.4f} (others: {others}). "
        f"{number} {units} are too few to say whether the difference is more than chance; "
        f"score {LEAST} {units} or more, better {FEW}."
    )


def _one_pair(pair: dict[str, Any], dice: dict[str, float], over: str) -> str:
    best = pair["better"]
    other = pair["other"]
    difference = _difference(pair)
    if not pair["more_than_chance"]:
        return (
            f"Neither setting is better by more than chance: the foreground Dice of {best} is "
            f"{dice[best]:.4f} and that of {other} is {dice[other]:.4f}, {difference} over "
            f"{over}."
        )
    return (
        f"{best} is better than {other} by more than chance: the foreground Dice is "
        f"{dice[best]:.4f} against {dice[other]:.4f}, {difference} over {over}."
    )


def _several_pairs(pairs: Sequence[dict[str, Any]], dice: dict[str, float], over: str) -> str:
    best = pairs[0]["better"]
    clear = []
    unclear = []
    for pair in pairs:
        other = f"{pair['other']} ({_difference(pair)})"
        if pair["more_than_chance"]:
            clear.append(other)
        else:
            unclear.append(other)
    sentences = [f"{best} has the highest foreground Dice, {dice[best]:.4f}."]
    if clear:
        sentences.append(f"It is better by more than chance than {', '.join(clear)}.")
    if unclear:
        sentences.append(f"It is not better by more than chance than {', '.join(unclear)}.")
    sentences.append(
        f"These are {len(pairs)} comparisons on the same {over}; each has a risk of 5 % "
        f"to show a difference where there is none."
    )
    return " ".join(sentences)


def _difference(pair: dict[str, Any]) -> str:
    return (
        f"a difference of {pair['difference']:.4f} (95 % interval {_number(pair['low'], '?')} to "
        f"{_number(pair['high'], '?')}, ahead in {pair['ahead']} of {pair['of_seeds']} seeds)"
    )


def markdown(results: dict[str, Any]) -> str:
    """Return the page table.md: verdict, table of settings, table of classes, failed trainings.

    Args:
        results: The content of results.json.
    """
    scored = [row for row in results["settings"] if row["seeds"]]
    lines = [verdict(results), "", *_settings_table(scored), ""]
    if scored and len(scored[0]["dice_of_class"]) > 1:
        lines += [*_classes_table(scored), ""]
    lines.append(_explanation(results))
    failed = _failed_trainings(results)
    if failed:
        lines += ["", "Failed:", "", *failed]
    return "\n".join(lines) + "\n"


def _explanation(results: dict[str, Any]) -> str:
    return (
        f"Each training took {results['minutes']:g} minutes. The scores are those of the "
        f"{results['images']} images of the {results['part']} part, with the best epoch of each "
        f"training; the pixels of all images and seeds are counted together. In brackets is the "
        f"95 % interval over {interval_units(results)[1]} ({results['resamples']:,} bootstrap "
        f"resamples). It does not contain the effect of other trainings, which *by seed* "
        f"indicates. The calibration error is the expected calibration error with 15 bins. *Of "
        f"mask* is the error of the probability of the class in the mask, and can be compared "
        f"between heads. *Of head* is the error of the head's own predictions, one per pixel or "
        f"one per pixel and class, and "
        f"cannot be compared between heads. Images/s is the speed of the network on this machine "
        f"with the images in memory."
    )


def _failed_trainings(results: dict[str, Any]) -> list[str]:
    lines = []
    for row in results["settings"]:
        for seed, reason in row["failed"].items():
            lines.append(f"- {row['name']}, seed {seed}: {reason}")
    return lines


def _settings_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    table = []
    for row in rows:
        dice = row["dice_foreground"]
        cells = [
            row["name"],
            _with_interval(dice),
            ", ".join(_number(value) for value in dice["by_seed"]),
            _with_interval(row["iou_foreground"]),
            _with_interval(row["calibration_error_of_mask"]),
            _number(row["calibration_error"]["value"]),
            f"{row['parameters']:,}",
            f"{row['images_per_second']:.1f}",
            ", ".join(f"{count:,}" for count in row["steps"]),
        ]
        table.append(cells)
    return _markdown_table(TITLES, table)


def _classes_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    titles = ["Dice of", *(row["name"] for row in rows)]
    table = []
    for class_name in rows[0]["dice_of_class"]:
        scores = [_with_interval(row["dice_of_class"][class_name]) for row in rows]
        table.append([class_name, *scores])
    return _markdown_table(titles, table)


def _markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [_markdown_row(titles), "|" + "---|" * len(titles)]
    for row in rows:
        lines.append(_markdown_row(row))
    return lines


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _with_interval(score: dict[str, Any]) -> str:
    return f"{_number(score['value'])} [{_number(score['low'])}, {_number(score['high'])}]"


def _number(value: float | None, undefined: str = "-") -> str:
    if value is None:
        return undefined
    return f"{value:.4f}"
