"""Words in what is printed; a printed command is what bash reads it as."""

import subprocess

import pytest

from tune_at.wording import assignments, counted, duration, shell

ODD = [
    "runs/my ε sweep",
    "it's",
    'say "no"',
    "a$HOME`id`",
    "",
    "*?[x]",
    "s3://b/p?endpoint=http://h:1&x=y",
    "~/x",
    "a\nb",
    "!!",
]


def test_counted():
    assert [counted(n, "trial") for n in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_a_duration_has_about_two_digits():
    assert [duration(s) for s in (5, 100, 7200, 200000)] == ["5 s", "2 min", "2.0 h", "2.3 days"]


def test_assignments():
    assert assignments({"optim.lr": 0.1 + 0.2, "model": "vgg16", "data.flip": True}) == (
        "optim.lr=0.3, model=vgg16, data.flip=True"
    )


def test_a_command_is_read_by_bash_as_it_was_meant():
    line = shell("printf", r"%s\0", *ODD)
    printed = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert printed.decode().split("\0")[:-1] == ODD


@pytest.mark.parametrize("plain", ["runs/demo", "--logdir", "s3://bucket/runs/demo", "a.b=c", "8/255", "run.py"])
def test_what_needs_no_quotes_has_none(plain):
    assert shell(plain) == plain
