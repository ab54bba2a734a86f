"""People to be contacted, and shortcuts to the ledger."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from crm import consent, db, ids, timeline
from crm.actor import Actor
from crm.consent import Channel, Purpose, Statement, Status
from crm.leads import intake
from crm.leads.intake import Consent, NewLead
from tests.conftest import Tenant

MakePerson = Callable[..., Awaitable[UUID]]


async def do(actor: Actor, operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Run one operation or query in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant: Tenant, sql: str, *args: Any) -> list[Any]:
    """Read as the system."""
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


def said(status: Status = Status.granted, **changes: Any) -> Statement:
    """A word about marketing calls, with evidence."""
    given = {
        "channel": Channel.call, "purpose": Purpose.marketing, "source": "phone", "evidence": {"heard_by": "agent"},
    }  # fmt: skip
    return Statement(**{**given, "status": status, **changes})


async def may(tenant: Tenant, person: UUID, at: datetime, **changes: Any) -> consent.Answer:
    """Ask whether a person may be called for marketing."""
    given = {"channel": Channel.call, "purpose": Purpose.marketing, **changes}
    return await do(
        tenant.system, consent.may_contact, person, given.pop("channel"), given.pop("purpose"), at=at, **given
    )


async def attempt(tenant: Tenant, person: UUID, at: datetime, *, channel: str = "call", **changes: Any) -> None:
    """Record that we contacted a person."""
    given = {"channel": channel, "direction": "outbound", "kind": "call" if channel == "call" else "message", **changes}
    async with db.transaction(tenant.system) as tx:
        await timeline.record(tx, person, given.pop("kind"), at=at, **given)


@pytest.fixture
def make_person(tenant: Tenant, now: datetime) -> MakePerson:
    """`await make_person(phone=…, consents=[("call", "granted")])` stores an enquiry and returns the contact's id."""

    async def make(*, consents: list[tuple[str, str]] | None = None, at: datetime = now, **fields: Any) -> UUID:
        given = {"source": "api", "phone": "0532 123 45 67", "email": f"{ids.new().hex}@example.com", **fields}
        lead = NewLead(**given, consents=[Consent(*each) for each in consents or []])
        return (await do(tenant.system, intake.create, lead, now=at)).contact_id

    return make
