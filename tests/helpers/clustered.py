"""A prediction on a Ray cluster with a stand-in for the network, here or in a process of its own
that may be killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from segkit.errors import RunError
from segkit.inference.cluster import WorkerTask, connected, plan_of, predict_and_write_on_cluster
from segkit.inference.files import Summary, write_files
from segkit.inference.inputs import find_images
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.writer import Outputs, Results
from tests.helpers.cluster_nodes import LOOPBACK
from tests.helpers.draws import task_of
from tests.helpers.stand_in import config_of, network

PAUSE = 0.1
"""Seconds that an image takes: so long that a kill comes in the middle."""


def open_stand_in(kind: str, log: Path) -> LoadedRun:
    """Return a network that notes in a file which process predicts, one line an image."""
    if kind == "none":
        raise RunError("there is no such run")
    task = task_of(kind)

    def predict(images: np.ndarray) -> np.ndarray:
        for _ in images:
            time.sleep(PAUSE)
            with log.open("a") as stream:
                stream.write(f"{os.getpid()}\n")
        return network(images, task)

    return LoadedRun(predict, config_of(task), "a stand-in", "weights")


def predict(
    address: str, images: Path, out: Path, kind: str, log: Path, skip_existing: bool = False
) -> Summary:
    """Predict a folder on the cluster at `address`."""
    os.environ.update(LOOPBACK)
    outputs = Outputs(out, formats=("instances",))
    with connected(address) as ray:
        work = WorkerTask(partial(open_stand_in, kind, log), outputs)
        each = partial(predict_and_write_on_cluster, ray, work, plan_of(ray, None), print)
        task = task_of("binary" if kind == "none" else kind)
        return write_files(
            each, Results(config_of(task), outputs), find_images([images]).images, skip_existing
        )


if __name__ == "__main__":
    address, images, out, kind, log = sys.argv[1:]
    summary = predict(address, Path(images), Path(out), kind, Path(log))
    print(json.dumps(summary.written))
