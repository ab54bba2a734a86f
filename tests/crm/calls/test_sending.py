"""Asks of the exchange: what they hold is forgotten when it is of no more use."""

from datetime import datetime, timedelta

from crm import db, exchange
from crm.calls import sending
from crm.exchange import Kind
from tests.conftest import Tenant

PIN = "4711*"


async def asked(tenant: Tenant, now: datetime) -> None:
    """Ask for tones to be played."""
    args = {"leg": "leg-1", "digits": PIN}
    await db.run(tenant.system, lambda tx: exchange.ask(tx, Kind.play_dtmf, args, now=now))


async def ask_of(tenant: Tenant) -> tuple[str, dict[str, str]]:
    """Return how the ask stands, and what it holds."""
    async with db.transaction(tenant.system) as tx:
        row = await tx.fetchrow("select status, args from crm.exchange_ask")
    return row["status"], row["args"]


class TestDigits:
    """Keys that are pressed may be a code of the customer's."""

    async def test_go_out_as_they_were_pressed(self, tenant: Tenant, now: datetime) -> None:
        await asked(tenant, now)

        [out] = await db.run(tenant.system, lambda tx: sending.claim(tx, now=now))

        assert out.args["digits"] == PIN

    async def test_are_forgotten_when_nobody_sent_them_in_time(self, tenant: Tenant, now: datetime) -> None:
        await asked(tenant, now)

        out = await db.run(tenant.system, lambda tx: sending.claim(tx, now=now + timedelta(minutes=1)))

        assert (out, await ask_of(tenant)) == ([], ("expired", {"leg": "leg-1"}))

    async def test_are_forgotten_when_the_bridge_that_sent_them_has_died(self, tenant: Tenant, now: datetime) -> None:
        await asked(tenant, now)
        await db.run(tenant.system, lambda tx: sending.claim(tx, now=now))

        await db.run(tenant.system, lambda tx: sending.forget_sent(tx, before=now, now=now))

        assert await ask_of(tenant) == ("unanswered", {"leg": "leg-1"})

    async def test_wait_for_their_answer_a_while(self, tenant: Tenant, now: datetime) -> None:
        await asked(tenant, now)
        await db.run(tenant.system, lambda tx: sending.claim(tx, now=now))

        await db.run(tenant.system, lambda tx: sending.forget_sent(tx, before=now - timedelta(minutes=1), now=now))

        assert await ask_of(tenant) == ("sent", {"leg": "leg-1", "digits": PIN})
