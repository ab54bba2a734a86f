"""Replaying a day: the marts built anew from the events of the last publication, compared with what readers see."""

from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql

from crm import errors
from orchestration import as_of, relations, warehouse

LATEST = "select max(as_of) from ops.publication"
MADE = "select made_at from ops.as_of where schema_name = %s"

# A firm that is held back keeps older numbers on purpose: it is not compared.
# The day column is the first one of type date, which every fact has for its business day. Bookkeeping of the build
# (when a row was made, which transaction it knows of) is no part of a number.
COMPARED = """
select c.relname as name,
       (array_agg(a.attname order by a.attnum) filter (where a.atttypid = 'date'::regtype))[1] as day,
       array_agg(a.attname order by a.attname)
         filter (where a.attname !~ '^(source_max_|is_mature|updated_at)') as columns
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'v') and c.relname like 'fct\\_%%'
   and to_regclass('published.' || quote_ident(c.relname)) is not null
 group by c.relname
having bool_or(a.atttypid = 'date'::regtype)
 order by c.relname
"""
HASHED = """
select count(*), md5(coalesce(string_agg(h, '' order by h), ''))
  from (select md5(row({columns})::text) as h from {table} as fact
         where {day} = %(day)s
           and not exists (select from ops.held_back b
                            where b.domain = %(domain)s and b.tenant_id = fact.tenant_id and b.until is null)) as rows
"""


class NotPublished(errors.Conflict):
    """Nothing is published yet, so nothing can be compared."""

    code = "replay.not_published"


@dataclass(frozen=True, slots=True)
class Table:
    """One table's day: how many rows readers see and how many were replayed, each with the hash of all of them."""

    name: str
    rows: int
    replayed_rows: int
    hash: str
    replayed_hash: str

    @property
    def is_identical(self) -> bool:
        """Whether the day is the same to the last character."""
        return (self.rows, self.hash) == (self.replayed_rows, self.replayed_hash)


def made(*, now: datetime, select: tuple[str, ...] = ()) -> str:
    """Return the schema of the last publication's instant, made anew from events unless it stands already.

    :raises NotPublished: when there is no publication.
    """
    with warehouse.connect() as connection:
        row = connection.execute(LATEST).fetchone()
        if row is None or row[0] is None:
            raise NotPublished("nothing is published yet")
        schema = as_of.schema_of(row[0])
        stands = connection.execute(MADE, (schema,)).fetchone()
    return schema if stands else as_of.make(row[0], now=now, select=select)


def compare(schema: str, day: date) -> list[Table]:
    """Compare a business day of every fact that stands in a schema with the same day in `published`."""
    with warehouse.connect() as connection:
        facts = connection.execute(COMPARED, {"schema": schema}).fetchall()
        return [_table(connection, schema, day, *fact) for fact in facts]


def _table(
    connection: psycopg.Connection, schema: str, day: date, name: str, day_column: str, columns: list[str]
) -> Table:
    found = []
    domain = next(each.domain for each in relations.all_relations() if each.name == name)
    for place in ("published", schema):
        statement = sql.SQL(HASHED).format(
            columns=sql.SQL(", ").join(sql.Identifier(column) for column in columns),
            table=sql.Identifier(place, name),
            day=sql.Identifier(day_column),
        )
        found.append(connection.execute(statement, {"day": day, "domain": domain}).fetchone() or (0, ""))
    (rows, hashed), (replayed_rows, replayed) = found
    return Table(name, rows, replayed_rows, hashed, replayed)
