"""The lengths of complete runs."""

import itertools

import pytest

from tune_at.config.rungs import run_lengths


@pytest.mark.parametrize(
    ("grace", "eta", "longest", "lengths"),
    [
        (20, 3, 200, (20, 60, 200)),  # 180 becomes 200
        (20, 3, 180, (20, 60, 180)),
        (20, 3, 179, (20, 179)),
        (20, 3, 60, (20, 60)),
        (20, 3, 59, (59,)),
        (1, 2, 8, (1, 2, 4, 8)),
        (5, 1.5, 12, (5, 8, 12)),  # 5, 7.5, 11.25
        (3, 1.1, 5, (3, 4, 5)),  # 3, 3.3, 3.63, 3.993, 4.39, 4.83
    ],
)
def test_the_last_of_the_geometric_lengths_is_the_longest_run(grace, eta, longest, lengths):
    assert run_lengths(grace, eta, longest) == lengths


@pytest.mark.parametrize("eta", [1.01, 1.3, 2, 2.5, 3, 4])
@pytest.mark.parametrize("grace", [1, 2, 3, 7])
def test_lengths_ascend_and_end_with_the_longest(grace, eta):
    for longest in range(grace, 90, 7):
        lengths = run_lengths(grace, eta, longest)
        assert lengths[-1] == longest
        assert list(lengths) == sorted(set(lengths))
        # Rounded up to whole epochs a run may be a little less than eta times as long as the one before.
        assert all(longer + 1 > eta * (shorter - 1) for shorter, longer in itertools.pairwise(lengths))
