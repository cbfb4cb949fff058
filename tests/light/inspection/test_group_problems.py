"""`inspect` proposes groups, counts them, and names groups in two parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from segkit.config import Config, read
from segkit.data.groups import groups_of
from segkit.data.parts import open_parts
from segkit.inspection.group_problems import proposals
from segkit.inspection.inspect import Inspection, inspect_data, inspect_parts
from segkit.inspection.problem import Problem
from segkit.inspection.report import summary_lines
from segkit.io.images import write_picture

TASK = {"kind": "binary", "classes": ["crack"]}


def save(folder: Path, names: list[str]) -> dict[str, Any]:
    for seed, name in enumerate(names):
        image = np.random.default_rng(seed).integers(0, 256, (16, 20, 1)).astype(np.uint8)
        mask = np.zeros((16, 20, 1), np.uint8)
        mask[:8, 4:12] = 1
        for kind, values in (("images", image), ("masks", mask)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, values)
    return {"images": str(folder / "images"), "masks": str(folder / "masks")}


def inspected(data: dict[str, Any]) -> Inspection:
    config = Config.model_validate({"task": TASK, "data": data})
    return inspect_parts(config, open_parts(config), None)


def about_groups(inspection: Inspection) -> list[Problem]:
    codes = ("groups-unknown", "group-in-two-parts")
    return [problem for problem in inspection.problems if problem.code in codes]


CASES = {
    "case and slice": ([f"case{i // 9}_{i % 9:02d}" for i in range(54)], 6),
    "number in a token of its own": (
        [f"case_{i // 9:03d}_slice_{i % 9:03d}" for i in range(54)],
        6,
    ),
    "TCGA": ([f"TCGA_CS_49{i // 9}1_19960909_{i % 9}" for i in range(54)], 6),
    "letters": ([f"{'abcdef'[i // 9] * 3}-{i % 9}" for i in range(54)], 6),
    "no separator": ([f"case{i // 9}slice{i % 9}" for i in range(54)], 6),
    "sub-folders": ([f"case{i // 9}/{i % 9}" for i in range(54)], 6),
    "below one folder": ([f"scans/case{i // 9}/{i % 9}" for i in range(54)], 6),
}


def test_prefixes_that_name_the_parts_are_no_groups(tmp_path: Path) -> None:
    names = []
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        names += [f"{part}/{part}_{number}" for number in range(count)]
    assert about_groups(inspected(save(tmp_path, names))) == []


@pytest.mark.parametrize("case", CASES)
def test_trap_45_a_proposed_line_can_be_pasted(tmp_path: Path, case: str) -> None:
    names, groups = CASES[case]
    data = save(tmp_path, names)
    found = inspected(data)
    [problem] = about_groups(found)
    assert problem.level == "warning"
    first = proposals(Config.model_validate({"task": TASK, "data": data}), found.parts)[0]
    assert len(first.groups) == groups
    assert f"`{first.line}`" in problem.message
    assert f"{len(names)} images of {groups} " in problem.message
    written = yaml.safe_dump({"task": TASK}) + "data:\n"
    for line in (f"images: {data['images']}", f"masks: {data['masks']}", first.line):
        written += f"  {line}\n"
    path = tmp_path / "config.yaml"
    path.write_text(written, encoding="utf-8")
    pasted = inspect_data(path)
    assert about_groups(pasted) == []
    assert pasted.summary().groups == groups
    assert ("groups", str(groups)) in summary_lines(pasted.summary())
    assert pasted.summary().as_json()["groups"] == groups
    config = read(path)
    in_parts = [set(groups_of(part.names, config) or []) for part in open_parts(config).values()]
    assert sum(map(len, in_parts)) == groups


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{i:04d}" for i in range(40)],
        [f"{i:04d}" for i in range(40)],
        [f"{i * 2654435761 % 2**32:08x}" for i in range(40)],
        [f"{part}/{i}" for part in ("train", "val") for i in range(20)],
        [f"photo{i}_left" for i in range(40)],
    ],
    ids=["one prefix", "numbers", "hashes", "parts", "one of each"],
)
def test_nothing_is_proposed_for_names_without_groups(tmp_path: Path, names: list[str]) -> None:
    found = inspected(save(tmp_path, names))
    assert about_groups(found) == []
    assert found.summary().groups is None
    assert "groups" not in dict(summary_lines(found.summary()))


def test_a_column_of_the_list_is_proposed(tmp_path: Path) -> None:
    names = [f"i{number}" for number in range(20)]
    save(tmp_path, names)
    rows = ["image,mask,crack id"]
    rows += [f"images/{name}.png,masks/{name}.png,{int(name[1:]) // 5}" for name in names]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    data = {"list_file": str(tmp_path / "list.csv")}
    [problem] = about_groups(inspected(data))
    line = "groups: {column: crack id}"
    assert f"`{line}`" in problem.message
    assert inspected({**data, **yaml.safe_load(line)}).summary().groups == 4


def test_neighbours_without_groups_are_said_to_be_neighbours(tmp_path: Path) -> None:
    data = save(tmp_path, [f"{number}" for number in range(20)])
    image = np.random.default_rng(7).integers(9, 246, (16, 20, 1)).astype(np.uint8)
    for number in (2, 3):
        write_picture(tmp_path / "images" / f"{number}.png", image + np.uint8(number))
    [problem] = about_groups(inspected(data))
    assert (problem.code, "data.groups" in problem.message) == ("groups-unknown", True)
    assert about_groups(inspected({**data, "groups": r"\d+"})) == []


def test_trap_45_a_group_in_two_parts_of_the_user_is_a_warning(tmp_path: Path) -> None:
    names = [f"{part}/case{i // 5}_{i}" for part in ("train", "test") for i in range(10)]
    data = save(tmp_path, [*names, "train/case9_1"])
    found = inspected({**data, "validation": 0.3, "groups": r"case\d+"})
    [problem] = about_groups(found)
    assert (problem.code, problem.level, problem.number) == ("group-in-two-parts", "warning", 2)
    assert "case9" not in str(problem)
