"""Every column that can hold personal data is in the registry of `crm.privacy`, and the pipeline sees none of them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from crm import privacy
from crm.settings import PIPELINE_ROLE

TEXTUAL = """
select n.nspname || '.' || r.relname || '.' || a.attname as place
  from pg_class r
  join pg_namespace n on n.oid = r.relnamespace
  join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
 where r.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'jobs')
   and n.nspname not like 'pg\\_%'
   and coalesce(e.typname, t.typname)
       in ('text', 'varchar', 'bpchar', 'name', 'citext', 'bytea', 'json', 'jsonb', 'xml', 'hstore')
"""
"""Every column of text, bytes or JSON in every schema of ours; the job queue's own tables hold ids."""

SHOWN_TO_THE_PIPELINE = {"crm.user_account.name": "numbers are read per agent, by name"}


@pytest.fixture
async def owner(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the database's owner, whom nothing is hidden from."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def test_every_column_is_registered_or_said_to_hold_nobody(owner):
    there = {row["place"] for row in await owner.fetch(TEXTUAL)}
    known = privacy.registered() | privacy.harmless()

    assert there - known == set(), "say in crm/privacy.py what these columns hold, and how it is erased"
    assert known - there == set(), "these columns are gone"


def test_nothing_is_both():
    assert privacy.registered() & privacy.harmless() == set()


async def test_the_pipeline_may_read_none_of_them(owner):
    readable = [
        place
        for place in sorted(privacy.registered())
        if await owner.fetchval(
            "select has_column_privilege($1, $2::regclass, $3, 'select')", PIPELINE_ROLE, *place.rsplit(".", 1)
        )
    ]

    assert set(readable) == set(SHOWN_TO_THE_PIPELINE)


async def test_what_is_sealed_is_bytes(owner):
    for place in privacy.COLUMNS:
        if place.kind is privacy.Kind.sealed:
            table, column = place.where.rsplit(".", 1)
            kind = await owner.fetchval(
                "select atttypid::regtype::text from pg_attribute where attrelid = $1::regclass and attname = $2",
                table,
                column,
            )
            assert kind == "bytea", place.where
