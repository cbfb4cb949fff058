"""Any bytes as a COCO file: samples or a SegkitError. `python tests/fuzz/fuzz_coco.py -max_total_time=60`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["segkit.data", "segkit.task", "json"]):
    from segkit.data.coco import open_coco

import numpy as np
from PIL import Image

from segkit import SegkitError, Task
from segkit.data_config import DataConfig

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
WORDS = ("image_id", "category_id", "segmentation", "counts", "size", "iscrowd", "file_name", "NaN", "1e999", "../")


def _seed(folder: Path) -> None:
    """Write one valid file a form of segmentation, one with all, and a dictionary of what a file is made of."""
    for number, chosen in enumerate([*((form,) for form in SEGMENTATIONS), SEGMENTATIONS]):
        regions = [
            {"id": i, "image_id": 7, "category_id": 1 + i % 2, "segmentation": form, "iscrowd": i // 4}
            for i, form in enumerate(chosen)
        ]
        image = {"id": 7, "file_name": "a.png", "width": 6, "height": 4}
        categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
        values = {"images": [image], "annotations": regions, "categories": categories}
        (folder / f"{number}.json").write_text(json.dumps(values))


def main() -> None:
    root = Path(tempfile.mkdtemp(prefix="fuzz_coco"))
    for name in ("images", "seeds"):
        (root / name).mkdir()
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(root / "images" / "a.png")
    _seed(root / "seeds")
    (root / "words").write_text("".join(f'"{word}"\n' for word in WORDS))
    settings = [
        DataConfig(images=root / "images", annotations=root / "coco.json", skip_broken=skip) for skip in (False, True)
    ]

    def read(data: bytes) -> None:
        (root / "coco.json").write_bytes(data)
        for task in TASKS:
            for setting in settings:
                try:
                    source = open_coco(setting, task)
                    for name in source.names:
                        assert source.read(name).mask.shape[:2] == (4, 6)
                except SegkitError as problem:
                    assert "\n" not in str(problem)

    atheris.Setup([*sys.argv, f"-dict={root / 'words'}", "-max_len=4000", str(root / "seeds")], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
