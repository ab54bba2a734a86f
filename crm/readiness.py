"""Can this process do its work? Each thing it needs, with `ok` or what is wrong, without addresses or names."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from crm import db, ids, migrations, vault

log = structlog.get_logger("crm.readiness")

PATIENCE = 2.0
"""Seconds after which a part that does not answer counts as gone."""


async def checks() -> dict[str, str]:
    """Return what this process needs, each with `ok` or the reason why not."""
    questions: dict[str, Callable[[], Awaitable[str]]] = {
        "database": _database,
        "tables": _tables,
        "keys": _keys,
    }
    answers = await asyncio.gather(*(_ask(name, question) for name, question in questions.items()))
    return dict(zip(questions, answers, strict=True))


async def _ask(name: str, question: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            return await question()
    except Exception as error:  # whatever it is, the answer is the same: not ready, and the log says why
        log.warning("not_ready", what=name, error=repr(error))
        return "does not answer"


async def _database() -> str:
    await db.ask("select 1")
    return "ok"


async def _tables() -> str:
    rows = await db.ask("select version_num from public.santral_version")
    found = rows[0]["version_num"] if rows else "none"
    wanted = migrations.head()
    return "ok" if found == wanted else f"at {found}, this version needs {wanted}: run `santral up` or migrate"


async def _keys() -> str:
    await vault.find(ids.NOBODY, [])
    return "ok"
