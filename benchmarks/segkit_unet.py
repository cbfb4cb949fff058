"""segkit's U-Net as the benchmarks run it, in a process that `measure.settle` prepared."""

from __future__ import annotations

import math
from typing import Any

from measure import CLASSES, Workload, multiply_adds

from segkit import Task


def network(workload: Workload, precision: str) -> tuple[Any, Task]:
    """Return segkit.unet and its task, in a process that has not imported Keras before."""
    from segkit.devices import load_keras, prepare

    load_keras()
    import segkit
    from segkit.config import TrainConfig
    from segkit.models import cost

    prepare(TrainConfig.model_validate({"precision": precision}))
    task = Task.multiclass(list(CLASSES))
    model = segkit.unet(task, width=workload.width)
    counted = workload.batch * cost.multiply_adds(model, workload.size, workload.size)
    assert counted == multiply_adds(workload), (counted, multiply_adds(workload))
    return model, task


def parameters(model: Any) -> tuple[int, int]:
    """Return the numbers that are trained, and those that batch normalisation keeps beside them."""
    trainable, running = (
        sum(math.prod(variable.shape) for variable in variables)
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )
    assert trainable + running == model.count_params()
    return trainable, running
