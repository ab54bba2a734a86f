"""Leads and contacts over HTTP: what is answered, what is refused, what nobody else sees."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from api.language import choose
from api.schemas.contacts import ContactPage, ContactRead
from api.schemas.lead_lists import LeadPage
from api.schemas.leads import LeadRead, LeadStored, TimelinePage
from crm import clock, db, filtering, ids
from crm.db import Tx
from crm.leads import intake, lists, operations
from crm.leads.filters import FIELDS
from crm.leads.intake import NewLead

AYSE = {"name": "Ayşe Yılmaz", "phone": "0532 123 45 67", "email": "Ayse@Example.com"}


async def store(client, **fields):
    """Store a lead over HTTP and return its id."""
    answer = await client.post("/leads", json={"email": f"{ids.new().hex}@example.com", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def give(tenant, lead, actor):
    """Put a lead into somebody's hands."""
    await db.run(
        tenant.system,
        lambda tx: operations.assign(tx, UUID(lead), actor.user_id, reason="test", now=clock.utc_now()),
    )


class TestCreate:
    async def test_stores_and_answers_with_masks(self, admin):
        answer = await admin.post("/leads", json=AYSE)

        stored = LeadStored.model_validate_json(answer.text)
        assert answer.status_code == 201
        assert (stored.outcome, stored.phone_masked, stored.email_masked) == (
            "created", "+90 ••• ••• •• 67", "a•••@example.com",
        )  # fmt: skip

    async def test_the_same_key_is_answered_the_same(self, admin):
        sent = {"json": AYSE, "headers": {"Idempotency-Key": "k1"}}
        first = await admin.post("/leads", **sent)

        again = await admin.post("/leads", **sent)

        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await admin.post("/leads", json={**AYSE, "name": "Can"}, headers={"Idempotency-Key": "k1"})
        assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")

    async def test_a_known_outside_id_stores_nothing(self, admin):
        lead = {**AYSE, "external_id": "7"}
        first = await admin.post("/leads", json=lead)

        again = await admin.post("/leads", json=lead)
        changed = await admin.post("/leads", json={**lead, "name": "Can"})

        assert (again.status_code, again.json()["outcome"]) == (200, "unchanged")
        assert (changed.status_code, changed.json()["outcome"]) == (200, "changed")
        assert {each.json()["id"] for each in (first, again, changed)} == {first.json()["id"]}

    @pytest.mark.parametrize(
        "body",
        [
            {"phone": "12345"},
            {"name": "nobody"},
            {"email": "a@example.com", "name": "a\x00b"},
            {"email": "a@example.com", "attributes": {"a": "\x00"}},
            {"email": "a@example.com", "attributes": {"\x00": "a"}},
            {"email": "a@example.com", "name": "x" * 201},
            {"email": "a@example.com", "tags": ["x"] * 51},
            {"email": "a@example.com", "acquired_at": "0001-01-01T00:00:00+14:00"},
            {"email": "a@example.com", "acquired_at": "2026-01-01T00:00:00"},
            {"email": "a@example.com", "surprise": 1},
            {"email": "a@example.com", "team_id": "no"},
        ],
    )
    async def test_refuses_what_does_not_fit(self, admin, body):
        answer = await admin.post("/leads", json=body)

        assert answer.status_code == 422, answer.text
        assert answer.json()["field_errors"] or answer.json()["code"] == "phone.invalid"

    async def test_refuses_half_characters(self, admin):
        for body in (
            '{"email": "a@example.com", "name": "\\ud800"}',
            '{"email": "a@example.com", "tags": ["\\udfff"]}',
        ):
            answer = await admin.post("/leads", content=body, headers={"Content-Type": "application/json"})

            assert answer.status_code == 422, answer.text

    async def test_an_unknown_team_is_refused(self, admin, other_tenant):
        answer = await admin.post("/leads", json={**AYSE, "team_id": str(other_tenant.team_id)})

        assert (answer.status_code, answer.json()["code"]) == (404, "team.not_found")


class TestRead:
    async def test_answers_in_the_clients_language(self, admin):
        lead = await store(admin, tags=["vip"], attributes={"budget": "10"})

        turkish = await admin.get(f"/leads/{lead}")
        english = await admin.get(f"/leads/{lead}", headers={"Accept-Language": "de, en-GB;q=0.8, tr;q=0.2"})

        assert LeadRead.model_validate_json(turkish.text).status.label == "Yeni"
        assert LeadRead.model_validate_json(english.text).status.label == "New"
        assert english.json()["attributes"] == {"budget": "10"}

    async def test_another_firms_lead_is_exactly_as_missing(self, admin, sign_in, other_tenant):
        lead = await store(admin)
        stranger = sign_in(other_tenant.admin)

        theirs, missing = await stranger.get(f"/leads/{lead}"), await stranger.get(f"/leads/{ids.new()}")

        assert theirs.status_code == missing.status_code == 404
        assert theirs.json() | {"trace_id": ""} == missing.json() | {"trace_id": ""}


class TestList:
    async def test_pages_through_everything_once(self, admin):
        stored = [await store(admin) for _ in range(7)]

        seen, cursor = [], None
        while True:
            answer = await admin.get("/leads", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
            page = LeadPage.model_validate_json(answer.text)
            seen += [str(item.id) for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert seen == stored[::-1]

    async def test_filters_and_columns(self, admin, tenant):
        lead = await store(admin, name="Çağla İnci", phone="0532 123 45 67", tags=["vip"], campaign="Spring, early")
        other = await store(admin, name="Can", tags=["cold"])
        await give(tenant, other, tenant.sales_agent)
        questions = {
            lead: [
                ["status:in:new"], ["status:in:new,won"], ["tags:any:vip,x"], ['campaign:in:"Spring, early"'],
                ["is_test:is:false", "status:in:new"], ["owner:is:null"],
                [f"received_at:lt:{(clock.utc_now() + timedelta(hours=1)).isoformat()}", "tags:all:vip"],
            ],
            other: [
                [f"owner:in:{tenant.sales_agent.user_id}"], [f"team:in:{tenant.team_id}", "status:in:assigned"],
                ["tags:none:vip"], ["campaign:is:null"], ["status:not_in:new"],
            ],
        }  # fmt: skip
        for wanted, asked in questions.items():
            for each in asked:
                answer = await admin.get("/leads", params={"fields": "id,status", "filter": each})

                assert [item["id"] for item in answer.json()["items"]] == [wanted], each
                assert set(answer.json()["items"][0]) == {"id", "status"}
        assert [each["name"] for each in answer.json()["columns"]] == ["id", "status"]

    async def test_short_forms_say_the_same_as_filters(self, admin, tenant):
        lead = await store(admin, name="Çağla İnci", phone="0532 123 45 67", tags=["vip"], campaign="Spring, early")
        other = await store(admin, name="Can", email="can@mail.example", tags=["cold"], form="a", is_test=True)
        await give(tenant, other, tenant.sales_agent)
        later = (clock.utc_now() + timedelta(hours=1)).isoformat().replace("+", "%2B")
        contact = (await admin.get(f"/leads/{other}")).json()["contact"]["id"]
        questions = {
            lead: ["status=new", "status=new,won", "status=new&status=won", "tag=vip&tag=x", "campaign=Spring,%20early",
                   "q=cagla", "q=%C3%87A%C4%9E", "q=%2B90%20532%201234567", "q=05321234567", "is_test=false",
                   f"received_to={later}&tag=vip", "status=new&received_from=2020-01-01T00:00:00Z&filter=tags:all:vip"],
            other: [f"owner={tenant.sales_agent.user_id}", f"team={tenant.team_id}&status=assigned", "tag=cold",
                    "q=can", "q=CAN@mail.example", "is_test=true", f"contact={contact}", "form=a&source=api,x"],
        }  # fmt: skip
        for wanted, asked in questions.items():
            for each in asked:
                answer = await admin.get(f"/leads?fields=id&{each}")

                assert [item["id"] for item in answer.json()["items"]] == [wanted], each
        for none in ("q=7654321", f"received_from={later}", "platform=odd", "status=new&tag=cold"):
            assert (await admin.get(f"/leads?{none}")).json()["items"] == [], none

    async def test_a_cursor_does_not_mind_which_form_its_filters_have(self, admin):
        stored = [await store(admin) for _ in range(3)]

        first = (await admin.get("/leads?status=new,won&limit=2")).json()
        query = {"filter": "status:in:new,won", "limit": 2, "cursor": first["next_cursor"]}
        rest = (await admin.get("/leads", params=query)).json()

        assert [item["id"] for item in first["items"] + rest["items"]] == stored[::-1]

    async def test_finds_people_by_what_stays_out_of_addresses(self, admin):
        lead = await store(admin, name="Çağla İnci", phone="0532 123 45 67", email="Cagla@mail.example")
        await store(admin, name="Can")

        for asked in ("name:starts:cagla", "name:starts:ÇAĞ", "name:has:INCI", "phone:eq:+90 532 1234567",
                      "phone:eq:05321234567", "email:eq:cagla@MAIL.example"):  # fmt: skip
            found = await admin.post("/leads/search", json={"filter": [asked, "status:in:new"]})
            refused = await admin.get("/leads", params={"filter": asked})

            assert [item["id"] for item in found.json()["items"]] == [lead], asked
            assert (refused.status_code, refused.json()["code"]) == (422, "filter.personal")
        nobody = await admin.post("/leads/search", json={"filter": ["phone:eq:+905327654321"]})
        assert nobody.json()["items"] == []

    async def test_goes_on_with_a_search_by_its_cursor(self, admin):
        stored = [await store(admin, name=f"Can {n}") for n in range(3)]

        first = (await admin.post("/leads/search", json={"filter": ["name:starts:can"], "limit": 2})).json()
        body = {"filter": ["name:starts:can"], "limit": 2, "cursor": first["next_cursor"]}
        rest = (await admin.post("/leads/search", json=body)).json()

        assert [item["id"] for item in first["items"] + rest["items"]] == stored[::-1]
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize(
        "query",
        ["wrong=1", "sort=name", "fields=id,secret", "limit=0", "limit=201", "cursor=abc", "count=perhaps",
         "status=unknown", "owner=me", "received_from=yesterday", "is_test=perhaps", "campaign=%00", "q=%00%00", "q=a",
         "q=%CC%81%CC%81", "platform=Meta,x%20y",
         "filter=", "filter=secret:in:1", "filter=status:in:unknown", "filter=owner:is:nobody", "filter=owner:in:me",
         "filter=received_at:gte:yesterday", "filter=is_test:is:perhaps", "filter=campaign:in:%00"],
    )  # fmt: skip
    async def test_refuses_unknown_names_and_values(self, admin, query):
        answer = await admin.get(f"/leads?{query}")

        assert answer.status_code == 422, query
        assert answer.json()["field_errors"], query

    async def test_a_cursor_goes_with_its_list_only(self, admin, sign_in, tenant, other_tenant):
        for _ in range(3):
            await store(admin)
        cursor = (await admin.get("/leads?limit=1")).json()["next_cursor"]
        middle = len(cursor) // 2
        altered = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]

        refused = [
            await admin.get("/leads", params={"limit": 1, "cursor": altered}),
            await admin.get("/leads", params={"cursor": cursor + "."}),
            await admin.get("/leads", params={"limit": 1, "cursor": cursor, "sort": "received_at"}),
            await admin.get("/leads", params={"limit": 1, "cursor": cursor, "filter": "status:in:new"}),
            await admin.get("/contacts", params={"cursor": cursor}),
            await sign_in(tenant.compliance_auditor).get("/leads", params={"limit": 1, "cursor": cursor}),
            await sign_in(other_tenant.admin).get("/leads", params={"limit": 1, "cursor": cursor}),
        ]

        assert [each.status_code for each in refused] == [422] * 7
        assert [each.json()["code"].removeprefix("cursor.") for each in refused] == [
            "invalid", "invalid", "other_sort", "other_filter", "other_list", "other_user", "invalid",
        ]  # fmt: skip
        assert (await admin.get("/leads", params={"limit": 2, "cursor": cursor})).status_code == 200

    async def test_each_sees_what_is_theirs(self, admin, sign_in, tenant):
        mine, teams, nobodys = [await store(admin) for _ in range(3)]
        await give(tenant, mine, tenant.sales_agent)
        await give(tenant, teams, tenant.admin)

        async def seen_by(actor):
            return {item["id"] for item in (await sign_in(actor).get("/leads")).json()["items"]}

        assert await seen_by(tenant.sales_agent) == {mine}
        assert await seen_by(tenant.sales_manager) == {mine, teams}
        assert await seen_by(tenant.compliance_auditor) == {mine, teams, nobodys}
        assert (await sign_in(tenant.sales_agent).get(f"/leads/{teams}")).status_code == 404
        assert (await sign_in(tenant.analyst).get("/leads")).status_code == 403

    async def test_an_owner_outside_the_team_is_merged_in_order(self, admin, sign_in, tenant, now):
        leads = [await store(admin) for _ in range(4)]
        other_team = ids.new()
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "insert into crm.team (tenant_id, id, name, created_at, updated_at)"
                " values ($1::uuid, $2::uuid, 'B', $3::timestamptz, $3::timestamptz)",
                tenant.id, other_team, now,
            )  # fmt: skip
        for index, lead in enumerate(leads):
            team = {"team_id": str(other_team)} if index % 2 else {}
            body = {"user_id": str(tenant.sales_manager.user_id), **team}
            assert (await admin.post(f"/leads/{lead}/assign", json=body)).status_code == 204

        manager = sign_in(tenant.sales_manager)
        first = (await manager.get("/leads?limit=3")).json()
        rest = (await manager.get("/leads", params={"limit": 3, "cursor": first["next_cursor"]})).json()

        assert [item["id"] for item in first["items"] + rest["items"]] == leads[::-1]


class TestChanges:
    async def test_a_leads_life_is_told_in_order(self, admin, tenant):
        lead = await store(admin)
        agent = str(tenant.sales_agent.user_id)

        steps = [
            await admin.post(f"/leads/{lead}/assign", json={"user_id": agent}),
            await admin.post(
                f"/leads/{lead}/activities", json={"channel": "call", "direction": "outbound", "outcome": "answered"}
            ),
            await admin.post(f"/leads/{lead}/status", json={"status": "contacted"}),
            await admin.patch(f"/leads/{lead}", json={"tags": ["vip"], "note": "call 0532 123 45 67"}),
            await admin.post(f"/leads/{lead}/sale", json={"amount": "1250.50", "currency": "TRY"}),
        ]

        assert [each.status_code for each in steps] == [204, 201, 200, 200, 201]
        assert steps[-1].json()["status"]["code"] == "won"
        history = (await admin.get(f"/leads/{lead}/status-history")).json()["items"]
        assert [each["status"] for each in history] == ["new", "assigned", "contacted", "won"]
        assert [each["ended_at"] for each in history] == [each["started_at"] for each in history[1:]] + [None]
        assert history[2]["actor"]["id"] == str(tenant.admin.user_id)
        (hands,) = (await admin.get(f"/leads/{lead}/assignments")).json()["items"]
        assert (hands["user"]["id"], hands["assigned_by"]["name"]) == (agent, "admin")
        page = TimelinePage.model_validate_json((await admin.get(f"/leads/{lead}/timeline")).text)
        assert [each.kind for each in page.items] == [
            "lead.sold", "lead.status_changed", "lead.updated", "lead.status_changed", "call", "lead.status_changed",
            "lead.assigned", "lead.created",
        ]  # fmt: skip
        assert page.items[2].note == "call •••"

    async def test_timelines_page(self, admin):
        lead = await store(admin)
        for index in range(4):
            await admin.post(f"/leads/{lead}/activities", json={"channel": "note", "note": f"note {index}"})

        first = (await admin.get(f"/leads/{lead}/timeline?limit=3")).json()
        rest = (await admin.get(f"/leads/{lead}/timeline", params={"cursor": first["next_cursor"]})).json()

        assert [each["note"] for each in first["items"] + rest["items"]] == [
            "note 3",
            "note 2",
            "note 1",
            "note 0",
            None,
        ]
        assert rest["next_cursor"] is None

    async def test_refusals_are_named(self, admin):
        lead = await store(admin)
        await admin.post(f"/leads/{lead}/status", json={"status": "contacted"})

        cases = [
            ("status", {"status": "new"}, 409, "lead.transition"),
            ("status", {"status": "lost"}, 422, "lead.fields_missing"),
            ("assign", {}, 422, "assignee.unknown"),
            ("assign", {"user_id": str(ids.new())}, 422, "assignee.unknown"),
            ("activities", {"channel": "call"}, 422, "invalid"),
            ("sale", {"amount": "0", "currency": "TRY"}, 422, "invalid"),
            ("sale", {"amount": "NaN", "currency": "TRY"}, 422, "invalid"),
        ]
        for what, body, status, code in cases:
            answer = await admin.post(f"/leads/{lead}/{what}", json=body)

            assert (answer.status_code, answer.json()["code"]) == (status, code), (what, body)

    async def test_a_sale_sent_twice_is_one_sale(self, admin):
        lead = await store(admin)
        sent = {"json": {"amount": 10, "currency": "TRY"}, "headers": {"Idempotency-Key": "s"}}

        answers = await asyncio.gather(*(admin.post(f"/leads/{lead}/sale", **sent) for _ in range(3)))

        assert [each.status_code for each in answers] == [201] * 3
        assert (await admin.post(f"/leads/{lead}/sale", json=sent["json"])).json()["code"] == "lead.transition"

    async def test_an_agent_changes_only_their_own(self, admin, agent, tenant):
        mine, other = await store(admin), await store(admin)
        await give(tenant, mine, tenant.sales_agent)

        assert (await agent.post(f"/leads/{mine}/status", json={"status": "contacted"})).status_code == 200
        for what, body in (("status", {"status": "won"}), ("activities", {"channel": "note", "note": "x"})):
            answer = await agent.post(f"/leads/{other}/{what}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "lead.not_found")

    async def test_statuses_have_labels(self, admin):
        items = (await admin.get("/leads/statuses", headers={"Accept-Language": "en"})).json()["items"]

        by_code = {item["code"]: item for item in items}
        assert (by_code["wrong_number"]["label"], by_code["wrong_number"]["labels"]["tr"]) == (
            "Wrong number", "Yanlış Numara",
        )  # fmt: skip
        assert by_code["won"]["followed_by"] == ["lost", "recycled"]


class TestContacts:
    async def test_the_life_of_a_contact(self, admin):
        made = await admin.post("/contacts", json=AYSE)
        contact = ContactRead.model_validate_json(made.text)
        path = f"/contacts/{contact.id}"

        assert (made.status_code, contact.phone_masked, contact.can_call) == (201, "+90 ••• ••• •• 67", True)
        changed = await admin.patch(path, json={"phone": "0533 765 43 21", "email": None})
        assert (changed.json()["phone_masked"], changed.json()["can_email"]) == ("+90 ••• ••• •• 21", False)
        seen = await admin.post(f"{path}/reveal", json={"reason": "he asked"})
        assert seen.json() == {"phone": "+905337654321", "email": None, "others": []}
        assert (await admin.get("/contacts?q=05337654321")).json()["items"][0]["id"] == str(contact.id)
        assert (await admin.post(f"{path}/archive")).status_code == 204
        assert (await admin.get("/contacts")).json()["items"] == []
        archived = ContactPage.model_validate_json((await admin.get("/contacts?is_archived=true")).text)
        assert [each.can_call for each in archived.items] == [False]
        kinds = [each["kind"] for each in (await admin.get(f"{path}/timeline")).json()["items"]]
        assert kinds == ["contact.archived", "contact.updated", "contact.created"]

    async def test_reveal_asks_for_permission_and_reason(self, admin, agent, tenant):
        contact = (await agent.post("/contacts", json=AYSE)).json()["id"]

        assert (await agent.post(f"/contacts/{contact}/reveal", json={"reason": "please"})).status_code == 403
        assert (await admin.post(f"/contacts/{contact}/reveal", json={})).status_code == 422

    async def test_a_note_is_revealed_with_its_reason(self, admin):
        lead = await store(admin)
        contact = (await admin.get(f"/leads/{lead}")).json()["contact"]["id"]
        note = {"channel": "note", "note": "call a@b.com"}
        activity = (await admin.post(f"/leads/{lead}/activities", json=note)).json()["id"]

        seen = await admin.post(f"/contacts/{contact}/timeline/{activity}/reveal", json={"reason": "must call"})

        assert seen.json() == {"note": "call a@b.com"}
        assert "a@b.com" not in (await admin.get(f"/contacts/{contact}/timeline")).text

    async def test_a_timeline_leaves_out_other_peoples_leads(self, admin, agent, tenant):
        mine = await store(admin, phone="0532 123 45 67")
        other = await store(admin, phone="0532 123 45 67")
        await give(tenant, mine, tenant.sales_agent)
        contact = (await admin.get(f"/leads/{mine}")).json()["contact"]["id"]

        items = (await agent.get(f"/contacts/{contact}/timeline")).json()["items"]

        assert {item["lead_id"] for item in items} == {mine}
        assert other in (await admin.get(f"/contacts/{contact}/timeline")).text


class TestLanguage:
    @pytest.mark.parametrize(
        ("header", "code"),
        [("", "tr"), ("en", "en"), ("de", "tr"), ("tr;q=0.1, en;q=0.9", "en"), ("en-US,tr", "en"), ("en;q=x", "tr")],
    )
    def test_turkish_unless_english_is_preferred(self, header, code):
        assert choose(header) == code


async def test_one_statement_answers_a_page(tenant, now, monkeypatch):
    await db.run(tenant.system, lambda tx: intake.create(tx, NewLead("api", email="a@b.com"), now=now))
    asked = []
    fetch = Tx.fetch
    monkeypatch.setattr(Tx, "fetch", lambda self, sql, *args: asked.append(sql) or fetch(self, sql, *args))
    wanted = lists.Wanted(filtering.parse_all(["email:eq:a@b.com"], FIELDS, personal=True))

    page = await db.run(tenant.sales_manager, lambda tx: lists.page(tx, wanted, language="en", now=now))

    assert len(asked) == 1
    assert page.items == []
