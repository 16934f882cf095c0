#!/bin/bash
#SBATCH --job-name=tune-at
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
#
# A sweep over several nodes that outlives its time limit: two minutes before the end it stops, is put back into the
# queue, and continues where it was.
#
#   sbatch deploy/slurm.sh NAME STUDY [OPTIONS OF sweep]
#   sbatch deploy/slurm.sh noise noise_rate --preset paper
#
# Edit the lines above, and set, or edit below:
#   TUNE_AT_STORAGE     where sweeps go: a folder that all nodes share
#   TUNE_AT_BIN         bin/ of the virtual environment, on a file system that all nodes share
#   TUNE_AT_ADDRESS     the head's address; by default this node's first private one
# Submit from the repository: Slurm starts the script in the folder it was submitted from.
set -euo pipefail
umask 077 # nobody else reads the token

if [ $# -lt 2 ]; then
    echo "usage: sbatch deploy/slurm.sh NAME STUDY [OPTIONS OF sweep]" >&2
    exit 2
fi
name=$1
shift
storage=${TUNE_AT_STORAGE:-$PWD/runs}
bin=${TUNE_AT_BIN:-$PWD/.venv/bin}
nodes=${SLURM_JOB_NUM_NODES:?is set by Slurm: submit this script with sbatch}
# Two jobs may share a node. Ray's workers take the ports from 10002 to 19999, and Linux gives away those above 32767.
port=$((20000 + SLURM_JOB_ID % 12000))
node=${SLURMD_NODENAME:-$(hostname)}

private_address() {
    local address
    for address in $(hostname -I); do
        case $address in
        10.* | 192.168.* | 172.1[6-9].* | 172.2[0-9].* | 172.3[01].*)
            echo "$address"
            return
            ;;
        esac
    done
    echo "this node has no private address: set TUNE_AT_ADDRESS, and see that no stranger reaches it" >&2
    return 1
}
address=${TUNE_AT_ADDRESS:-$(private_address)}

# Who has the token can run code on these nodes. All of them read it from this file.
mkdir -p "$storage"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$storage/.ray-token-$SLURM_JOB_ID"
rm -f "$RAY_AUTH_TOKEN_PATH"
"$bin/python" -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH"
# Another user's /tmp/ray could not be written.
export RAY_TMPDIR="${SLURM_TMPDIR:-/tmp}/ray-$SLURM_JOB_ID" RAY_USAGE_STATS_ENABLED=0
mkdir -p "$RAY_TMPDIR"

driver='' stopping=''
# shellcheck disable=SC2329 # the traps call these two
stop() {
    stopping=yes
    [ -z "$driver" ] || kill -USR1 "$driver" 2>/dev/null || true
}
trap stop USR1

# shellcheck disable=SC2329
clean_up() {
    rm -f "$RAY_AUTH_TOKEN_PATH"
    # shellcheck disable=SC2046 # one word a process
    kill $(jobs -p) 2>/dev/null || true
    wait
    rm -rf "$RAY_TMPDIR"
}
trap clean_up EXIT

resources=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}")
[ -z "${SLURM_GPUS_ON_NODE:-}" ] || resources+=(--num-gpus="$SLURM_GPUS_ON_NODE")
srun --nodes=1 --ntasks=1 --nodelist="$node" --overlap \
    "$bin/ray" start --block --head --node-ip-address="$address" --port="$port" --include-dashboard=false \
    "${resources[@]}" &
head=$!
if [ "$nodes" -gt 1 ]; then
    srun --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --exclude="$node" --overlap \
        bash -c "mkdir -p '$RAY_TMPDIR'; until '$bin/ray' health-check --address '$address:$port'; do sleep 1; done
                 exec '$bin/ray' start --block --address='$address:$port' ${resources[*]}" &
fi

# Trials are spread over the nodes that are there when the sweep starts, so all of them have to be.
"$bin/python" - "$address:$port" "$nodes" <<'PYTHON' &
import sys, time
from ray._raylet import GcsClient
from ray.exceptions import RayError

deadline = time.monotonic() + 300
while time.monotonic() < deadline:
    try:
        nodes = GcsClient(address=sys.argv[1]).get_all_node_info(timeout=10).values()
        if sum(node.state == 0 for node in nodes) >= int(sys.argv[2]):
            sys.exit()
    except (RayError, RuntimeError, OSError):
        pass  # not up yet
    time.sleep(1)
sys.exit(f"the cluster's {sys.argv[2]} nodes were not up within five minutes")
PYTHON
starting=$!
# While bash waits for a program in the foreground it hears no signal; while it is in `wait`, it does.
wait -n "$starting" "$head" || [ -n "$stopping" ]
if [ -z "$stopping" ] && ! kill -0 "$head" 2>/dev/null; then
    echo "the head of the Ray cluster has ended" >&2
    exit 1
fi

code=130
if [ -z "$stopping" ]; then
    if [ -e "$storage/$name/study.yaml" ]; then
        command=(resume "$storage/$name")
    else
        command=(sweep "$@" --storage "$storage" --name "$name")
    fi
    echo "tune-at ${command[*]} --address $address:$port"
    "$bin/python" run.py "${command[@]}" --address "$address:$port" &
    driver=$!
    code=0
    wait "$driver" || code=$?
    if [ -n "$stopping" ]; then # the signal ended `wait`, not the driver
        code=0
        wait "$driver" || code=$?
    fi
fi
if [ -n "$stopping" ] && [ "$code" -ne 0 ]; then
    echo "out of time: back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    code=0
fi
exit "$code"
