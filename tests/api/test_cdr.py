"""Records of calls over HTTP: who sees which, what is in them, what is said of a call, how a recording is played."""

import csv
import io
from datetime import timedelta

import polars as pl
import pytest

from api.routers.cdr import part_of
from crm import clock, db, ids, objects, tenant_settings
from crm.exchange import Kind, ask
from crm.queues import visits
from crm.queues.visits import Stay
from crm.recordings import spool as spools
from tests.crm.agents import floor
from tests.crm.calls.factory import make_call, make_lead, make_wrapping
from tests.crm.recordings.conftest import sound, spool  # noqa: F401 - a fixture
from tests.crm.recordings.test_spool import leave

CONTENT = sound(3.0)


@pytest.fixture
def now():
    """The API's own now."""
    return clock.utc_now()


async def listed(client, *filters, **how):
    answer = await client.get("/cdr", params={"filter": list(filters), **how})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids_of(client, *filters, **how):
    return [each["id"] for each in (await listed(client, *filters, **how))["items"]]


class TestList:
    async def test_shows_ones_own_ones_leads_ones_teams_or_all(self, sign_in, tenant, now):
        [other] = await floor.hire(tenant, 1, now)
        lead_id, contact_id = await make_lead(tenant, now, tenant.sales_agent)
        own = await make_call(tenant, now, agent=tenant.sales_agent)
        of_lead = await make_call(tenant, now, agent=other, lead_id=lead_id, contact_id=contact_id)
        of_other = await make_call(tenant, now, agent=other)
        of_nobody = await make_call(tenant, now, direction="inbound", purpose="inbound")

        seen = {role: set(await ids_of(sign_in(tenant.actors[role]))) for role in tenant.actors if role != "analyst"}

        everything = {str(each) for each in (own, of_lead, of_other, of_nobody)}
        assert seen["admin"] == seen["compliance_auditor"] == everything
        assert seen["sales_manager"] == everything - {str(of_nobody)}
        assert seen["sales_agent"] == {str(own), str(of_lead)}
        assert (await sign_in(tenant.analyst).get("/cdr")).status_code == 403

    async def test_pages_through_all_once_the_latest_first(self, agent, tenant, now):
        made = [
            await make_call(tenant, now, agent=tenant.sales_agent, requested_at=now - timedelta(seconds=n // 2))
            for n in range(7)
        ]

        found, cursor = [], None
        while True:
            page = await listed(agent, limit=2, **({"cursor": cursor} if cursor else {}))
            found += [each["requested_at"] for each in page["items"]]
            if not (cursor := page["next_cursor"]):
                break

        assert found == sorted(found, reverse=True)
        assert len(found) == len(made)
        assert await ids_of(agent, sort="requested_at") == list(reversed(await ids_of(agent)))

    async def test_filters(self, admin, tenant, now):
        lead_id, contact_id = await make_lead(tenant, now)
        busy = await make_call(tenant, now, outcome="busy", failure="customer.busy", talk_s=0.0, queue="sales")
        long = await make_call(
            tenant, now, agent=tenant.sales_agent, lead_id=lead_id, contact_id=contact_id, talk_s=900.0,
            disposition="interested",
        )  # fmt: skip
        old = await make_call(tenant, now, requested_at=now - timedelta(days=90), source="historical")

        for filters, wanted in [
            (["outcome:in:busy"], [busy]),
            (["failure:in:customer.busy"], [busy]),
            (["queue:in:sales"], [busy]),
            ([f"agent:in:{tenant.sales_agent.user_id}"], [long]),
            ([f"lead:in:{lead_id}"], [long]),
            ([f"contact:in:{contact_id}"], [long]),
            (["disposition:is:set"], [long]),
            (["talk_s:gte:600"], [long]),
            (["source:in:historical"], [old]),
            (["requested_at:during:last_7d"], [busy, long]),
            (["is_recorded:is:true"], []),
            (["outcome:in:busy", "purpose:in:inbound"], []),
        ]:
            assert set(await ids_of(admin, *filters)) == set(map(str, wanted)), filters

    @pytest.mark.parametrize("wrong", ["outcome:in:great", "phone:in:0532", "agent:is:you", "outcome"])
    async def test_refuses_what_it_cannot_read(self, admin, wrong):
        answer = await admin.get("/cdr", params={"filter": wrong})

        assert (answer.status_code, answer.json()["code"]) == (422, "filter.invalid")
        described = {each["name"] for each in (await admin.get("/cdr/filters")).json()}
        assert {"outcome", "agent", "requested_at"} <= described


class TestRead:
    async def test_tells_steps_legs_stays_asks_with_their_failures(self, agent, tenant, now):
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, queue="sales")
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "insert into crm.call_leg (tenant_id, call_id, leg_id, party, stage, started_at, ended_at, cause)"
                " values ($1::uuid, $2::uuid, 'a', 'customer', 'ended', $3::timestamptz, $3::timestamptz, 16)",
                tenant.id, call_id, now,
            )  # fmt: skip
            stay = Stay(
                1, "sales", now - timedelta(seconds=30), left_at=now, connected_at=now, ended_at=now, wait_s=30,
                talk_s=5, outcome="answered", agent_user_id=tenant.sales_agent.user_id,
            )  # fmt: skip
            await visits.keep(tx, call_id, [stay], now=now)
            ask_id = await ask(tx, Kind.play_dtmf, {"digits": "4111111111111111"}, call_id=call_id, now=now)
            await tx.execute(
                "update crm.exchange_ask set status = 'refused', failure = 'no_such_channel',"
                " answer = 'No such channel for +90 532 123 45 67' where id = $1::uuid",
                ask_id,
            )

        answer = await agent.get(f"/cdr/{call_id}")

        record = answer.json()
        assert record["agent_name"] == "sales_agent"
        assert [step["status"] for step in record["steps"]] == ["wrap_up"]
        assert [(leg["party"], leg["cause"]) for leg in record["legs"]] == [("customer", 16)]
        assert [(visit["queue"], visit["wait_s"], visit["outcome"]) for visit in record["visits"]] == [
            ("sales", 30.0, "answered"),
        ]  # fmt: skip
        [asked] = record["asks"]
        assert (asked["kind"], asked["status"], asked["failure"]) == ("play_dtmf", "refused", "no_such_channel")
        assert asked["answer"] == "No such channel for •••"
        assert "4111111111111111" not in answer.text

    async def test_is_not_found_for_who_does_not_see_it(self, sign_in, tenant, other_tenant, now):
        call_id = await make_call(tenant, now)

        for stranger in (tenant.sales_agent, other_tenant.admin):
            answer = await sign_in(stranger).get(f"/cdr/{call_id}")
            assert (answer.status_code, answer.json()["code"]) == (404, "call.not_found")


class TestExport:
    async def test_is_the_same_as_the_list_in_both_forms_and_audited(self, sign_in, tenant, now):
        manager = sign_in(tenant.sales_manager)
        made = [str(await make_call(tenant, now, agent=tenant.sales_agent, cause=16)) for _ in range(3)]

        as_csv = await manager.get("/cdr/export", params={"filter": "purpose:in:click"})
        as_parquet = await manager.get("/cdr/export", params={"format": "parquet"})

        lines = list(csv.DictReader(io.StringIO(as_csv.text)))
        assert sorted(line["id"] for line in lines) == sorted(made)
        assert {(line["cause"], line["talk_s"], line["agent_name"]) for line in lines} == {
            ("16", "110.0", "sales_agent")
        }
        frame = pl.read_parquet(io.BytesIO(as_parquet.content))
        assert sorted(frame["id"].to_list()) == sorted(made)
        assert frame.schema["requested_at"] == pl.Datetime("us", "UTC")
        async with db.transaction(tenant.system) as tx:
            told = await tx.fetch("select metadata_json from crm.audit_log where action = 'cdr.export' order by id")
        assert [(row[0]["rows"], row[0]["fields"]) for row in told] == [(3, ["purpose"]), (3, [])]

    async def test_of_nothing_is_a_header(self, admin):
        assert (await admin.get("/cdr/export")).text.startswith("id,direction,purpose")
        assert pl.read_parquet(io.BytesIO((await admin.get("/cdr/export?format=parquet")).content)).height == 0

    async def test_is_not_for_agents(self, agent):
        assert (await agent.get("/cdr/export")).status_code == 403


class TestDispose:
    async def test_says_what_came_of_a_call_and_tells_of_the_lead(self, agent, tenant, now):
        lead_id, contact_id = await make_lead(tenant, now, tenant.sales_agent)
        of = {"lead_id": lead_id, "contact_id": contact_id}
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, **of)

        choices = (await agent.get(f"/cdr/{call_id}/dispositions")).json()["items"]
        said = await agent.put(f"/cdr/{call_id}/disposition", json={"code": "interested", "note": "Pazartesi"})

        assert {"code": "wrong_number", "label": "Yanlış Numara"}.items() <= next(
            each for each in choices if each["code"] == "wrong_number"
        ).items()
        assert said.json() == {
            "disposition": "interested", "lead_status": "interested", "lead_refusal": None, "callback_id": None,
            "callback_refusal": None,
        }  # fmt: skip
        assert (await agent.get(f"/cdr/{call_id}")).json()["disposition"] == "interested"

    async def test_a_lead_that_cannot_follow_says_why(self, agent, admin, tenant, now):
        lead_id, contact_id = await make_lead(tenant, now, tenant.sales_agent)
        of = {"lead_id": lead_id, "contact_id": contact_id}
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, **of)
        lost = await admin.post(f"/leads/{lead_id}/status", json={"status": "lost", "reason": "price"})
        assert lost.is_success, lost.text

        said = (await agent.put(f"/cdr/{call_id}/disposition", json={"code": "appointment"})).json()

        assert said["lead_status"] == "lost"
        assert said["lead_refusal"]["code"] == "lead.transition"
        assert "recycled" in said["lead_refusal"]["field_errors"]["status"]

    async def test_after_the_deadline_it_is_too_late(self, agent, sign_in, tenant, now):
        call_id = await make_wrapping(tenant, now - timedelta(minutes=5), agent=tenant.sales_agent)

        late = await agent.put(f"/cdr/{call_id}/disposition", json={"code": "busy"})
        by_manager = await sign_in(tenant.sales_manager).put(f"/cdr/{call_id}/disposition", json={"code": "busy"})

        assert (late.status_code, late.json()["code"]) == (409, "call.disposition_late")
        assert by_manager.status_code == 200

    async def test_a_wish_to_be_called_again_is_promised_once(self, agent, admin, tenant, now):
        await admin.put(f"/pbx/agents/{tenant.sales_agent.user_id}/endpoint", json={"endpoint": "PJSIP/agent-7"})
        lead_id, contact_id = await make_lead(tenant, now, tenant.sales_agent, phone="0532 123 45 67")
        of = {"lead_id": lead_id, "contact_id": contact_id}
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, **of)
        at = (now + timedelta(days=1)).replace(hour=9, minute=0)  # noon in Türkiye
        wish = {"code": "callback", "callback_at": at.isoformat()}

        said = (await agent.put(f"/cdr/{call_id}/disposition", json=wish)).json()
        again = (await agent.put(f"/cdr/{call_id}/disposition", json=wish)).json()

        assert said["callback_refusal"] is None, said
        promised = (await admin.get(f"/queue/callbacks/{said['callback_id']}")).json()
        assert (promised["agent_user_id"], promised["lead_id"]) == (str(tenant.sales_agent.user_id), str(lead_id))
        assert (again["callback_id"], again["callback_refusal"]) == (None, None)

    async def test_a_callback_that_may_not_be_promised_says_why_and_the_word_is_kept(self, agent, tenant, now):
        lead_id, contact_id = await make_lead(tenant, now, tenant.sales_agent, phone="0532 123 45 67")
        of = {"lead_id": lead_id, "contact_id": contact_id}
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, **of)
        wish = {"code": "callback", "callback_at": (now + timedelta(days=400)).isoformat()}

        said = (await agent.put(f"/cdr/{call_id}/disposition", json=wish)).json()

        assert (said["disposition"], said["callback_id"]) == ("callback", None)
        assert said["callback_refusal"]["code"] == "callback.invalid"
        assert (await agent.get(f"/cdr/{call_id}")).json()["disposition"] == "callback"

    async def test_more_time_is_given_once(self, agent, tenant, now):
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent)

        first, second = [await agent.post(f"/cdr/{call_id}/wrap-up/extend") for _ in range(2)]

        assert first.status_code == 200
        assert (second.status_code, second.json()["code"]) == (409, "call.wrap_extended")

    async def test_an_instant_needs_its_offset(self, agent, tenant, now):
        call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent)

        answer = await agent.put(
            f"/cdr/{call_id}/disposition", json={"code": "callback", "callback_at": "2030-01-01T09:00:00"}
        )

        assert answer.status_code == 422
        assert "callback_at" in answer.json()["field_errors"]


@pytest.fixture
async def recorded(tenant, spool, now):  # noqa: F811
    """The address of a recorded call of the agent and its recording's id."""
    objects.forget()
    call_id = await make_call(tenant, now, agent=tenant.sales_agent)
    leave(spool, call_id, CONTENT, now)
    await spools.sweep(tenant.system, spool, now=now)
    async with db.transaction(tenant.system) as tx:
        recording_id = await tx.fetchval("select id from crm.recording")
    return call_id, recording_id


class TestPlay:
    async def test_plays_once_and_tells_the_second_that_it_is_gone(self, sign_in, nobody, tenant, recorded):
        call_id, recording_id = recorded
        manager = sign_in(tenant.sales_manager)
        [known] = (await manager.get(f"/cdr/{call_id}")).json()["recordings"]
        assert (known["id"], known["duration_s"]) == (str(recording_id), 3.0)

        link = await manager.post(f"/cdr/{call_id}/recordings/{recording_id}/link", json={"reason": "quality"})
        heard = await nobody.get(link.json()["url"])
        again = await nobody.get(link.json()["url"])

        assert link.status_code == 201
        assert (heard.status_code, heard.headers["content-type"], heard.content) == (200, "audio/wav", CONTENT)
        assert heard.headers["cache-control"] == "private, no-store"
        assert (again.status_code, again.json()["code"]) == (410, "recording.link_used")

    async def test_plays_the_part_that_is_asked_for(self, admin, nobody, recorded):
        call_id, recording_id = recorded
        link = await admin.post(f"/cdr/{call_id}/recordings/{recording_id}/link", json={"reason": "quality"})

        part = await nobody.get(link.json()["url"], headers={"Range": "bytes=44-143"})

        assert (part.status_code, part.content) == (206, CONTENT[44:144])
        assert part.headers["content-range"] == f"bytes 44-143/{len(CONTENT)}"

    async def test_asks_for_permission_and_a_reason(self, agent, admin, recorded):
        call_id, recording_id = recorded
        address = f"/cdr/{call_id}/recordings/{recording_id}/link"

        assert (await agent.post(address, json={"reason": "quality"})).status_code == 403
        assert (await admin.post(address, json={})).status_code == 422
        assert (await admin.post(address, json={"reason": "Ayşe şikayet etti"})).status_code == 422
        assert (
            await admin.post(address.replace(str(call_id), str(ids.new())), json={"reason": "x"})
        ).status_code == 404

    async def test_is_for_whom_the_link_was_made_as_long_as_they_may(self, sign_in, nobody, tenant, recorded):
        call_id, recording_id = recorded
        manager, address = sign_in(tenant.sales_manager), f"/cdr/{call_id}/recordings/{recording_id}/link"
        url = (await manager.post(address, json={"reason": "quality"})).json()["url"]

        stolen = await sign_in(tenant.admin).get(url)
        spoilt = await nobody.get(url[:-2] + "AA")
        async with db.transaction(tenant.system) as tx:
            await tx.execute(
                "update crm.user_account set is_active = false where id = $1::uuid", tenant.sales_manager.user_id
            )
        gone = await nobody.get(url)

        assert [each.json()["code"] for each in (stolen, spoilt, gone)] == ["recording.link_invalid"] * 3

    async def test_a_held_recording_says_so(self, admin, recorded):
        call_id, recording_id = recorded
        address = f"/cdr/{call_id}/recordings/{recording_id}"

        held = await admin.post(f"{address}/hold", json={"reason": "lawsuit"})
        [known] = (await admin.get(f"/cdr/{call_id}")).json()["recordings"]
        released = await admin.post(f"{address}/release", json={"reason": "closed"})

        assert (held.status_code, released.status_code, known["hold_reason"]) == (204, 204, "lawsuit")


class TestPartOf:
    @pytest.mark.parametrize(
        ("asked", "part"),
        [
            (None, (0, 99)), ("bytes=0-", (0, 99)), ("bytes=10-19", (10, 19)), ("bytes=-10", (90, 99)),
            ("bytes=90-1000", (90, 99)), ("bytes=-1000", (0, 99)), ("bytes=100-", (0, 99)), ("bytes=5-2", (0, 99)),
            ("bytes=-", (0, 99)), ("bytes=0-1,3-4", (0, 99)), ("items=0-1", (0, 99)), ("", (0, 99)),
            ("bytes=-0", (0, 99)),
        ],
    )  # fmt: skip
    def test_is_one_part_or_the_whole(self, asked, part):
        assert part_of(asked, 100) == part


async def test_a_call_of_a_process_has_the_dispositions_of_that_process(agent, tenant, now):
    deposit = {"labels": {"tr": "Kapora", "en": "Deposit"}, "status": "qualified"}
    process_id, version_id = ids.new(), ids.new()

    async def prepare(tx):
        await tenant_settings.change(tx, "call.dispositions", {"by_process": {"sale": {"deposit": deposit}}}, now=now)
        await tx.execute(
            "insert into crm.process (tenant_id, id, key, labels, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, 'sale', '{}', $3::timestamptz, $3::timestamptz)",
            tenant.id, process_id, now,
        )  # fmt: skip
        await tx.execute(
            "insert into crm.process_version"
            " (tenant_id, id, process_id, version_no, definition, created_at, updated_at)"
            " values ($1::uuid, $2::uuid, $3::uuid, 1, '{}', $4::timestamptz, $4::timestamptz)",
            tenant.id, version_id, process_id, now,
        )  # fmt: skip

    await db.run(tenant.admin, prepare)
    call_id = await make_wrapping(tenant, now, agent=tenant.sales_agent, process_version_id=version_id)

    choices = (await agent.get(f"/cdr/{call_id}/dispositions", headers={"Accept-Language": "en"})).json()["items"]
    refused = await agent.put(f"/cdr/{call_id}/disposition", json={"code": "interested"})

    assert [(each["code"], each["label"]) for each in choices] == [("deposit", "Deposit")]
    assert refused.json()["field_errors"] == {"code": "one of deposit"}
