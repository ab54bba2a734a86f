"""Migrations: up from nothing, down to nothing, up again to the same; and quick when there is nothing to do."""

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from crm import migrations
from crm.settings import settings
from tests.conftest import KEYS, at

SHAPE = """
select table_schema, table_name, column_name, data_type, is_nullable, column_default
  from information_schema.columns where table_schema in ('crm', 'jobs', 'raw', 'ops', 'keys')
union all
select schemaname, tablename, indexname, indexdef, null, null from pg_indexes where schemaname in ('crm', 'raw', 'jobs')
union all
select schemaname, tablename, policyname, coalesce(qual, ''), cmd, roles::text from pg_policies
union all
select n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.prosecdef::text, null, p.proacl::text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('crm', 'ops', 'raw')
order by 1, 2, 3, 4
"""


async def shape(url: str) -> list[tuple]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(SHAPE)]
    finally:
        await connection.close()


class TestMigrations:
    async def test_down_to_nothing_and_up_again_gives_the_same(self, database: str):
        before = await shape(database)

        await migrations.downgrade()
        bare = await shape(database)
        await migrations.prepare()

        assert bare == []
        assert len(before) > 200
        assert await shape(database) == before

    async def test_each_step_goes_down_and_up(self, database: str):
        before = await shape(database)

        await migrations.downgrade("-1")
        assert await shape(database) != before
        await migrations.prepare()

        assert await shape(database) == before

    async def test_preparing_what_is_ready_changes_nothing(self, database: str):
        before = await shape(database)

        await migrations.prepare()

        assert await shape(database) == before

    @pytest.mark.parametrize("folder", ["versions", "keys"])
    def test_the_newest_is_the_end_of_the_chain(self, folder: str):
        chain = ScriptDirectory(migrations.HERE, version_locations=[str(migrations.HERE / folder)])

        assert migrations.head(folder) == chain.get_current_head()

    async def test_says_what_to_do_when_no_server_answers(self, database: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/santral")
        settings.cache_clear()

        with pytest.raises(migrations.Unusable, match="check DATABASE_URL") as refusal:
            await migrations.prepare()

        assert ":x@" not in str(refusal.value)

    async def test_keys_of_people_live_elsewhere(self, database: str):
        assert not [row for row in await shape(database) if row[1] == "data_key"]
        assert [row for row in await shape(at(database, KEYS)) if row[1] == "data_key"]
