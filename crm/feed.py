"""The live feed: what happens to leads, agents, calls and callbacks, for the people who may see it, each event once.

A position is a PostgreSQL snapshot: what it sees has been told, what it does not see is still to tell, however late it
commits. Payloads are those of the event log: ids and codes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import cursors
from crm.actor import Actor
from crm.db import Tx
from crm.events.log import Event
from crm.events.reader import COLUMNS, as_event

KINDS = ("lead", "agent", "call", "callback")
"""Aggregates whose events are told."""
AT_MOST = 1000
"""Events told at once; who is further behind starts again from the lists."""
GOOD_FOR = 3600
"""Seconds after which a cursor is too old to go on from."""

Owners = Mapping[UUID, tuple[UUID | None, UUID | None]]
"""Who owns each lead now, and in which team it is; for the agent of a call, the agent and their team."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an event concerns: people, and teams whose managers see what happens in them."""

    people: frozenset[UUID]
    teams: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions had ended when somebody looked: PostgreSQL's pg_snapshot."""

    text: str
    ceiling: int
    open: frozenset[int]

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """Return the snapshot that PostgreSQL prints as `xmin:xmax:xip,xip`."""
        _, ceiling, still_open = text.split(":")
        return cls(text, int(ceiling), frozenset(int(each) for each in still_open.split(",") if each))

    def sees(self, tx_id: int) -> bool:
        """Tell whether a transaction had ended by then."""
        return tx_id < self.ceiling and tx_id not in self.open


def audience(event: Event, owners: Owners) -> Audience | None:
    """Return whom an event concerns; None: it is none of the feed's.

    A lead's event its owner, their team and whoever it names; an agent's the agent and their team; a call's or a
    callback's its agent, the owner of its lead, and the teams of both.
    """
    told = event.payload
    if event.aggregate_type == "agent":
        return _audience([event.aggregate_id], [_id(told.get("team_id"))])
    if event.aggregate_type == "lead":
        owner, team = owners.get(event.aggregate_id, (None, None))
        named = [_id(told.get("user_id")), _id(told.get("previous_user_id")), *map(_id, told.get("user_ids") or ())]
        return _audience([owner, *named], [team])
    if event.aggregate_type in ("call", "callback"):
        known = [owners.get(each, (None, None)) for each in _of_call(event) if each is not None]
        return _audience((who for who, _ in known), (team for _, team in known))
    return None


def _audience(people: Iterable[UUID | None], teams: Iterable[UUID | None]) -> Audience:
    return Audience(
        frozenset(each for each in people if each is not None), frozenset(each for each in teams if each is not None)
    )


def concerns(actor: Actor, whom: Audience) -> bool:
    """Tell whether what concerns these people and teams is for the actor: they see all, are named, or manage the team.

    The same words as `crm.visibility`, for one event at a time.
    """
    if actor.may("lead.view.all"):
        return True
    if actor.user_id in whom.people and actor.may("lead.view.own"):
        return True
    return actor.team_id in whom.teams and actor.may("lead.view.team")


def may_see(actor: Actor, event: Event, owners: Owners) -> bool:
    """Tell whether an event is for this person: named in it, about their leads or calls, their team's, or all."""
    whom = audience(event, owners) if event.tenant_id == actor.tenant_id else None
    return whom is not None and concerns(actor, whom)


def _of_call(event: Event) -> tuple[UUID | None, UUID | None]:
    """Return the lead and the agent of a call's event."""
    return _id(event.payload.get("lead_id")), _id(event.payload.get("agent_user_id"))


def _id(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else None


OWNERS = """
select l.* from unnest($2::uuid[]) as wanted(id)
 cross join lateral (
   select id, owner_id as who, team_id from crm.lead where tenant_id = $1::uuid and id = wanted.id limit 1) l
union all
select u.* from unnest($3::uuid[]) as wanted(id)
 cross join lateral (
   select id, id as who, team_id from crm.user_account where tenant_id = $1::uuid and id = wanted.id limit 1) u
"""


async def owners_of(tx: Tx, events: Iterable[Event]) -> Owners:
    """Return owner and team of the leads that events are about, and the teams of the agents of calls."""
    leads: set[UUID | None] = set()
    agents: set[UUID | None] = set()
    for event in events:
        if event.aggregate_type == "lead":
            leads.add(event.aggregate_id)
        elif event.aggregate_type in ("call", "callback"):
            lead, agent = _of_call(event)
            leads.add(lead)
            agents.add(agent)
    leads.discard(None)
    agents.discard(None)
    if not (leads or agents):
        return {}
    rows = await tx.fetch(OWNERS, tx.actor.tenant_id, list(leads), list(agents))
    return {row["id"]: (row["who"], row["team_id"]) for row in rows}


THEIRS = """
  (aggregate_type <> 'call' or $5::bool or payload_json ->> 'agent_user_id' = $6::uuid::text
   or exists (select from crm.lead l where l.tenant_id = $1::uuid and l.id = (payload_json ->> 'lead_id')::uuid
                 and (l.owner_id = $6::uuid or l.team_id = $7::uuid))
   or exists (select from crm.user_account u where u.tenant_id = $1::uuid
                 and u.id = (payload_json ->> 'agent_user_id')::uuid and u.team_id = $7::uuid))
"""
"""Calls are many: those of others are left out where they lie, so that they do not bury what is one's own."""
SINCE = f"""
with seen as (select $3::text::pg_snapshot as snapshot)
select * from (
  (select {COLUMNS} from crm.event_log
    where tenant_id = $1::uuid and aggregate_type = any($2::text[]) and {THEIRS}
      and tx_id >= (select pg_snapshot_xmax(snapshot) from seen)
    order by event_log.tx_id limit $4::int)
  union all
  (select {COLUMNS} from crm.event_log
    where tenant_id = $1::uuid and aggregate_type = any($2::text[]) and {THEIRS}
      and tx_id = any(array(select pg_snapshot_xip(snapshot) from seen))
    limit $4::int)
) as missed order by tx_id, id limit $4::int
"""
NOW = "select pg_current_snapshot()::text as seen, extract(epoch from pg_postmaster_start_time())::text as server"


@dataclass(frozen=True, slots=True)
class Position:
    """Where somebody stands who was told all that a snapshot sees. `server` changes when the server restarts."""

    snapshot: Snapshot
    server: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a person missed: the events they may see, and where they stand after them.

    `reset`: too much happened, or too long ago; the events are not here: load the lists anew and go on from here.
    """

    events: Sequence[Event]
    position: Position
    reset: bool = False


async def read(tx: Tx, cursor: str | None, *, now: datetime) -> Page:
    """Return what the acting person may see of what happened since a cursor; without one, begin at this moment.

    One look at the snapshot comes first, so that an event which commits meanwhile is told next time at the latest.
    The transaction reads committed rows; ids that the next look would tell again are left for it.

    :raises crm.cursors.BadCursor: when the cursor is not one of this feed and tenant.
    """
    row = await tx.fetchrow(NOW)
    assert row is not None, "a select without from has a row"
    here = Position(Snapshot.of(row["seen"]), row["server"])
    if cursor is None:
        return Page([], here)
    earlier = cursors.read(cursor, purpose="feed", tenant_id=tx.actor.tenant_id)
    if earlier["server"] != here.server or now.timestamp() - earlier["at"] > GOOD_FOR:
        return Page([], here, reset=True)
    actor = tx.actor
    whose = (actor.may("lead.view.all"), actor.user_id, actor.team_id if actor.may("lead.view.team") else None)
    rows = await tx.fetch(SINCE, actor.tenant_id, list(KINDS), earlier["seen"], AT_MOST + 1, *whose)
    if len(rows) > AT_MOST:
        return Page([], here, reset=True)
    events = [event for event in map(as_event, rows) if here.snapshot.sees(event.tx_id)]
    owners = await owners_of(tx, events)
    return Page([event for event in events if may_see(tx.actor, event, owners)], here)


def sign(tenant_id: UUID, position: Position, *, now: datetime) -> str:
    """Return a position as a cursor that only this feed of this tenant takes."""
    kept = {"seen": position.snapshot.text, "server": position.server, "at": int(now.timestamp())}
    return cursors.sign(kept, purpose="feed", tenant_id=tenant_id)
