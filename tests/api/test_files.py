"""Attachments and timelines over HTTP."""

import asyncio
import hashlib
import io
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from crm import clock, db, ids, objects, timeline
from crm.files import links, operations
from tests.conftest import Tenant
from tests.crm.files.conftest import JPEG, PDF, png


@pytest.fixture
async def lead(agent: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant) -> dict[str, str]:
    """A lead in the agent's hands, with its contact."""
    objects.forget()
    stored = (await admin.post("/leads", json={"phone": "0532 123 45 67", "name": "Ayşe"})).json()
    await admin.post(f"/leads/{stored['id']}/assign", json={"user_id": str(tenant.sales_agent.user_id)})
    return stored


def sent(content: bytes = PDF, name: str = "a.pdf", **form: str) -> dict:
    return {"files": {"file": (name, io.BytesIO(content), "application/octet-stream")}, "data": form}


async def kept() -> list[str]:
    return [each.name async for batch in objects.listing("attachments") for each in batch]


class TestUpload:
    async def test_hangs_on_the_leads_timeline(self, agent, lead):
        made = await agent.post(f"/leads/{lead['id']}/attachments", **sent(note="findings, 0532 123 45 67"))

        timeline = (await agent.get(f"/leads/{lead['id']}/timeline")).json()["items"]
        assert made.status_code == 201, made.text
        assert (made.json()["content_type"], made.json()["class"]) == ("application/pdf", "general")
        shown = {name: made.json()[name] for name in ("id", "class", "name", "content_type", "size")}
        assert timeline[0]["attachments"] == [shown]
        assert timeline[0]["note"] == "findings, •••"

    async def test_hangs_on_a_contacts(self, agent, lead):
        made = await agent.post(f"/contacts/{lead['contact_id']}/attachments", **sent(png(), "x.exe"))

        assert (made.status_code, made.json()["name"], made.json()["lead_id"]) == (201, "x.png", None)
        listed = (await agent.get(f"/contacts/{lead['contact_id']}/attachments")).json()["items"]
        assert [each["id"] for each in listed] == [made.json()["id"]]

    async def test_the_same_key_stores_it_once(self, agent, lead):
        address = f"/leads/{lead['id']}/attachments"

        answers = [await agent.post(address, **sent(), headers={"Idempotency-Key": "k1"}) for _ in range(2)]
        other = await agent.post(address, **sent(JPEG), headers={"Idempotency-Key": "k1"})

        assert answers[0].json() == answers[1].json()
        assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")
        assert len(await kept()) == 1

    @pytest.mark.parametrize(
        ("content", "form", "code"),
        [
            (b"MZ" + b"\0" * 100, {}, "attachment.type"),
            (b"", {}, "attachment.type"),
            (PDF, {"class": "secret"}, "invalid"),
            (PDF, {"activity_id": str(ids.new())}, "attachment.no_place"),
        ],
    )
    async def test_refuses_what_does_not_fit_and_keeps_nothing(self, agent, lead, content, form, code):
        answer = await agent.post(f"/leads/{lead['id']}/attachments", **sent(content, **form))

        assert answer.json()["code"] == code
        assert await kept() == []

    async def test_a_lead_out_of_sight_is_no_lead(self, agent, lead, admin, tenant):
        await admin.post(f"/leads/{lead['id']}/assign", json={"user_id": str(tenant.admin.user_id)})

        answers = [await agent.post(f"/leads/{which}/attachments", **sent()) for which in (lead["id"], str(ids.new()))]

        assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, "attachment.no_place")] * 2


class TestLink:
    @pytest.fixture
    async def file(self, agent, lead) -> str:
        return (await agent.post(f"/leads/{lead['id']}/attachments", **sent(name="Ayşe'nin raporu.pdf"))).json()["id"]

    async def test_opens_the_file_for_a_browser_without_a_session(self, agent, nobody, admin, file, tenant):
        link = (await agent.get(f"/attachments/{file}/link")).json()

        opened = await nobody.get(link["url"])

        assert opened.status_code == 200
        assert opened.content == PDF
        assert opened.headers["content-type"] == "application/pdf"
        assert opened.headers["x-content-type-options"] == "nosniff"
        assert opened.headers["content-disposition"].startswith("attachment; filename*=UTF-8''Ay%C5%9Fe")
        async with db.transaction(tenant.system) as tx:
            row = await tx.fetchrow("select * from crm.audit_log where action = 'attachment.open'")
        assert (row["target_id"], row["actor_user_id"]) == (UUID(file), tenant.sales_agent.user_id)

    async def test_is_no_good_altered_elsewhere_or_later(self, agent, nobody, file, tenant):
        token = (await agent.get(f"/attachments/{file}/link")).json()["url"].partition("token=")[2]
        old, _ = links.make(
            tenant.id,
            tenant.sales_agent.user_id,
            UUID(file),
            now=clock.utc_now() - links.GOOD_FOR - timedelta(seconds=2),
        )

        codes = [
            (await nobody.get(f"/attachments/{which}/content", params={"token": given})).json()["code"]
            for which, given in ((file, token[:-2] + "AA"), (ids.new(), token), (file, "x"), (file, old))
        ]

        assert codes == ["attachment.link_invalid"] * 3 + ["attachment.link_expired"]

    async def test_asks_again_what_the_person_may_by_now(self, agent, nobody, admin, file, lead, tenant):
        url = (await agent.get(f"/attachments/{file}/link")).json()["url"]
        await admin.post(f"/leads/{lead['id']}/assign", json={"user_id": str(tenant.admin.user_id)})
        moved = await nobody.get(url)
        await admin.patch(f"/users/{tenant.sales_agent.user_id}", json={"is_active": False})
        gone = await nobody.get(url)

        assert (moved.status_code, moved.json()["code"]) == (404, "attachment.not_found")
        assert (gone.status_code, gone.json()["code"]) == (403, "attachment.link_invalid")

    async def test_is_for_nobody_else_who_is_signed_in(self, agent, admin, file):
        url = (await agent.get(f"/attachments/{file}/link")).json()["url"]

        assert (await admin.get(url)).json()["code"] == "attachment.link_invalid"

    async def test_health_is_for_those_who_may(self, agent, admin, nobody, lead):
        form = sent(JPEG, "before.jpg", **{"class": "health"})
        made = (await agent.post(f"/leads/{lead['id']}/attachments", **form)).json()

        refused = await agent.get(f"/attachments/{made['id']}/link")
        opened = await nobody.get((await admin.get(f"/attachments/{made['id']}/link")).json()["url"])

        assert (made["name"], refused.status_code) == (None, 403)
        assert opened.content == JPEG

    async def test_a_deleted_file_is_gone_at_once(self, agent, admin, nobody, file):
        url = (await agent.get(f"/attachments/{file}/link")).json()["url"]

        deleted = await admin.post(f"/attachments/{file}/delete", json={"reason": "mistake"})

        assert deleted.status_code == 204
        assert (await nobody.get(url)).status_code == 404
        assert (await agent.get(f"/attachments/{file}")).status_code == 404

    async def test_a_file_whose_object_is_lost_is_said_to_be(self, agent, nobody, file, tenant):
        await objects.delete([operations.object_key(tenant.id, UUID(file))])

        answer = await nobody.get((await agent.get(f"/attachments/{file}/link")).json()["url"])

        assert (answer.status_code, answer.json()["code"]) == (404, "object.missing")


class TestTimeline:
    @pytest.fixture
    async def busy(self, agent, lead, tenant) -> dict[str, str]:
        """A lead with calls, messages, a note with a number, a file and what a provider sent."""
        address = f"/leads/{lead['id']}/activities"
        for n in range(6):
            await agent.post(address, json={"channel": "call", "direction": "outbound", "outcome": "busy"})
            if n % 2:
                await agent.post(address, json={"channel": "whatsapp", "direction": "inbound"})
        await agent.post(address, json={"channel": "note", "note": "her number is 0532 765 43 21"})
        await agent.post(f"/leads/{lead['id']}/attachments", **sent())
        async with db.transaction(tenant.system) as tx:
            await timeline.record(
                tx, UUID(lead["contact_id"]), "message", lead_id=UUID(lead["id"]), channel="whatsapp",
                direction="outbound", provider_reference="wamid.HBgMOTA1MzIxMjM0NTY3", at=clock.utc_now(),
            )  # fmt: skip
            await timeline.record(
                tx, UUID(lead["contact_id"]), "call", lead_id=UUID(lead["id"]), channel="call",
                direction="inbound", provider_reference="1772530000.17", at=clock.utc_now(),
            )  # fmt: skip
        return lead

    @pytest.mark.parametrize("of", ["leads", "contacts"])
    async def test_pages_through_what_is_asked_and_nothing_else(self, agent, busy, of):
        address = f"/{of}/{busy['id' if of == 'leads' else 'contact_id']}/timeline"
        params = {"channel": ["call", "whatsapp"], "limit": 4}

        seen, cursor = [], None
        while True:
            page = (await agent.get(address, params={**params, **({"cursor": cursor} if cursor else {})})).json()
            seen += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break

        assert len({each["id"] for each in seen}) == len(seen) == 11
        assert {each["channel"] for each in seen} == {"call", "whatsapp"}
        assert seen == sorted(seen, key=lambda each: (each["occurred_at"], each["id"]), reverse=True)

    async def test_narrows_by_kind_direction_and_files(self, agent, busy):
        address = f"/leads/{busy['id']}/timeline"

        async def ask(**params):
            return (await agent.get(address, params=params)).json()["items"]

        assert {each["kind"] for each in await ask(kind="call")} == {"call"}
        assert {each["direction"] for each in await ask(direction="inbound")} == {"inbound"}
        assert [len(each["attachments"]) for each in await ask(has_attachments=True)] == [1]

    async def test_shows_the_providers_id_and_no_number_that_hides_in_it(self, agent, busy):
        async def references(channel, direction):
            params = {"channel": channel, "direction": direction}
            page = (await agent.get(f"/leads/{busy['id']}/timeline", params=params)).json()
            return [each["provider_reference"] for each in page["items"]]

        assert await references("call", "inbound") == ["1772530000.17"]
        hashed = hashlib.sha256(b"wamid.HBgMOTA1MzIxMjM0NTY3").hexdigest()[:32]
        assert await references("whatsapp", "outbound") == [hashed]

    async def test_hides_numbers_in_notes_and_shows_them_to_who_may_reveal(self, agent, admin, busy):
        note = (await agent.get(f"/leads/{busy['id']}/timeline", params={"kind": "note"})).json()["items"][0]
        address = f"/contacts/{busy['contact_id']}/timeline/{note['id']}/reveal"

        refused = await agent.post(address, json={"reason": "to call her"})
        shown = await admin.post(address, json={"reason": "to call her"})

        assert (note["note"], note["has_hidden_note"]) == ("her number is •••", True)
        assert refused.status_code == 403
        assert shown.json()["note"] == "her number is 0532 765 43 21"

    async def test_a_cursor_goes_on_with_its_own_filters_only(self, agent, busy):
        address = f"/leads/{busy['id']}/timeline"
        cursor = (await agent.get(address, params={"channel": "call", "limit": 2})).json()["next_cursor"]

        answers = await asyncio.gather(
            agent.get(address, params={"channel": "whatsapp", "cursor": cursor}),
            agent.get(f"/contacts/{busy['contact_id']}/timeline", params={"channel": "call", "cursor": cursor}),
            agent.get(address, params={"channel": "fax"}),
            agent.get(address, params={"colour": "red"}),
        )

        assert [each.status_code for each in answers] == [422] * 4
