"""Reading tables: pandas, Arrow or SQL."""

import contextlib
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tune_at.errors import UserError, suggestion
from tune_at.store.failures import DamagedPart, StorageFailed
from tune_at.store.layout import SweepFolder
from tune_at.store.patience import storage_problem
from tune_at.store.place import Place, Where, each, to_place
from tune_at.store.schema import CHECKSUM_KEY, TABLES, build_table, check_version, checksum

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


def read_arrow(sweep: Where | SweepFolder, table: str, without: Container[str] = ()) -> pa.Table:
    """All rows of a table as Arrow, sorted by their key. An absent table is empty.

    Args:
        sweep: the sweep's folder, or its address such as `s3://bucket/runs/demo`.
        table: `trials`, `epochs` or `decisions`.
        without: trials whose files are not read.

    Raises:
        UserError: no sweep there, no such table, a damaged file (it is named), a newer schema, or storage that fails.
    """
    folder = sweep_folder(sweep)
    if table not in TABLES:
        raise UserError("table", f"{table!r} is unknown", suggestion(table, TABLES))
    _, key = TABLES[table]
    paths: Sequence[Place] = folder.table(table).files(suffix=".parquet")
    parts = each([path for path in paths if path.stem not in without], read_part)
    if not parts:
        return build_table(table, [])
    joined = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    return joined.sort_by([(column, "ascending") for column in key])


def read_table(sweep: Where | SweepFolder, table: str, without: Container[str] = ()) -> "pd.DataFrame":
    """All rows of a table as a pandas frame, sorted by their key; see `read_arrow`."""
    return read_arrow(sweep, table, without).to_pandas()


def query(sweep: Where | SweepFolder, sql: str) -> pa.Table:
    """The result of one SQL statement over the sweep's tables, by DuckDB.

    Every table of the store is a view of its name. Raises `UserError` with DuckDB's message for a statement that
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

    with duckdb.connect() as connection:
        for table in TABLES:
            connection.register(table, read_arrow(sweep, table))
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UserError("query", "is not one SELECT statement", "the tables are read, never written")
            yield connection, statements[0].query.rstrip().rstrip(";")
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            remedy = f'the tables are {" and ".join(TABLES)}; dotted columns are quoted: "data.noise_rate"'
            raise UserError("query", message, remedy) from None


def sweep_folder(sweep: Where | SweepFolder) -> SweepFolder:
    """The folder of a sweep. Raises `UserError` if there is none."""
    folder = SweepFolder.of(sweep)
    try:
        known = folder.study.is_file()
    except OSError as error:
        raise StorageFailed(
            str(sweep), storage_problem(error), "give the folder that `sweep` named, DIR/NAME"
        ) from None
    if not known:
        raise UserError(
            str(sweep), f"is no sweep: it has no {folder.study.name}", "give the folder that `sweep` named, DIR/NAME"
        )
    return folder


def damaged_parts(sweep: Where | SweepFolder) -> dict[str, str]:
    """The trials of which a table's file is damaged, with the reason; reads every file of the store."""
    folder = sweep_folder(sweep)
    damaged = {}
    for table in TABLES:
        paths: Sequence[Place] = folder.table(table).files(suffix=".parquet")
        for path, damage in zip(paths, each(paths, _damage), strict=True):
            if damage:
                damaged[path.stem] = damage
    return damaged


def is_damaged(path: Place) -> bool:
    """Whether a file of the store is there and cannot be read back whole."""
    return path.exists() and bool(_damage(path))


def _damage(path: Place) -> str:
    try:
        read_part(path)
    except DamagedPart as error:
        return str(error)
    return ""


def read_part(path: Where) -> pa.Table:
    """One file of the store, checked. Raises `DamagedPart`, `StorageFailed`, or `UserError` for a newer schema."""
    try:
        # Read first and parsed then: an error of the storage is no damage.
        table = pq.read_table(pa.BufferReader(to_place(path).read_bytes()), page_checksum_verification=True)
        check_version(table.schema, str(path))
        if int((table.schema.metadata or {})[CHECKSUM_KEY]) != checksum(table):
            raise ValueError("the checksum does not match")
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # ValueError: text that is no UTF-8, too
        reason: Any = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedPart(str(path), f"is damaged: {reason}", "`python run.py resume` writes it again") from None
    return table
