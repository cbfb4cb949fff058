"""Train a config by the command line on one device and on two (virtual ones of this CPU), into the
folders one and two.

KERAS_BACKEND=jax python -m tests.helpers.devices_alike CONFIG FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def two_devices() -> None:
    """Make two devices of the CPU."""
    if os.environ["KERAS_BACKEND"] == "jax":
        os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
        return
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)


def main() -> int:
    two_devices()
    from segkit.cli import main as segkit

    config, folder = sys.argv[1], Path(sys.argv[2])
    runs = {"one": "1", "two": "all"}
    return sum(
        segkit(["train", config, "--run", str(folder / run), "--set", f"train.devices={devices}"])
        for run, devices in runs.items()
    )


if __name__ == "__main__":
    sys.exit(main())
