"""What the driver's own code loads: deciding needs neither torch nor Ray."""

import json
import pkgutil
import subprocess
import sys

import pytest

from tune_at.scheduling import policies

POLICIES = [module.name for module in pkgutil.iter_modules(policies.__path__, f"{policies.__name__}.")]


@pytest.mark.parametrize(
    "modules",
    [
        ["tune_at.scheduling.board"],
        ["tune_at.scheduling.policies", *POLICIES],
        ["tune_at.scheduling.proposals"],
        ["tune_at.scheduling.ledger", "tune_at.scheduling.driver"],
        ["tune_at.recording.spec", "tune_at.recording.rows", "tune_at.recording.tensorboard"],
    ],
    ids=lambda modules: modules[0].rpartition(".")[2],
)
def test_neither_torch_nor_ray_is_loaded(modules):
    code = (
        f"import sys, json, {', '.join(modules)}; print(json.dumps([m for m in ('torch', 'ray') if m in sys.modules]))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == []
