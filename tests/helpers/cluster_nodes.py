"""A Ray cluster of this machine, in a process of its own: `python -m tests.helpers.cluster_nodes`.

Tells its address and, after each line read ("add"), the process of the newest node's raylet. It
ends with its input, and so with the tests, however those end.
"""

from __future__ import annotations

import json
import os
import sys

LOOPBACK = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Environment of nodes and drivers: by the second, which Ray made for firewalls, 127.0.0.1 stays
127.0.0.1.
"""
NODE = {
    "num_cpus": 1,
    "include_dashboard": False,
    "object_store_memory": 80 * 2**20,
    "node_ip_address": "127.0.0.1",
}


def main() -> None:
    os.environ.update(LOOPBACK)
    from ray.cluster_utils import Cluster

    cluster = Cluster(shutdown_at_exit=False)
    try:
        cluster.add_node(**NODE)
        add(cluster)
        for _ in sys.stdin:
            add(cluster)
    finally:
        cluster.shutdown()


def add(cluster: object) -> None:
    """Add a node, and say which."""
    node = cluster.add_node(**NODE)  # type: ignore[attr-defined]
    raylet = node.all_processes["raylet"][0].process.pid
    print(json.dumps({"address": cluster.address, "raylet": raylet}), flush=True)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
