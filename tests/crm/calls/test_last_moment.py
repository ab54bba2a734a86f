"""Between the yes and the dialling: whatever happens to a person then, who may not be called is not."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from crm import consent, db, tenant_settings
from crm.calls import dialling, sending
from crm.calls.dialling import Dial
from crm.consent import Channel, Purpose, Statement, Status, dnc
from crm.contacts import operations as people
from crm.db import Tx
from crm.duplicates import operations as duplicates
from crm.leads import intake
from crm.leads.intake import NewLead
from tests.conftest import Tenant
from tests.crm.calls import factory

NUMBER, OTHER, PREMIUM = "+905321234567", "+905329876543", "+909001234567"
AFTER = timedelta(seconds=5)
Happening = Callable[[Tx, UUID, datetime], Awaitable[object]]


async def listed(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await dnc.add(tx, NUMBER, reason="asked", now=now)


async def withdrawn(tx: Tx, contact_id: UUID, now: datetime) -> None:
    said = Statement(Channel.call, Purpose.enquiry, Status.withdrawn, "phone")
    await consent.record(tx, contact_id, said, now=now)


async def without_a_number(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await people.update(tx, contact_id, {"phone": None, "email": "x@example.com"}, now=now)


async def with_a_premium_number(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await people.update(tx, contact_id, {"phone": PREMIUM}, now=now)


async def with_a_listed_number(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await dnc.add(tx, OTHER, reason="asked", now=now)
    await people.update(tx, contact_id, {"phone": OTHER}, now=now)


async def merged_into_who_opted_out(tx: Tx, contact_id: UUID, now: datetime) -> None:
    other = (await intake.create(tx, NewLead("api", phone=OTHER), now=now)).contact_id
    await withdrawn(tx, other, now)
    await duplicates.merge(tx, other, contact_id, now=now)


async def who_has_a_listed_number_too(tx: Tx, contact_id: UUID, now: datetime) -> None:
    other = (await intake.create(tx, NewLead("api", phone=OTHER), now=now)).contact_id
    await dnc.add(tx, OTHER, reason="asked", now=now)
    await duplicates.merge(tx, contact_id, other, now=now)


async def archived(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await people.archive(tx, contact_id, now=now)


async def of_a_country_not_called(tx: Tx, contact_id: UUID, now: datetime) -> None:
    await tenant_settings.change(tx, "consent.number_countries", ["DE"], now=now)


class TestClaim:
    @pytest.mark.parametrize(
        ("happening", "reason"),
        [
            (listed, "dnc"), (withdrawn, "opted_out"), (without_a_number, "no_address"),
            (with_a_premium_number, "number_not_allowed"), (with_a_listed_number, "dnc"),
            (merged_into_who_opted_out, "opted_out"), (who_has_a_listed_number_too, "dnc"), (archived, "archived"),
            (of_a_country_not_called, "number_not_allowed"),
        ],
    )  # fmt: skip
    async def test_gives_out_no_call_to_somebody(self, tenant: Tenant, now, happening: Happening, reason: str):
        lead_id, contact_id = await factory.make_lead(tenant, now - timedelta(days=1), phone=NUMBER)
        wanted = Dial(contact_id=contact_id, lead_id=lead_id, purpose="campaign", queue="sales")
        dialled = await db.run(tenant.system, lambda tx: dialling.dial(tx, wanted, now=now))
        assert dialled.call_id is not None, "they might have been called"

        await db.run(tenant.admin, lambda tx: happening(tx, contact_id, now + timedelta(seconds=1)))
        out = await db.run(tenant.system, lambda tx: sending.claim(tx, now=now + AFTER))

        row = await factory.call(tenant, dialled.call_id)
        assert (out, row["status"], row["failure"]) == ([], "denied", f"consent.{reason}")
