"""A Ray cluster of several nodes on this machine, in a process of its own that obeys lines on its standard input.

`python ray_cluster.py CPUS...`, with RAY_AUTH_MODE and its token in the environment, prints the head's address.
`remove` kills the last node with all its processes and prints how many trials it was training; `blind FOLDER` adds a
node that sees an empty folder there. The end of the input ends the cluster.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

import ray
from ray import cluster_utils
from ray._private import utils

utils.write_ray_address = lambda *_, **__: None  # `--address auto` of other programs is none of ours


def main(sizes):
    cluster = cluster_utils.Cluster(shutdown_at_exit=True)
    nodes = [cluster.add_node(num_cpus=size) for size in sizes]
    blind = []
    print(cluster.address, flush=True)
    for line in sys.stdin:
        order, _, argument = line.strip().partition(" ")
        if order == "remove":
            node = nodes.pop()
            print(sum(title.startswith("ray::ATTrainable") for title in titles(node)), flush=True)
            cluster.remove_node(node, allow_graceful=False)
        if order == "blind":
            start = f"mount -t tmpfs none {argument} && exec {sys.executable} -m ray.scripts.scripts start --block"
            start += f" --address={cluster.address} --num-cpus=1 --object-store-memory=80000000"
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
            blind.append(subprocess.Popen(["unshare", "-m", "sh", "-c", start], **quiet))
            ready = len(sizes) + 1
            while sum(node["Alive"] for node in cluster.global_state.node_table()) < ready:
                time.sleep(0.1)
            print("ready", flush=True)
    for process in blind:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    cluster.shutdown()


def titles(node):
    """The titles of the processes below a node's raylet."""
    from processes import descendants

    raylet = node.all_processes[ray._private.ray_constants.PROCESS_TYPE_RAYLET][0].process.pid
    return descendants(raylet).values()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
