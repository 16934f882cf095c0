"""A field that is really added, to a copy of the program, kills no older sweep and no older checkpoint."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import run
from recorded_study import name_source

from tune_at.config.trial import TrialConfig
from tune_at.config.versions import SCHEMA
from tune_at.errors import UserError
from tune_at.store import read_arrow
from tune_at.training.checkpoint import load_state, save_state

ROOT = Path(__file__).parent.parent.parent
V1 = Path(__file__).parent / "v1"

FIELDS = {
    "attack.py": ("AttackSection", "wobble: Annotated[float, Since({schema}, absent=0.0)] = 0.25"),
    "objective.py": ("ObjectiveSection", 'mood: Annotated[str, Since({schema}, absent="calm")] = "wild"'),
    "optim.py": ("SGD", "damping: Annotated[float, Since({schema}, absent=0.0)] = 0.5"),
    "data.py": ("DataSection", "blur: Annotated[float, Since({schema}, absent=0.0)] = 1.0"),
    "model.py": ("ModelSection", "bias: Annotated[bool, Since({schema}, absent=True)] = False"),
    "scheduler.py": ("SchedulerSection", "patience: Annotated[int, Since({schema}, absent=0)] = 3"),
    "search.py": ("SearchSection", 'order: Annotated[str, Since({schema}, absent="written")] = "random"'),
}
"""A file of `config/`, a section in it, and a field whose default is not what its absence means."""

CHECK = """
import json, sys
from pathlib import Path
from tune_at.config.trial import TrialConfig
from tune_at.study.sweep import Sweep
from tune_at.training.trainer import Trainer

sweep = Sweep.open(sys.argv[1])
sweep.require_unchanged()
trials = sweep.trials()
known = {path.parent.name: path for path in sorted(Path(sys.argv[1]).glob("checkpoints/*/epoch-*.pt"))}
restored = {}
for trial in trials:
    if trial.name in known and not trial.config.objective.teachers():
        trainer = Trainer(trial.config)
        trainer.load(known[trial.name])
        restored[trial.name] = len(trainer.history)
new = TrialConfig()
print(json.dumps({
    "hashes": {trial.name: trial.config.hash for trial in trials},
    "wobble": [trial.config.attack.wobble for trial in trials],
    "mood": [trial.config.objective.mood for trial in trials],
    "order": sweep.study.search.order,
    "patience": sweep.study.scheduler.patience,
    "restored": restored,
    "new": [new.attack.wobble, new.objective.mood, new.hash, new.as_json()],
    "yaml": sweep.study.as_yaml(),
}))
"""


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """The program of a later version, in which each section has a field that this one lacks."""
    folder = tmp_path_factory.mktemp("newer")
    shutil.copytree(ROOT / "tune_at", folder / "tune_at", ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / "tune_at" / "config" / "versions.py"
    versions.write_text(re.sub(r"^SCHEMA = \d+", f"SCHEMA = {SCHEMA + 1}", versions.read_text(), flags=re.MULTILINE))
    for name, (section, field) in FIELDS.items():
        path = folder / "tune_at" / "config" / name
        text = path.read_text()
        if "import Since" not in text:
            text = re.sub(
                r"^(from tune_at)", r"from tune_at.config.versions import Since\n\1", text, count=1, flags=re.MULTILINE
            )
        if " Annotated" not in text:
            text = text.replace("from typing import ", "from typing import Annotated, ", 1)
        added = f"\n    {field.format(schema=SCHEMA + 1)}\n"
        text, count = re.subn(
            rf'(^class {section}\(.*?"""\n)(?=\n)', rf"\1{added}", text, count=1, flags=re.MULTILINE | re.DOTALL
        )
        assert count == 1, name
        path.write_text(text)
    return folder


def look(newer, sweep):
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(sweep)], capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(newer)}, cwd=newer,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("study", ["grid-killed", "asha-killed", "optuna-killed", "pbt-killed", "kd_swa-finished"])
def test_older_sweeps_and_their_checkpoints_are_read(tmp_path, newer, study):
    sweep = Path(shutil.copytree(V1 / study, tmp_path / study))
    name_source(sweep, V1 / "studies" / f"{study.partition('-')[0]}.yaml")
    seen = look(newer, sweep)
    rows = read_arrow(sweep, "trials").to_pylist()
    assert rows
    for row in rows:
        assert seen["hashes"][row["trial"]] == row["config_hash"]
    assert set(seen["wobble"]) == {0.0}
    assert set(seen["mood"]) == {"calm"}
    assert (seen["order"], seen["patience"]) == ("written", 0)
    assert seen["restored"]
    assert all(seen["restored"].values())
    # What the newer program would record of the older sweep is still of the older version.
    assert "schema:" not in seen["yaml"]
    assert not {"wobble", "mood", "order", "patience"} & set(re.findall(r"\w+", seen["yaml"]))


def test_a_new_config_has_the_new_defaults_and_another_hash(newer):
    wobble, mood, hashed, text = look(newer, V1 / "grid-killed")["new"]
    assert (wobble, mood) == (0.25, "wild")
    assert hashed != TrialConfig().hash
    assert json.loads(text)["attack"]["wobble"] == 0.25


def test_a_sweep_of_this_version_is_read_by_the_next(tmp_path, newer):
    from tune_at.study.study import Study

    (tmp_path / "s.yaml").write_text("title: x\nbase: {attack: {eps: 0.1}}\naxes: {objective: [pgd_at, trades]}\n")
    study = Study.resolve(str(tmp_path / "s.yaml"))
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    (sweep / "study.yaml").write_text(study.as_yaml())
    seen = look(newer, sweep)
    assert list(seen["hashes"].values()) == [trial.config.hash for trial in study.trials()]
    assert set(seen["wobble"]) == {0.0}
    assert f"schema: {SCHEMA}\n" in seen["yaml"]


@pytest.mark.parametrize("command", ["status", "report", "resume"])
def test_a_newer_sweep_is_refused_in_one_line(tmp_path, command):
    sweep = Path(shutil.copytree(V1 / "grid-killed", tmp_path / "grid"))
    path = sweep / "study.yaml"
    path.write_text(path.read_text().replace("\ntune_at:", f"\nschema: {SCHEMA + 1}\nunheard: of\ntune_at:"))
    before = {p: p.read_bytes() for p in sweep.rglob("*") if p.is_file()}
    done = run(command, sweep)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"schema version {SCHEMA + 1}, this program reads up to {SCHEMA}" in done.stderr
    assert "upgrade tune-at" in done.stderr
    assert {p: p.read_bytes() for p in sweep.rglob("*") if p.is_file()} == before


def test_a_newer_checkpoint_is_refused(tmp_path):
    save_state(tmp_path / "epoch-000001.pt", {"schema": SCHEMA + 1, "config": "{}"})
    with pytest.raises(UserError, match=f"epoch-000001.pt: was recorded with schema version {SCHEMA + 1}"):
        load_state(tmp_path / "epoch-000001.pt")
