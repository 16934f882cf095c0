"""What `evaluate` and `probe` share: the command that does what is missing."""

import shlex

import pytest

from tune_at.cli.commands import evaluate, probe
from tune_at.cli.main import build_parser
from tune_at.wording import program


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
