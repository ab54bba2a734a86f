"""Numbers as of an instant: the marts as they were known then, in a schema of their own.

Marts follow from the log of events alone, and the log only grows: built from the events that were recorded by an
instant, with the same models, they are what readers saw then. What is not an event (names of teams, campaigns) is as it
is today.
"""

import os
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from typing import LiteralString, cast

import psycopg

from crm import errors
from kpis import project
from orchestration import warehouse

KEPT_FOR = timedelta(days=14)
"""How long a schema stays unless it is asked for again."""
BUILD = ("build", "--exclude-resource-type", "unit_test", "test", "--exclude", "tag:bi", "tag:platform")
"""How it is built. Models passed their tests where they were published; what the platform measures is no history."""
ONE_AT_A_TIME = 7_241_971
"""Advisory lock of whoever makes or drops such schemas; builds of the present go on beside it."""

# What a publication as of this very instant had read; else every transaction before the first that recorded later, and
# whatever an earlier publication had read.
HORIZON = """
create table {schema}.horizon as
select coalesce(
         (select max(tx_id) from ops.publication_log where as_of = %(instant)s),
         greatest((select min(tx_id) from crm.event_log where created_at >= %(instant)s),
                  (select max(tx_id) from ops.publication_log where as_of < %(instant)s)),
         crm.event_horizon()) as tx_id,
       %(instant)s as pinned_at
"""
REGISTER = """
insert into ops.as_of (schema_name, instant, project, made_at, kept_until)
values (%(schema)s, %(instant)s, %(project)s, %(now)s, %(until)s)
on conflict (schema_name) do update
  set project = excluded.project, made_at = excluded.made_at, kept_until = excluded.kept_until
"""


TABLES = """
select tablename from pg_tables where schemaname = %s and tablename ~ '^(fct|dim)_' order by tablename
"""
BEGINNING = "select created_at from crm.event_log order by tx_id, id limit 1"
OUTDATED = """
select n.nspname from pg_namespace n
 where n.nspname ~ '^asof_[0-9]{8}t[0-9]{6}z$'
   and not exists (select from ops.as_of a where a.schema_name = n.nspname and a.kept_until > %s)
"""


class InTheFuture(errors.Invalid):
    """Nobody knows yet what will be known then."""

    code = "kpi.as-of-future"


class BeforeTheLog(errors.Invalid):
    """Nothing had been recorded by then."""

    code = "kpi.as-of-before-log"


class NotMade(errors.CrmError):
    """A model could not be built as of that instant."""

    code = "kpi.as-of-not-made"


def schema_of(instant: datetime) -> str:
    """Return the schema for an instant, which counts to the second (UTC)."""
    return instant.astimezone(UTC).strftime("asof_%Y%m%dt%H%M%Sz")


def make(instant: datetime, *, now: datetime, select: tuple[str, ...] = ()) -> str:
    """Make the marts as they were known at an instant (UTC), anew if they are there; return the schema they stand in.

    `select`: of dbt, which models; all that follow from events by default. Readers find the schema in `ops.as_of` once
    it is whole. Those that were kept long enough are dropped on the way.

    :raises InTheFuture: when the instant has not come yet.
    :raises BeforeTheLog: when nothing had been recorded by then.
    :raises NotMade: when a model could not be built.
    """
    if instant > now:
        raise InTheFuture(f"{instant.isoformat()} has not come yet", fields={"as_of": "in the future"})
    schema = schema_of(instant)
    with warehouse.connect() as connection:
        _require_recorded(connection, instant)
        connection.execute("select pg_advisory_lock(%s)", (ONE_AT_A_TIME,))
        drop_outdated(connection, now=now)
        _drop(connection, schema)
        connection.execute("select ops.open_as_of(%s)", (schema,))
        connection.execute(HORIZON.replace("{schema}", schema).replace("%(instant)s", "%(instant)s::timestamptz"),
                           {"instant": instant})  # fmt: skip
        connection.execute(f"alter table {schema}.horizon enable row level security")
        _build(schema, select)
        values = {"schema": schema, "instant": instant, "project": project.target().name, "now": now}
        connection.execute(REGISTER, values | {"until": now + KEPT_FOR})
    return schema


def _require_recorded(connection: psycopg.Connection, instant: datetime) -> None:
    row = connection.execute(BEGINNING).fetchone()
    if row is None or instant < row[0]:
        since = f"the log begins on {row[0].astimezone(UTC).isoformat()}" if row else "the log is empty"
        raise BeforeTheLog(f"nothing had been recorded by {instant.isoformat()}: {since}", fields={"as_of": "too old"})


def rows(schema: str) -> dict[str, int]:
    """Return how many rows each table of a schema holds."""
    with warehouse.connect() as connection:
        names = connection.execute(TABLES, (schema,)).fetchall()
        counted = [
            connection.execute(cast(LiteralString, f'select count(*) from {schema}."{name}"')) for (name,) in names
        ]
        return {name: found.fetchall()[0][0] for (name,), found in zip(names, counted, strict=True)}


def sweep(*, now: datetime) -> list[str]:
    """Drop what was kept long enough at `now` (UTC), unless such a schema is being made; return what was dropped."""
    with warehouse.connect() as connection:
        [(is_ours,)] = connection.execute("select pg_try_advisory_lock(%s)", (ONE_AT_A_TIME,)).fetchall()
        return drop_outdated(connection, now=now) if is_ours else []


def at_hand() -> list[tuple[datetime, str, datetime]]:
    """Return the instants that can be asked for, each with its schema and until when it is kept (UTC)."""
    with warehouse.connect() as connection:
        return connection.execute("select instant, schema_name, kept_until from ops.as_of order by instant").fetchall()


def drop_outdated(connection: psycopg.Connection, *, now: datetime) -> list[str]:
    """Drop the schemas that were kept long enough at `now` (UTC), and those that never became whole; return them."""
    outdated = [name for (name,) in connection.execute(OUTDATED, (now,))]
    for schema in outdated:
        _drop(connection, schema)
    return outdated


def _drop(connection: psycopg.Connection, schema: str) -> None:
    with connection.transaction():
        connection.execute("delete from ops.as_of where schema_name = %s", (schema,))
        connection.execute("select ops.drop_as_of(%s)", (schema,))


def _build(schema: str, select: tuple[str, ...]) -> None:
    wanted = ("--select", *select) if select else ()
    # A process of its own: dbt keeps what it has parsed under other names of schemas within a process.
    with tempfile.TemporaryDirectory(prefix="santral-as-of-") as folder:
        done = subprocess.run(
            [project.executable(), *BUILD, *wanted, "--quiet", "--target-path", folder, "--log-path", folder],
            cwd=project.FOLDER, env={**os.environ, **project.environment(), "SANTRAL_DBT_AS_OF": schema},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise NotMade(f"dbt could not build {schema}: {(done.stdout + done.stderr).strip()[-2000:]}")
