"""What needs a person, over HTTP: seen masked, mended and sent again, merged, dismissed; each once."""

import asyncio
import io
import json
from uuid import UUID

import pytest

from crm import db, ids
from crm.actor import Actor
from crm.duplicates import finding
from crm.imports import mapping
from crm.inbox import connections, dead_letters
from crm.inbox import operations as inbox
from crm.inbox.connections import Source
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.review import operations
from ingestion.files import running
from tests.api.test_imports import send, work
from tests.conftest import settled
from tests.ingestion.files.conftest import row


async def store(tenant, now, **fields):
    lead = NewLead(**({"source": "api"} | fields))
    return await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=now))


@pytest.fixture
async def rejected(admin, tenant):
    """The one row of a file that its import could not take."""
    await send(admin, rows=[row(1), row(2, Phone="12", Email="")])
    await work(tenant)
    (item,) = (await admin.get("/review", params={"kind": "import_row"})).json()["items"]
    return item


@pytest.fixture
async def twins(admin, tenant, now):
    """A possible duplicate."""
    await store(tenant, now, name="Ayşe Yılmaz", phone="0532 123 45 67", campaign="spring")
    await store(tenant, now, name="Ayşe Yılmaz", email="ayse@example.com", campaign="spring")
    await settled()
    await finding.find(now)
    (item,) = (await admin.get("/review", params={"kind": "duplicate"})).json()["items"]
    return item


@pytest.fixture
async def failed(tenant, now):
    """A message of Google's that was given up: its phone cannot be dialled and it has no e-mail address."""

    async def make(tx):
        connection_id = await connections.create(
            tx, source=Source.google, name="forms", secrets={"google_key": "a-secret-of-google"}, now=now
        )  # fmt: skip
        connection = await connections.load(tx, connection_id)
        body = {
            "lead_id": "l-1", "form_id": 7, "google_key": "a-secret-of-google", "is_test": False,
            "user_column_data": [
                {"column_id": "FULL_NAME", "string_value": "Can"},
                {"column_id": "PHONE_NUMBER", "string_value": "0532 123 45 6"},
            ],
        }  # fmt: skip
        return await inbox.receive(tx, connection, json.dumps(body).encode(), now=now)

    message_id = await db.run(tenant.system, make)
    async with db.transaction(tenant.system) as tx:
        (claimed,) = await inbox.claim(tx, at_most=1, now=now)
    await db.run(tenant.system, lambda tx: inbox.give_up(tx, claimed, "lead.unreachable", now=now))
    return message_id


class TestList:
    async def test_shows_all_kinds_with_reasons_and_counts(self, admin, rejected, twins, failed):
        listed = (await admin.get("/review")).json()["items"]
        counts = (await admin.get("/review/counts")).json()["items"]

        assert {(item["kind"], *item["reasons"]) for item in listed} == {
            ("import_row", "phone_invalid"),
            ("duplicate", "complementary", "same_campaign_day", "same_name"),
            ("inbox_message", "lead.unreachable"),
        }
        assert {item["kind"]: (item["count"], item["is_more"]) for item in counts} == {
            "import_row": (1, False), "inbox_message": (1, False), "duplicate": (1, False),
        }  # fmt: skip

    async def test_pages_without_repeating_or_losing(self, admin, rejected, twins, failed):
        seen, cursor = [], None
        while True:
            params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
            page = (await admin.get("/review", params=params)).json()
            seen += [item["id"] for item in page["items"]]
            if not (cursor := page["next_cursor"]):
                break

        assert sorted(seen) == sorted([rejected["id"], twins["id"], str(failed)])
        assert len(set(seen)) == 3

    async def test_filters(self, admin, rejected, twins, failed):
        async def found(**params):
            return [item["kind"] for item in (await admin.get("/review", params=params)).json()["items"]]

        assert await found(reason="phone_invalid") == ["import_row"]
        assert await found(source="google") == ["inbox_message"]
        assert await found(import_id=rejected["import_id"]) == ["import_row"]
        assert await found(import_id=str(ids.new())) == []
        assert sorted(await found(kind=["duplicate", "inbox_message"])) == ["duplicate", "inbox_message"]
        assert await found(until="2020-01-01T00:00:00Z") == []

    async def test_a_cursor_of_other_filters_says_so(self, admin, rejected, twins):
        cursor = (await admin.get("/review", params={"limit": 1})).json()["next_cursor"]

        refused = await admin.get("/review", params={"limit": 1, "cursor": cursor, "kind": "duplicate"})

        assert (refused.status_code, refused.json()["code"]) == (422, "cursor.other_filter")

    async def test_rehearsed_rows_need_nobody(self, admin, tenant):
        await send(admin, rows=[row(1, Phone="12", Email="")], dry_run="true")
        await work(tenant)

        assert (await admin.get("/review")).json()["items"] == []

    async def test_a_pair_of_contacts_only_for_who_sees_both(self, sign_in, tenant, twins, rejected):
        manager = sign_in(tenant.sales_manager)  # the leads have no team yet

        assert [item["kind"] for item in (await manager.get("/review")).json()["items"]] == ["import_row"]
        assert (await manager.get(f"/review/duplicate/{twins['id']}")).status_code == 404


class TestRow:
    async def test_is_shown_masked_with_what_is_wrong(self, admin, rejected):
        item = (await admin.get(f"/review/import_row/{rejected['id']}")).json()

        assert item["is_open"] is True
        (fault,) = [field for field in item["fields"] if field["fault"]]
        assert (fault["name"], fault["value"]) == ("Phone", "12")
        assert item["row_no"] == 1

    @pytest.mark.parametrize(
        ("phone", "email", "shown"),
        [
            ("0532 12 34x", "", ("•••• •• 34x", "")),
            ("", "ayse.yilmaz@gmail", ("", "a•••.••••••@•••••")),
            ("", "ayse yilmaz at example.com", ("", "a••• •••••• •• •••••••.•••")),
        ],
    )
    async def test_shows_the_shape_alone_of_what_is_no_address(self, admin, tenant, phone, email, shown):
        await send(admin, rows=[row(1, Phone=phone, Mail=email)])
        await work(tenant)
        (listed,) = (await admin.get("/review")).json()["items"]

        item = (await admin.get(f"/review/import_row/{listed['id']}")).json()

        values = {field["name"]: field["value"] for field in item["fields"]}
        assert (values["Phone"], values["Mail"]) == shown

    async def test_is_read_in_clear_by_who_may_and_written_down(self, admin, sign_in, tenant, rejected):
        path, why = f"/review/import_row/{rejected['id']}/reveal", {"reason": "to mend it"}

        seen = await admin.post(path, json=why)
        refused = [
            await sign_in(actor).post(path, json=why) for actor in (tenant.sales_manager, tenant.compliance_auditor)
        ]  # fmt: skip

        assert {"name": "Phone", "value": "12"} in seen.json()["items"]
        assert [each.status_code for each in refused] == [403, 403]
        async with db.transaction(tenant.system) as tx:
            looks = await tx.fetch(
                "select target_type, target_id, metadata_json ->> 'reason' as reason from crm.audit_log"
                " where action = 'contact.reveal'"
            )
        assert [tuple(each) for each in looks] == [("import_row", UUID(rejected["id"]), "to mend it")]

    async def test_is_mended_with_the_named_values_alone(self, admin, tenant, rejected):
        path = f"/review/import_row/{rejected['id']}"

        still = await admin.post(f"{path}/mend", json={"values": {"Phone": "13"}})
        unknown = await admin.post(f"{path}/mend", json={"values": {"Telephone": "13"}})
        done = await admin.post(f"{path}/mend", json={"values": {"Phone": "0532 123 45 99"}})

        assert (still.status_code, still.json()["code"]) == (422, "review.still_invalid")
        assert list(still.json()["field_errors"]) == ["Phone"]
        assert (unknown.status_code, unknown.json()["code"]) == (422, "review.unknown_field")
        assert (done.status_code, done.json()["outcome"]) == (200, "created")
        lead = (await admin.get(f"/leads/{done.json()['lead_id']}")).json()
        assert lead["contact"]["phone_masked"].endswith("99")
        assert lead["import_id"] == rejected["import_id"]
        item = (await admin.get(path)).json()
        (told,) = item["history"]
        assert (told["outcome"], told["fields"], told["resolved_by"]) == (
            "created", ["Phone"], str(tenant.admin.user_id),
        )  # fmt: skip
        assert item["is_open"] is False
        assert (await admin.get("/review")).json()["items"] == []

    async def test_of_a_person_known_before_is_merged_with_them(self, admin, tenant, rejected):
        known = await store(tenant, (await _now(tenant)), phone="0532 123 45 99")

        done = await admin.post(
            f"/review/import_row/{rejected['id']}/mend", json={"values": {"Phone": "0532 123 45 99"}}
        )

        assert done.json()["outcome"] == "merged"
        lead = (await admin.get(f"/leads/{done.json()['lead_id']}")).json()
        assert lead["contact"]["id"] == str(known.contact_id)

    async def test_of_two_mending_at_once_one_wins(self, admin, tenant, rejected):
        path, body = f"/review/import_row/{rejected['id']}/mend", {"values": {"Phone": "0532 123 45 99"}}

        ended = await asyncio.gather(*(admin.post(path, json=body) for _ in range(3)))

        assert sorted(answer.status_code for answer in ended) == [200, 409, 409]
        refused = next(answer.json() for answer in ended if answer.status_code == 409)
        assert (refused["code"], refused["field_errors"]) == ("review.resolved", {"outcome": "created"})
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select count(*) from crm.lead") == 2

    async def test_sent_again_under_its_key_it_is_answered_the_same(self, admin, rejected):
        path, body = f"/review/import_row/{rejected['id']}/mend", {"values": {"Phone": "0532 123 45 99"}}

        first, again = [await admin.post(path, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]

        assert (first.json(), again.status_code) == (again.json(), 200)

    async def test_is_dismissed_with_a_reason(self, admin, rejected):
        path = f"/review/import_row/{rejected['id']}"

        free = await admin.post(f"{path}/dismiss", json={"reason": "Ayşe called, forget it"})
        done = await admin.post(f"{path}/dismiss", json={"reason": "not_a_lead"})
        again = await admin.post(f"{path}/dismiss", json={"reason": "not_a_lead"})

        assert (free.status_code, done.json()["outcome"], again.status_code) == (422, "dismissed", 409)
        assert (await admin.get(path)).json()["history"][0]["reason"] == "not_a_lead"

    async def test_another_firms_row_is_not_there(self, sign_in, other_tenant, rejected):
        client = sign_in(other_tenant.admin)

        for path in ("mend", "dismiss"):
            body = {"values": {}} if path == "mend" else {"reason": "mine"}
            assert (await client.post(f"/review/import_row/{rejected['id']}/{path}", json=body)).status_code == 404


async def _now(tenant):
    from crm import clock

    return clock.utc_now()


class TestMessage:
    async def test_is_shown_masked_and_without_secrets(self, admin, failed):
        item = (await admin.get(f"/review/inbox_message/{failed}")).json()

        values = {field["name"]: field["value"] for field in item["fields"]}
        assert values["google_key"] == "•••"
        assert values["user_column_data.1.string_value"] == "•••"
        assert values["user_column_data.0.string_value"] == "Can"

    async def test_is_read_in_clear_but_for_its_secrets(self, admin, failed, twins):
        seen = await admin.post(f"/review/inbox_message/{failed}/reveal", json={"reason": "to mend it"})
        pair = await admin.post(f"/review/duplicate/{twins['id']}/reveal", json={"reason": "curious"})

        values = {field["name"]: field["value"] for field in seen.json()["items"]}
        assert values["user_column_data.1.string_value"] == "0532 123 45 6"
        assert "google_key" not in values
        assert pair.json()["code"] == "review.not_mendable"

    async def test_of_many_mending_at_once_one_wins_and_what_came_first_is_kept(self, admin, tenant, failed):
        path, value = f"/review/inbox_message/{failed}/mend", {"user_column_data.1.string_value": "0532 123 45 67"}

        ended = await asyncio.gather(*(admin.post(path, json={"values": value}) for _ in range(4)))

        assert sorted(each.status_code for each in ended) == [200, 409, 409, 409]
        async with db.transaction(tenant.system) as tx:
            (kept,) = await tx.fetch("select key_id, sealed from crm.inbox_version")
            assert b'"0532 123 45 6"' in await operations.body(tx, kept)
            assert await tx.fetchval("select count(*) from crm.review_resolution") == 1

    async def test_is_mended_and_worked_off_again(self, admin, tenant, failed):
        path, value = f"/review/inbox_message/{failed}", {"user_column_data.1.string_value": "0532 123 45 67"}

        unknown = await admin.post(f"{path}/mend", json={"values": {"phone": "1"}})
        done = await admin.post(f"{path}/mend", json={"values": value})
        again = await admin.post(f"{path}/mend", json={"values": value})

        assert (unknown.status_code, done.json()["outcome"], again.status_code) == (422, "replayed", 409)
        async with db.transaction(tenant.system) as tx:
            (claimed,) = await inbox.claim(tx, at_most=5, now=await _now(tenant))
        body = json.loads((await inbox.bodies(tenant.id, [claimed]))[claimed.id])
        assert body["user_column_data"][1]["string_value"] == "0532 123 45 67"
        assert body["lead_id"] == "l-1"
        assert (await admin.get("/review")).json()["items"] == []

    async def test_dismissed_it_comes_back_only_when_it_fails_again(self, admin, tenant, failed):
        path = f"/review/inbox_message/{failed}"
        assert (await admin.post(f"{path}/dismiss", json={"reason": "spam"})).json()["outcome"] == "dismissed"
        assert (await admin.get("/review")).json()["items"] == []
        assert (await admin.post(f"{path}/dismiss", json={"reason": "spam"})).status_code == 409

        now = await _now(tenant)
        await db.run(tenant.system, lambda tx: dead_letters.replay(tx, failed, now=now))
        async with db.transaction(tenant.system) as tx:
            (claimed,) = await inbox.claim(tx, at_most=1, now=now)
        await db.run(Actor.system(tenant.id), lambda tx: inbox.give_up(tx, claimed, "defect", now=now))

        assert [item["reasons"] for item in (await admin.get("/review")).json()["items"]] == [["defect"]]


class TestDuplicate:
    async def test_is_merged_and_undone(self, admin, twins):
        item = (await admin.get(f"/review/duplicate/{twins['id']}")).json()
        winner = item["suggested_winner_id"]
        (loser,) = {contact["id"] for contact in item["contacts"]} - {winner}

        wrong = await admin.post(f"/review/duplicate/{twins['id']}/merge", json={"winner_id": str(ids.new())})
        done = await admin.post(f"/review/duplicate/{twins['id']}/merge", json={"winner_id": winner})
        again = await admin.post(f"/review/duplicate/{twins['id']}/merge", json={"winner_id": winner})

        assert (wrong.status_code, done.status_code, again.status_code) == (422, 200, 409)
        assert (await admin.get(f"/contacts/{loser}")).json()["merged_into"] == winner
        timeline = await admin.get(f"/contacts/{loser}/timeline")
        assert (timeline.status_code, timeline.json()["field_errors"]) == (409, {"merged_into": winner})
        assert (await admin.get(f"/review/duplicate/{twins['id']}")).json()["status"] == "merged"

        undone = await admin.post(f"/merges/{done.json()['merge_id']}/undo")

        assert undone.json()["undone_at"] is not None
        assert (await admin.get(f"/contacts/{loser}")).json()["merged_into"] is None
        assert (await admin.get("/review")).json()["items"] == []

    async def test_is_dismissed(self, admin, twins):
        path = f"/review/duplicate/{twins['id']}"

        assert (await admin.post(f"{path}/mend", json={"values": {}})).json()["code"] == "review.not_mendable"
        assert (await admin.post(f"{path}/dismiss", json={"reason": "different_people"})).status_code == 200
        assert (await admin.post(f"{path}/dismiss", json={"reason": "different_people"})).status_code == 409


class TestMerges:
    async def test_are_made_and_listed(self, admin, tenant, now):
        one = await store(tenant, now, name="Ayşe", phone="0532 123 45 67")
        other = await store(tenant, now, name="Can", email="can@example.com")
        body = {"winner_id": str(one.contact_id), "loser_id": str(other.contact_id)}

        made = await admin.post("/merges", json=body)
        again = await admin.post("/merges", json=body)
        listed = await admin.get(f"/contacts/{body['winner_id']}/merges")

        assert (made.status_code, again.json()["id"]) == (201, made.json()["id"])
        assert made.json()["rows"] == {"lead": 1, "activity": 1, "contact_point": 1}
        assert [each["id"] for each in listed.json()["items"]] == [made.json()["id"]]


class TestCallRow:
    """A row of calls of another system."""

    PLAN = """
kind: calls
source: old_exchange
fields: {external_id: Id, queue: Queue, caller: Person, began_at: Began, talk_s: Talk}
ending: {column: End, values: {agent: served}}
"""

    async def test_is_shown_mended_and_stored_as_a_call(self, admin, tenant, now):
        file = io.BytesIO(b"Id,Queue,Person,Began,Talk,End\n7,sales,Ahmet9,yesterday,60,agent\n")
        await running.import_file(tenant.system, file, "calls.csv", mapping.parse(self.PLAN), now=lambda: now)
        (listed,) = (await admin.get("/review")).json()["items"]
        path = f"/review/import_row/{listed['id']}"

        shown = {field["name"]: field["value"] for field in (await admin.get(path)).json()["fields"]}
        still = await admin.post(f"{path}/mend", json={"values": {"Began": "today"}})
        done = await admin.post(f"{path}/mend", json={"values": {"Began": "2025-03-03T10:00:00+03:00"}})

        assert (listed["reasons"], shown["Person"]) == (["instant_invalid"], "A••••9")
        assert (still.status_code, list(still.json()["field_errors"])) == (422, ["Began"])
        assert done.is_success, done.text
        [call] = (await admin.get("/cdr")).json()["items"]
        assert (call["source"], call["queue"], call["talk_s"]) == ("historical", "sales", 60.0)
        assert (await admin.get("/review")).json()["items"] == []
