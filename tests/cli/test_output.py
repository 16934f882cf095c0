"""What `query` prints: every type that DuckDB has, in each format, by value."""

import csv
import io
import json
import sys

import pytest

from tune_at.cli.main import main
from tune_at.cli.output import unique
from tune_at.store.reader import query
from tune_at.store.schema import build_table
from tune_at.store.writer import write_rows


@pytest.fixture
def sweep(tmp_path):
    """A folder that `query` takes for a sweep, with two epochs of one trial."""
    (tmp_path / "study.yaml").write_text("")
    rows = [{"trial": "00-ε", "epoch": epoch, "lr": 0.1, "val_robust_accuracy": epoch / 3} for epoch in (1, 2)]
    write_rows(tmp_path, "epochs", "00-ε", rows)
    return tmp_path


@pytest.fixture
def ask(sweep, capfdbinary):
    """A function (SQL, format) → what is printed."""

    def run(sql, form):
        with pytest.raises(SystemExit) as exit_:
            main(["query", str(sweep), sql, "--format", form])
        out, err = (text.decode() for text in capfdbinary.readouterr())
        assert (exit_.value.code, err) == (0, "")
        return out

    return run


UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
BIG = "123456789012345678901234567890123456789012345678901234567890"
SAME = object()
"""As in the table: the same text in CSV, and as a string in JSON."""

TYPES = {
    "NULL": ("", "", None),
    "true": ("true", "true", True),
    "(-1)::TINYINT": ("-1", "-1", -1),
    "18446744073709551615::UBIGINT": ("18446744073709551615", "18446744073709551615", 18446744073709551615),
    "170141183460469231731687303715884105727::HUGEINT": (str(2**127 - 1), str(2**127 - 1), 2**127 - 1),
    "340282366920938463463374607431768211455::UHUGEINT": (str(2**128 - 1), str(2**128 - 1), 2**128 - 1),
    f"'{BIG}'::BIGNUM": (BIG, BIG, int(BIG)),
    "0.5::REAL": ("0.5", "0.5", 0.5),
    "1/3": ("0.333333", "0.3333333333333333", 1 / 3),
    "'nan'::DOUBLE": ("nan", "nan", None),
    "'inf'::DOUBLE": ("inf", "inf", "Infinity"),
    "'-inf'::REAL": ("-inf", "-inf", "-Infinity"),
    "1.50::DECIMAL(10, 2)": ("1.50", "1.50", 1.5),
    "12345678901234567890123456789012345678::DECIMAL(38, 0)": ("12345678901234567890123456789012345678",) * 2
    + (12345678901234567890123456789012345678,),
    "sum(epoch) FROM epochs": ("3", "3", 3),
    "'a,\"b\" [red]ε'": ('a,"b" [red]ε', SAME, SAME),
    "'NaN, Infinity \\\" NaN'": ('NaN, Infinity \\" NaN', SAME, SAME),
    "''": ("", "", ""),
    r"'\x00\xFFab'::BLOB": (r"\x00\xFFab", SAME, SAME),
    "'010110'::BIT": ("010110", SAME, SAME),
    f"'{UUID}'::UUID": (UUID, SAME, SAME),
    "'{\"a\": [1, null]}'::JSON": ('{"a": [1, null]}', SAME, {"a": [1, None]}),
    "DATE '2024-02-29'": ("2024-02-29", SAME, SAME),
    "'infinity'::DATE": ("infinity", SAME, SAME),
    "DATE '0044-03-15 (BC)'": ("0044-03-15 (BC)", SAME, SAME),
    "TIME '12:34:56.789'": ("12:34:56.789", SAME, SAME),
    "TIME '24:00:00'": ("24:00:00", SAME, SAME),
    "'12:34:56+02'::TIMETZ": ("12:34:56+02", SAME, SAME),
    "'12:34:56.123456789'::TIME_NS": ("12:34:56.123456789", SAME, SAME),
    "TIMESTAMP '2024-02-29 12:00:00.5'": ("2024-02-29 12:00:00.5", SAME, SAME),
    "TIMESTAMP '12000-01-01'": ("12000-01-01 00:00:00", SAME, SAME),
    "'-infinity'::TIMESTAMP": ("-infinity", SAME, SAME),
    "'2024-01-01 00:00:00'::TIMESTAMP_S": ("2024-01-01 00:00:00", SAME, SAME),
    "'2024-01-01 00:00:00.123'::TIMESTAMP_MS": ("2024-01-01 00:00:00.123", SAME, SAME),
    "'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS": ("2024-01-01 00:00:00.123456789", SAME, SAME),
    "'2024-01-01 00:00:00+02'::TIMESTAMPTZ": ("2023-12-31 22:00:00+00", SAME, SAME),
    "'infinity'::TIMESTAMPTZ": ("infinity", SAME, SAME),
    "INTERVAL '1 month 2 days 03:04:05.5'": ("1 month 2 days 03:04:05.5", SAME, SAME),
    "-INTERVAL '90 seconds'": ("-00:01:30", SAME, SAME),
    "[1, NULL, 3]": ("[1, NULL, 3]", SAME, [1, None, 3]),
    "[]": ("[]", SAME, []),
    "[INTERVAL 1 day, NULL]": ("[1 day, NULL]", SAME, ["1 day", None]),
    "[1.5, 'nan'::DOUBLE, '-inf'::DOUBLE]::DOUBLE[3]": ("[1.5, nan, -inf]", SAME, [1.5, None, "-Infinity"]),
    "['infinity'::DATE]": ("[infinity]", SAME, ["infinity"]),
    "{'a': 1, 'b': {'c': DATE '2024-01-01', 'd': NULL}}": (
        "{'a': 1, 'b': {'c': 2024-01-01, 'd': NULL}}",
        SAME,
        {"a": 1, "b": {"c": "2024-01-01", "d": None}},
    ),
    "{'a': NULL::INTEGER[], 'b': [NULL]}": ("{'a': NULL, 'b': [NULL]}", SAME, {"a": None, "b": [None]}),
    "MAP {'x': 1, 'y': NULL}": ("{x=1, y=NULL}", SAME, {"x": 1, "y": None}),
    "MAP {1: [INTERVAL 1 day]}": ("{1=[1 day]}", SAME, {"1": ["1 day"]}),
    "'sad'::ENUM('sad', 'ok')": ("sad", SAME, SAME),
    "['sad'::ENUM('sad', 'ok')]": ("[sad]", SAME, ["sad"]),
    "union_value(num := 2)": ("2", SAME, {"num": 2}),
    "row(1, 'a')": ("(1, a)", SAME, [1, "a"]),
}


@pytest.mark.parametrize("expression", TYPES)
def test_every_type_prints_in_each_format(ask, expression):
    text, in_csv, in_json = TYPES[expression]
    value, _, source = expression.partition(" FROM ")
    sql = f"SELECT {value} AS v" + (f" FROM {source}" if source else "")
    assert [line.strip() for line in ask(sql, "table").splitlines()] == ["v", text]
    ((name,), *rows) = csv.reader(io.StringIO(ask(sql, "csv")))
    assert (name, rows) == ("v", [[text if in_csv is SAME else in_csv]] if text else rows)
    assert len(rows) == 1
    (row,) = json.loads(ask(sql, "json"), parse_constant=pytest.fail)
    assert row == {"v": text if in_json is SAME else in_json}


def test_a_missing_text_is_told_from_an_empty_one_in_csv(ask):
    assert ask("SELECT NULL::VARCHAR AS a, '' AS b", "csv") == '"a","b"\n,""\n'


def test_times_can_be_subtracted(ask):
    sql = "SELECT (ended - started) AS took FROM (SELECT TIMESTAMP '2024-01-02' ended, TIMESTAMP '2024-01-01' started)"
    assert ask(sql, "table").split() == ["took", "1", "day"]
    assert ask(sql, "csv") == '"took"\n"1 day"\n'
    assert json.loads(ask(sql, "json")) == [{"took": "1 day"}]


@pytest.mark.parametrize(("form", "out"), [("table", " trial  n \n"), ("csv", '"trial","n"\n'), ("json", "[]\n")])
def test_an_empty_result_has_its_names(ask, form, out):
    assert ask("SELECT trial, epoch AS n FROM epochs WHERE epoch > 9", form) == out


def test_columns_of_one_name_are_numbered(ask):
    sql = "SELECT * FROM (SELECT 1 AS a) x, (SELECT 2 AS a, 3 AS a_1) y -- a comment"
    assert json.loads(ask(sql, "json")) == [{"a": 1, "a_2": 2, "a_1": 3}]
    assert ask(sql, "csv") == '"a","a_2","a_1"\n1,2,3\n'
    assert ask(sql + "\n;", "table").split() == ["a", "a_2", "a_1", "1", "2", "3"]
    assert unique(["a", "b", "a", "a"]) == ["a", "b", "a_1", "a_2"]


def test_rows_keep_their_order_and_their_floats(ask):
    sql = "SELECT epoch, val_robust_accuracy AS v FROM epochs ORDER BY epoch DESC;"
    assert json.loads(ask(sql, "json")) == [{"epoch": 2, "v": 2 / 3}, {"epoch": 1, "v": 1 / 3}]
    assert ask(sql, "csv") == '"epoch","v"\n2,0.6666666666666666\n1,0.3333333333333333\n'
    assert [line.split() for line in ask(sql, "table").splitlines()] == [
        ["epoch", "v"], ["2", "0.666667"], ["1", "0.333333"],
    ]  # fmt: skip


def test_a_wide_table_is_as_wide_as_it_has_to_be_in_a_pipe(ask):
    columns = ", ".join(f"'{'x' * 50}' AS column_{n}" for n in range(100))
    head, row = ask(f"SELECT {columns}", "table").splitlines()
    assert (len(head.split()), len(row.split())) == (100, 100)


def test_a_terminal_gets_one_line_a_value_of_a_wide_table(ask, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "row 1" not in ask("SELECT 1 AS a", "table")
    lines = ask(f"SELECT '{'x' * 60}' AS a, 2 AS bcd", "table").splitlines()
    assert [line.split("m")[-1] if "\x1b" in line else line for line in lines][1:] == [f" a    {'x' * 60}", " bcd  2"]


def test_what_would_steer_a_terminal_is_shown_as_its_code(ask):
    out = ask("SELECT chr(27) || '[31mred' || chr(9) || chr(13) AS a", "table")
    assert out.split() == ["a", r"\x1b[31mred\t\r"]


def test_a_table_of_python_has_the_types_of_arrow(sweep):
    assert query(sweep, "SELECT epoch FROM epochs ORDER BY epoch").to_pylist() == [{"epoch": 1}, {"epoch": 2}]
    assert build_table("epochs", []).schema.field("epoch").type == query(sweep, "SELECT epoch FROM epochs")[0].type


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "CREATE TABLE x AS SELECT 1", "SELEC 1", "SELECT nope", "-- a"])
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_mistake_is_one_line_and_nothing_is_printed(sweep, capsys, sql, form):
    with pytest.raises(SystemExit) as exit_:
        main(["query", str(sweep), sql, "--format", form])
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err.count("\n")) == (2, "", 1)


def test_a_value_that_cannot_be_cast_is_a_mistake_in_each_format(sweep, capsys):
    for form in ("table", "csv", "json"):
        with pytest.raises(SystemExit) as exit_:
            main(["query", str(sweep), "SELECT 'a'::INTEGER AS v", "--format", form])
        assert exit_.value.code == 2, sys.stdout
        assert capsys.readouterr().err.startswith("tune-at: error: query: Conversion Error")
