"""`analysis.load`: what a notebook or script gets of a sweep, against SQL over the same tables."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_study import record
from s3_server import s3  # noqa: F401

from analysis import load
from analysis.page import collect
from tune_at.errors import UserError
from tune_at.store import query, read_table
from tune_at.store.lock import sweep_lock
from tune_at.store.place import to_place
from tune_at.store.writer import write_rows

V1 = Path(__file__).parents[1] / "stores" / "v1"
SWEEPS = sorted(path.parent.name for path in V1.glob("*/study.yaml"))


@pytest.fixture(scope="module")
def grid():
    return load(V1 / "grid-finished")


def lines(sweep, sql):
    return sorted(tuple(row.values()) for row in query(sweep, sql).to_pylist())


def same(frame, columns, expected):
    found = sorted(frame[list(columns)].itertuples(index=False, name=None))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


def test_tables_are_the_stores_with_each_trials_config_beside(grid):
    stored = read_table(V1 / "grid-finished", "epochs")
    assert grid.epochs[list(stored.columns)].equals(stored)
    first = grid.trials.iloc[0]
    config = json.loads(read_table(V1 / "grid-finished", "trials")["config"].iloc[0])
    assert (first["optim.lr"], first["data.noise_rate"]) == (config["optim"]["lr"], config["data"]["noise_rate"])
    assert set(grid.epochs["objective.name"]) == {"pgd_at_te", "sat"}
    assert (len(grid.probes), len(grid.samples), len(grid.evaluations), len(grid.decisions)) == (0, 0, 0, 0)
    assert len(load(V1 / "asha-finished").decisions) == len(read_table(V1 / "asha-finished", "decisions")) > 0
    assert list(grid.study.seeds) == [0, 1]


@pytest.mark.parametrize("name", ["grid-finished", "asha-finished", "folder-killed"])
def test_best_and_final_are_what_sql_says(name):
    sweep = load(V1 / name)
    columns = "trial, epoch, val_natural_accuracy, val_robust_accuracy, test_natural_accuracy, test_robust_accuracy"
    joined = f"SELECT {columns} FROM epochs JOIN trials USING (trial)"
    shown = ["trial", "epoch", "natural_accuracy", "robust_accuracy", "test_natural_accuracy", "test_robust_accuracy"]
    same(sweep.best(), shown, lines(V1 / name, f"{joined} WHERE epoch = best_epoch"))
    last = f"{joined} WHERE status = 'completed' QUALIFY epoch = max(epoch) OVER (PARTITION BY trial)"
    same(sweep.final(), shown, lines(V1 / name, last))
    assert sweep.best()["robust_accuracy"].notna().all()


def test_curves_are_means_and_deviations_over_seeds(grid):
    expected = lines(
        V1 / "grid-finished",
        """SELECT objective || ', noise_rate ' || printf('%g', "data.noise_rate") AS series, epoch,
           avg(test_robust_accuracy), stddev_samp(test_robust_accuracy), count(*)
           FROM epochs JOIN trials USING (trial) GROUP BY ALL""",
    )
    found = grid.curves("test_robust_accuracy")
    same(found, ["series", "epoch", "value", "spread", "seeds"], expected)
    assert set(found["column"]) == {"test_robust_accuracy"}
    wide = grid.curves("test_robust_accuracy", wide=True)
    assert wide.shape == (6, 4)
    assert [wide.loc[epoch, series] for series, epoch, *_ in expected] == pytest.approx([row[2] for row in expected])
    both = grid.curves("test_robust_accuracy", "train_robust_accuracy", wide=True)
    assert both["test_robust_accuracy"].equals(wide)


def test_what_is_done_to_a_frame_changes_nothing_else():
    sweep = load(V1 / "grid-finished")
    before = sweep.best()["robust_accuracy"].tolist(), sweep.curves("val_robust_accuracy")["value"].tolist()
    sweep.epochs["val_robust_accuracy"] *= 100
    sweep.epochs.loc[:, "status"] = "stopped"
    sweep.trials["status"] = "failed"
    after = sweep.best()["robust_accuracy"].tolist(), sweep.curves("val_robust_accuracy")["value"].tolist()
    assert before == after
    assert len(sweep.final()) == 8
    assert sweep.epochs["val_robust_accuracy"].max() > 1  # the caller's own stays


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_loads_and_shows_itself_shortly(name):
    sweep = load(V1 / name)
    shown = sweep._repr_html_()
    assert sweep.study.title in shown
    assert sweep.status in shown
    assert len(shown) < 3000
    assert repr(sweep) == f"<sweep {name}: {sweep.status}>"
    assert set(sweep.final()["status"]) <= {"completed"}
    assert not set(sweep.final()["trial"]) & set(sweep.trials.query("status != 'completed'")["trial"])


def test_a_killed_sweep_is_not_said_to_run():
    assert load(V1 / "asha-killed").status == "7 trials: 2 completed, 2 interrupted, 3 pending"
    assert load(V1 / "asha-killed").left == 5


def test_a_sweep_that_runs_and_has_no_epoch_yet(tmp_path):
    sweep = Path(shutil.copytree(V1 / "grid-killed", tmp_path / "new"))
    shutil.rmtree(sweep / "store" / "epochs")
    for path in (sweep / "store" / "trials").iterdir():
        path.unlink()
    empty = load(sweep)
    assert (empty.status, len(empty.epochs), len(empty.trials), empty.left) == ("8 trials: 8 pending", 0, 0, 8)
    write_rows(
        sweep, "trials", "00-a", [{**row_of("grid-killed"), "status": "running", "epochs": 0, "best_epoch": None}]
    )
    with sweep_lock(sweep):
        begun = load(sweep)
    assert (begun.status, len(begun.epochs), len(begun.trials)) == ("8 trials: 7 pending, 1 running", 0, 1)
    for new in (empty, begun):
        assert (len(new.best()), len(new.best(3)), len(new.final())) == (0, 0, 0)
        assert new.status in new._repr_html_()
        assert new.finding() == ("no rule", "nothing of the paper has to show in this study")
        for ask in (lambda s: s.figure("test_curves"), lambda s: s.table("1"), lambda s: s.curves("lr")):
            with pytest.raises(UserError, match="has no finished epoch yet; wait for the first, or continue it: "):
                ask(new)


def row_of(name):
    row = read_table(V1 / name, "trials").iloc[0].to_dict()
    return {column: None if value != value else value for column, value in row.items()} | {"trial": "00-a"}


def test_weights_from_elsewhere_have_evaluations_alone(tmp_path, tiny, capsys):
    import torch

    from tune_at.cli.main import main
    from tune_at.models import build_model
    from tune_at.recording.imported import import_weights

    torch.save(build_model(tiny().model, 10, 1, 8).state_dict(), tmp_path / "w.pt")
    import_weights(str(tmp_path / "w.pt"), str(tmp_path / "n"), "small_cnn", "digits", overrides={"model.width": 4})
    batch = {
        "trial": "00-s0", "checkpoint": "best", "epoch": 0, "split": "test", "attack": "pgd-10", "batch": 0, "n": 100,
        "natural_correct": 90, "correct": 40, "accuracy": 0.4, "settings": "{}",
    }  # fmt: skip
    write_rows(tmp_path / "n", "evaluations", "00-s0", [batch])
    sweep = load(tmp_path / "n")
    assert (sweep.status, len(sweep.epochs), sweep.left) == ("1 trial: 1 completed", 0, 0)
    assert sweep.evaluations["accuracy"].tolist() == [0.4]
    assert (len(sweep.best()), len(sweep.final())) == (0, 0)
    assert "1 completed" in sweep._repr_html_()
    assert "40.0" in sweep.table("1")._repr_html_()
    (table,) = collect(tmp_path / "n").tables  # the page of `report`, too
    assert "40.0" in table.html
    with pytest.raises(UserError, match=r"its weights come from elsewhere; its evaluations are a table: .* --table 1"):
        sweep.figure("test_curves")
    with pytest.raises(SystemExit, match="0"):
        main(["report", str(tmp_path / "n"), "--table", "1", "--as", "csv"])  # what the remedy names
    assert "ours,90,40" in capsys.readouterr().out


def test_a_sweep_on_s3_is_the_same(s3, grid):  # noqa: F811
    address = s3.uri()
    for path in (V1 / "grid-finished").rglob("*"):
        if path.is_file():
            (to_place(address) / str(path.relative_to(V1 / "grid-finished"))).write_whole(path.read_bytes())
    sweep = load(address)
    assert sweep.epochs.equals(grid.epochs)
    assert sweep.best().equals(grid.best())
    assert sweep.status == grid.status


def test_a_home_is_found_without_a_shell(monkeypatch):
    monkeypatch.setenv("HOME", str(V1))
    assert load("~/grid-finished").name == "grid-finished"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda s: s.curves("test_robust_acuracy"),
            "curves: 'test_robust_acuracy' is no metric of epochs; did you mean test",
        ),
        (lambda s: s.curves("status"), "curves: 'status' is no metric of epochs"),
        (lambda s: s.curves(), "curves: '' is no metric of epochs"),
        (lambda s: s.figure("test_curve"), "figure: 'test_curve' is unknown; did you mean test_curves?"),
        (lambda s: s.figure("gap_by_key", bye="x"), "figure gap_by_key: takes no bye; did you mean by?"),
        (lambda s: s.table("7"), "table: '7' is unknown"),
        (lambda s: load(V1), "is no sweep: it has no study.yaml"),
    ],
)
def test_a_mistake_is_one_line(grid, ask, said):
    with pytest.raises(UserError) as error:
        ask(grid)
    assert said in str(error.value)
    assert error.value._render_traceback_() == [f"UserError: {error.value}"]  # in a notebook, too


def test_a_figure_and_a_table_show_themselves(grid):
    assert grid.figure("test_curves")._repr_png_().startswith(b"\x89PNG")
    assert grid.figure("gap_by_key", by="data.noise_rate").get_axes()
    table = grid.table("1")
    assert "<table" in table._repr_html_()
    assert str(table) == repr(table) == table.draw("text")
    assert "tabular" in table._repr_latex_()
    assert {"value", "spread", "seeds"} <= set(table.frame)


def test_a_title_is_text_and_damage_is_told_to_whoever_only_looks(tmp_path):
    sweep = Path(shutil.copytree(V1 / "grid-finished", tmp_path / "grid"))
    record(sweep, study="gradient_norms", title="<script>alert(1)</script>", paper="Fig. 3b")
    shown = load(sweep)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "Fig. 3b: cannot be told: " in shown
    (sweep / "store" / "probes" / "00-a").mkdir(parents=True)
    (sweep / "store" / "probes" / "00-a" / "x.parquet").write_bytes(b"no parquet")
    assert "x.parquet" in load(sweep)._repr_html_()
    with pytest.raises(UserError, match=r"x\.parquet"):
        load(sweep).probes  # noqa: B018


def test_importing_costs_nothing_and_loading_needs_no_torch():
    code = (
        "import sys, analysis\n"
        "assert not {'pandas', 'numpy', 'torch', 'matplotlib'} & set(sys.modules), 'import'\n"
        f"sweep = analysis.load({str(V1 / 'grid-finished')!r})\n"
        "sweep.best(2), sweep.final(), sweep._repr_html_(), sweep.curves('test_robust_accuracy')\n"
        "assert not {'torch', 'ray', 'matplotlib'} & set(sys.modules), 'load'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_loaded_stays_as_it_was(tmp_path):
    sweep = Path(shutil.copytree(V1 / "grid-killed", tmp_path / "grid"))
    before = load(sweep)
    shutil.rmtree(sweep / "store" / "epochs")
    assert len(before.epochs) > 0
    assert len(load(sweep).epochs) == 0
