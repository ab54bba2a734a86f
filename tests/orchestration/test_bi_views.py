"""What BI tools see, asked under their own logins."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from crm import bi, db
from crm.bi import Grade, NewLogin
from kpis import project
from orchestration import bi_views
from tests.conftest import KEYS, NOW, Tenant
from tests.dbt_project import golden
from tests.orchestration import bi_attacks
from tests.pipeline import Build

TYPES = {"timestamptz": "timestamp with time zone"}
"""How PostgreSQL calls what the project calls shorter."""
MODELS = ("--select", "+tag:bi", "--exclude-resource-type", "test")


@dataclass
class Readers:
    """A firm beside another, both with published figures, and a consumer of each grade."""

    tenant: Tenant
    other: Tenant
    logins: dict[Grade, NewLogin]
    database: str

    async def connect(self, grade: Grade, database: str | None = None) -> asyncpg.Connection:
        """Sign in as a consumer."""
        new = self.logins[grade]
        url = make_url(self.database).set(username=new.login, password=new.password)
        url = url.set(database=database) if database else url
        return await asyncpg.connect(url.render_as_string(hide_password=False))


@pytest.fixture
async def readers(build: Build, tenant: Tenant, other_tenant: Tenant, database: str) -> AsyncIterator[Readers]:
    """Figures of two firms, published; logins of the first."""
    await golden.play(tenant)
    await golden.Desk(other_tenant).lead("meta")
    await build(*MODELS)
    made = {
        grade: await db.run(tenant.admin, lambda tx, g=grade: bi.create(tx, f"tool_{g.name}", g, now=NOW))
        for grade in Grade
    }
    yield Readers(tenant, other_tenant, made, database)
    for name in await _in_use(tenant):  # roles belong to the server, not to this test's database
        await db.run(tenant.admin, lambda tx, name=name: bi.revoke(tx, name, now=NOW))


async def _in_use(tenant: Tenant) -> list[str]:
    async with db.transaction(tenant.admin) as tx:
        return [row["name"] for row in await bi.logins(tx)]


async def test_each_consumer_sees_what_its_grade_shows_of_its_own_firm(readers: Readers):
    await bi_attacks.ends_when_it_lasts(await readers.connect(Grade.reader), readers.tenant, readers.other)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await readers.connect(Grade.reader, KEYS)
    for grade in Grade:
        connection = await readers.connect(grade)
        try:
            await _sees_its_own_firm_only(connection, readers)
            await _sees_the_views_of_its_grade(connection, grade)
            await _is_told_what_it_sees(connection, grade)
            await _sees_nothing_else(connection)
            await _cannot_write(connection)
            await _is_limited(connection)
            await bi_attacks.cannot_be_in_the_way(connection)
            await _is_out_when_revoked(connection, readers, grade)
        finally:
            await connection.close()
    async with db.transaction(readers.tenant.admin) as tx:
        told = await tx.fetch("select action from crm.audit_log where target_type = 'bi_login' order by id")
    assert [row["action"] for row in told] == ["bi_login.created"] * 3 + ["bi_login.revoked"] * 3


async def _sees_its_own_firm_only(connection: asyncpg.Connection, readers: Readers) -> None:
    assert await connection.fetchval("select count(*) from bi.lead") == 9
    for attempt in (f"set app.tenant_id = '{readers.other.id}'", "reset role", "reset session authorization"):
        await connection.execute(attempt)
        assert await connection.fetch("select distinct tenant_id from bi.lead") == [(readers.tenant.id,)], attempt
    for attempt in ("set role santral_app", "set role postgres", "set session authorization santral_app"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(attempt)


async def _sees_the_views_of_its_grade(connection: asyncpg.Connection, grade: Grade) -> None:
    for view in bi_views.contracts():
        if view.grade in bi_views.READS[grade.value]:
            await connection.fetch(f'select * from bi."{view.name}" limit 1')
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f'select * from bi."{view.name}" limit 1')


async def _is_told_what_it_sees(connection: asyncpg.Connection, grade: Grade) -> None:
    """BI tools show what the catalogs say: words for every view and column, types with their scale, one time zone."""
    nodes = json.loads((project.target() / "manifest.json").read_text())["nodes"].values()
    promised = {each["alias"]: each for each in nodes if each["schema"] == bi_views.SCHEMA}
    for view in bi_views.contracts():
        if view.grade not in bi_views.READS[grade.value]:
            continue
        told = await connection.fetch(
            "select attname::text, format_type(atttypid, atttypmod), col_description(attrelid, attnum)"
            " from pg_attribute where attrelid = $1::text::regclass and attnum > 0 order by attnum",
            f'bi."{view.name}"',
        )
        columns = promised[view.name]["columns"].values()
        assert [tuple(row) for row in told] == [
            (each["name"], TYPES.get(each["data_type"], each["data_type"]), each["description"]) for each in columns
        ], view.name
        comment = await connection.fetchval("select obj_description($1::text::regclass)", f'bi."{view.name}"')
        assert comment == f"{promised[view.name]['description']} Key: {', '.join(view.key)}."
        key = ", ".join(view.key)
        assert not await connection.fetch(f'select {key} from bi."{view.name}" group by {key} having count(*) > 1')
    assert await connection.fetchval("show timezone") == "UTC"


async def _sees_nothing_else(connection: asyncpg.Connection) -> None:
    for table in ("crm.lead", "crm.contact", "crm.bi_login", "raw.api_payload", "marts.fct_lead_cycle",
                  "published.fct_lead_cycle", "stg.stg_crm__users", "ops.publication"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"select 1 from {table}")
    readable = await connection.fetch(
        "select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'v', 'm', 'p') and has_schema_privilege(n.oid, 'usage')"
        " and has_table_privilege(c.oid, 'select') group by 1 order by 1"
    )
    assert [row["nspname"] for row in readable] == ["bi", "information_schema", "pg_catalog"]


async def _cannot_write(connection: asyncpg.Connection) -> None:
    await connection.execute("set default_transaction_read_only = off")
    for attempt in (
        "create table bi.mine (id int)",
        "create table public.mine (id int)",
        "create temporary table mine (id int)",
        "delete from bi.lead",
        "select crm.open_bi_login('bi_mine', 'SCRAM-SHA-256$', 1)",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
            await connection.execute(attempt)


async def _is_limited(connection: asyncpg.Connection) -> None:
    shown = {
        name: await connection.fetchval(f"show {name}")
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "search_path")
    }
    limit = await connection.fetchval("select rolconnlimit from pg_roles where rolname = session_user")

    assert shown == {"statement_timeout": "1min", "idle_in_transaction_session_timeout": "30s", "search_path": "bi"}
    assert limit == bi.CONNECTIONS


async def _is_out_when_revoked(connection: asyncpg.Connection, readers: Readers, grade: Grade) -> None:
    await db.run(readers.tenant.admin, lambda tx: bi.revoke(tx, f"tool_{grade.name}", now=NOW))

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)):
        await connection.fetch("select * from bi.lead")
    with pytest.raises(asyncpg.PostgresError, match=r"password|role|not permitted"):
        await readers.connect(grade)
    assert f"tool_{grade.name}" not in await _in_use(readers.tenant)
