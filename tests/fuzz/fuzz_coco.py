"""Any bytes as a COCO file: samples or a SegkitError. `python tests/fuzz/fuzz_coco.py
-max_total_time=60`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["segkit.data", "segkit.task", "json"]):
    from segkit.data.sources.coco import open_coco

import numpy as np
from PIL import Image

from segkit import SegkitError, Task
from segkit.config import DataConfig

TASKS = (
    Task.binary("person"),
    Task.multilabel(["person", "dog"]),
    Task.multiclass(["background", "person", "dog"]),
)
SEGMENTATIONS: tuple[object, ...] = (
    [[1, 1, 4.5, 1, 4, 3, 1, 3]],
    [[0, 0, 2, 0, 2, 2], [3, 1, 9, 1, 5, -2]],
    {"size": [4, 6], "counts": [2, 3, 19]},
    {"size": [4, 6], "counts": "83="},
    {"size": [4, 6], "counts": "52203c0"},
)
RAW = (b"83=", b"52203c0", b"\x02\x03\x13", np.float32([1, 1, 4.5, 1, 4, 3]).tobytes())
WORDS = (
    "image_id",
    "category_id",
    "segmentation",
    "counts",
    "size",
    "iscrowd",
    "file_name",
    "NaN",
    "1e999",
    "../",
)


def _seed(folder: Path) -> None:
    """Write one valid file a form of segmentation, one with all, and the bytes of segmentations."""
    for number, chosen in enumerate([*((form,) for form in SEGMENTATIONS), SEGMENTATIONS]):
        (folder / f"{number}.json").write_text(json.dumps(_file(chosen)))
    for number, raw in enumerate(RAW):
        (folder / f"{number}.raw").write_bytes(raw)


def _file(segmentations: Sequence[object]) -> dict[str, object]:
    regions = [
        {"id": i, "image_id": 7, "category_id": 1 + i % 2, "segmentation": form, "iscrowd": i // 4}
        for i, form in enumerate(segmentations)
    ]
    image = {"id": 7, "file_name": "a.png", "width": 6, "height": 4}
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    return {"images": [image], "annotations": regions, "categories": categories}


def _as_file(data: bytes) -> bytes:
    """Return bytes that begin a JSON object as they are, others as the numbers and texts of
    segmentations.
    """
    if data[:1] in b"{[":
        return data
    numbers = np.frombuffer(data[: len(data) // 4 * 4], np.float32).astype(np.float64)
    forms = [
        {"size": [4, 6], "counts": data.decode("latin-1")},
        {"size": [4, 6], "counts": np.frombuffer(data, np.int8).tolist()},
        [numbers.tolist()],
    ]
    return json.dumps(_file(forms)).encode()


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz_coco"))
    for name in ("images", "seeds"):
        (root / name).mkdir()
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / "images" / "a.png")
    _seed(root / "seeds")
    (root / "words").write_text("".join(f'"{word}"\n' for word in WORDS))
    settings = [
        DataConfig(images=root / "images", annotations=root / "coco.json", skip_broken=skip)
        for skip in (False, True)
    ]

    def read(data: bytes) -> None:
        (root / "coco.json").write_bytes(_as_file(data))
        for task in TASKS:
            for setting in settings:
                try:
                    source = open_coco(setting, task)
                    for name in source.names:
                        assert source.read(name).mask.shape[:2] == (4, 6)
                except SegkitError as problem:
                    told = str(problem)
                else:
                    told = ""
                assert "\n" not in told

    atheris.Setup(
        [*sys.argv, f"-dict={root / 'words'}", "-max_len=4000", str(root / "seeds")], read
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
