"""`may_contact` against a plain reading of the same facts: random people, asked at random instants and at borders."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import product
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from crm import consent, db, ids, tenant_settings
from crm.consent import Answer, Channel, Evidence, Purpose, Reason, Status, dnc, own_hours
from crm.consent.hours import WEEK, Window
from tests.conftest import Tenant
from tests.crm.consent.conftest import MakePerson, attempt, do

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGIN = datetime(2026, 3, 23, tzinfo=UTC)
SPAN = 21 * 24 * 60
"""Minutes of three weeks in which Germany's clocks change (29 March) and Easter closes it (3 and 6 April)."""
CLOSED = {"DE": {date(2026, 4, 3), date(2026, 4, 6)}, "TR": set(), "US": set()}
OWN_FROM = date(2026, 4, 1)
"""From here on the firm calls people in Türkiye in the evening only."""
CAPS_FROM = BEGIN + 9 * DAY
"""From here on the caps are lower."""
CAPS = {"call": (2, 4), "sms": (2, 4), "whatsapp": (2, 4), "email": (2, 4)}
LOWER = {"call": (1, 3), "sms": (None, 2)}
RESTS = {"not_interested": 40, "hung_up": 5}
NUMBERS = {"TR": "+90 532 {:03} 45 67", "DE": "+49 1511 2345{:03}", "US": "+1 212 555 {:04}"}
COVERED = {"marketing": {"marketing"}, "enquiry": {"enquiry", "marketing"}, "service": {"service"}}


@dataclass
class Known:
    """All that was written down about a person."""

    id: UUID
    countries: set[str]
    leads: dict[UUID, datetime]
    facts: list[tuple[UUID, str, str, str, datetime, datetime, datetime | None]] = field(default_factory=list)
    """Id, channel, purpose, status, said at, recorded at, lapses at."""
    contacts: list[tuple[str, datetime, str]] = field(default_factory=list)
    """Channel, instant, outcome; all of them from us."""
    permits: list[tuple[str, datetime]] = field(default_factory=list)
    """Channel and instant of checks that were answered with yes."""
    is_listed: bool = False
    is_archived: bool = False


def is_open(country: str, at: datetime) -> bool:
    """Read the clock in a country."""
    if country == "US":  # from the first clock to the last
        return all(8 <= at.astimezone(ZoneInfo(z)).hour < 21 for z in ("America/New_York", "Pacific/Honolulu"))
    local = at.astimezone(ZoneInfo({"TR": "Europe/Istanbul", "DE": "Europe/Berlin"}[country]))
    if country == "TR" and local.date() >= OWN_FROM:
        return 17 <= local.hour < 19
    if local.date() in CLOSED[country]:
        return False
    first, last = {
        "TR": {7: (10, 18)}.get(local.isoweekday(), (9, 20)),
        "DE": {6: (9, 18), 7: (0, 0)}.get(local.isoweekday(), (8, 20)),
    }[country]
    return first <= local.hour < last


def opens_at(countries: set[str], at: datetime) -> datetime | None:
    """Look at every half hour of two weeks."""
    if all(is_open(each, at) for each in countries):
        return at
    first = at.replace(minute=0, second=0, microsecond=0)
    steps = (first + n * 30 * MINUTE for n in range(1, 15 * 48))
    return next((step for step in steps if step > at and all(is_open(each, step) for each in countries)), None)


def capped_until(person: Known, channel: str, at: datetime) -> datetime | None:
    """Wait, attempt by attempt, until the window has room."""
    made = [when for by, when, _ in person.contacts if by == channel and at - 7 * DAY < when <= at]
    waiting = sorted(when for by, when in person.permits if by == channel and at - 15 * MINUTE < when <= at)
    for contact in sorted(made):
        if before := [permit for permit in waiting if permit <= contact]:
            waiting.remove(before[0])
    counted = [*made, *waiting]
    per_day, per_week = ({**CAPS, **dict.fromkeys(CAPS, (None, None)), **LOWER} if at >= CAPS_FROM else CAPS)[channel]

    def has_room(then: datetime) -> bool:
        day, week = (sum(then - span < each <= then for each in counted) for span in (DAY, 7 * DAY))
        return (per_day is None or day < per_day) and (per_week is None or week < per_week)

    borders = sorted([at, *(each + span for each in counted for span in (DAY, 7 * DAY))])
    until = next(each for each in borders if each >= at and has_room(each))
    return until if until > at else None


def expected(person: Known, channel: str, purpose: str, at: datetime) -> Answer:
    """Read the facts one after the other, as a lawyer would."""
    if person.is_archived:
        return Answer(Reason.archived)
    if person.is_listed and channel != "email":
        return Answer(Reason.dnc)
    said = [
        fact for fact in person.facts
        if fact[1] == channel and fact[2] in COVERED[purpose] and fact[4] <= at and (fact[6] is None or at < fact[6])
    ]  # fmt: skip
    last = [fact for fact in said if fact[4] == max(each[4] for each in said)]
    if any(fact[3] != "granted" for fact in last):
        return Answer(Reason.opted_out)
    leads = [(when, lead) for lead, when in person.leads.items() if at - 365 * DAY < when <= at]
    if last:
        evidence = Evidence("consent", max(last, key=lambda fact: (fact[5], fact[0]))[0])
    elif purpose != "marketing" and leads:
        evidence = Evidence("lead", max(leads)[1])
    else:
        return Answer(Reason.no_consent)
    opens = at if channel == "email" else opens_at(person.countries, at)
    if opens != at:
        return Answer(Reason.outside_hours, not_before=opens)
    rests = [when + RESTS[outcome] * HOUR for _, when, outcome in person.contacts if outcome in RESTS and when <= at]
    if rests and max(rests) > at:
        return Answer(Reason.cooling_off, not_before=max(rests))
    if until := capped_until(person, channel, at):
        return Answer(Reason.frequency_cap, not_before=until)
    return Answer(evidence=evidence)


INSERT = """
insert into crm.consent (tenant_id, id, contact_id, channel, purpose, status, source, valid_from, recorded_at,
                         valid_until)
values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, 'test', $7::timestamptz, $8::timestamptz,
        $9::timestamptz)
"""
PERMIT = """
insert into crm.consent_check (tenant_id, id, contact_id, channel, purpose, is_allowed, checked_at)
values ($1::uuid, gen_random_uuid(), $2::uuid, $3::text, 'service', true, $4::timestamptz)
"""


class World:
    """A firm with random people in it."""

    def __init__(self, tenant: Tenant, make_person: MakePerson, seed: int) -> None:
        self.tenant, self.make_person, self.chance = tenant, make_person, random.Random(seed)
        self.people: list[Known] = []

    def when(self) -> datetime:
        """An instant of the three weeks; some of them coincide."""
        return BEGIN + self.chance.randrange(SPAN // 30) * 30 * MINUTE

    async def set_rules(self) -> None:
        """The firm's hours, caps and rests."""
        admin, early = self.tenant.admin, BEGIN - DAY
        evening = [Window(frozenset(WEEK), 17 * 60, 19 * 60)]
        await do(admin, own_hours.change, "TR", evening, holidays=True, valid_from=OWN_FROM, now=early)
        for caps, begins in ((CAPS, early), (LOWER, CAPS_FROM)):
            new = {channel: {"per_day": day, "per_week": week} for channel, (day, week) in caps.items()}
            await do(admin, tenant_settings.change, "consent.frequency_caps", new, now=early, valid_from=begins)
        await do(admin, tenant_settings.change, "consent.cooling_off_hours", RESTS, now=early)

    async def add(self, n: int) -> None:
        """Store one person with a random past."""
        country = self.chance.choice(["TR", "TR", "DE", "US"])
        lives_in = self.chance.choice([country, country, "DE"]) if country != "US" else country
        enquired = self.when() - self.chance.choice([timedelta(0), timedelta(0), 360 * DAY, 400 * DAY])
        phone = NUMBERS[country].format(100 + n)
        person_id = await self.make_person(phone=phone, country=lives_in, at=enquired)
        person = Known(person_id, {country, lives_in}, {})
        async with db.transaction(self.tenant.system) as tx:
            leads = await tx.fetch("select id, received_at from crm.lead where contact_id = $1::uuid", person.id)
            person.leads = {row["id"]: row["received_at"] for row in leads}
            for _ in range(self.chance.randrange(6)):
                await self._say(tx, person)
            for _ in range(self.chance.randrange(5)):
                channel, at = self.chance.choice(["call", "call", "sms", "email"]), self.when()
                await tx.execute(PERMIT, tx.actor.tenant_id, person.id, channel, at)
                person.permits.append((channel, at))
        await self._contact(person)
        await self._leave_alone(person, phone)
        self.people.append(person)

    async def _say(self, tx: db.Tx, person: Known) -> None:
        recorded, is_told_later = self.when(), self.chance.random() < 0.3
        said = recorded - self.chance.randrange(96) * 30 * MINUTE if is_told_later else recorded
        status = self.chance.choice(["granted", "granted", "granted", "denied", "withdrawn"])
        has_end = status == "granted" and self.chance.random() < 0.4
        lapses = said + self.chance.randrange(1, 300) * HOUR if has_end else None
        channel = self.chance.choice(["call", "call", "sms", "email"])
        purpose = self.chance.choice(["marketing", "marketing", "enquiry", "service"])
        fact = (ids.new(), channel, purpose, status, said, recorded, lapses)
        await tx.execute(
            INSERT, tx.actor.tenant_id, fact[0], person.id, channel, purpose, status, said if is_told_later else None,
            recorded, lapses,
        )  # fmt: skip
        person.facts.append(fact)

    async def _contact(self, person: Known) -> None:
        for channel, permitted in list(person.permits):
            if self.chance.random() < 0.5:
                await self._attempt(person, channel, permitted + self.chance.randrange(20) * MINUTE)
        for _ in range(self.chance.randrange(10)):
            await self._attempt(person, self.chance.choice(["call", "call", "sms", "email"]), self.when())

    async def _attempt(self, person: Known, channel: str, at: datetime) -> None:
        outcome = self.chance.choice(["busy"] * 8 + ["hung_up", "not_interested"])
        await attempt(self.tenant, person.id, at, channel=channel, outcome=outcome)
        person.contacts.append((channel, at, outcome))

    async def _leave_alone(self, person: Known, phone: str) -> None:
        if self.chance.random() < 0.1:
            await do(self.tenant.admin, dnc.add, phone, reason="asked", now=BEGIN)
            person.is_listed = True
        if self.chance.random() < 0.05:
            async with db.transaction(self.tenant.system) as tx:
                await tx.execute("update crm.contact set archived_at = now() where id = $1::uuid", person.id)
            person.is_archived = True

    def borders(self) -> Iterator[datetime]:
        """Every instant at which an answer may change."""
        for person in self.people:
            for fact in person.facts:
                yield from (when for when in fact[4:] if when)
            for _, when, outcome in person.contacts:
                yield from (when, when + DAY, when + 7 * DAY, when + RESTS.get(outcome, 0) * HOUR)
            yield from (when + after for _, when in person.permits for after in (timedelta(0), 15 * MINUTE))
            yield from (when + 365 * DAY for when in person.leads.values())
        yield CAPS_FROM

    def instants(self, how_many: int) -> list[datetime]:
        """Some borders, the microsecond before them, and some instants of no meaning, all in the three weeks."""
        near = [each for each in self.borders() if BEGIN <= each < BEGIN + SPAN * MINUTE]
        chosen = self.chance.sample(near, how_many)
        aside = [each - timedelta(microseconds=1) for each in chosen[::2]]
        return [*chosen, *aside, *(self.when() + 7 * MINUTE for _ in range(how_many))]


@pytest.mark.parametrize("seed", range(3))
async def test_the_answer_is_what_a_plain_reading_of_the_facts_says(
    tenant: Tenant, make_person: MakePerson, seed: int
) -> None:
    world = World(tenant, make_person, seed)
    await world.set_rules()
    for n in range(40):
        await world.add(n)
    met: set[Reason | None] = set()

    async with db.transaction(tenant.system) as tx:
        people = [person.id for person in world.people]
        for at, channel in product(world.instants(16), (Channel.call, Channel.sms, Channel.email)):
            purpose = world.chance.choice(list(Purpose))
            found = await consent.may_contact_many(tx, people, channel, purpose, at=at)
            read = {person.id: expected(person, channel.value, purpose.value, at) for person in world.people}
            assert found == read, (at, channel, purpose)
            met |= {answer.reason for answer in found.values()}

    # Nobody here is erased, without a number, or at one that may not be dialled: those have tests of their own.
    never = {Reason.erased, Reason.no_address, Reason.number_not_allowed}
    assert met >= set(Reason) - never | {None}
    assert {fact[3] for person in world.people for fact in person.facts} == {each.value for each in Status}
