"""A contender of `pipeline.py`: segkit's training batches, without a model. python segkit_loader.py
SETTINGS.json CACHE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import loaders

from segkit import Task
from segkit.config import AugmentConfig, Config, DataConfig, InputConfig, TrainConfig
from segkit.data.batches.training import training_batches
from segkit.data.parts import open_parts
from segkit.system.keras_start import keep_freed_memory


def main() -> None:
    keep_freed_memory()  # as `train.py` does
    given = json.loads(Path(sys.argv[1]).read_text())
    cache = sys.argv[2]
    data = {
        "images": given["images"],
        "masks": given["masks"],
        "validation": 0.0,
        "test": 0.0,
        "cache": cache,
    }
    config = Config(
        task=Task.multiclass(given["classes"]),
        data=DataConfig.model_validate(data),
        augment=AugmentConfig.model_validate(given["augment"]),
        train=TrainConfig(batch_size=given["batch"], crop=given["crop"]),
    )
    part = open_parts(config)["train"]
    pixels = InputConfig(
        channels=3, dtype="uint8", mean=given["mean"], std=(50.0,) * 3, low=0, high=255
    )
    folder = Path(given["cache_folder"])
    batches = training_batches(part, config, pixels, workers=given["workers"], cache_folder=folder)
    loaders.serve(batches, given["batch"], -(-len(part) // given["batch"]), list)
    batches.close()


if __name__ == "__main__":
    main()
