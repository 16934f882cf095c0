"""What follows from a trial's status."""

import json

import pytest

from tune_at.store.schema import build_table
from tune_at.store.status import Status

STORED = ("pending", "running", "completed", "stopped", "diverged", "failed")


def test_the_table_holds_the_words_that_it_always_held():
    row = {
        "sweep": "s", "study": "s", "stage": "main", "trial": "0", "seed": 0, "epochs": 0, "selection": "validation",
        "config": "{}", "config_hash": "",
    }  # fmt: skip
    table = build_table("trials", [{**row, "status": Status(word)} for word in STORED])
    assert table["status"].to_pylist() == list(STORED)
    assert json.dumps(Status.DIVERGED) == '"diverged"' and f"{Status.DIVERGED}" == "diverged"


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("ended", {"completed", "stopped", "diverged", "failed"}),
        ("final", {"completed", "stopped", "diverged"}),  # a failed trial is tried again
        ("void", {"diverged", "failed"}),
    ],
)
def test_what_follows_from_a_status(name, statuses):
    assert {status for status in Status if getattr(status, name)} == statuses
