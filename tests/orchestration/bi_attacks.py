"""What a consumer of numbers may try against everybody else, under its own login."""

from datetime import timedelta

import asyncpg
import pytest

from crm import bi, db
from tests.conftest import Tenant

REFUSED = (
    "select pg_advisory_lock(7241970)",  # of whoever builds marts
    "select pg_try_advisory_xact_lock(1, 2)",
    "select lo_from_bytea(0, 'abc')",
    "select lo_create(0)",
    "select pg_current_xact_id()",
    "select txid_current()",
    "select pg_logical_emit_message(false, 'a', 'b')",
    "select pg_notify('santral', '')",
    "set temp_file_limit = -1",
    "set role bi_finance; set role santral_pipeline",
    "do $$ begin lock table bi.lead in exclusive mode; end $$",
    "select * from bi.lead for share",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename <> session_user and datname is not null",
    "copy (select 1) to program 'true'",
    "select pg_read_file('PG_VERSION')",
    "select nextval('crm.event_log_id_seq')",
    "select crm.tenant_of_bi_login()",
    "select crm.end_long_bi_transactions('0')",
)
ABOUT_OTHERS: dict[str, int] = {
    "select count(*) from pg_stats where schemaname not in ('pg_catalog', 'information_schema')": 0,
    "select count(*) from pg_stat_activity where usename <> session_user and query not like '<insufficient%'": 0,
    "select count(*) from pg_roles where rolname ~ '^bi_.*tool'": 0,
}
"""Questions to the server's own catalogs, and what may be seen there of other consumers and firms."""


async def cannot_be_in_the_way(connection: asyncpg.Connection) -> None:
    """Try what would hold up others, write, or tell of them, with every limit lifted that a session may lift."""
    await connection.execute("set default_transaction_read_only = off; set statement_timeout = 0")
    for attempt in REFUSED:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError)):
            await connection.execute(attempt)
    for question, answer in ABOUT_OTHERS.items():
        assert await connection.fetchval(question) == answer, question
    assert await connection.fetchval("show temp_file_limit") == "4GB"
    # What it owns in spite of all must not keep its role alive when it is revoked.
    await connection.execute("alter default privileges grant select on tables to public")


async def ends_when_it_lasts(connection: asyncpg.Connection, tenant: Tenant, other: Tenant) -> None:
    """Leave a transaction open that numbers itself, and so would hold up every reader of events."""
    await connection.execute("set idle_in_transaction_session_timeout = 0; begin read write")
    await connection.execute("alter default privileges revoke select on tables from public")

    async with db.transaction(other.system) as tx:
        assert await bi.end_long_transactions(tx, timedelta()) == 0, "another firm's consumers are left alone"
    async with db.transaction(tenant.system) as tx:
        assert await bi.end_long_transactions(tx) == 0, "it may last a while"
        assert await bi.end_long_transactions(tx, timedelta()) == 1
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)):
        await connection.fetch("select 1")
