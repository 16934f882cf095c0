"""Reading tables: pandas, Arrow or SQL."""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from tune_at.errors import UserError, suggestion
from tune_at.store.failures import StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.parts import read_part
from tune_at.store.patience import storage_problem
from tune_at.store.place import Where
from tune_at.store.schema import TABLES, TRAINED
from tune_at.store.snapshot import Snapshot, read_snapshot
from tune_at.store.storage import read_storage, sweeps_in

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

__all__ = ["query", "read_arrow", "read_part", "read_results", "read_table", "sweep_folder"]


def read_arrow(sweep: Where | SweepFolder, table: str) -> pa.Table:
    """All rows of a table as Arrow, sorted by their key. An absent table is empty.

    Args:
        sweep: the sweep's folder, or its address such as `s3://bucket/runs/demo`.
        table: a name in `TABLES`: `trials`, `epochs`, `decisions`, `evaluations`, `samples` or `probes`.

    Raises:
        UserError: no sweep there, no such table, a damaged file (it is named), a newer schema, or storage that fails.
    """
    folder = sweep_folder(sweep)
    if table not in TABLES:
        raise UserError("table", f"{table!r} is unknown", suggestion(table, TABLES))
    return read_snapshot(folder, (table,), strict=True).arrow(table)


def read_table(sweep: Where | SweepFolder, table: str) -> "pd.DataFrame":
    """All rows of a table as a pandas frame, sorted by their key; see `read_arrow`."""
    return read_arrow(sweep, table).to_pandas()


def read_results(sweep: Where | SweepFolder, columns: Mapping[str, Collection[str]] | None = None) -> Snapshot:
    """What training has written: `trials`, `epochs` and `decisions` of one moment. Raises as `read_arrow`.

    `columns`: of a table the columns that are wanted, its key's among them; all by default.
    """
    return read_snapshot(sweep_folder(sweep), strict=True, columns=columns)


def query(sweep: Where | SweepFolder, sql: str) -> pa.Table:
    """The result of one SQL statement over the sweep's tables, by DuckDB.

    Every table of the store is a view of its name. Of a folder of sweeps, it has the rows of all, and a column `sweep`
    with their names. Raises `UserError` with DuckDB's message for a statement that
    fails.
    """
    with answering(sweep, sql) as (connection, statement):
        result = connection.sql(statement).to_arrow_table()
    twice = {name for name in result.column_names if result.column_names.count(name) > 1}
    if twice:
        raise UserError("query", f"gives two columns named {min(twice)}", "name them with AS, or join with USING")
    return result


@contextlib.contextmanager
def answering(sweep: Where | SweepFolder, sql: str) -> "Iterator[tuple[duckdb.DuckDBPyConnection, str]]":
    """A connection that has the sweep's tables, and the one statement of `sql`, ready to be run or put in brackets.

    Times are shown in UTC, as they are recorded. DuckDB's errors inside the context become `UserError`s.
    """
    import duckdb

    named = {word.lower() for word in re.findall(r"\w+", sql)}
    # What training does not write may be large, or damaged: it is read only where the statement names it.
    tables = [name for name in TABLES if name in TRAINED or name in named]
    if several := sweeps_in(sweep):
        read = read_storage(several, tables)
    else:
        snapshot = read_snapshot(sweep_folder(sweep), tables, strict=True)
        read = {table: snapshot.arrow(table) for table in tables}
    with duckdb.connect() as connection:
        for table, content in read.items():
            connection.register(table, content)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UserError("query", "is not one SELECT statement", "the tables are read, never written")
            yield connection, statements[0].query.rstrip().rstrip(";")
        except duckdb.Error as error:
            lines = str(error).splitlines()
            remedy = f'the tables are {", ".join(TABLES)}; dotted columns are quoted: "data.noise_rate"'
            # What DuckDB proposes of columns and functions with similar names.
            hints = [line.strip() for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
            raise UserError("query", lines[0], "; ".join([*hints, remedy])) from None


def sweep_folder(sweep: Where | SweepFolder) -> SweepFolder:
    """The folder of a sweep. Raises `UserError` if there is none."""
    folder, remedy = SweepFolder.of(sweep), "give the folder that `sweep` named, DIR/NAME"
    try:
        known = folder.study.is_file()
    except OSError as error:
        raise StorageFailed(str(sweep), storage_problem(error), remedy) from None
    if not known:
        raise UserError(str(sweep), f"is no sweep: it has no {folder.study.name}", remedy)
    return folder
