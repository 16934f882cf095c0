"""What a source is, and that each format gives the same rows as the others."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tune_at.errors import UserError
from tune_at.exchange.source import KINDS, read_source

RAY = Path(__file__).parent / "ray_results"
"""What Ray Tune 2.60 has written: three trials of which the second failed, and the third ended with a loss of NaN."""

FRAME = pd.DataFrame({"run": ["a", "a", "b"], "epoch": [1, 2, 1], "acc": [0.25, 0.5, None], "note": ["x,y", None, "é"]})


def refused(path, kind=""):
    with pytest.raises(UserError) as error:
        read_source(str(path), kind)
    return str(error.value).replace(f"{Path(path).parent}/", "")


@pytest.fixture
def written(tmp_path):
    FRAME.to_csv(tmp_path / "c.csv", index=False)
    FRAME.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    FRAME.to_parquet(tmp_path / "p.parquet")
    FRAME.to_json(tmp_path / "j.jsonl", orient="records", lines=True)
    return tmp_path


@pytest.mark.parametrize("name", ["c.csv", "t.tsv", "p.parquet", "j.jsonl"])
def test_each_format_gives_the_cells_that_pandas_wrote(written, name):
    rows = read_source(str(written / name))
    cells = [[str(cell) if cell is not None else None for cell in row] for row in rows.frame.to_numpy(dtype=object)]
    assert cells == [["a", "1", "0.25", "x,y"], ["a", "2", "0.5", None], ["b", "1", None, "é"]]
    assert rows.columns == list(FRAME)
    assert rows.where(2) == {"p.parquet": "p.parquet row 3", "j.jsonl": "j.jsonl line 3"}.get(name, f"{name} line 4")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    (tmp_path / "c.csv").write_text('run,acc\n"a\nb",1\n\nc,2\n')
    rows = read_source(str(tmp_path / "c.csv"))
    assert [rows.where(row) for row in range(2)] == ["c.csv line 3", "c.csv line 5"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a,b\n1,2\n1\n1,2,3\n",
            "c.csv: 2 problems: (1) c.csv line 3: has 1 cells instead of the heading's 2; (2) c.csv",
        ),
        ("a,a\n1,2\n", "c.csv line 1: has two columns named 'a'; rename one"),
        ("", "c.csv: is empty; name a file with a heading and rows"),
        ("a,b\n", "c.csv: has no rows; name curves that have some"),
    ],
)
def test_a_bad_csv_is_named_by_its_lines(tmp_path, text, line):
    (tmp_path / "c.csv").write_text(text)
    assert refused(tmp_path / "c.csv").startswith(line)


def test_a_file_that_is_not_utf_8_is_one_line(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"a,b\n\xff,1\n")
    assert refused(tmp_path / "c.csv") == "c.csv: is not UTF-8 at byte 4; save it as UTF-8"


def test_bad_json_is_named_by_its_lines(tmp_path):
    path = tmp_path / "j.jsonl"
    path.write_text('{"a": 1}\n{"a": \n[1]\n')
    assert refused(path).startswith("j.jsonl: 2 problems: (1) j.jsonl line 2: is not JSON: Expecting value")
    assert "(2) j.jsonl line 3: is not an object; write one object a line" in refused(path)
    path.write_text('[\n{"a": 1}\n]\n')
    assert refused(path) == "j.jsonl: is one JSON value over many lines; write one object a line"
    (tmp_path / "p.parquet").write_text("no")
    assert refused(tmp_path / "p.parquet").startswith("p.parquet: is not a Parquet file:")


def test_mappings_within_are_columns_of_their_own(tmp_path):
    (tmp_path / "j.jsonl").write_text(
        json.dumps({"val": {"acc": 1, "deep": {"x": 2}}, "l": [1]}) + '\n{"other": null}\n'
    )
    frame = read_source(str(tmp_path / "j.jsonl")).frame
    assert frame.to_dict("list") == {
        "val/acc": [1, None], "val/deep/x": [2, None], "l": ["[1]", None], "other": [None, None],
    }  # fmt: skip


def test_a_folder_has_a_file_a_trial(tmp_path):
    for name, part in FRAME.groupby("run"):
        part.drop(columns="run").to_csv(tmp_path / f"{name}.csv", index=False)
    rows = read_source(str(tmp_path))
    assert (rows.trials, [rows.where(row) for row in range(3)]) == (
        ("a", "b"),
        ["a.csv line 2", "a.csv line 3", "b.csv line 2"],
    )


def test_a_column_that_a_file_lacks_is_empty_there(tmp_path):
    (tmp_path / "a.csv").write_text("epoch,acc\n1,2\n")
    (tmp_path / "b.csv").write_text("epoch,loss\n1,nan\n")
    assert read_source(str(tmp_path)).frame.to_dict("list") == {
        "epoch": ["1", "1"],
        "acc": ["2", None],
        "loss": [None, "nan"],
    }


@pytest.mark.parametrize(
    ("files", "kind", "line"),
    [
        ([], "", "s: has no curves in it that are known here; name a file, or a folder of files"),
        (["a.csv", "b.jsonl"], "", "s: has csv and jsonl in it; say which with --from, or name a file"),
        (["a.csv"], "parquet", "s: has no file that is parquet by its ending; name another folder, or the file"),
        (["a.csv"], "tensorboard", "s: has no event file with a scalar in it; name a folder that TensorBoard shows"),
        (["a.csv"], "ray", "s: has no result.json with a result in it; name the folder of a Ray Tune experiment"),
    ],
)
def test_a_folder_of_something_else_is_one_line(tmp_path, files, kind, line):
    (tmp_path / "s").mkdir()
    for name in files:
        (tmp_path / "s" / name).write_text('{"a": 1}\n')
    assert refused(tmp_path / "s", kind).startswith(line)


def test_a_source_that_is_not_there_or_says_nothing_of_itself_is_one_line(tmp_path):
    assert (
        refused(tmp_path / "x.csv") == "x.csv: is neither a file nor a folder; name the curves that are to be imported"
    )
    (tmp_path / "x").write_text("epoch,acc\n1,2\n")
    assert refused(tmp_path / "x") == "x: has no ending that says what it is; say it with --from csv|parquet|jsonl"
    assert read_source(str(tmp_path / "x"), "csv").columns == ["epoch", "acc"]
    assert refused(tmp_path / "x", "ray") == "x: is a file, and --from ray reads a folder; name its folder"


def test_a_sweep_of_ours_needs_no_import(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.yaml").write_text("")
    assert refused(tmp_path / "s") == "s: is a sweep already; report, query and replay read it as it is"


def test_ray_s_own_folder_of_three_trials():
    rows = read_source(str(RAY))
    assert rows.trials == ("5e946_00000", "5e946_00001", "5e946_00002")
    assert rows.statuses == {"5e946_00001": "failed"}
    assert (rows.epochs_from, rows.roles, rows.repeats) == (1, {"training_iteration": "epoch"}, True)
    counts = pd.Series([rows.trials[file] for file in rows.file]).value_counts().to_dict()
    assert counts == {"5e946_00000": 5, "5e946_00001": 3, "5e946_00002": 5}
    assert rows.frame["config/opt/wd"].unique().tolist() == [0.0005]
    assert rows.frame["nat/acc"].iloc[-1] == 70.0


def test_a_trial_of_ray_s_that_got_over_its_error_has_not_failed(tmp_path):
    shutil.copytree(RAY, tmp_path / "r")
    (result,) = (tmp_path / "r").glob("*00001*/result.json")
    last = json.loads(result.read_text().splitlines()[-1])
    result.write_text(result.read_text() + json.dumps({**last, "training_iteration": 4, "done": True}) + "\n")
    assert read_source(str(tmp_path / "r")).statuses == {}


def test_a_line_of_ray_s_that_was_cut_off_is_named(tmp_path):
    shutil.copytree(RAY, tmp_path / "r")
    (result,) = (tmp_path / "r").glob("*00001*/result.json")
    result.write_text(result.read_text()[:-40])
    assert refused(tmp_path / "r").startswith(f"r/{result.parent.name}/result.json line 3: is not JSON")


def test_event_files_by_run_and_step(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for run, value in (("x/a", 0.5), ("x/b", 0.25)):
        with SummaryWriter(str(tmp_path / run)) as writer:
            writer.add_scalar("val/acc", value, 1)
            writer.add_scalar("val/acc", float("nan"), 2)
            writer.add_scalar("train/loss", 2.0, 2)
            writer.add_text("note", "words", 1)
    rows = read_source(str(tmp_path))
    assert (rows.trials, rows.where(3)) == (("x/a", "x/b"), "x/b step 2")
    assert rows.columns == ["step", "val/acc", "train/loss"]
    assert rows.frame["val/acc"].map(str).tolist() == ["0.5", "nan", "0.25", "nan"]
    assert rows.frame["train/loss"].tolist() == [None, 2.0, None, 2.0]
    assert read_source(str(tmp_path / "x/a")).trials == ("a",)


def test_hyperparameters_of_events_are_config_columns(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for run, lr in (("a", 0.1), ("b", 0.2)):
        with SummaryWriter(str(tmp_path / run)) as writer:
            writer.add_scalar("acc", 0.5, 1)
            writer.add_hparams({"lr": lr, "name": "sgd", "nesterov": True}, {"hparam/best": 1.0})
    rows = read_source(str(tmp_path))
    told = rows.frame[rows.frame["acc"].notna()]
    assert told["config/lr"].tolist() == [0.1, 0.2]
    assert (told["config/name"].tolist(), told["config/nesterov"].tolist()) == (["sgd"] * 2, [True] * 2)


PANEL = """\
"Step","lively-1 - val/acc","lively-1 - val/acc__MIN","lively-1 - val/acc__MAX","wd - 2 - val/acc",\
"wd - 2 - val/acc__MIN","wd - 2 - val/acc__MAX"
"0","0.1","0.1","0.1","0.2","0.2","0.2"
"1","0.3","{}","0.3","","",""
"""
"""As W&B exports a line plot."""


def test_panels_of_wandb_are_a_row_a_run_and_step(tmp_path):
    (tmp_path / "acc.csv").write_text(PANEL.format("0.3"))
    (tmp_path / "loss.csv").write_text(
        '"Step","lively-1 - loss","lively-1 - loss__MIN","lively-1 - loss__MAX"\n"1","2","2","2"\n'
    )
    rows = read_source(str(tmp_path))
    assert rows.frame.to_dict("list") == {
        "run": ["lively-1", "lively-1", "wd - 2"], "Step": ["0", "1", "0"], "val/acc": ["0.1", "0.3", "0.2"],
        "loss": [None, "2", None],
    }  # fmt: skip
    assert (rows.roles, rows.notes, rows.where(1)) == ({"run": "trial"}, [], "acc.csv line 3")


def test_panels_that_were_smoothed_are_noted_and_a_value_given_twice_is_refused(tmp_path):
    (tmp_path / "acc.csv").write_text(PANEL.format("0.2"))
    assert read_source(str(tmp_path / "acc.csv")).notes == [
        "1 line has other bounds than its values: smoothed, grouped or sampled"
    ]
    shutil.copy(tmp_path / "acc.csv", tmp_path / "again.csv")
    assert refused(tmp_path).startswith("again.csv line 2: 'lively-1 - val/acc' has a value for this step before")
    (tmp_path / "table.csv").write_text("Name,State\na,finished\n")
    assert refused(tmp_path / "table.csv", "wandb").startswith(
        "table.csv: has no column RUN - METRIC beside one of steps"
    )


def test_the_help_names_every_kind():
    from tune_at.cli.commands.import_ import KINDS as OFFERED
    from tune_at.cli.commands.import_ import SHORTER as WORDS
    from tune_at.exchange.ended import SHORTER

    assert (OFFERED, WORDS) == (KINDS, SHORTER)
