"""Many operations in one transaction, at the price of few statements."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from crm import db
from crm.actor import Actor
from crm.db import Tx

HELD = (
    "insert into crm.event_log", "insert into crm.audit_log", "insert into crm.activity",
    "insert into crm.routing_decision", "insert into crm.routing_run", "insert into crm.routing_roster",
)  # fmt: skip


class _Batch(Tx):
    """A transaction of many operations whose traces (appended only, read by none of them) are sent together."""

    __slots__ = ("_held",)

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.connection, tx.driver, tx.actor)
        self._held: dict[str, list[tuple[Any, ...]]] = {}

    async def execute(self, sql: str, *args: Any) -> str:
        if not sql.lstrip().startswith(HELD):
            return await super().execute(sql, *args)
        self._held.setdefault(sql, []).append(args)
        return "INSERT 0 1"

    async def executemany(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        if not sql.lstrip().startswith(HELD):
            await super().executemany(sql, rows)
        else:
            self._held.setdefault(sql, []).extend(rows)

    async def send(self) -> None:
        """Send what was held back."""
        for sql, rows in self._held.items():
            await super().executemany(sql, rows)


@asynccontextmanager
async def transaction(actor: Actor) -> AsyncIterator[Tx]:
    """Open a transaction for many operations. It does not wait for the disk: a demo that is lost is made again."""
    async with db.transaction(actor) as tx:
        await tx.execute("set local synchronous_commit to off")
        batch = _Batch(tx)
        yield batch
        await batch.send()
