"""Merges and undoings in any order, with a firm's daily work in between: each undoing is exact, in every table."""

import io
from datetime import timedelta

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm import consent, db, errors, ids
from crm.consent import dnc
from crm.consent.rules import ADDRESS
from crm.contacts import operations as contacts
from crm.contacts.operations import NewContact
from crm.duplicates import finding, operations
from crm.experiments import operations as experiments
from crm.experiments.rules import Design, Outcome, Split, Unit, Variant
from crm.files import operations as files
from crm.files.operations import Where
from crm.files.rules import Class
from crm.followups import operations as followups
from crm.leads import intake, quotes
from crm.leads import operations as leads
from crm.leads.intake import Consent, NewLead
from crm.leads.rules import Channel, Direction
from crm.money import Money
from crm.routing import operations as routing
from crm.sla import clocks
from tests.conftest import make_tenant
from tests.crm.duplicates import snapshots
from tests.crm.files.conftest import PDF

PRICE = Money.of("2490", "EUR")
ADDRESSES = (
    {"phone": "0532 123 45 67"}, {"phone": "0533 765 43 21"}, {"phone": "0541 222 33 44"},
    {"email": "a@one.example"}, {"email": "b@two.example"}, {"phone": "0532 123 45 67", "email": "c@three.example"},
)  # fmt: skip
NAMES = ("", "Ayşe", "Ayşe Yılmaz", "Yılmaz Ayşe Nur", "Can")
CHANNELS = tuple(consent.Channel)
EXPERIMENT = Design(
    "h", Split.script, (Variant("a", 1, script="s.a"), Variant("b", 1, script="s.b")), Unit.contact, "event",
    Outcome("lead.status_changed", {"to": "won"}),
)  # fmt: skip


class Firm:
    """A firm at work. Every verb takes numbers and does with them what makes sense, or nothing."""

    def __init__(self, tenant, owner, now):
        self.tenant, self.owner, self.now = tenant, owner, now
        self.contacts, self.leads, self.merges = [], [], []

    async def do(self, operation, *args, actor=None, **kwargs):
        self.now += timedelta(minutes=1)
        return await db.run(actor or self.tenant.admin, lambda tx: operation(tx, *args, now=self.now, **kwargs))

    async def begin(self):
        made = await self.do(experiments.create, key="opening", design=EXPERIMENT)
        await self.do(experiments.start, made)

    def contact(self, a):
        return self.contacts[a % len(self.contacts)]

    def lead(self, a):
        return self.leads[a % len(self.leads)]

    async def enquire(self, a, b):
        said = [Consent(CHANNELS[b % 4].value, ("granted", "denied")[b % 2])] if b % 3 else []
        new = NewLead("api", name=NAMES[b % len(NAMES)], consents=said, **ADDRESSES[a % len(ADDRESSES)])
        stored = await self.do(intake.create, new, actor=self.tenant.system)
        self.leads.append(stored.lead_id)
        if stored.contact_id not in self.contacts:
            self.contacts.append(stored.contact_id)

    async def enter(self, a, b):
        self.contacts.append(await self.do(contacts.create, NewContact(NAMES[a % len(NAMES)])))

    async def rename(self, a, b):
        await self.do(contacts.update, self.contact(a), {"name": NAMES[b % len(NAMES)]})

    async def readdress(self, a, b):
        address = dict.fromkeys(ADDRESSES[b % len(ADDRESSES)]) if a % 3 == 0 else ADDRESSES[b % 5]
        await self.do(contacts.update, self.contact(a), address)

    async def archive(self, a, b):
        await self.do(contacts.archive, self.contact(a))

    async def talk(self, a, b):
        outcome = ("reached", "not_interested", None)[b % 3]
        await self.do(leads.record_activity, self.lead(a), Channel.call, Direction.outbound, outcome, note="dün aradı")

    async def state(self, a, b):
        status = (consent.Status.granted, consent.Status.denied)[b % 2]
        theirs = await self.owner.fetch(
            "select id from crm.lead where tenant_id = $1 and contact_id = $2 order by id",
            self.tenant.id, self.contact(a),
        )  # fmt: skip
        lead_id = theirs[b % len(theirs)]["id"] if theirs and b % 3 == 0 else None
        said = consent.Statement(
            CHANNELS[b % 4], tuple(consent.Purpose)[a % 3], status, "phone", {"heard": "yes"}, lead_id=lead_id
        )
        await self.do(consent.record, self.contact(a), said)

    async def ask(self, a, b):
        await self.do(consent.check, self.contact(a), CHANNELS[b % 4], consent.Purpose.enquiry)

    async def ban(self, a, b):
        await self.do(dnc.add_contact, self.contact(a), ["phone", "email"], reason="asked")

    async def unban(self, a, b):
        listed = await self.owner.fetch(
            "select id from crm.dnc_entry where tenant_id = $1 and removed_at is null order by id", self.tenant.id
        )
        if listed:
            await self.do(dnc.remove, listed[a % len(listed)]["id"], reason="mistake")

    async def attach(self, a, b):
        activities = await self.owner.fetch(
            "select id from crm.activity where tenant_id = $1 and contact_id = $2 and lead_id is null order by id",
            self.tenant.id, self.contact(a),
        )  # fmt: skip
        where = Where(lead_id=self.lead(a)) if b % 2 else Where(contact_id=self.contact(a))
        if b % 4 == 0 and activities:
            where = Where(contact_id=self.contact(a), activity_id=activities[b % len(activities)]["id"])
        async with files.putting_away(self.tenant.admin, io.BytesIO(PDF), "x.pdf", now=self.now) as stored:
            await self.do(files.attach, stored, where, Class.general)
            stored.is_attached = True

    async def quote(self, a, b):
        await self.do(quotes.make, self.lead(a), PRICE)

    async def sell(self, a, b):
        day = (self.now + timedelta(days=7)).date()
        await self.do(followups.sell, self.lead(a), PRICE, procedure_type="hair", takes_place_on=day)

    async def give(self, a, b):
        if b % 2:
            await self.do(leads.assign, self.lead(a), self.tenant.sales_agent.user_id, reason="manual")
        else:
            await self.do(routing.sweep, actor=self.tenant.system)

    async def count(self, a, b):
        async with db.transaction(self.tenant.system) as tx:
            await clocks.settle(tx, self.leads, now=self.now)

    async def expose(self, a, b):
        await self.do(experiments.expose_many, "opening", [self.lead(a)], actor=self.tenant.system)

    async def look(self, a, b):
        pair = (self.contact(a), self.contact(b))
        told = [pair] if pair[0] != pair[1] else []
        await self.do(finding.look, self.contacts, conflicts=told, actor=self.tenant.system)

    async def merge(self, a, b):
        winner, loser = self.contact(a), self.contact(b)
        before = await snapshots.take(self.owner, self.tenant.id)
        merge_id = await self.do(operations.merge, winner, loser)
        if merge_id in [each[0] for each in self.merges]:
            return
        merged = await snapshots.take(self.owner, self.tenant.id)
        self.merges.append((merge_id, winner, loser, before, merged))
        assert kept(before) <= kept(merged), "a merge keeps every entry, fact and file"

    async def undo(self, a, b):
        if not self.merges:
            return
        merge_id, winner, loser, before, merged = self.merges[a % len(self.merges)]
        since = await snapshots.take(self.owner, self.tenant.id)
        await self.do(operations.undo, merge_id)
        self.merges = [each for each in self.merges if each[0] != merge_id]
        after = await snapshots.take(self.owner, self.tenant.id)
        law = {"merge_id": str(merge_id), "winner_id": str(winner), "loser_id": str(loser)}
        assert list(snapshots.faults(before, merged, since, after, **law)) == []
        await self.hold(before, merged, since, after, winner, loser)

    async def hold(self, before, merged, since, after, winner, loser):
        """What lists show is as it was, or as the facts have it where anything is new; a refusal since is of both."""
        rows = [row for (table, _), row in since.items() if table == "contact_point"]
        points = {row["blind_index"] for row in rows if row["contact_id"] == str(winner)}
        new = snapshots.touched(merged, since, str(winner), points)
        for contact_id in (winner, loser):
            key = next(key for key, row in after.items() if key[0] == "contact" and row["id"] == str(contact_id))
            refused = await self.refused(contact_id)
            for channel in CHANNELS:
                is_in = {each: channel in after[key][each] for each in snapshots.HINTS}
                if channel in new:
                    assert is_in["opted_out"] == (channel in refused), (channel, contact_id)
                else:
                    assert is_in == {each: channel in before[key][each] for each in snapshots.HINTS}
        for key, row in since.items():
            if key[0] == "consent" and key not in merged and row["status"] != "granted" and row["source"] == "phone":
                repeated = {
                    each["contact_id"] for each in after.values()
                    if each.get("channel") == row["channel"] and each.get("status") in ("denied", "withdrawn")
                }  # fmt: skip
                assert row["contact_id"] != str(winner) or {str(winner), str(loser)} <= repeated

    async def refused(self, contact_id):
        """Return the channels on which a person's last word on offers or enquiries is a no, or an address is listed."""
        listed = await self.owner.fetch(LISTED, self.tenant.id, contact_id)
        found = {channel for channel in CHANNELS if ADDRESS[channel] in {row["kind"] for row in listed}}
        for channel in CHANNELS:
            for purpose in ("marketing", "enquiry"):
                if await self.owner.fetchval(LAST, self.tenant.id, contact_id, channel.value, purpose):
                    found.add(channel)
        return found


LISTED = """
select p.kind from crm.contact_point p join crm.dnc_entry d using (tenant_id, kind, blind_index)
 where tenant_id = $1 and p.contact_id = $2 and d.removed_at is null
"""
LAST = """
select status <> 'granted' from crm.consent
 where tenant_id = $1 and contact_id = $2 and channel = $3 and purpose = $4
 order by coalesce(valid_from, recorded_at) desc, status = 'granted' limit 1
"""


def kept(snapshot):
    """Return the keys of all that a merge has to keep."""
    return {key for key in snapshot if key[0] in ("activity", "consent", "consent_check", "attachment", "lead")}


WORK = (
    "enquire", "enter", "rename", "readdress", "archive", "talk", "state", "ask", "ban", "unban", "attach", "quote",
    "sell", "give", "count", "expose", "look",
)  # fmt: skip
NUMBER = st.integers(0, 11)
STEPS = st.lists(
    st.tuples(st.sampled_from([*WORK, *["merge"] * 6, *["undo"] * 4, *["state"] * 3]), NUMBER, NUMBER),
    min_size=8, max_size=40,
)  # fmt: skip


class TestMachine:
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=STEPS)
    async def test_every_undoing_is_exact_in_every_table(self, database, now, steps):
        owner = await asyncpg.connect(database)
        firm = Firm(await make_tenant(ids.new().hex), owner, now)
        await firm.begin()
        for number in range(4):
            await firm.enquire(number, number)
        try:
            for what, a, b in steps:
                try:
                    await getattr(firm, what)(a, b)
                except errors.CrmError:
                    continue  # refused: it makes no sense now
            while firm.merges:
                await firm.undo(len(firm.merges) - 1, 0)
        finally:
            await owner.close()
