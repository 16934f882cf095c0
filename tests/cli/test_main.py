"""The command line as a user meets it: help, lists, dry runs, and one line for each mistake."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.simulation import Simulation
from tune_at.cli.commands import NAMES
from tune_at.cli.main import build_parser, main
from tune_at.study.study import Study

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """A function that runs a command in an empty folder → (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(a) for a in arguments])
        out = capsys.readouterr()
        return exit_.value.code, out.out, out.err

    return run


def assert_mistake(result, *parts):
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("tune-at: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["sweep", "random_label"], ["'random_label' is unknown", "did you mean random_labels?"]),
        (["sweep", "no/such.yaml"], ["no file no/such.yaml"]),
        (["sweep", "random_labels", "--preset", "lap"], ["'lap' is unknown", "laptop"]),
        (["sweep", "random_labels", "--set", "objective=trade"], ["objective.name: 'trade' is unknown", "trades"]),
        (["sweep", "random_labels", "--set", "model=resnet"], ["model.name: 'resnet' is unknown", "resnet18"]),
        (["sweep", "random_labels", "--set", "data.name=cifar"], ["data.name: 'cifar' is unknown", "cifar10"]),
        (["sweep", "random_labels", "--set", "data.noise=1"], ["data.noise: no such key", "data.noise_rate"]),
        (["sweep", "random_labels", "--set", "data.noise_rate"], ["is not an assignment"]),
        (["sweep", "random_labels", "--set", "data.noise_rate=1.2"], ["data.noise_rate: 1.2 must be at most 1"]),
        (["sweep", "random_labels", "--set", "attack.eps=-8/255"], ["attack.eps: '-8/255' must be at least 0"]),
        (["sweep", "methods", "--set", "optim.schedule.milestones=[300]"], ["300 is after the last epoch"]),
        (["sweep", "methods", "--preset=laptop", "--set", "train.batch_size=4000"], ["4000 is more than the 512"]),
        (["sweep", "random_labels", "--storage", "/proc/x"], ["--storage: cannot write in /proc"]),
        (["sweep", "random_labels", "--name", "a/b"], ["--name: 'a/b' cannot be the name of a folder"]),
        (["show", "random_labels", "--set", "seeds=[-1]"], ["seeds"]),
        (
            ["sweep", "random_labels", "--address", "nonsense"],
            ["--address nonsense: 'nonsense' is no HOST:PORT", "auto"],
        ),
        (["sweep", "random_labels", "--address", "h:0", "--dry-run"], ["'h:0' is no HOST:PORT"]),
        (["resume", "nowhere", "--address", "h"], ["'h' is no HOST:PORT"]),
        (["list", "objective"], ["did you mean objectives?"]),
        (["resume", "nowhere"], ["is no sweep"]),
        (["swep"], ["command: 'swep' is unknown", "did you mean sweep?"]),
        (["sweep"], ["sweep: the following arguments are required: STUDY", "see tune-at sweep --help"]),
        (["sweep", "random_labels", "--concurrency", "0"], ["'0' is not a whole number above 0"]),
        (["query", "a", "b", "--format", "xml"], ["invalid choice: 'xml'"]),
        (["status", "nowhere"], ["is no sweep"]),
        (["status", "x" * 300], ["File name too long"]),
        (["status", "ftp://b/p"], ["ftp://: is an unknown kind of storage", "s3://"]),
        (["sweep", "random_labels", "--storage", "s3://u:pw@b/p"], ["has a user or password in it"]),
        (["report", "nowhere"], ["is no sweep"]),
        (["query", "nowhere", "SELECT 1"], ["is no sweep"]),
    ],
)
def test_mistakes(call, arguments, parts):
    assert_mistake(call(*arguments), *parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("resources.cpu=1000", "1000 CPUs a trial, but this machine has"),
        ("resources.gpu=64", "64 GPUs a trial, but this machine has"),
    ],
)
def test_resources_that_no_node_has(call, override, message):
    code, _, err = call("sweep", "random_labels", "--preset", "laptop", "--set", override)
    assert code == 2
    assert message in err
    assert list(Path.cwd().iterdir()) == []


def test_a_yaml_mistake_names_file_and_line(call, tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "broken.yaml"
    path.write_text("title: x\nbase:\n  data: {name: digits\naxes: {}\n")
    assert_mistake(call("sweep", path), "broken.yaml, line 4")


def test_an_unknown_figure_is_refused_before_the_sweep(call, tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "s.yaml"
    path.write_text("title: x\nfigures: [memorisation_curves]\n")
    assert_mistake(call("sweep", path), "s.yaml: figures", "did you mean memorization_curves?")
    assert_mistake(call("sweep", path, "--preset", "laptop"), "the study has no presets")


def test_a_name_that_exists_offers_resume_of_the_same_study_alone(call, tmp_path):
    recorded = tmp_path / "runs" / "a" / "study.yaml"
    recorded.parent.mkdir(parents=True)
    for text, told in (
        (Study.resolve("random_labels", "laptop").as_yaml(), "continue it with `python run.py resume runs/a`"),
        (Study.resolve("methods", "laptop").as_yaml(), "a exists, and is a sweep of methods; choose another --name"),
        (
            Study.resolve("random_labels", "laptop", {"train.epochs": 3}).as_yaml(),
            "is another version of the study; choo",
        ),
        ("title: [", "a exists, a sweep that cannot be read; choose another --name"),
    ):
        recorded.write_text(text)
        code, _, err = call("sweep", "random_labels", "--preset", "laptop", "--name", "a")
        assert code == 2
        assert told in err


def test_a_study_of_this_folder_is_named_with_its_suffix(call, tmp_path):
    (tmp_path / "mine.yaml").write_text("title: x\n")
    assert "study: 'mine' is unknown; did you mean mine.yaml?" in call("sweep", "mine")[2]


def test_resume_prints_how_the_study_changed(call, tmp_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "s.yaml"
    path.write_text("title: x\nbase: {optim: {lr: 0.1}}\n")
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "study.yaml").write_text(Study.resolve(str(path)).as_yaml())
    path.write_text("title: y\nbase: {optim: {lr: 0.2}}\n")
    code, _, err = call("resume", "a")
    assert code == 2
    assert "base.optim.lr: 0.1 → 0.2" in err
    assert "--as-recorded" in err
    (folder / "study.yaml").write_text((folder / "study.yaml").read_text().replace("0.1", "0.3"))
    assert "was changed after its sweep began" in call("resume", "a")[2]


def test_dry_run_says_what_would_run_and_writes_nothing(call, tmp_path):
    code, out, _ = call("sweep", "random_labels", "--preset", "laptop", "--dry-run", "--name", "x")
    assert code == 0
    assert "4 trials" in out
    assert "eps: 0.14" in out
    assert "01-pgd_at" not in out
    assert "00-pgd_at" in out
    assert "03-trades" in out
    assert "min with" in out
    assert "probes" not in out
    assert list(tmp_path.iterdir()) == []
    out = call("sweep", "gradient_norms", "--preset", "laptop", "--dry-run", "--name", "x")[1]
    line = "The estimate does not count the probes (docs/probes.md): gradient_norms, gradient_ratio.\n"
    assert line in out


def test_dry_run_says_what_the_sweep_lacks_here(call, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNE_AT_DATA", str(tmp_path / "none"))
    code, out, _ = call("sweep", "random_labels", "--preset", "paper", "--set", "resources.cpu=999", "--dry-run")
    assert code == 0
    lacks = out[out.index("It cannot run here:") :]
    assert "resources.cpu: 999 CPUs a trial" in lacks
    assert f"data fetch cifar10 --data-dir {tmp_path / 'none'}` downloads it" in lacks
    code, out, _ = call("sweep", "noise_rate", "--dry-run")
    assert "--preset laptop runs here." in out
    # What a cluster has is not known without joining it; the data has to be here or there.
    code, out, _ = call("sweep", "noise_rate", "--address", "head:6379", "--dry-run")
    assert "resources." not in out[out.index("It cannot run here:") :]


SEARCH = """\
title: x
base: {data: {subset: 64}, train: {epochs: 9, batch_size: 32}}
search: {algorithm: optuna, trials: 1, space: {attack.eps: {uniform: [0.1, 0.2]}, objective: [pgd_at, trades]}}
scheduler: asha
"""


@pytest.fixture
def search(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "s.yaml"
    path.write_text(SEARCH)
    return path


def test_dry_run_of_a_search_shows_corners_and_no_trials(call, search):
    code, out, _ = call("sweep", search, "--dry-run", "--name", "x")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("warning: attack.eps differs")
    assert lines[1].startswith("1 trial of 'x' would go to")
    assert lines[2] == "search: optuna, 1 point, 1 seed each; scheduler: asha by robust_accuracy"
    assert "corner 1 of the space, objective=pgd_at, attack.eps=0.1:" in lines
    assert "corner 2 of the space, objective=pgd_at, attack.eps=0.2:" in lines
    assert "0000" not in out
    assert "The estimate does not count what asha stops early" in out
    assert "with 1 trial at a time" in out


def test_dry_run_of_what_stops_nothing_says_nothing_of_it(call, search):
    code, out, _ = call("sweep", search, "--dry-run", "--set", "scheduler=fifo", "--set", "search=random")
    assert code == 0
    assert "search: random, 1 point, 1 seed each; scheduler: fifo\n" in out
    assert "stops early" not in out
    assert "\n0000-" in out


def test_a_mistake_in_the_study_is_told_before_a_name_that_exists(call, search, tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    # Only some points are invalid, and no corner: a rule between two keys that both are drawn.
    space = "{attack.eps: null, objective: null, optim.nesterov: [false, true], optim.momentum: {uniform: [0, 0.9]}}"
    assert "a exists; choose another --name" in call("sweep", search, "--name", "a")[2]
    for changes, message in [
        (["--address", "h"], "is no HOST:PORT"),
        (["--set", "scheduler.grace=9"], "no trial would ever be judged"),
        (["--set", f"search.space={space}"], "optim.nesterov: True, but optim.momentum is 0"),
    ]:
        code, _, err = call("sweep", search, "--name", "a", *changes)
        assert code == 2
        assert message in err


def test_show_prints_the_resolved_study(call):
    code, out, _ = call("show", "random_labels", "--preset", "laptop", "--set", "seeds=[0,1]")
    assert code == 0
    assert out.startswith("# 8 trials\n")
    assert "eps: 0.14" in out


def test_list_names_everything(call):
    code, out, _ = call("list")
    assert code == 0
    for name in ("random_labels", "trades", "small_cnn", "digits", "cosine", "memorization_curves", "pgd"):
        assert name in out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_is_in_the_readme(name):
    readme = (ROOT / "README.md").read_text()
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    text = commands.choices[name].format_help()
    assert f"run.py {name}" in readme
    for option in ("--as-recorded", "--trials", "--dry-run", "--ship-data", "--address", "--fail-fast"):
        assert option not in text or option in readme


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"]], ids=" ".join)
def test_help_starts_neither_torch_nor_ray(arguments):
    code = (
        "import sys; from tune_at.cli.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: print([m for m in ('torch', 'ray', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "random_labels"],
        ["sweep", "random_labels", "--preset", "laptop", "--dry-run"],
        ["status", str(ROOT / "tests/stores/v1/grid-finished")],
        ["query", str(ROOT / "tests/stores/v1/grid-finished"), "SELECT count(*) AS n FROM epochs"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_only_reads_starts_neither_torch_nor_ray(arguments, tmp_path):
    code = (
        "import sys; from tune_at.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: print(end.code, [m for m in ('torch', 'ray', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_resume_with_more_trials_than_a_space_has_says_so_once(call, tmp_path):
    path = tmp_path / "s.yaml"
    base = "{data: {subset: 64}, train: {epochs: 1, batch_size: 32}}"
    path.write_text(f"title: x\nbase: {base}\nsearch: {{name: random, trials: 3, space: {{data.crop: [0, 1, 2]}}}}\n")
    sweep = Simulation(tmp_path / "sweep", Study.resolve(str(path)), 1, random.Random(0))
    while sweep.step():
        pass
    code, out, err = call("resume", "sweep", "--trials", 9)
    assert code == 0
    assert (out + err).count("the space has 3 points that differ, search.trials asks for 9") == 1
    assert "sweep is complete: nothing is left to run" in " ".join((out + err).split())
    assert "point" not in "".join(call("resume", "sweep")[1:]).partition("complete")[0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list"], 0),
        (["show", "random_labels"], 0),
        (["show", "random_label"], 2),
        (["status", str(ROOT / "tests/stores/v1/asha-killed"), "--watch"], 1),
    ],
)
def test_exit_codes_and_that_of_an_output_that_nobody_reads(tmp_path, arguments, code):
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    whole = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert whole.returncode == code, whole.stderr
    reader, writer = os.pipe()
    os.close(reader)
    try:
        closed = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    finally:
        os.close(writer)
    assert closed.returncode == (141 if whole.stdout else code)
    assert closed.stderr == whole.stderr
