"""What an exchange tells becomes what we know of calls: facts stored once, and all that follows from them.

A call is worked out anew from all its facts each time one is added, so that duplicates, late ones and any order of them
come to the same. What changed is written, told as events, and passed on to queues, agents and the timeline in one
transaction.
"""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from crm import events
from crm.calls import aftermath, keeping, legs, rows, steps, story, telling
from crm.calls.facts import Fact, Transferred
from crm.calls.known import Direction, Known
from crm.calls.legs import Leg, Party
from crm.calls.steps import Status, Step
from crm.calls.story import Story
from crm.db import Tx
from crm.operation import operation

REMEMBERED = 5_000
"""Calls whose facts a process holds in memory; of others they are read again."""


class Memory:
    """The facts of recent calls, for the one process that hears them; what it forgets is read from the database."""

    def __init__(self) -> None:
        self._facts: OrderedDict[UUID, set[Fact]] = OrderedDict()

    async def of(self, tx: Tx, call_ids: Iterable[UUID]) -> dict[UUID, set[Fact]]:
        """Return the facts of calls, as sets of the caller's own."""
        wanted = list(call_ids)
        missing = [call_id for call_id in wanted if call_id not in self._facts]
        read = await keeping.read(tx, missing) if missing else {}
        return {call_id: set(read[call_id] if call_id in read else self._facts[call_id]) for call_id in wanted}

    def begin(self, call_id: UUID) -> None:
        """Know of a call that is about to be begun that nothing was told of it yet."""
        self._facts.setdefault(call_id, set())

    def learn(self, known: Mapping[UUID, set[Fact]]) -> None:
        """Take over what a committed transaction knew."""
        for call_id, facts in known.items():
            self._facts[call_id] = facts
            self._facts.move_to_end(call_id)
        while len(self._facts) > REMEMBERED:
            self._facts.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What became new of a call: its steps, and its row's values as they are now."""

    call_id: UUID
    steps: tuple[Step, ...]
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """What hearing came to: news of calls, and the facts to remember once it is committed."""

    news: Sequence[Told]
    known: Mapping[UUID, set[Fact]]
    foreign: Sequence[Fact]
    """Facts of calls that are none of ours."""


@operation("call.hear")
async def hear(tx: Tx, facts: Iterable[Fact], *, memory: Memory | None = None, now: datetime) -> Heard:
    """Take what the exchange told of calls that are known; repeating it changes nothing.

    Facts of calls that nobody knows are left out.
    """
    told: dict[UUID, list[Fact]] = defaultdict(list)
    for fact in facts:
        told[keeping.call_id_of(tx.actor.tenant_id, fact.call_id)].append(fact)
    calls = {call_id: row for call_id, row in (await rows.lock_many(tx, list(told))).items() if _is_told_of(row, now)}
    foreign = [fact for call_id, each in told.items() if call_id not in calls for fact in each]
    ours = [(call_id, fact) for call_id, each in told.items() if call_id in calls for fact in each]
    known = await (memory or Memory()).of(tx, calls)
    for call_id, fact in ours:
        known[call_id].add(fact)
    touched = await keeping.keep(tx, ours, now=now)
    news = await _retell(tx, [calls[call_id] for call_id in sorted(touched)], known, told, now=now)
    if not news:
        tx.unchanged()
    return Heard(news, known, foreign)


LATEST = timedelta(days=1)
"""How long after its end a call is still told of."""


def _is_told_of(row: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the exchange can have something to tell of a call: of an old or an imported one it has not."""
    return row["source"] == "live" and (row["ended_at"] is None or now - row["ended_at"] < LATEST)


async def _retell(
    tx: Tx,
    calls: Sequence[asyncpg.Record],
    known: Mapping[UUID, set[Fact]],
    told: Mapping[UUID, Sequence[Fact]],
    *,
    now: datetime,
) -> list[Told]:
    """Work out calls anew, write what changed and what follows; return the news."""
    tellings = [_Telling.of(row, known[row["id"]]) for row in calls]
    before = await aftermath.before(tx, [row["id"] for row in calls])
    people = await aftermath.people(tx, [each.interfaces for each in tellings])
    stories = [(each, each.columns(people, before[each.row["id"]])) for each in tellings]
    await rows.write(tx, [(each.row["id"], columns) for each, columns in stories], now=now)
    await aftermath.keep_legs(tx, [(each.row, each.legs) for each in tellings], people, before)
    news = [Told(each.row["id"], each.news(), {**each.row, **columns}) for each, columns in stories]
    await events.record_dated(
        tx,
        [
            each for its, one in zip(tellings, news, strict=True)
            for each in _events(one, its.row, its.legs_told(one.row, people, before[one.call_id]))
        ],
    )  # fmt: skip
    afters = [
        aftermath.After(one.row, each.story, one.steps, each.legs, before[one.call_id], people)
        for each, one in zip(tellings, news, strict=True)
    ]
    stayed = [any(isinstance(fact, aftermath.OF_STAYS) for fact in told[one.call_id]) for one in news]
    await aftermath.follow(tx, afters, stayed, now=now)
    return [one for one in news if one.steps]


@dataclass(frozen=True, slots=True)
class _Telling:
    """A call worked out from its facts."""

    row: asyncpg.Record
    story: Story
    steps: tuple[Step, ...]
    legs: tuple[Leg, ...]
    known: Known

    @classmethod
    def of(cls, row: asyncpg.Record, facts: set[Fact]) -> "_Telling":
        name, direction = row["external_id"] or str(row["id"]), Direction(row["direction"])
        known = Known(name, direction, facts)
        told = story.tell(name, direction, facts)
        return cls(row, told, steps.of(name, direction, facts, told), legs.of(known), known)

    @property
    def interfaces(self) -> set[str]:
        """The endpoints that the call met: which of them are agents', their telephones tell."""
        of_legs = {leg.interface for leg in self.legs if leg.party is not Party.customer and leg.interface}
        return of_legs | {missed for stay in self.story.visits for missed in stay.missed}

    def columns(self, people: Mapping[str, UUID], before: aftermath.Before) -> dict[str, Any]:
        """Return the row's columns as they are now."""
        queue = next((stay.queue for stay in reversed(self.story.visits) if stay.queue), None)
        gave = {fact.leg_id for fact in self.known.all(Transferred) if fact.has_succeeded}
        agent = aftermath.owner(self.row, self.legs, people, before, self.story, gave)
        return rows.changed(self.row, self.story, self.steps, agent_user_id=agent, queue=queue)

    def legs_told(self, row: Mapping[str, Any], people: Mapping[str, UUID], before: aftermath.Before) -> dict[str, Any]:
        """Return what events tell of the legs of a call that is over and of which something is new; else nothing."""
        has_come_further = any(before.stages.get(leg.leg_id) is not leg.stage for leg in self.legs)
        if row["ended_at"] is None or not (has_come_further or self._differs(row)):
            return {}
        agents = {leg.leg_id: who for leg in self.legs if (who := aftermath.agent_of(self.row, leg, people, before))}
        return {"legs": telling.legs(self.known, self.legs, agents, row["ended_at"])}

    def _differs(self, row: Mapping[str, Any]) -> bool:
        return any(self.row[name] != row[name] for name in rows.TOLD)

    def news(self) -> tuple[Step, ...]:
        """Return the steps that were not told before; one of which only the time is known better is no news."""
        stored = {(step["status"], step["at"]) for step in rows.steps_of(self.row)}
        told = Counter(step["status"] for step in rows.steps_of(self.row))
        new: list[Step] = []
        for status, those in groupby(sorted(self.steps, key=_status), key=_status):
            steps = sorted(those, key=lambda step: (step.status.value, step.at.isoformat()) not in stored)
            new += steps[told[status] :]
        return tuple(step for step in self.steps if step in new)


def _status(step: Step) -> str:
    return step.status.value


def _events(
    told: Told, before: Mapping[str, Any], legs_told: Mapping[str, Any]
) -> Iterable[tuple[str, UUID, str, Mapping[str, Any], datetime]]:
    """Yield the event of each new step; what is taken up again after a hold has a name of its own.

    Of a call that was told to have ended, and turns out to have ended otherwise, that is told too; so is what else
    becomes better known of it.
    """
    if before["ended_at"] is not None:
        at = told.row["ended_at"] or before["ended_at"]
        if before["outcome"] != told.row["outcome"]:
            payload = rows.payload(told.row, was=before["outcome"], **legs_told)
            yield "call", told.call_id, "call.corrected", payload, at
        elif legs_told:
            yield "call", told.call_id, "call.amended", rows.payload(told.row, **legs_told), at
    new, was_held = {(step.status.value, step.at.isoformat()) for step in told.steps}, False
    for step in sorted(told.row["steps"], key=lambda step: str(step["at"])):
        if (step["status"], step["at"]) in new:
            name = "resumed" if was_held and step["status"] == Status.connected else step["status"]
            payload = rows.payload(told.row, **(legs_told if name == Status.ended else {}))
            yield "call", told.call_id, f"call.{name}", payload, datetime.fromisoformat(step["at"])
        was_held = step["status"] == Status.held
