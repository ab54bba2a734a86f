"""Histories of people by chance: what was answered about an instant is answered for ever, and is what one works out."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from crm import db
from crm.calendars import queries as calendars
from crm.calendars.rules import DEFAULT_HOURS, Hours
from crm.users import absences, hours, memberships, operations, profiles, teams
from tests.conftest import Tenant

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ISTANBUL = ZoneInfo("Europe/Istanbul")
FIELDS: dict[str, list[Any]] = {
    "skills": [{}, {"hair": 1}, {"hair": 5, "eyes": 2}],
    "languages": [[], ["tr"], ["de", "tr"]],
    "regions": [[], ["ege"], ["ege", "marmara"]],
    "daily_cap": [None, 0, 7],
}
WEEKS = [
    (Hours(0, 540, 780), Hours(2, 540, 1080)),
    tuple(Hours(day, 600, 1200) for day in range(7)),
    (Hours(4, 1320, 1560), Hours(5, 600, 700)),
]
"""Hours of a week; Friday's pass midnight."""

Answer = tuple[Any, ...]


@dataclass
class Told:
    """All that was said about one person, as it was said."""

    born: datetime
    fields: dict[str, list[tuple[datetime, Any]]] = field(default_factory=lambda: {name: [] for name in FIELDS})
    weeks: list[tuple[datetime, date, tuple[Hours, ...]]] = field(default_factory=list)
    away: list[dict[str, Any]] = field(default_factory=list)
    teams: list[tuple[datetime, UUID | None]] = field(default_factory=list)

    def answer(self, at: datetime) -> Answer:
        """Work out, the slow way, what held at an instant as it was known then."""
        held = [self._field(name, at) for name in FIELDS]
        return (*held, self._absent_until(at), self._is_open(at), self._team(at))

    def _field(self, name: str, at: datetime) -> Any:
        begun = [(begins, n) for n, (begins, _) in enumerate(self.fields[name]) if begins <= at]
        return self.fields[name][max(begun)[1]][1] if begun else FIELDS[name][0]

    def _absent_until(self, at: datetime) -> datetime | None:
        known = [
            each for each in self.away
            if each["said"] <= at and (each["cancelled"] is None or each["cancelled"] > at)
        ]  # fmt: skip
        until, before = at, None
        while until != before:
            before = until
            until = max([each["ends"] for each in known if each["begins"] <= until < each["ends"]], default=until)
        return until if until > at else None

    def _is_open(self, at: datetime) -> bool:
        here = at.astimezone(ISTANBUL)
        for day in (here.date(), here.date() - DAY):
            minute = (here.replace(tzinfo=None) - datetime.combine(day, time())) / timedelta(minutes=1)
            if any(
                each.weekday == day.weekday() and each.opens <= minute < each.closes for each in self._week(day, at)
            ):
                return True
        return False

    def _week(self, day: date, at: datetime) -> tuple[Hours, ...]:
        known = [(begins, n) for n, (said, begins, _) in enumerate(self.weeks) if said <= at and begins <= day]
        return self.weeks[max(known)[1]][2] if known else DEFAULT_HOURS

    def _team(self, at: datetime) -> UUID | None:
        place = bisect_right([since for since, _ in self.teams], at) - 1
        return self.teams[place][1] if place >= 0 else None


@dataclass
class Story:
    """One person's life, made up as it goes."""

    tenant: Tenant
    who: UUID
    rooms: list[UUID | None]
    random: Random
    told: Told

    async def step(self, now: datetime) -> None:
        """Let somebody say something about the person."""
        await self.random.choice([self._profile, self._profile, self._plan, self._plan, self._cancel, self._week,
                                  self._move])(now)  # fmt: skip

    async def _run(self, work: Any) -> Any:
        return await db.run(self.tenant.admin, work)

    async def _profile(self, now: datetime) -> None:
        begins = now + self.random.choice([0, 0, 5, 50]) * HOUR
        wanted = {name: self.random.choice(FIELDS[name]) for name in self.random.sample(list(FIELDS), 2)}
        await self._run(lambda tx: profiles.change(tx, self.who, wanted, valid_from=begins, now=now))
        for name, value in wanted.items():
            self.told.fields[name].append((begins, value))

    async def _plan(self, now: datetime) -> None:
        begins = now + self.random.choice([0, 3, 12, 40]) * HOUR
        ends = begins + self.random.choice([1, 9, 28]) * HOUR
        clash = any(
            each["cancelled"] is None and each["begins"] < ends and begins < each["ends"] for each in self.told.away
        )
        plan = self._run(
            lambda tx: absences.plan(tx, self.who, kind="leave", starts_at=begins, ends_at=ends, now=now)
        )  # fmt: skip
        if clash:
            with pytest.raises(absences.Overlaps):
                await plan
        else:
            told = {"id": await plan, "said": now, "begins": begins, "ends": ends, "cancelled": None}
            self.told.away.append(told)

    async def _cancel(self, now: datetime) -> None:
        if not self.told.away:
            return
        which = self.random.choice(self.told.away)
        cancel = self._run(lambda tx: absences.cancel(tx, self.who, which["id"], now=now))
        if which["cancelled"] is not None or which["ends"] <= now:
            with pytest.raises(absences.AbsenceOver):
                await cancel
        else:
            await cancel
            which["cancelled"] = now

    async def _week(self, now: datetime) -> None:
        begins = now.astimezone(ISTANBUL).date() + self.random.randint(1, 4) * DAY
        week = self.random.choice(WEEKS)
        await self._run(lambda tx: hours.set_hours(tx, self.who, week, valid_from=begins, now=now))
        self.told.weeks.append((now, begins, week))

    async def _move(self, now: datetime) -> None:
        room = self.random.choice(self.rooms)
        change = operations.Change(team_id=room, leave_team=room is None)
        await self._run(lambda tx: operations.update(tx, self.who, change, now=now))
        self.told.teams.append((now, room))

    async def ask(self, at: datetime) -> Answer:
        """Ask the product what held at an instant, as it was known then."""

        async def work(tx: db.Tx) -> Answer:
            held = (await profiles.profiles(tx, [self.who], at))[self.who]
            calendar = await calendars.of_user(tx, self.who, at)
            there = [room for room in self.rooms if room and await self._is_in(tx, room, at)]
            return (
                dict(held.skills), sorted(held.languages), sorted(held.regions), held.daily_cap, held.absent_until,
                calendar.is_open(at), there[0] if there else None,
            )  # fmt: skip

        return await db.run(self.tenant.system, work)

    async def _is_in(self, tx: db.Tx, room: UUID, at: datetime) -> bool:
        return self.who in [row["user_id"] for row in await memberships.of_team(tx, room, at=at)]


def instants(random: Random, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the borders of a stretch of time, and some instants within."""
    yield since
    for _ in range(3):
        yield since + random.random() * (until - since)
    yield until


async def live(tenant: Tenant, number: int, now: datetime) -> None:
    """Make up one person's life and hold every answer about it against what was answered before, and worked out."""
    random = Random(number)
    rooms = [
        await db.run(tenant.admin, lambda tx, n=n: teams.create(tx, name=f"{number} {n}", now=now)) for n in range(2)
    ]
    who = await db.run(
        tenant.admin,
        lambda tx: operations.create(tx, email=f"{number}@acme.example", name="A", roles=["sales_agent"], now=now),
    )
    story = Story(tenant, who, [*rooms, None], random, Told(now))
    answered: dict[datetime, Answer] = {}
    before = now
    for _ in range(14):
        then = before + random.choice([1, 7, 30]) * HOUR + random.random() * HOUR
        for at in instants(random, before, then - timedelta(microseconds=1)):
            answered[at] = await story.ask(at)
            assert answered[at] == story.told.answer(at), f"history {number}, {at}"
        await story.step(then)
        before = then

    for at, answer in answered.items():
        assert await story.ask(at) == answer, f"history {number}: what was so at {at} was rewritten"


class TestDating:
    async def test_never_rewrites_the_past(self, tenant: Tenant, now: datetime) -> None:
        for number in range(8):
            await live(tenant, number, now)

    @pytest.mark.soak
    async def test_never_does_in_the_long_run(self, tenant: Tenant, now: datetime) -> None:
        for number in range(8, 300):
            await live(tenant, number, now)
