"""What of the deployment files can be checked without a cloud."""

import copy
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tune_at.cli.main import build_parser

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
RAY = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
COMMAND = re.compile(r"python3? run\.py ((?:sweep|resume|status)[^'\";#\n]*)")


@pytest.mark.parametrize("file", ["docs/clusters.md", "deploy/cluster.yaml"])
def test_the_commands_for_a_token_work_on_a_new_account_and_keep_a_token_that_is_there(file, tmp_path):
    lines = [line.lstrip("# ") for line in (ROOT / file).read_text().splitlines()]
    commands = [line for line in lines if line.startswith(("mkdir -p ~/.ray", "(umask"))]
    assert len(commands) == 2
    place = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    token = tmp_path / ".ray" / "auth_token"
    for again in (False, True):
        before = token.read_text() if again else ""
        done = subprocess.run(["sh", "-c", "\n".join(commands)], env=place, capture_output=True, text=True)
        assert bool(done.returncode) is again
        assert bool(done.stderr) is again
        assert before in (token.read_text(), "")
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def cluster():
    return yaml.safe_load((DEPLOY / "cluster.yaml").read_text())


@pytest.fixture
def manifests():
    found = yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())
    return {manifest["kind"]: manifest for manifest in found}


@pytest.fixture
def job(manifests):
    return manifests["RayJob"]["spec"]


@pytest.fixture
def pods(job):
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [job["submitterPodTemplate"], *(group["template"] for group in groups)]


@pytest.fixture
def containers(pods):
    return [container for pod in pods for container in pod["spec"]["containers"]]


@pytest.mark.parametrize("path", ["deploy/cluster.yaml", "deploy/kuberay.yaml", "deploy/slurm.sh", "docs/clusters.md"])
def test_every_command_of_ours_parses(path):
    text = (ROOT / path).read_text()
    found = COMMAND.findall(text)
    assert found or path == "deploy/slurm.sh"
    for command in found:
        build_parser().parse_args(shlex.split(command))
    for version in re.findall(r"(?:ray\[default\]==|rayproject/ray:|ray-|rayVersion: )(\d+\.\d+\.\d+)", text):
        assert version == RAY


def test_ray_accepts_the_cluster_file(cluster):
    validate_config(prepare_config(copy.deepcopy(cluster)))
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config({**cluster, "workers": 3}))
    with pytest.raises(ValueError, match="max_workers"):
        validate_config(prepare_config({**cluster, "max_workers": 1}))


def test_the_cloud_cluster_is_locked(cluster):
    starts = [
        command
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in cluster[key]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in c.replace("RAY_USAGE_STATS_ENABLED=0 ", "") for c in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    assert cluster["setup_commands"][0] == "chmod 700 ~/.ray && chmod 600 ~/.ray/auth_token"
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert cluster["available_node_types"]["gpu"]["min_workers"] >= 1


def test_the_image_has_the_pinned_ray(job, containers):
    assert job["rayClusterSpec"]["rayVersion"] == RAY
    assert {container["image"] for container in containers} == {f"EDIT/tune-at:ray-{RAY}"}
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert f"FROM rayproject/ray:{RAY}-py311" in dockerfile
    assert "-c /home/ray/tune-at/constraints.txt" in dockerfile


def test_the_entrypoint_resumes_what_it_has_begun(job):
    inner = shlex.split(job["entrypoint"])
    assert inner[:2] == ["sh", "-c"]
    resume, sweep = COMMAND.findall(inner[2])
    parsed = build_parser().parse_args(shlex.split(sweep))
    again = build_parser().parse_args(shlex.split(resume))
    assert again.sweep == f"{parsed.storage}/{parsed.name}"
    assert f"[ -e {again.sweep}/study.yaml ]" in inner[2]
    assert parsed.address == again.address == "auto"
    assert job["backoffLimit"] >= 1


def test_the_token_comes_from_a_secret(job):
    assert job["rayClusterSpec"]["authOptions"] == {"mode": "token", "secretName": "tune-at-token"}
    text = (DEPLOY / "kuberay.yaml").read_text()
    assert "kubectl create secret generic tune-at-token --from-file=auth_token=" in text
    assert "RAY_AUTH_TOKEN" not in text
    assert not re.search(r"\b[0-9a-f]{32,}\b", text)


def test_storage_is_shared_and_mounted_everywhere(manifests, job, pods):
    claim = manifests["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods[1:]:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["runs"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        for container in pod["spec"]["containers"]:
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert set(mounts) <= set(volumes)
            assert f" --storage {mounts['runs']}/" in job["entrypoint"]


def test_pods_are_confined(manifests, pods, containers):
    policy = manifests["NetworkPolicy"]["spec"]
    labels = policy["podSelector"]["matchLabels"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == labels
    for pod in pods:
        assert labels.items() <= pod["metadata"]["labels"].items()
        assert pod["spec"]["automountServiceAccountToken"] is False
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"]["type"] == "RuntimeDefault"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
    for container in containers:
        assert container["resources"]["requests"] == container["resources"]["limits"]
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in context
