"""Row-level security on every table of ours, bound to the tenant, and an app role that cannot step around it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from crm import db, events, ids
from crm.settings import APP_ROLE, PIPELINE_ROLE
from tests.conftest import NOW

OF_NO_TENANT = {
    "crm.event_reader": "how far each reader has read the whole log",
    "ops.alert": "trouble of the pipeline itself, which serves every tenant",
    "ops.horizon": "up to where a pipeline run reads the whole log",
    "ops.publication_log": "what each publication moved, by domain",
    "ops.domain_build": "how the latest build of each domain stands",
    "ops.published_relation": "what each published relation was copied from",
    "ops.kpi_definition": "how metrics were ever defined: code, not data",
    "ops.as_of": "which schemas hold the marts as they were known at an instant",
    "public.santral_version": "which migration the database is at",
}
"""Tables without a tenant, and why."""

DOORWAYS = {
    "crm.tenants": "background work goes through every tenant",
    "crm.tenant_by_slug": "the command names a tenant by its slug",
    "crm.tenant_of_login": "who signs in has no tenant yet",
    "crm.tenant_of_refresh": "neither has who renews a session",
    "crm.tenant_of_invitation": "nor who accepts an invitation",
    "crm.tenant_of_connection": "a webhook names its connection only",
    "crm.events_since": "readers of events serve every tenant",
    "crm.events_below_horizon": "readers of events serve every tenant",
    "crm.tenant_of_bi_login": "whose numbers a BI tool sees follows from who signed in, whom it cannot change",
    "crm.open_bi_login": "only an owner may make roles; makes those of crm.bi_login, with its grade's rights",
    "crm.close_bi_login": "drops the roles of revoked rows of crm.bi_login",
    "crm.end_long_bi_transactions": "only an owner may end another role's sessions; ends those of the firm's BI logins",
    "crm.learn_young_tables": "only a table's owner may gather its statistics",
    "crm.event_position": "the position of a reader is of no tenant",
    "crm.advance_event_position": "the position of a reader is of no tenant",
    "crm.sessions_ended_since": "each process asks once a second, for all tenants, which sessions ended; ids only",
    "ops.lead_questions": "the pipeline sees which questions a form has, and no answer to any",
    "ops.open_as_of": "the pipeline may not create schemas; this makes those of numbers as of an instant, and no other",
    "ops.drop_as_of": "and this drops them, and no other",
    "crm.unchanged_since": "what was kept is asked for by transaction, an index that row-level security would not let"
    " be used; the answer is yes or no, about the transaction's own tenant",
}
"""Functions that run as the owner and so see past row-level security, and why each must."""

OURS = "n.nspname not in ('pg_catalog', 'information_schema', 'jobs') and n.nspname not like 'pg\\_%'"


@pytest.fixture
async def owner(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the database's owner, whom nothing is hidden from."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def tables(owner: asyncpg.Connection) -> list[asyncpg.Record]:
    return await owner.fetch(
        f"""
        select n.nspname || '.' || r.relname as name, r.relrowsecurity,
               (select a.attname from pg_index i join pg_attribute a on a.attrelid = r.oid and a.attnum = i.indkey[0]
                 where i.indrelid = r.oid and i.indisprimary) as first_key,
               array(select pg_get_expr(p.polqual, r.oid) from pg_policy p
                      where p.polrelid = r.oid and $1::regrole = any(p.polroles)) as bound_by,
               array(select pg_get_expr(p.polwithcheck, r.oid) from pg_policy p
                      where p.polrelid = r.oid and $1::regrole = any(p.polroles)) as checked_by
          from pg_class r join pg_namespace n on n.oid = r.relnamespace
         where r.relkind in ('r', 'p') and {OURS}
        """,
        APP_ROLE,
    )


async def test_every_table_is_bound_to_the_transactions_tenant(owner):
    bound = "(tenant_id = (current_setting('app.tenant_id'::text))::uuid)"
    found = await tables(owner)

    loose = {
        row["name"]
        for row in found
        if not row["relrowsecurity"]
        or row["first_key"] != "tenant_id"
        or row["bound_by"] != [bound]
        or row["checked_by"] != [bound]
    }

    assert len(found) > 20
    assert loose == set(OF_NO_TENANT)


async def test_views_ask_as_the_one_who_looks(owner):
    loose = await owner.fetch(
        f"""
        select n.nspname || '.' || r.relname as name from pg_class r join pg_namespace n on n.oid = r.relnamespace
         where {OURS} and (r.relkind = 'm' or (r.relkind = 'v'
               and not coalesce(r.reloptions @> array['security_invoker=true'], false)))
        """
    )

    assert [row["name"] for row in loose] == []


async def test_the_app_role_cannot_bypass(owner):
    for role in (APP_ROLE, PIPELINE_ROLE):
        row = await owner.fetchrow("select * from pg_roles where rolname = $1", role)
        assert (row["rolsuper"], row["rolbypassrls"], row["rolcreaterole"], row["rolcreatedb"]) == (False,) * 4
        memberships = await owner.fetchval("select count(*) from pg_auth_members where member = $1::regrole", role)
        assert memberships == 0, f"{role} borrows another role's rights"
    owned = await owner.fetch(f"select relname from pg_class where relowner = '{APP_ROLE}'::regrole")
    assert owned == []
    makes = await owner.fetch(
        "select n.nspname from pg_namespace n where n.nspname not like 'pg\\_%'"
        " and has_schema_privilege($1, n.oid, 'create')",
        APP_ROLE,
    )
    assert [row["nspname"] for row in makes] == []


async def test_what_runs_as_the_owner_is_known(owner):
    found = await owner.fetch(
        f"""
        select n.nspname || '.' || p.proname as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where p.prosecdef and ({OURS} or n.nspname = 'jobs')
        """
    )

    assert {row["name"] for row in found} == set(DOORWAYS)


async def test_what_runs_as_the_owner_finds_its_own_tables_and_is_not_for_everyone(owner):
    """A table or function of the caller's own can not be slipped under it: its search path is fixed."""
    loose = await owner.fetch(
        f"""
        select n.nspname || '.' || p.proname as name, p.proconfig, p.proacl::text[] as acl
          from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where p.prosecdef and ({OURS} or n.nspname = 'jobs')
        """
    )

    assert {row["name"] for row in loose if "search_path=crm, pg_temp" not in (row["proconfig"] or ())} == set()
    assert {row["name"] for row in loose if any(each.startswith("=") for each in row["acl"] or ["="])} == set()


async def test_what_happens_in_another_firm_is_not_told(tenant, other_tenant):
    async with db.transaction(tenant.system) as tx:
        seen = await tx.fetchval("select pg_current_snapshot()::text")
    async with db.transaction(other_tenant.system) as tx:
        await events.record(tx, "lead", ids.new(), "lead.created", at=NOW)

    async def is_unchanged(actor):
        async with db.transaction(actor) as tx:
            return await tx.fetchval("select crm.unchanged_since($1::text::pg_snapshot)", seen)

    assert await is_unchanged(tenant.system) is True
    assert await is_unchanged(other_tenant.system) is False
    with pytest.raises(asyncpg.PostgresError):
        await db.ask("select crm.unchanged_since($1::text::pg_snapshot)", seen)


async def test_without_a_tenant_nothing_is_seen(owner, tenant):
    for row in await tables(owner):
        if row["name"] in OF_NO_TENANT:
            continue
        with pytest.raises(asyncpg.PostgresError):
            await db.ask(f"select from {row['name']} limit 1")


async def test_another_tenant_sees_and_changes_nothing(owner, tenant, other_tenant):
    bound = [row["name"] for row in await tables(owner) if row["name"] not in OF_NO_TENANT]
    held = {name for name in bound if await owner.fetchval(f"select count(*) from {name}")}
    assert held, "the tenants of the tests have rows"

    async with db.transaction(other_tenant.system) as tx:
        for name in sorted(held):
            strange = await tx.fetchval(
                f"select count(*) from {name} where tenant_id <> current_setting('app.tenant_id')::uuid"
            )
            assert strange == 0, name
        done = await tx.execute("update crm.team set name = 'mine' where tenant_id = $1::uuid", tenant.id)
        assert done == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.transaction(other_tenant.system) as tx:
            await tx.execute(
                "insert into crm.team (tenant_id, id, name, created_at, updated_at)"
                " values ($1::uuid, gen_random_uuid(), 'mine', now(), now())",
                tenant.id,
            )
