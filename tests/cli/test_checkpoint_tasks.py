"""What `evaluate` and `probe` share: the command that does what is missing; on S3 all is as it is here."""

import shlex

import pytest
import torch
from processes import planned, results, run_epochs
from s3_server import SECRET, s3  # noqa: F401
from safetensors.torch import load_file
from tasks_here import command  # noqa: F401
from two_trials import STUDY

from tune_at import load_trained
from tune_at.cli.commands import evaluate, probe
from tune_at.cli.main import build_parser
from tune_at.wording import program

TRIAL = "00-pgd_at-s0"


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory, s3):  # noqa: F811
    """A sweep here, and the same one on S3: one trial has ended, one has not begun."""
    folder = tmp_path_factory.mktemp("near")
    (folder / "s.yaml").write_text(STUDY)
    made = [planned(folder / "s.yaml", storage, "a") for storage in (folder, s3.uri())]
    for sweep in made:
        run_epochs(sweep, sweep.study.trials()[0], 3)
    return [str(sweep.folder) for sweep in made]


def test_a_sweep_on_s3_is_evaluated_probed_exported_and_loaded(sweeps, command, tmp_path):  # noqa: F811
    asked = {
        "evaluate": ("--attack", "pgd-2", "-n", "100"),
        "probe": ("--probe", "gradient_norms", "--samples", "20", "--checkpoint", "best"),
    }
    for name, words in asked.items():
        printed = []
        for sweep in sweeps:
            code, lines, errors = command(name, sweep, *words)
            assert (code, errors) == (0, []), lines
            assert SECRET not in "".join(lines)
            printed.append([line for line in lines if not line.startswith("store ")])
        assert printed[0] == printed[1]
    for table in ("evaluations", "samples", "probes"):
        near, far = (results(sweep, table) for sweep in sweeps)
        assert near.num_rows
        assert near.equals(far), table
    # Called again it finds all of it there.
    assert "all of this has been evaluated before" in command("evaluate", sweeps[1], *asked["evaluate"])[1]
    files = [tmp_path / "near.safetensors", tmp_path / "far.safetensors"]
    for sweep, file in zip(sweeps, files, strict=True):
        code, _, errors = command("export", sweep, "--trial", TRIAL, "--checkpoint", "final", "--to", file)
        assert (code, errors) == (0, [])
    near, far = map(load_file, files)
    assert near.keys() == far.keys()
    assert all(torch.equal(near[name], far[name]) for name in near)
    (network, test), (other, images) = (load_trained(sweep, TRIAL) for sweep in sweeps)
    assert torch.equal(network(test.images), other(images.images))
    assert torch.equal(test.labels, images.labels)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["evaluate", "--trials", "01-standard-s0"], "--trials 01-standard-s0: it has not been started yet"),
        (
            ["evaluate", "--checkpoint", "9"],
            f"trial {TRIAL}: has no checkpoint '9'; of this trial there are best, final",
        ),
        (["probe", "--probe", "gradient_norms", "--checkpoint", "9"], f"trial {TRIAL}: has no checkpoint '9'"),
        (["export", "--trial", TRIAL, "--checkpoint", "9", "--to", "n"], f"trial {TRIAL}: has no checkpoint '9'"),
        (["export", "--trial", "00-pgd", "--to", "n"], "trial 00-pgd: is not one of s3://"),
    ],
)
def test_what_is_not_there_is_one_line(sweeps, words, line, command):  # noqa: F811
    code, _, errors = command(words[0], sweeps[1], *words[1:])
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith(f"tune-at: error: {line}")


@pytest.mark.parametrize(
    "words",
    [
        "evaluate runs/a",
        "evaluate 'runs/a b' --attack pgd-10 --attack cw-20 --eps 8/255 --step 0.01 -n 300 --split val --concurrency 3",
        "evaluate s3://b/a?region=x --checkpoint best --checkpoint 12 --trials best:5 00-pgd_at-eps=8/255-s0",
        "evaluate runs/a --address 10.0.0.1:6379 --data-dir '/data of mine' --ship-data",
        "probe runs/a --probe margin --probe l1_norm --samples 20 --checkpoint initial --no-ship-data",
        "probe runs/a --probe margin --trials 00-s0 --address auto",
    ],
)
def test_the_command_that_is_printed_is_the_one_that_was_given(words):
    given = build_parser().parse_args(shlex.split(words))
    again = shlex.split({"evaluate": evaluate, "probe": probe}[given.command]._again(given))
    called = program()
    assert again[: len(called)] == called
    assert build_parser().parse_args(again[len(called) :]) == given
