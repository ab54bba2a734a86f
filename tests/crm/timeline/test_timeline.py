"""One list of what happened: in order whatever is added meanwhile, for those who may see it, without a number in it."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from crm import db, ids, timeline
from crm.actor import Actor
from crm.duplicates import operations as duplicates
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.timeline import queries
from tests.conftest import Tenant

MINUTE = timedelta(minutes=1)
WAMID = "wamid.HBgMOTA1MzIxMjM0NTY3FQIAERgSNEVGRkQ2"


@pytest.fixture
async def lead(tenant: Tenant, now: datetime) -> intake.Stored:
    """An enquiry in the sales agent's hands."""
    stored = await db.run(tenant.system, lambda tx: intake.create(tx, NewLead("api", phone="0532 123 45 67"), now=now))
    await own(tenant, stored.lead_id, tenant.sales_agent)
    return stored


async def own(tenant: Tenant, lead_id: UUID, actor: Actor | None) -> None:
    """Put a lead into somebody's hands."""
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "update crm.lead set owner_id = $2::uuid where id = $1::uuid", lead_id, actor and actor.user_id
        )


async def write(tenant: Tenant, contact_id: UUID, kind: str, at: datetime, **given: Any) -> UUID:
    """Write one activity."""
    async with db.transaction(tenant.system) as tx:
        return await timeline.record(tx, contact_id, kind, at=at, **given)


async def pages(actor: Actor, which: Any, whose: UUID, between: Any = None, **asked: Any) -> list[dict[str, Any]]:
    """Read a timeline page by page; `between` is awaited after each of them."""
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await db.run(actor, lambda tx, at=cursor: which(tx, whose, cursor=at, **asked))
        seen += [json.loads(item) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return seen
        if between is not None:
            await between()


class TestRecord:
    async def test_keeps_no_number_that_hides_in_a_providers_id(self, tenant, lead, now):
        await write(tenant, lead.contact_id, "message", now, channel="whatsapp", provider_reference=WAMID)
        await write(tenant, lead.contact_id, "call", now, channel="call", provider_reference="1772530000.17")

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select channel, provider_reference from crm.activity where channel is not null")
        kept = {row["channel"]: row["provider_reference"] for row in rows}
        assert kept == {"call": "1772530000.17", "whatsapp": timeline.reference_kept("whatsapp", WAMID)}
        assert "HBgM" not in kept["whatsapp"]

    async def test_seals_a_note_only_where_it_hides_something(self, tenant, lead, now):
        plain = await write(tenant, lead.contact_id, "note", now, note="wants an appointment")
        hidden = await write(tenant, lead.contact_id, "note", now, note="call +90 532 765 43 21")

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select id, note, note_sealed from crm.activity where kind = 'note'")
        by_id = {row["id"]: row for row in rows}
        assert (by_id[plain]["note"], by_id[plain]["note_sealed"]) == ("wants an appointment", None)
        assert by_id[hidden]["note"] == "call •••"
        assert b"765" not in by_id[hidden]["note_sealed"]


class TestRecordMany:
    async def test_takes_what_belongs_to_a_lead_and_what_does_not(self, tenant, lead, now):
        async with db.transaction(tenant.system) as tx:
            told = [(lead.lead_id, lead.contact_id, "one", {}), (None, lead.contact_id, "other", {"code": "x"})]
            await timeline.record_many(tx, told, at=now + MINUTE)

        shown = await pages(tenant.admin, queries.of_contact, lead.contact_id)
        assert {(each["kind"], each["lead_id"]) for each in shown} == {
            ("lead.created", str(lead.lead_id)), ("one", str(lead.lead_id)), ("other", None),
        }  # fmt: skip


class TestOfContact:
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(some.lists(some.integers(0, 3), min_size=1, max_size=12), some.integers(1, 5))
    async def test_pages_hold_everything_once_in_order_whatever_is_added_meanwhile(
        self, tenant, now, minutes: list[int], limit: int
    ):
        new = NewLead("api", email=f"{ids.new().hex}@example.com")
        person = (await db.run(tenant.system, lambda tx: intake.create(tx, new, now=now))).contact_id
        written = [await write(tenant, person, "note", now + each * MINUTE) for each in minutes]

        async def between() -> None:
            await write(tenant, person, "call", now + 10 * MINUTE)

        seen = await pages(tenant.admin, queries.of_contact, person, between, limit=limit)

        old = [each for each in seen if each["kind"] == "note"]
        assert [each["id"] for each in old] == [
            str(each) for _, each in sorted(zip(minutes, written, strict=True), reverse=True)
        ]

    async def test_leaves_out_what_belongs_to_leads_out_of_sight(self, tenant, lead, now):
        await write(tenant, lead.contact_id, "call", now + MINUTE, lead_id=lead.lead_id, channel="call")
        await write(tenant, lead.contact_id, "contact.updated", now + MINUTE)
        await own(tenant, lead.lead_id, tenant.admin)

        seen = await pages(tenant.sales_agent, queries.of_contact, lead.contact_id)
        hidden = await pages(tenant.sales_agent, queries.of_lead, lead.lead_id)

        assert ([each["kind"] for each in seen], hidden) == (["contact.updated"], [])

    async def test_is_nothing_to_another_firm(self, tenant, other_tenant, lead):
        assert await pages(other_tenant.admin, queries.of_contact, lead.contact_id) == []
        assert await pages(other_tenant.admin, queries.of_lead, lead.lead_id) == []

    async def test_of_two_contacts_made_one_is_one(self, tenant, lead, now):
        new = NewLead("api", email="ada@example.com")
        other = await db.run(tenant.system, lambda tx: intake.create(tx, new, now=now + MINUTE))
        note = await write(tenant, other.contact_id, "note", now + 2 * MINUTE, lead_id=other.lead_id, note="hello")

        await db.run(
            tenant.admin,
            lambda tx: duplicates.merge(tx, lead.contact_id, other.contact_id, now=now + 3 * MINUTE),
        )  # fmt: skip
        whole = await pages(tenant.admin, queries.of_contact, lead.contact_id, limit=1)

        assert [each["kind"] for each in whole] == ["contact.merged", "note", "lead.created", "lead.created"]
        assert whole[1]["id"] == str(note)
        assert [each["lead_id"] for each in whole[2:]] == [str(other.lead_id), str(lead.lead_id)]
        assert await pages(tenant.admin, queries.of_contact, other.contact_id) == []


class TestAttachmentsShown:
    @pytest.mark.parametrize(
        ("role", "named"),
        [("admin", {"general", "health"}), ("sales_agent", {"general"}), ("compliance_auditor", set())],
    )
    async def test_are_named_to_those_who_may_open_them(self, tenant, lead, now, role: str, named: set[str]):
        activity = await write(tenant, lead.contact_id, "attachment", now + MINUTE, lead_id=lead.lead_id)
        async with db.transaction(tenant.system) as tx:
            await tx.executemany(
                "insert into crm.attachment (tenant_id, id, contact_id, lead_id, activity_id, class, name,"
                " content_type, size, key_id, object_key, created_at) values ($1::uuid, gen_random_uuid(), $2::uuid,"
                " $3::uuid, $4::uuid, $5::text, 'ayse.pdf', 'application/pdf', 1, $1::uuid, 'x', $6::timestamptz)",
                [
                    (tenant.id, lead.contact_id, lead.lead_id, activity, kind, now)
                    for kind in ("general", "health")
                ],
            )  # fmt: skip

        shown = (await pages(tenant.actors[role], queries.of_lead, lead.lead_id))[0]["attachments"]

        assert {each["class"] for each in shown} == {"general", "health"}
        assert {each["class"] for each in shown if each["name"]} == named
