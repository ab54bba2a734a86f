"""What Dagster shows of a table that was built: how much came, how large it is, and a few rows without a person."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from orchestration import warehouse

ROWS, COLUMNS, MOST = 3, 12, 60
"""How much of a table is shown: rows, columns, and characters of each value."""
EXACT = 100_000
"""Rows up to which a table is counted; of larger ones the planner's estimate is shown."""
TABLES = ("table", "incremental", "seed", "snapshot")

SHOWN = """
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, greatest(c.reltuples, 0)::bigint as rows
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.oid = to_regclass(%s) and a.attname !~ '(^|_)(name|label|email|phone|note)s?$'
 order by a.attnum limit %s
"""
"""Columns that may be shown: names of agents are personal data, though numbers are read by them."""


def of(node: Any, result: Any) -> dict[str, Any]:
    """Return the metadata of a node of dbt that was built."""
    answer = _plain(getattr(result, "adapter_response", None))
    found: dict[str, Any] = {"seconds": round(float(result.execution_time), 2)}
    if (written := int(float(answer.get("rows_affected", -1)))) >= 0:
        found["rows written"] = written
    if node.materialized in TABLES:
        found |= _table(f"{node.node_relation.schema}.{node.node_relation.alias}")
    return found


def _table(name: str) -> dict[str, Any]:
    schema, table = name.split(".")
    with warehouse.connect() as connection:
        columns = connection.execute(SHOWN, (name, COLUMNS)).fetchall()
        if not columns:
            return {}
        # As text: a table may hold instants that Python has no word for ("since ever").
        wanted = sql.SQL(", ").join(
            sql.SQL("{0}::text as {0}").format(sql.Identifier(column)) for column, _, _ in columns
        )
        statement = sql.SQL("select {} from {} limit {}").format(wanted, sql.Identifier(schema, table), ROWS)
        rows = connection.cursor(row_factory=dict_row).execute(statement).fetchall()
        count = columns[0][2] if columns[0][2] > EXACT else _count(connection, sql.Identifier(schema, table))
    shape = dg.TableSchema([dg.TableColumn(column, kind) for column, kind, _ in columns])
    records = [dg.TableRecord({key: value and value[:MOST] for key, value in row.items()}) for row in rows]
    return {"dagster/row_count": count, "preview": dg.MetadataValue.table(records, schema=shape)}


def _count(connection: psycopg.Connection, table: sql.Identifier) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
    return int(row[0]) if row else 0


def _plain(answer: Any) -> Mapping[str, Any]:
    """Return what the database answered, which dbt's events carry as a mapping or as a message."""
    if answer is None:
        return {}
    return dict(answer) if isinstance(answer, Mapping) else dict(answer.items())
