import pytest

from tune_at.errors import UserError
from tune_at.study.file import SHIPPED, parse_overrides, read_study
from tune_at.study.study import Study
from tune_at.study.warnings import warnings_of

STUDY = """\
title: A study
base:
  data: {name: digits, noise_rate: 0.2}
  attack: {eps: 8/255}
axes:
  objective: [pgd_at, {name: trades, beta: 3}]
  data.noise_rate: [0.0, 1.0]
presets:
  laptop: {data.subset: 100, attack.eps: 0.1, data.noise_rate: [0.5], train.batch_size: 32}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    return path


def test_grid_times_seeds_with_seeds_innermost(file):
    trials = Study.resolve(str(file), overrides={"seeds": [0, 7]}).trials()
    assert [t.name for t in trials][:3] == [
        "00-pgd_at-noise_rate=0-s0",
        "01-pgd_at-noise_rate=0-s7",
        "02-pgd_at-noise_rate=1-s0",
    ]
    assert len({t.name for t in trials}) == len(trials) == 8
    assert trials[-1].config.objective.beta == 3
    assert trials[-1].swept == {"objective": "trades", "objective.beta": 3.0, "data.noise_rate": 1.0}
    assert trials[-1].config.seed == 7


def test_a_preset_replaces_an_axis_and_changes_the_base(file):
    trials = Study.resolve(str(file), "laptop").trials()
    assert [t.config.data.noise_rate for t in trials] == [0.5, 0.5]
    assert trials[0].config.attack.eps == 0.1
    assert trials[0].config.data.train_samples == 100


def test_recorded_study_reads_back_equal_and_notices_an_edit(file):
    study = Study.resolve(str(file), "laptop", parse_overrides(["optim.lr=0.2", "optim.schedule=cosine"]))
    text = study.as_yaml()
    assert Study.from_yaml(text, "x") == study
    assert [t.config for t in Study.from_yaml(text, "x").trials()] == [t.config for t in study.trials()]
    with pytest.raises(UserError, match="was changed after its sweep began"):
        Study.from_yaml(text.replace("0.2", "0.3"), "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nbase: {a: [1\naxes: {}\n", "line 3"),
        ("title: x\naxes:\n  seed: [1]\n  seed: [2]\n", "line 4: is not valid YAML: the key 'seed' stands twice"),
        ("- 1\n", "holds no study"),
        ("base: {}\n", "title"),
        ("title: x\naxis: {}\n", "axis: no such key (value {}); did you mean axes?"),
        ("title: x\naxes: {data.noise_rat: [0]}\n", "axes.data.noise_rat: no such key; did you mean data.noise_rate"),
        ("title: x\naxes: {data.noise_rate: []}\n", "axes.data.noise_rate"),
        ("title: x\nbase: {data: {noise_rate: 2}}\n", "data.noise_rate: 2 must be at most 1"),
        ("title: x\naxes: {attack.eps: [0.1, 2]}\n", "attack.eps: 2 must be at most 1"),
        ("title: x\nbase: {seed: 3}\n", "write `seeds: [...]`"),
        ("title: x\naxes: {seed: [3]}\n", "a seed is neither a key of the base nor an axis"),
        ("title: x\naxes: {objective: [trades, pgd_at], objective.beta: [1]}\n", "objective.beta: no such key"),
        ("title: 2020-13-45\n", "cannot be read"),
        ("title: x\n? [a]\n: 1\n", "bad.yaml, line 2"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        Study.resolve(str(path))
    assert message in str(caught.value)
    assert "bad.yaml" in str(caught.value)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_of_every_shipped_study_resolves(path):
    from analysis.figures import FIGURES

    written = read_study(path)
    assert written.paper
    assert "laptop" in written.presets
    for preset in ("", *written.presets):
        study = Study.resolve(path.stem, preset)
        assert study.samples()
        assert warnings_of(study) == []
        assert study.size >= len(study.trials())
        assert all(figure in FIGURES for figure in study.figures)


def test_unknown_names_are_answered_with_near_ones(file):
    for arguments, message in [
        (("random_label",), "did you mean random_labels"),
        ((str(file), "lapto"), "did you mean laptop"),
        ((str(file), "", {"data.noise": 1}), "data.noise"),
        ((str(file), "", {"metric": 1}), "no such key; did you mean scheduler.metric"),
        ((str(file), "", {"trails": 1}), "no such key; did you mean train or search.trials"),
        ((str(file), "", {"xyzzy": 1}), "known here: attack, data, evaluation, model, objective, optim"),
        (
            (str(file), "", {"attack.qqqqqqqqqqqqqq": 1}),
            "known here: attack.eps, attack.norm, attack.start, attack.step, attack.steps",
        ),
        ((str(file), "", {"seeds": "x"}), "write seeds=[0,1,2]"),
        ((str(file), "", {"seeds": [2**63]}), "write seeds=[0,1,2]"),
        ((str(file), "", {"seed": 3}), "--set seeds=[0,1]"),
        ((str(file), "", {"data.noise_rate": []}), "leaves the axis without a value"),
        ((str(file), "", {"data": 5}), "data"),
    ]:
        with pytest.raises(UserError, match=message.replace("[", r"\[").replace("]", r"\]")):
            Study.resolve(*arguments)


def test_two_forms_of_one_objective_are_told_apart(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "title: x\nbase: {train: {batch_size: 50}}\n"
        "axes: {objective: [{name: trades, beta: 1}, trades, pgd_at], train: [{epochs: 1}], data.subset: [all, 200]}\n"
    )
    trials = Study.resolve(str(path)).trials()
    assert [t.name for t in trials][:2] == [
        "00-trades-beta=1-epochs=1-subset=all-s0",
        "01-trades-beta=1-epochs=1-subset=200-s0",
    ]
    assert [t.swept["objective.beta"] for t in trials] == [1, 1, 6, 6, None, None]
    assert {t.config.train.batch_size for t in trials} == {50}
    assert {type(t.swept["data.subset"]) for t in trials} == {str}  # a column has one type


def test_an_axis_of_a_key_may_stand_before_the_axis_of_its_section(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("title: x\naxes: {objective.beta: [1, 2], objective: [trades]}\n")
    assert [t.config.objective.beta for t in Study.resolve(str(path)).trials()] == [1, 2]


def test_a_changed_default_is_noticed(file, monkeypatch):
    import re

    text = Study.resolve(str(file)).as_yaml()
    from tune_at.study.record import digest

    body = re.sub("configs: .*", "configs: other", text.partition("\n")[2])
    with pytest.raises(UserError, match="a default has changed between tune-at"):
        Study.from_yaml(f"# digest: {digest(body)}\n{body}", "x")


STAGED = """\
title: Students
base: {train: {batch_size: 50}}
stages:
  teachers: {objective: [standard, pgd_at]}
  students: {objective: kd_swa}
axes: {objective: [pgd_at], data.noise_rate: [0.0, 0.4]}
"""


def test_stages_give_students_the_teachers_with_the_same_data_and_seed(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STAGED)
    study = Study.resolve(str(path), overrides={"seeds": [0, 1]})
    trials = study.trials()
    assert Study.from_yaml(study.as_yaml(), "x").trials() == trials
    assert [t.stage for t in trials] == ["teachers"] * 8 + ["students"] * 4
    by_name = {t.name: t for t in trials}
    for student in trials[8:]:
        assert set(student.teachers) == {"standard", "robust"}
        for role, objective in (("standard", "standard"), ("robust", "pgd_at")):
            teacher = by_name[student.teachers[role]]
            assert teacher.config.objective.name == objective
            assert teacher.config.seed == student.config.seed
            assert teacher.config.data == student.config.data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[standard, pgd_at]", "[pgd_at]"), "teacher 'standard': is not a trial of an earlier stage"),
        (
            ("objective: kd_swa}", "objective: kd_swa, model.width: 8}"),
            "has other data, another model or another attack",
        ),
        (("data.noise_rate: [0.0, 0.4]", "evaluation.steps: [5, 10]"), "could be any of"),
        (("objective: kd_swa}", "objectiv: kd_swa}"), "stages.students objectiv: no such key"),
    ],
)
def test_a_teacher_that_cannot_be_found_is_named(tmp_path, change, message):
    path = tmp_path / "s.yaml"
    path.write_text(STAGED.replace(*change))
    with pytest.raises(UserError, match=message):
        Study.resolve(str(path))


def test_a_list_of_objectives_is_an_axis_though_the_study_has_none(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("title: x\nstages: {teachers: {objective: [standard, pgd_at]}, students: {objective: kd_swa}}\n")
    assert [t.config.objective.name for t in Study.resolve(str(path)).trials()] == ["standard", "pgd_at", "kd_swa"]


def test_some_stages_of_a_study(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STAGED)
    study = Study.resolve(str(path), overrides=parse_overrides(["stages=[teachers]", "seeds=3"]))
    assert [t.stage for t in study.trials()] == ["teachers"] * 4
    with pytest.raises(UserError, match="did you mean teachers"):
        Study.resolve(str(path), overrides={"stages": ["teacher"]})


def test_a_preset_changes_what_a_stage_sets(tmp_path):
    path = tmp_path / "s.yaml"
    preset = "presets: {p: {stages: {teachers: {objective: [standard], optim.lr: 0.02}, students: }}}\n"
    text = STAGED.replace("students: {objective: kd_swa}", "students: {objective: sat, optim.lr: 0.3}")
    path.write_text(text + preset)
    trials = Study.resolve(str(path), preset="p").trials()
    assert [(t.stage, t.config.objective.name, t.config.optim.lr) for t in trials] == (
        [("teachers", "standard", 0.02)] * 2 + [("students", "sat", 0.3)] * 2
    )
    study = Study.resolve(str(path), "p", overrides=parse_overrides(["stages={students: {objective: [pgd_at, sat]}}"]))
    assert [t.config.objective.name for t in study.trials()] == ["pgd_at", "pgd_at", "sat", "sat"]
    assert {t.config.optim.lr for t in study.trials()} == {0.3}
    assert Study.from_yaml(study.as_yaml(), "x").trials() == study.trials()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("{teacher: {}}", "did you mean teachers"),
        ("{teachers: 3}", "--set stages.teachers: 3 is not a mapping"),
        ("{teachers: {optim.l: 3}}", "--set stages.teachers optim.l: no such key"),
        ("{teachers: {optim.lr: []}}", "--set stages.teachers optim.lr: .* leaves no value"),
    ],
)
def test_a_wrong_change_of_a_stage_is_named(tmp_path, stages, message):
    path = tmp_path / "s.yaml"
    path.write_text(STAGED)
    with pytest.raises(UserError, match=message):
        Study.resolve(str(path), overrides=parse_overrides([f"stages={stages}"]))
