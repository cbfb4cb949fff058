"""Train on one replica and on two (logical CPU devices, TensorFlow) and print losses, scores and
weights as JSON.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def train(strategy: Any) -> dict[str, Any]:
    """Return what two steps of plain gradient descent lead to."""
    import keras

    import segkit
    from tests.helpers.loss_cases import TASKS, batch

    task = TASKS["softmax"]
    target, _ = batch(task, seed=0, images=8)
    images = np.random.default_rng(0).uniform(0, 255, (8, 5, 6, 3)).astype(np.float32)
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = segkit.unet(task, width=4, depth=1, normalization="group")
        trainer = segkit.compile(model, task, optimizer=keras.optimizers.SGD(0.1))
    history = trainer.fit(images, target, batch_size=4, shuffle=False, verbose=0).history
    scores = trainer.evaluate(images, target, batch_size=4, verbose=0, return_dict=True)
    weights = [weight.tolist() for weight in trainer.get_weights()]
    return {
        "replicas": strategy.num_replicas_in_sync,
        "history": history,
        "scores": scores,
        "weights": weights,
    }


def main() -> None:
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    print(json.dumps([train(tf.distribute.get_strategy()), train(two)]))


if __name__ == "__main__":
    main()
