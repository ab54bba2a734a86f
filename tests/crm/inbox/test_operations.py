"""The inbox: stored as it came, worked off once, given up with a reason."""

import asyncio
import hashlib
from datetime import timedelta
from itertools import pairwise

from crm import db, vault
from crm.inbox import connections
from crm.inbox import operations as inbox
from crm.inbox.reading import NotNow, Reading, Unusable
from crm.leads.intake import NewLead
from tests.crm.inbox.conftest import BODY, LEAD, count, gives, message, raises, receive, says, work


class TestReceive:
    async def test_keeps_the_bytes_sealed_and_unread(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        row = await message(tenant)
        [claimed] = await db.run(tenant.system, lambda tx: inbox.claim(tx, at_most=5, now=now))
        assert b"5321234567" not in row["sealed"]
        assert await inbox.bodies(tenant.id, [claimed]) == {claimed.id: BODY}

    async def test_the_same_bytes_again_change_nothing(self, tenant, google, now):
        first = await receive(tenant, google, BODY, now)

        again = await asyncio.gather(*(receive(tenant, google, BODY, now) for _ in range(5)))

        assert first is not None
        assert again == [None] * 5
        assert await count(tenant, "inbox_message") == 1
        assert await count(tenant, "event_log", "event_type = 'inbox.received'") == 1

    async def test_its_fingerprint_says_nothing_without_our_key(self, tenant, other_tenant, google, now):
        await receive(tenant, google, BODY, now)

        row = await message(tenant)
        hashed = hashlib.sha256(BODY)
        assert row["body_hash"] != hashed.digest()
        assert row["body_hash"] != vault.blind_index(other_tenant.id, "inbox", hashed.hexdigest())


class TestWork:
    async def test_leads_and_done_come_together(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        await work(tenant, gives(LEAD), now + timedelta(minutes=1))

        row = await message(tenant)
        async with db.transaction(tenant.system) as tx:
            lead = await tx.fetchrow("select received_at, source, external_id from crm.lead")
        assert (row["status"], row["last_error"], row["processed_at"]) == ("done", None, now + timedelta(minutes=1))
        assert tuple(lead) == (now, "google", "1")

    async def test_a_lead_that_came_in_another_message_changes_nothing(self, tenant, google, now):
        for n in range(3):
            await receive(tenant, google, BODY + str(n).encode(), now)

        await work(tenant, gives(LEAD, LEAD), now)

        assert await count(tenant, "lead") == 1
        assert await count(tenant, "inbox_message", "status = 'done'") == 3

    async def test_two_workers_share_the_messages(self, tenant, google, now):
        for n in range(30):
            await receive(tenant, google, str(n).encode(), now)
        read = []

        async def parse(body, connection):
            read.append(body)
            await asyncio.sleep(0.005)
            return Reading([NewLead(source="google", external_id=body.decode(), email=f"{body.decode()}@example.com")])

        await asyncio.gather(*(work(tenant, parse, now, turns=5) for _ in range(2)))

        assert sorted(read) == sorted(str(n).encode() for n in range(30))
        assert await count(tenant, "lead") == 30

    async def test_a_message_without_leads_is_done(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        await work(tenant, gives(), now)

        assert (await message(tenant))["status"] == "done"

    async def test_what_a_killed_worker_claimed_comes_again_after_its_lease(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        await db.run(tenant.system, lambda tx: inbox.claim(tx, at_most=5, now=now))

        await work(tenant, gives(LEAD), now + inbox.LEASE / 2)
        early = await count(tenant, "lead")
        await work(tenant, gives(LEAD), now + inbox.LEASE)

        assert (early, await count(tenant, "lead")) == (0, 1)

    async def test_whoever_comes_back_late_finds_it_done(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        [slow] = await db.run(tenant.system, lambda tx: inbox.claim(tx, at_most=5, now=now))
        await work(tenant, gives(LEAD), now + inbox.LEASE)

        other = NewLead(source="google", external_id="2", email="b@example.com")
        await db.run(tenant.system, lambda tx: inbox.settle(tx, slow, Reading([other]), now=now))
        await db.run(tenant.system, lambda tx: inbox.put_off(tx, slow, "late", now=now))

        assert await count(tenant, "lead") == 1
        assert (await message(tenant))["status"] == "done"

    async def test_a_number_nobody_can_dial_does_not_lose_the_lead(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        await work(tenant, gives(NewLead(source="google", external_id="1", phone="12", email="a@example.com")), now)

        async with db.transaction(tenant.system) as tx:
            attributes = await tx.fetchval("select attributes from crm.lead")
        assert attributes == {"phone_problem": "cannot_be_dialled"}

    async def test_a_lead_nobody_can_reach_is_given_up(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        await work(tenant, gives(NewLead(source="google", external_id="1", phone="12")), now)

        assert ((await message(tenant))["status"], (await message(tenant))["last_error"]) == (
            "failed",
            "lead.unreachable",
        )


class TestTrouble:
    async def test_what_may_pass_is_tried_again_after_growing_pauses(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        at, pauses = now, []

        for _ in range(6):
            await work(tenant, raises(NotNow("meta.busy")), at)
            row = await message(tenant)
            pauses.append((row["next_attempt_at"] - at).total_seconds())
            at = row["next_attempt_at"]

        assert (row["status"], row["attempts"], row["last_error"]) == ("pending", 6, "meta.busy")
        assert all(2**n * inbox.FIRST_PAUSE / 2 <= pause <= 2**n * inbox.FIRST_PAUSE for n, pause in enumerate(pauses))

    def test_pauses_of_many_are_spread(self):
        pauses = sorted(inbox.pause_after(5).total_seconds() for _ in range(1000))

        assert 16 <= pauses[0] < 17
        assert 31 < pauses[-1] <= 32
        assert max(later - earlier for earlier, later in pairwise(pauses)) < 0.5

    def test_pauses_have_an_end(self):
        assert inbox.pause_after(inbox.MOST_ATTEMPTS) <= timedelta(seconds=inbox.LONGEST_PAUSE)

    async def test_a_limit_costs_no_attempt(self, tenant, google, now, monkeypatch):
        monkeypatch.setattr(inbox, "MOST_ATTEMPTS", 1)
        await receive(tenant, google, BODY, now)

        for hours in range(3):
            limit = NotNow("google.limited", wait=timedelta(hours=1))
            await work(tenant, raises(limit), now + timedelta(hours=hours))

        row = await message(tenant)
        assert (row["status"], row["attempts"], row["next_attempt_at"]) == ("pending", 0, now + timedelta(hours=3))

    async def test_and_given_up_in_the_end(self, tenant, google, now, monkeypatch):
        monkeypatch.setattr(inbox, "MOST_ATTEMPTS", 2)
        await receive(tenant, google, BODY, now)

        await work(tenant, raises(NotNow("meta.busy")), now)
        await work(tenant, raises(NotNow("meta.busy")), now + timedelta(hours=1))

        assert (await message(tenant))["status"] == "failed"
        assert await count(tenant, "event_log", "event_type = 'inbox.failed'") == 1

    async def test_what_cannot_be_read_is_given_up_at_once(self, tenant, google, now):
        await receive(tenant, google, BODY, now)

        await work(tenant, raises(Unusable("google.malformed")), now)

        row = await message(tenant)
        assert (row["status"], row["last_error"], row["attempts"]) == ("failed", "google.malformed", 1)

    async def test_our_own_defect_is_put_off_and_says_nothing_of_the_message(self, tenant, google, now, capsys):
        await receive(tenant, google, BODY, now)

        await work(tenant, raises(ValueError(BODY.decode("latin-1"))), now)

        row = await message(tenant)
        assert (row["status"], row["last_error"]) == ("pending", "defect")
        assert "5321234567" not in capsys.readouterr().out

    async def test_what_cannot_be_stored_holds_up_nobody(self, tenant, google, now, monkeypatch):
        monkeypatch.setattr(inbox, "MOST_ATTEMPTS", 1)
        for n in range(3):
            await receive(tenant, google, str(n).encode(), now)

        async def parse(body, connection):
            name = "\x00" if body == b"0" else "\ud800" if body == b"1" else "Ada"
            return Reading([NewLead(source="google", external_id=body.decode(), name=name, email="a@example.com")])

        await work(tenant, parse, now)

        assert await count(tenant, "lead") == 1
        assert await count(tenant, "inbox_message", "status = 'failed' and last_error = 'defect'") == 2

    async def test_an_erased_message_is_given_up(self, tenant, google, now):
        await receive(tenant, google, BODY, now)
        await vault.destroy(tenant.id, [(await message(tenant))["key_id"]], now=now)

        await work(tenant, gives(LEAD), now)

        assert (await message(tenant))["last_error"] == "inbox.erased"

    async def test_new_secrets_bring_failed_messages_back(self, tenant, meta, now):
        await receive(tenant, meta, BODY, now)
        await work(tenant, raises(Unusable("meta.refused")), now)

        await db.run(
            tenant.admin, lambda tx: connections.update(tx, meta.id, secrets={"access_token": "a newer one"}, now=now)
        )
        await work(tenant, gives(LEAD), now)

        assert (await message(tenant))["status"] == "done"


class TestReading:
    async def test_what_was_fetched_takes_the_place_of_what_came(self, tenant, meta, now):
        message_id = await receive(tenant, meta, BODY, now)

        async def parse(body, connection):
            return Reading([NewLead(source="meta", external_id="1")], body=b"fetched, and nobody can be reached")

        await work(tenant, parse, now)

        assert await says(tenant, message_id) == b"fetched, and nobody can be reached"
        async with db.transaction(tenant.system) as tx:
            assert await tx.fetchval("select replaced_because from crm.inbox_version") == "fetched"
        assert (await message(tenant))["last_error"] == "lead.unreachable"

    async def test_parts_have_their_own_fate(self, tenant, meta, now):
        await receive(tenant, meta, b"1 2 bad", now)

        async def parse(body, connection):
            words = body.decode().split()
            if len(words) > 1:
                return Reading(parts=[word.encode() for word in words])
            if words == ["bad"]:
                raise Unusable("meta.refused_100")
            return Reading([NewLead(source="meta", external_id=words[0], email=f"{words[0]}@example.com")])

        await work(tenant, parse, now, turns=2)

        assert await count(tenant, "lead") == 2
        assert await count(tenant, "inbox_message", "status = 'done'") == 3
        assert await count(tenant, "inbox_message", "last_error = 'meta.refused_100'") == 1

    async def test_a_campaign_is_learnt_once_and_keeps_its_name(self, tenant, meta, now):
        for n, name in enumerate(("İmplant", "Renamed")):
            await receive(tenant, meta, str(n).encode(), now)

            async def parse(body, connection, name=name):
                lead = NewLead(source="meta", external_id=body.decode(), email="a@example.com", campaign="33")
                return Reading([lead], campaigns={"33": name})

            await work(tenant, parse, now)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch("select platform, external_id, name, status from crm.campaign")
        assert [tuple(row) for row in rows] == [("meta", "33", "İmplant", "active")]
        assert await count(tenant, "event_log", "event_type = 'campaign.created'") == 1
