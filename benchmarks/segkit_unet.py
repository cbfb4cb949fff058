"""segkit's U-Net as the benchmarks run it, in a process that `measure.settle` prepared."""

from __future__ import annotations

import math
from typing import Any

from measure import CLASSES, Workload

from segkit import Task


def network(workload: Workload, precision: str) -> tuple[Any, Task]:
    """Return segkit.unet and its task, in a process that has not imported Keras before."""
    from segkit.system.keras_start import load_keras
    from segkit.training.devices import prepare

    load_keras()
    import segkit
    from segkit.config import TrainConfig

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


def multiply_adds(model: Any, workload: Workload) -> int:
    """Return those of one prediction of the batch, in the convolutions."""
    from segkit.models import cost

    return workload.batch * cost.multiply_adds(model, workload.size, workload.size)
