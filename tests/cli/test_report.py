"""`report`: the page and the files that it writes, and what it says of what is missing."""

import shutil
from pathlib import Path

import pytest

from analysis.figures import FIGURES
from tune_at.cli.commands import report
from tune_at.cli.main import main

V1 = Path(__file__).parents[1] / "stores" / "v1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return Path(shutil.copytree(V1 / "grid-finished", tmp_path_factory.mktemp("report") / "grid"))


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    return ended.value.code


def test_a_page_and_the_study_s_figures(finished, capsys):
    assert call(finished) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == f"{finished}/report/index.html"
    assert set(lines[1:]) >= {f"{finished}/report/memorization_curves.{kind}" for kind in ("png", "csv")}
    names = {path.name for path in (finished / "report").iterdir()}
    assert {"index.html", "memorization_curves.png", "memorization_curves.csv"} <= names


def test_any_figure_in_any_format_whatever_the_study_names(finished, capsys):
    assert call(finished, "--figure", "test_curves", "--format", "svg", "pdf") == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in written] == ["test_curves.svg", "test_curves.pdf", "test_curves.csv"]
    assert written[0].read_text().startswith("<?xml")
    assert written[1].read_bytes().startswith(b"%PDF")


def test_all_figures_are_those_that_can_be_drawn(finished, capsys):
    assert call(finished, "--figure", "all") == 0
    captured = capsys.readouterr()
    drawn = {Path(line).stem for line in captured.out.splitlines()}
    assert {"memorization_curves", "test_curves", "pareto_front", "gap_by_key"} <= drawn
    assert "not drawn: importance: 4 completed points are too few" in captured.err
    assert drawn <= set(FIGURES)


def test_a_gap_against_a_key(finished, capsys):
    for key in ("data.noise_rate", "objective.name"):
        assert call(finished, "--by", key) == 0
        written = [Path(line).name for line in capsys.readouterr().out.splitlines()]
        assert written == [f"gap_by_key-{key}.png", f"gap_by_key-{key}.csv"]  # one key overwrites no other
        csv = (finished / "report" / written[1]).read_text().splitlines()
        assert csv[0].startswith("series,key,at,kind,gap")
        assert all(f",{key}," in line for line in csv[1:])
    assert call(finished, "--by", "attack.eps") == 2
    assert (
        "attack.eps is 0.05 in each completed trial; name a key that differs, as data.noise_rate"
        in capsys.readouterr().err
    )
    assert call(finished, "--figure", "generalization_gap", "--by", "attack.epsilon") == 2
    assert "'attack.epsilon' is no key of the trials' configs; did you mean attack.eps" in capsys.readouterr().err
    assert call(finished, "--figure", "test_curves", "--by", "attack.eps") == 2
    assert "--by: none of the figures takes it; these do: generalization_gap, gap_by_key" in capsys.readouterr().err


def test_several_sweeps_in_one_page(finished, tmp_path, capsys):
    other = shutil.copytree(finished, tmp_path / "other")
    to = tmp_path / "both.html"
    assert call(finished, other, "--to", to) == 0
    assert capsys.readouterr().out == f"{to}\n"
    assert "<b>other</b>" in to.read_text()
    assert call(finished, "--to", tmp_path / "no" / "page.html") == 2
    assert "cannot be written; name a file in a folder that is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--figure", "test_curve"], "figure: 'test_curve' is unknown; did you mean test_curves?"),
        (["--figure", "test_curves", "--format", "pgn"], "--format: 'pgn' is unknown; did you mean png?"),
        (["--table", "3"], "table: '3' is unknown"),
        (["--table", "1", "--as", "docx"], "'docx' is unknown"),
        (["--format", "bmp"], "--format: 'bmp' is unknown; known: pdf, png, svg"),
        (
            ["--figure", "test_curves", "--to", "curves.png"],
            "--to: has no effect with --figures; leave it out: figures go",
        ),
        (["--by", "attack.eps", "--watch"], "--watch: has no effect with --by"),
        (["--as", "latex"], "--as: is of a table alone; name one, as --table 1"),
        (["--table", "1", "--figure", "test_curves"], "leave out one of --figures and --table"),
    ],
)
def test_mistakes_are_one_line(finished, capsys, arguments, message):
    assert call(finished, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_table_is_printed(finished, capsys):
    assert call(finished, "--table", "1", "--as", "csv") == 0
    assert "natural" in capsys.readouterr().out


def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(capsys, tmp_path):
    begun = Path(shutil.copytree(V1 / "grid-finished", tmp_path / "begun"))
    shutil.rmtree(begun / "store")
    assert call(begun) == 0
    captured = capsys.readouterr()
    said = "not drawn: begun: no epoch has finished yet; wait for the first, or continue it: python run.py resume"
    assert captured.err.startswith(said)
    assert len(captured.err.splitlines()) == 1
    assert (begun / "report" / "index.html").is_file()


def test_a_running_sweep_is_written_again_until_it_ends(finished, capsys, monkeypatch):
    running = iter([True, True, False])
    monkeypatch.setattr("tune_at.store.lock.is_locked", lambda folder: next(running))
    waited, pages = [], []

    def sleep(seconds):
        waited.append(seconds)
        pages.append((finished / "report" / "index.html").read_text())

    monkeypatch.setattr(report.time, "sleep", sleep)
    assert call(finished, "--watch") == 0
    assert waited == [report.EVERY] * 2
    assert all('http-equiv="refresh"' in page for page in pages)
    assert 'http-equiv="refresh"' not in (finished / "report" / "index.html").read_text()
    assert capsys.readouterr().out.count("index.html") == 3
