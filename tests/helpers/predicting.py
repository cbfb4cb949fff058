"""A prediction to kill or to starve: in a process of its own, with a stand-in for the network and
all formats.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from segkit.inference.files import predict_files
from segkit.inference.inputs import find_images
from segkit.inference.outputs.writer import Outputs
from tests.helpers.draws import task_of
from tests.helpers.extras import installed_outputs
from tests.helpers.stand_in import config_of, network

FORMATS = installed_outputs()


def predict(
    images: Path,
    out: Path,
    kind: str,
    model: int = 0,
    skip_existing: bool = False,
    pause: float = 0.0,
) -> dict[str, object]:
    """Predict a folder as model 0 or 1, which never agree, and return the summary as JSON has
    it.
    """
    task = task_of(kind)

    def answer(batch: np.ndarray) -> np.ndarray:
        time.sleep(pause)
        return network(255 - batch if model else batch, task)

    outputs = Outputs(out, overlays=True, probabilities="npy", formats=FORMATS)
    summary = predict_files(
        answer, config_of(task), find_images([images]).images, outputs, skip_existing
    )
    return {**summary._asdict(), "failed": [told for _, told in summary.failed]}


if __name__ == "__main__":
    print(json.dumps(predict(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
