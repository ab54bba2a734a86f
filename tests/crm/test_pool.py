"""The pool of connections after the server dropped them: a restart of PostgreSQL is survived."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from crm import db, vault


async def use_and_cut(database: str, use: Callable[[], Awaitable[object]], *, role_database: str) -> list[str]:
    """Use several connections, have the server close them all, use them again; return what went wrong then."""
    await asyncio.gather(*(use() for _ in range(5)))
    admin = await asyncpg.connect(database)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'santral_app' and datname = $1",
        role_database,
    )
    await admin.close()
    await asyncio.sleep(0.1)
    wrong = []
    for _ in range(20):
        try:
            await use()
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            wrong.append(type(error).__name__)
    return wrong


async def test_transactions_and_questions_go_on(database, tenant):
    async def transact():
        async with db.transaction(tenant.system) as tx:
            await tx.fetchval("select 1")

    name = database.rsplit("/", 1)[1]
    assert await use_and_cut(database, transact, role_database=name) == []
    assert await use_and_cut(database, lambda: db.ask("select 1"), role_database=name) == []


async def test_keys_go_on(database, tenant):
    assert await use_and_cut(database, lambda: vault.find(tenant.id, []), role_database="santral_test_keys") == []
