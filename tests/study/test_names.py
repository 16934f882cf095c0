import pytest

from tune_at.study.study import Study
from tune_at.wording import trial_label


def names(tmp_path, text, label=True):
    path = tmp_path / "s.yaml"
    path.write_text(f"title: x\n{text}")
    return [trial_label(t.name) if label else t.name for t in Study.resolve(str(path)).trials()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("axes: {attack.eps: [8/255, 16/255, 0.1]}", ["00-eps=8/255-s0", "01-eps=16/255-s0", "02-eps=0.1-s0"]),
        ("axes: {attack.eps: [0, 1, 0.0625, 0.12345]}",
         ["00-eps=0-s0", "01-eps=1-s0", "02-eps=0.0625-s0", "03-eps=0.12345-s0"]),
        ("axes: {attack.eps: [0.123456789, 0.1234567891, 0.98765432123]}",
         ["00-eps=0.123456789-s0", "01-eps=0.1234567891-s0", "02-eps=0.9877-s0"]),
        ("axes: {attack.eps: [8/255, 0.0313725490196, 0.1]}",
         ["00-eps=8/255-s0", "01-eps=0.03137-s0", "02-eps=0.1-s0"]),
        ("axes: {attack: [{eps: 8/255, step: 2/255}, {eps: 16/255, step: 4/255}]}",
         ["00-eps=8/255-s0", "01-eps=16/255-s0"]),
        ("axes: {attack: [{steps: 10, eps: 8/255}, {steps: 10, eps: 16/255}, {steps: 20, eps: 24/255}]}",
         ["00-eps=8/255-s0", "01-eps=16/255-s0", "02-eps=24/255-s0"]),
        ("axes: {attack: [{eps: 0.1, steps: 1}, {eps: 0.1, steps: 2}, {eps: 0.2, steps: 1}]}",
         ["00-eps=0.1-steps=1-s0", "01-eps=0.1-steps=2-s0", "02-eps=0.2-steps=1-s0"]),
        ("axes: {objective: [fgsm_at, {name: fast_at, step: 0.125}]}", ["00-fgsm_at-s0", "01-fast_at-s0"]),
        ("axes: {objective: [pgd_at, {name: trades, beta: 1}, trades, sat]}",
         ["00-pgd_at-s0", "01-trades-beta=1-s0", "02-trades-beta=6-s0", "03-sat-s0"]),
        ("axes: {objective: [trades], objective.beta: [1, 3]}", ["00-trades-beta=1-s0", "01-trades-beta=3-s0"]),
        ("axes: {data.subset: [200, all], optim.nesterov: [no, yes]}",
         ["00-subset=200-nesterov=false-s0", "01-subset=200-nesterov=true-s0", "02-subset=all-nesterov=false-s0",
          "03-subset=all-nesterov=true-s0"]),
        ("axes: {optim.schedule.milestones: [[0.5, 0.75], [0.6]]}",
         ["00-milestones=0.5+0.75-s0", "01-milestones=0.6-s0"]),
        ("axes: {optim.lr: [1e-3, 5e-4]}", ["00-lr=0.001-s0", "01-lr=0.0005-s0"]),
        ("stages: {a: {attack.eps: [4/255]}, b: {attack.eps: [8/255]}}\naxes: {attack.eps: [0.1]}",
         ["00-eps=4/255-s0", "01-eps=8/255-s0"]),
    ],
)  # fmt: skip
def test_a_name_says_what_tells_trials_apart_as_the_user_wrote_it(tmp_path, text, expected):
    assert names(tmp_path, text) == expected


def test_a_name_is_safe_as_a_file_and_the_swept_columns_keep_numbers(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("title: x\naxes: {attack: [{eps: 8/255, step: 2/255}, {eps: 16/255, step: 4/255}]}\n")
    trials = Study.resolve(str(path)).trials()
    assert [t.name for t in trials] == ["00-eps=8_255-s0", "01-eps=16_255-s0"]
    assert trials[1].swept == {"attack.eps": 16 / 255, "attack.step": 4 / 255}


def test_points_of_a_search_are_named_in_the_same_way(tmp_path):
    space = "{attack: [{eps: 8/255, step: 2/255}, {eps: 16/255, step: 4/255}], data.noise_rate: {choice: [1/2, 1/4]}}"
    text = f"search: {{name: random, trials: 9, space: {space}}}\n"
    found = names(tmp_path, text)
    assert len(found) == 4
    assert {name[5:] for name in found} == {
        f"eps={e}-noise_rate={r}-s0" for e in ("8/255", "16/255") for r in ("1/2", "1/4")
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("00-eps=8_255-s0", "00-eps=8/255-s0"),
        ("00-pgd_at-eps=8_255-step=2_255-s10", "00-pgd_at-eps=8/255-step=2/255-s10"),
        ("00-path=_d_1_2-s0", "00-path=_d_1_2-s0"),
        ("00-mixed_pgd_at-s0", "00-mixed_pgd_at-s0"),
    ],
)
def test_labels(name, label):
    assert trial_label(name) == label
