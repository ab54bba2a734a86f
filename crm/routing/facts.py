"""What a run of distribution is decided on, read from the database, kept with the run, and read back for replay."""

import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from crm import tenant_settings
from crm.calendars import queries as calendars
from crm.calendars.rules import Calendar
from crm.db import Tx, to_json
from crm.routing import settings
from crm.routing.floor import ABLE, ABSENT, CLOSED, Floor, Person, Seat
from crm.routing.rules import Enquiry
from crm.routing.turns import Pool
from crm.users import profiles

OPEN = "owner_id is not null and status not in ('won', 'lost') and not is_test"
"""A lead that somebody has in hand; it takes of their capacity. An index has it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everybody as they stood at an instant: all that a floor is made of but the pools."""

    seats: Sequence[Seat]
    people: Sequence[Person]
    default_team: UUID | None
    midnight: datetime | None

    def floor(self, pools: Mapping[str, Pool]) -> Floor:
        """Return a fresh floor; `pools` stay as they are."""
        own = {key: Pool(pool.turn, dict(pool.credits)) for key, pool in pools.items()}
        return Floor(self.seats, self.people, own, default_team=self.default_team, midnight=self.midnight)


SEATS = """
select m.team_id, m.user_id, m.weight, m.capacity, m.accepting, u.is_active
  from crm.routing_member m
  join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id
 where m.tenant_id = $1::uuid order by m.team_id, m.user_id
"""

FIRM = """
select t.timezone, (select id from crm.team where tenant_id = $1::uuid and is_default order by id limit 1) as team_id,
       (select jsonb_object_agg(o.owner_id, o.n)::text
          from (select owner_id, count(*) as n from crm.lead
                 where tenant_id = $1::uuid and {OPEN} group by owner_id) o) as open_leads
  from (select 1) one left join crm.tenant t on t.tenant_id = $1::uuid
""".replace("{OPEN}", OPEN)

TODAY = """
select u.id, (select count(*)::int from crm.lead_assignment a
               where a.tenant_id = $1::uuid and a.user_id = u.id and a.started_at >= $3::timestamptz) as given
  from unnest($2::uuid[]) as u(id)
"""


async def load(tx: Tx, now: datetime) -> Facts:
    """Return everybody who takes leads as they stand at an instant (UTC); asked after the lock of a run was taken."""
    rows = await tx.fetch(SEATS, tx.actor.tenant_id)
    firm = await tx.fetchrow(FIRM, tx.actor.tenant_id)
    assert firm is not None, "the firm's row is always there"
    active = {row["user_id"]: row["is_active"] for row in rows}
    held = await profiles.profiles(tx, active, now)
    today, tomorrow = _day(now, firm["timezone"] or "UTC")
    capped = [user for user, profile in held.items() if profile.daily_cap is not None]
    given = dict(await tx.fetch(TODAY, tx.actor.tenant_id, capped, today)) if capped else {}
    hours = await _hours(tx, active, now)
    in_hand = json.loads(firm["open_leads"] or "{}")
    people = []
    for user, is_active in sorted(active.items()):
        profile = held[user]
        away, until = _away(profile.absent_until, hours.get(user), now)
        people.append(
            Person(
                user, is_active, profile.skills, profile.languages, frozenset(map(str.lower, profile.regions)),
                profile.daily_cap, in_hand.get(str(user), 0), given.get(user, 0), away, until,
            )
        )  # fmt: skip
    seats = [Seat(row["team_id"], row["user_id"], row["weight"], row["capacity"], row["accepting"]) for row in rows]
    return Facts(seats, people, firm["team_id"], tomorrow)


def _day(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the beginning of the firm's day and of the next one."""
    day = now.astimezone(ZoneInfo(zone)).date()
    first, then = (datetime.combine(each, time(), ZoneInfo(zone)) for each in (day, day + timedelta(days=1)))
    return first.astimezone(now.tzinfo), then.astimezone(now.tzinfo)


def _away(absent_until: datetime | None, hours: Calendar | None, now: datetime) -> tuple[int, datetime | None]:
    """Return why somebody is away (ABLE: they are not) and until when."""
    if absent_until is not None:
        opens = hours.next_opening(absent_until) if hours else absent_until
        return ABSENT, opens
    if hours is None or hours.is_open(now):
        return ABLE, None
    return CLOSED, hours.next_opening(now)


WHOSE_HOURS = """
select u.id, u.team_id,
       exists (select from crm.calendar_week w where w.tenant_id = $1::uuid and w.user_id = u.id) as own
  from unnest($2::uuid[]) as i(id) join crm.user_account u on u.tenant_id = $1::uuid and u.id = i.id
"""


async def _hours(tx: Tx, users: Collection[UUID], now: datetime) -> dict[UUID, Calendar]:
    """Return the working hours of those who have some: set for themselves, their team or the firm.

    Who never had hours set takes leads around the clock.
    """
    if not await tx.fetchval(
        "select exists (select from crm.calendar_week where tenant_id = $1::uuid)", tx.actor.tenant_id
    ):
        return {}
    rows, of_team = await tx.fetch(WHOSE_HOURS, tx.actor.tenant_id, list(users)), {}
    found = await calendars.of_users(tx, [row["id"] for row in rows if row["own"]], now)
    for row in rows:
        if row["own"]:
            continue
        if row["team_id"] not in of_team:
            of_team[row["team_id"]] = await calendars.of_team(tx, row["team_id"], now)
        found[row["id"]] = of_team[row["team_id"]]
    return {user: hours for user, hours in found.items() if len(hours.weeks) > 1}


HANDED = """exists (select from crm.lead_assignment g where g.tenant_id = l.tenant_id and g.lead_id = l.id
   and g.ended_at is null and g.user_id is null and g.team_id is not null and g.reason not like 'auto.%')"""
"""Somebody gave the lead `l` to its team by hand."""
ASKS_FOR_SOMEBODY = f"""l.status in ('new', 'assigned', 'recycled') or h.queue = l.status
   or (l.status not in ('won', 'lost') and {HANDED})"""
"""A lead `l`, perhaps with a hold `h`, that nobody has and somebody should: new, come back, queued, or handed on."""

LEADS = f"""
select l.id, coalesce(h.since, greatest(a.started_at, case when l.status in ('new', 'assigned') then l.received_at
                                                            else l.status_changed_at end)) as since,
       l.campaign, l.adset, l.keyword, l.geography, c.country, l.source, l.platform, l.form, c.language,
       case when a.reason like 'auto.%' then null else l.team_id end as team_id,
       {HANDED} as handed, case when h.queue = l.status and not {HANDED} then h.queue end as queue,
       exists (select from crm.lead_assignment p where p.tenant_id = $1::uuid and p.lead_id = l.id
                and p.user_id is not null) as was_given,
       h.said, h.exposed, h.demand, h.next_at
  from unnest($2::uuid[]) as i(id)
  join crm.lead l on l.tenant_id = $1::uuid and l.id = i.id
  join crm.contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
  left join crm.routing_hold h on h.tenant_id = l.tenant_id and h.lead_id = l.id
  left join crm.lead_assignment a on a.tenant_id = l.tenant_id and a.lead_id = l.id and a.ended_at is null
 where l.owner_id is null and not l.is_test and ({ASKS_FOR_SOMEBODY})
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead that waits, with what is known of its waiting so far."""

    enquiry: Enquiry
    said: str | None
    exposed: str | None
    demand: int | None
    next_at: datetime | None


ENQUIRY = tuple(each.name for each in fields(Enquiry) if each.name != "cooled")


async def waiting(tx: Tx, leads: Iterable[UUID], now: datetime) -> dict[UUID, Waiting]:
    """Return those of the leads that wait to be given to somebody."""
    rows = await tx.fetch(LEADS, tx.actor.tenant_id, list(leads))
    cooled = await cooling(tx, [row["id"] for row in rows if row["was_given"]], now)
    found = {}
    for row in rows:
        enquiry = Enquiry(**{name: row[name] for name in ENQUIRY}, cooled=cooled.get(row["id"], {}))
        found[enquiry.id] = Waiting(enquiry, row["said"], row["exposed"], row["demand"], row["next_at"])
    return found


COOLING = """
select i.id, a.user_id, max(v.occurred_at + make_interval(hours => o.hours)) as until
  from unnest($2::uuid[]) as i(id)
  join crm.lead_assignment a on a.tenant_id = $1::uuid and a.lead_id = i.id and a.user_id is not null
  join crm.activity v on v.tenant_id = $1::uuid and v.lead_id = i.id
   and v.occurred_at >= a.started_at and v.occurred_at <= coalesce(a.ended_at, 'infinity')
  join unnest($3::text[], $4::int[]) as o(code, hours)
    on o.code = case when v.kind = 'lead.status_changed' then v.detail ->> 'to' else v.outcome end
 group by i.id, a.user_id
having max(v.occurred_at + make_interval(hours => o.hours)) > $5::timestamptz
"""


async def cooling(tx: Tx, leads: Sequence[UUID], now: datetime) -> dict[UUID, dict[UUID, datetime]]:
    """Return to whom leads may not return yet, and until when: who had them at an outcome that cools off (SLA-3)."""
    hours = await tenant_settings.value(tx, settings.COOLING_OFF, at=now) if leads else {}
    if not hours:
        return {}
    found: dict[UUID, dict[UUID, datetime]] = {}
    for row in await tx.fetch(COOLING, tx.actor.tenant_id, list(leads), list(hours), list(hours.values()), now):
        found.setdefault(row["id"], {})[row["user_id"]] = row["until"]
    return found


POOLS = "select key, turn, holders, credits from crm.routing_pool where tenant_id = $1::uuid"


async def pools(tx: Tx) -> dict[str, Pool]:
    """Return every pool's turns and credits."""
    rows = await tx.fetch(POOLS, tx.actor.tenant_id)
    return {row["key"]: Pool(row["turn"], dict(zip(row["holders"], row["credits"], strict=True))) for row in rows}


def _packed(value: Any) -> bytes:
    return zlib.compress(to_json(value).encode(), 6)


def _unpacked(packed: bytes) -> Any:
    return json.loads(zlib.decompress(packed))


def pack_roster(facts: Facts) -> tuple[bytes, bytes]:
    """Return what changes rarely about people, in few bytes, and the digest by which runs name it."""
    body = {
        "seats": [[str(s.team_id), str(s.user_id), s.weight, s.capacity, s.accepting] for s in facts.seats],
        "people": [
            [str(p.user_id), p.is_active, dict(p.skills), sorted(p.languages), sorted(p.regions), p.daily_cap]
            for p in facts.people
        ],
        "default_team": facts.default_team and str(facts.default_team),
    }
    text = to_json(body).encode()
    return hashlib.sha256(text).digest()[:16], zlib.compress(text, 6)


def pack_run(facts: Facts, leads: Iterable[Enquiry], before: Mapping[str, Pool] | None) -> bytes:
    """Return what changes with every run, in few bytes; with the pools as they stood before it, when they are given."""
    told: dict[str, Any] = {
        "open": [person.open_leads for person in facts.people],
        "today": [person.today for person in facts.people],
        "away": {n: [p.away, p.away_until] for n, p in enumerate(facts.people) if p.away},
        "midnight": facts.midnight,
        "leads": [
            {name: value for name, value in asdict(lead).items() if value}
            | ({"cooled": {str(user): until for user, until in lead.cooled.items()}} if lead.cooled else {})
            for lead in leads
        ],
    }
    if before is not None:
        told["pools"] = {
            key: [pool.turn, {str(holder): credit for holder, credit in pool.credits.items()}]
            for key, pool in before.items()
        }
    return _packed(told)


def unpack_seats(roster: bytes) -> list[Seat]:
    """Return a kept roster's seats in their order."""
    return [Seat(UUID(team), UUID(user), *rest) for team, user, *rest in _unpacked(roster)["seats"]]


def unpack(roster: bytes, run: bytes) -> tuple[Facts, list[Enquiry], dict[str, Pool] | None]:
    """Return what a run was decided on: people, leads, and the pools before it where they were kept."""
    fixed, told = _unpacked(roster), _unpacked(run)
    people = []
    for n, (user, is_active, skills, languages, regions, cap) in enumerate(fixed["people"]):
        away, until = told["away"].get(str(n), (ABLE, None))
        people.append(
            Person(
                UUID(user), is_active, skills, frozenset(languages), frozenset(regions), cap, told["open"][n],
                told["today"][n], away, _instant(until),
            )
        )  # fmt: skip
    seats = [Seat(UUID(team), UUID(user), *rest) for team, user, *rest in fixed["seats"]]
    facts = Facts(seats, people, _id(fixed["default_team"]), _instant(told["midnight"]))
    kept = told.get("pools")
    pools = kept and {
        key: Pool(turn, {UUID(holder): credit for holder, credit in credits.items()})
        for key, (turn, credits) in kept.items()
    }
    return facts, [_enquiry(each) for each in told["leads"]], {} if kept == {} else pools


def _enquiry(told: Mapping[str, Any]) -> Enquiry:
    known = dict(told)
    known |= {"id": UUID(known["id"]), "since": _instant(known["since"]), "team_id": _id(known.get("team_id"))}
    known["cooled"] = {UUID(user): _instant(until) for user, until in known.get("cooled", {}).items()}
    return Enquiry(**known)


def _id(value: str | None) -> UUID | None:
    return UUID(value) if value else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
