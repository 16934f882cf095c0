"""The paper's numbers: what of them follows from others, their counts, and the studies that train what they are of."""

import subprocess
import sys
from collections import Counter

import pytest

from analysis.paper import (
    REGULARISERS,
    STATEMENTS,
    TABLES,
    VALUES,
    paper_regulariser,
    paper_statement,
    paper_table,
    paper_value,
)
from analysis.paper.rows import ATTACKS
from analysis.paper.settings import departures
from tune_at.config.attack import ATTACKS as KNOWN_ATTACKS
from tune_at.config.data import DATASETS
from tune_at.config.model import MODELS
from tune_at.config.objective import OBJECTIVES
from tune_at.config.tree import leaves
from tune_at.errors import UserError
from tune_at.study.study import Study

# Where the paper's printed difference is not that of the values beside it: (table, method, attack), best - final.
MISPRINTED = {("1a", "pgd_at", "cw-1000"): 6.48, ("2", "pgd_at", "cw-1000"): 6.48}
# Likewise in Table A.1: (noise rate, augmentation, weight decay, dropout, kind), training - test.
MISPRINTED_GAP = {(0.0, True, 0.0, 0.0, "natural"): 16.66}


def pairs():
    cells = {}
    for value in VALUES:
        key = (value.table, value.data, value.architecture, value.norm, value.eps, value.method, value.attack)
        assert value.checkpoint not in cells.setdefault(key, {})
        cells[key][value.checkpoint] = value
    return cells


def test_a_diff_is_best_minus_final_but_where_the_paper_misprints_it():
    odd = {}
    for key, cell in pairs().items():
        best, final = cell["best"], cell["final"]
        assert best.diff == final.diff
        if best.diff is not None and round(best.value - final.value, 2) != best.diff:
            odd[key[0], key[5], key[6]] = round(best.value - final.value, 2)
    assert odd == MISPRINTED
    assert {key[0] for key, cell in pairs().items() if cell["best"].diff is None} == {"footnote 2"}


def test_a_gap_is_training_minus_test_but_where_the_paper_misprints_it():
    odd = {
        (row.noise_rate, row.augmentation, row.weight_decay, row.dropout, row.kind): round(row.training - row.test, 2)
        for row in REGULARISERS
        if round(row.training - row.test, 2) != row.gap
    }
    assert odd == MISPRINTED_GAP


def test_each_table_has_all_its_numbers():
    assert Counter(value.table for value in VALUES) == {
        "1a": 40, "1b": 40, "1c": 40, "2": 50, "C.1": 32, "footnote 2": 4,
    }  # fmt: skip
    assert len(REGULARISERS) == 24
    assert len({(*key, at) for key, cell in pairs().items() for at in cell}) == len(VALUES)


def test_values_are_accuracies_and_attacks_only_lower_them():
    assert all(0 < value.value < 100 for value in VALUES)
    assert all(0 < row.test < row.training < 100 for row in REGULARISERS)
    cells = pairs()
    for (*where, attack), cell in cells.items():
        if attack in ("pgd-1000", "cw-1000", "autoattack"):
            weaker = cells[*where, {"autoattack": "pgd-1000"}.get(attack, "pgd-10")]
            assert all(cell[at].value < weaker[at].value for at in ("best", "final"))


def test_what_stands_in_two_places_is_the_same():
    """PGD-AT and PGD-AT+TE of Table 1a stand again in Table 2, PGD-AT's under PGD-10 in the footnote."""
    for method in ("pgd_at", "pgd_at_te"):
        for attack in ATTACKS:
            for at in ("best", "final"):
                assert paper_value("1a", method, attack, at).value == paper_value("2", method, attack, at).value
    assert paper_value("footnote 2", "pgd_at", "pgd-10", "final").value == 44.92


def test_the_program_knows_every_name():
    for value in VALUES:
        assert value.method in OBJECTIVES and value.architecture in MODELS and value.data in DATASETS
        assert value.attack == "natural" or value.attack in KNOWN_ATTACKS
        section = OBJECTIVES[value.method].config.model_validate({"name": value.method, **dict(value.arguments)})
        assert all(getattr(section, key) == given for key, given in value.arguments)


def test_look_ups():
    cell = paper_value("1c", "trades", "autoattack", "best")
    assert (cell.value, cell.diff, cell.data) == (40.36, 1.48, "svhn")
    assert dict(paper_value("1b", "trades_te", "pgd-10", "best").arguments) == {"beta": 6, "weight": 3, "momentum": 0.9}
    assert paper_value("C.1", "pgd_at", "pgd-10", "final", architecture="vgg16").value == 43.02
    assert paper_value("C.1", "pgd_at", "pgd-10", "final", norm="l2").value == 65.96
    assert paper_value("2", "trades", "pgd-10", "best") is None
    with pytest.raises(LookupError, match="3 values"):
        paper_value("C.1", "pgd_at", "pgd-10", "final")
    assert paper_regulariser(1.0, True, 0.0002, 0.0, "robust").training == 69.62
    assert paper_regulariser(0.5, True, 0.0002, 0.0, "robust") is None
    assert paper_statement("kendall_tau_seeds").value == 0.85
    assert paper_statement("kendall_tau_architectures").value == 0.78
    with pytest.raises(UserError, match="kendall_tau_seeds"):
        paper_statement("kendal_tau_seeds")


def test_statements_have_names_and_places():
    assert len({statement.name for statement in STATEMENTS}) == len(STATEMENTS)
    assert all(statement.place and statement.words for statement in STATEMENTS)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_as_a_frame(table):
    frame = paper_table(table)
    assert len(frame) == sum(row.table == table for row in (*VALUES, *REGULARISERS))
    assert (frame["table"] == table).all()
    assert not frame.duplicated().any()


def test_no_such_table():
    with pytest.raises(UserError, match="'1d' is unknown"):
        paper_table("1d")


TABLES_OF = {"cifar10": "1a", "cifar100": "1b", "svhn": "1c"}


def trials(study):
    return [dict(leaves(trial.config.as_tree())) for trial in Study.resolve(study, "paper").trials()]


@pytest.mark.parametrize("study", ["mitigation", "comparison", "architectures_and_norms"])
def test_each_row_is_trained_by_a_paper_preset(study):
    """Every row has exactly one trial whose settings are the paper's; other trials are no row's."""
    tables = {"mitigation": ("1a", "1b", "1c"), "comparison": ("2",), "architectures_and_norms": ("C.1",)}[study]
    rows = {
        (v.table, v.data, v.architecture, v.norm, round(255 * v.eps), v.method, v.arguments)
        for v in VALUES
        if v.table in tables
    }
    found = Counter()
    for config in trials(study):
        for row in rows:
            table, data, architecture, norm, eps, method, arguments = row
            same = (config["data.name"], config["model.name"], config["attack.norm"], config["objective.name"]) == (
                data, architecture, norm, method,
            )  # fmt: skip
            if same and round(255 * config["attack.eps"]) == eps and not departures(table, config, arguments):
                found[row] += 1
    assert found == dict.fromkeys(rows, 1)


def test_each_row_of_a1_is_trained_by_a_paper_preset():
    found = Counter()
    for config in trials("regularisers"):
        assert departures("A.1", config) == []
        given = (config["data.noise_rate"], config["data.crop"] > 0 and config["data.flip"])
        found[paper_regulariser(*given, config["optim.weight_decay"], config["model.dropout"], "natural")] += 1
    assert found == {row: 1 for row in REGULARISERS if row.kind == "natural"}


def test_what_differs_from_the_paper_is_named():
    config = trials("mitigation")[0]
    assert departures("1a", config) == []
    assert departures("1a", {**config, "optim.schedule.milestones": [100, 150]}) == []
    other = {**config, "train.epochs": 30, "data.subset": 5000, "attack.eps": 16 / 255, "optim.schedule.factor": None}
    assert departures("1a", other) == [
        "attack.eps is 16/255, in the paper 8/255",
        "data.subset is 5000, in the paper all",
        "train.epochs is 30, in the paper 200",
        "optim.schedule.factor is absent, in the paper 0.1",
    ]
    assert departures("1a", config, (("weight", 30.0),)) == ["objective.weight is absent, in the paper 30"]


def test_the_data_needs_no_torch():
    code = "import sys, analysis.paper as p; p.paper_table('1a'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
