"""segkit's U-Net as the benchmarks run it: TensorFlow, on as many threads as there are cores."""

from __future__ import annotations

import math
from typing import Any

import measure
from measure import CLASSES, Workload

from segkit import Task


def network(workload: Workload, precision: str) -> tuple[Any, Task]:
    """Return segkit.unet and its task, in a process that has not imported Keras before."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(measure.cores())
    tf.config.threading.set_inter_op_parallelism_threads(measure.cores())
    import segkit
    from segkit.config import TrainConfig
    from segkit.devices import prepare

    prepare(TrainConfig.model_validate({"precision": precision}))
    task = Task.multiclass(list(CLASSES))
    return segkit.unet(task, width=workload.width), task


def parameters(model: Any) -> tuple[int, int]:
    """Return the numbers that are trained, and those that batch normalisation keeps beside them."""
    trainable, running = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    assert trainable + running == model.count_params()
    return trainable, running
