"""Which trials a scheduler judges against each other."""

from tune_at.study.judged import brackets_of, is_apart, judged_trials
from tune_at.study.study import Study

GRID = """\
title: x
base: {train: {epochs: 4}}
axes: {attack.eps: [0.1, 0.2], optim.lr: [0.1, 0.2, 0.3, 0.4, 0.5]}
scheduler: {name: hyperband, eta: 2}
"""
SEARCH = """\
title: x
base: {train: {epochs: 4}}
search: {name: random, trials: %d, space: {attack.eps: {choice: [0.1, 0.2]}, optim.lr: {uniform: [0.1, 0.2]}}}
scheduler: {name: hyperband, eta: 2}
"""


def test_each_group_fills_brackets_of_its_own(resolve):
    study = resolve(GRID)  # brackets of 4, 3 and 3 trials
    found = brackets_of(study, study.scheduler, judged_trials(study).groups)
    assert [(b.halvings, b.places) for b in found] == [
        (2, [0, 1, 2, 3]), (1, [4]), (2, [5, 6, 7, 8]), (1, [9]),
    ]  # fmt: skip
    by_accuracy = resolve(GRID, **{"scheduler.metric": "natural_accuracy"})
    assert not is_apart(by_accuracy)
    found = brackets_of(by_accuracy, by_accuracy.scheduler, judged_trials(by_accuracy).groups)
    assert [b.places for b in found] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_grid_of_schema_1_is_judged_as_it_was(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(GRID)
    study = Study.resolve(str(path), schema=1)
    assert not is_apart(study)
    groups = judged_trials(study).groups
    assert groups == [range(10)]
    assert [b.places for b in brackets_of(study, study.scheduler, groups)] == [
        [0, 1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
    ]


def test_an_extension_adds_brackets_after_those_that_there_were(resolve):
    study = resolve(SEARCH % 7)
    before, after = (brackets_of(s, s.scheduler, judged_trials(s).groups) for s in (study, study.extended(19)))
    assert after[: len(before)] == before
    assert sorted(place for bracket in after for place in bracket.places) == list(range(19))
    longer = study.extended(19)
    eps = [trial.config.attack.eps for trial in longer.trials()]
    assert all(len({eps[place] for place in bracket.places}) == 1 for bracket in after)
    assert all(place >= 7 for bracket in after[len(before) :] for place in bracket.places)
