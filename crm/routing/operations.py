"""What distribution changes: leads given to people with the reasons kept, and who takes part in it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.leads import operations as leads
from crm.leads.operations import Assignment
from crm.operation import operation
from crm.routing import rules
from crm.routing.rules import Member, Pick

BATCH = 200
"""Leads given out in one transaction."""
REASON = "router.round_robin"

WAITING = "owner_id is null and status in ('new', 'assigned') and not is_test"
"""A lead that distribution has to give to somebody; test leads and leads further on are left alone. An index has it."""
OPEN = "owner_id is not null and status not in ('won', 'lost') and not is_test"
"""A lead that somebody has in hand; it takes of their capacity. An index has it."""

STANDING = ("user_id", "weight", "capacity", "credit", "accepting", "is_active")

Credits = dict[tuple[UUID, UUID], int]


class UnknownMember(errors.NotFound):
    """There is no such team, or no such active person."""

    code = "routing.member_unknown"


@dataclass(frozen=True, slots=True)
class Team:
    """A team whose leads are looked at; the default team also has those that name none."""

    id: UUID
    is_default: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A lead and what was decided about it."""

    lead_id: UUID
    team_id: UUID | None
    pick: Pick


@dataclass(frozen=True, slots=True)
class Routed:
    """What one transaction did. `is_full`: it gave out as many as one may, and there may be more."""

    assigned: list[UUID]
    kept_waiting: list[UUID]
    is_full: bool


@operation("routing.route")
async def route(tx: Tx, arrived: Collection[UUID], *, now: datetime) -> Routed:
    """Give the oldest waiting leads of the arrived leads' teams to people with room, in the order they were received.

    An arrived lead for which nobody has room waits; that decision is stored the first time only. Asking again about
    leads that are given or no longer there changes nothing.
    """
    rows = await tx.fetch(
        f"select distinct team_id from crm.lead where tenant_id = $1::uuid and id = any($2::uuid[]) and {WAITING}",
        tx.actor.tenant_id,
        list(arrived),
    )
    wanted = {row["team_id"] for row in rows}
    teams = await _teams(tx)
    chosen = [team for team in teams if team.id in wanted or (team.is_default and None in wanted)]
    return await _distribute(tx, chosen, arrived if rows else [], now=now)


@operation("routing.route")
async def sweep(tx: Tx, *, now: datetime) -> Routed:
    """Do the same for every team that has leads waiting, whatever woke us: nothing waits because a bell was missed."""
    teams = await tx.fetch(
        f"""select t.id, t.is_default from crm.team t where t.tenant_id = $1::uuid and (
              exists (select from crm.lead where tenant_id = $1::uuid and team_id = t.id and {WAITING})
              or t.is_default and exists (select from crm.lead
                                           where tenant_id = $1::uuid and team_id is null and {WAITING}))""",
        tx.actor.tenant_id,
    )
    if not teams:
        tx.unchanged()
        return Routed([], [], is_full=False)
    undecided = await tx.fetch(
        f"""select id from crm.lead l where tenant_id = $1::uuid and {WAITING}
             and not exists (select from crm.routing_decision d where d.tenant_id = $1::uuid and d.lead_id = l.id)
           order by received_at, id limit {BATCH}""",
        tx.actor.tenant_id,
    )
    return await _distribute(tx, [Team(*row) for row in teams], [row["id"] for row in undecided], now=now)


async def _teams(tx: Tx) -> list[Team]:
    rows = await tx.fetch(
        "select id, is_default from crm.team where tenant_id = $1::uuid order by id", tx.actor.tenant_id
    )
    return [Team(*row) for row in rows]


async def _distribute(tx: Tx, teams: Sequence[Team], arrived: Collection[UUID], *, now: datetime) -> Routed:
    """Decide under a lock on the teams' members, so that two routers never count the same room twice."""
    members = await _lock_members(tx, [team.id for team in teams])
    open_leads = await _count_open(tx, {each.user_id for team in members.values() for each in team})
    decided: list[Decided] = []
    credits: Credits = {}
    for team in teams:
        standing = _standing(members[team.id], open_leads)
        waiting = await _oldest_waiting(tx, team, min(rules.room(standing), BATCH - len(decided)))
        picks, after = rules.pick(standing, len(waiting))
        decided += [Decided(lead, team.id, one) for lead, one in zip(waiting, picks, strict=True)]
        open_leads |= {each.user_id: each.open_leads for each in after}
        if waiting:
            credits |= {(team.id, each.user_id): each.credit for each in after}
    given = await _give(tx, decided, credits, now=now)
    full = {team.id: rules.pick(_standing(members[team.id], open_leads), 1)[0][0] for team in teams}
    is_full = len(decided) >= BATCH
    kept = [] if is_full else await _keep_waiting(tx, arrived, full, _default(teams), now=now)
    if not given and not kept:
        tx.unchanged()
    return Routed(given, kept, is_full=is_full)


def _standing(members: Iterable[Member], open_leads: Mapping[UUID, int]) -> list[Member]:
    return [replace(each, open_leads=open_leads.get(each.user_id, 0)) for each in members]


def _default(teams: Iterable[Team]) -> UUID | None:
    return next((team.id for team in teams if team.is_default), None)


async def _lock_members(tx: Tx, teams: Collection[UUID]) -> dict[UUID, list[Member]]:
    """Return the members of teams, locked in a fixed order until the transaction ends."""
    rows = await tx.fetch(
        """select m.team_id, m.user_id, m.weight, m.capacity, m.credit, m.accepting, u.is_active
             from crm.routing_member m
             join crm.user_account u on u.tenant_id = m.tenant_id and u.id = m.user_id
            where m.tenant_id = $1::uuid and m.team_id = any($2::uuid[])
            order by m.team_id, m.user_id for update of m""",
        tx.actor.tenant_id,
        list(teams),
    )
    found: dict[UUID, list[Member]] = {team: [] for team in teams}
    for row in rows:
        found[row["team_id"]].append(Member(**{name: row[name] for name in STANDING}))
    return found


async def _count_open(tx: Tx, users: Collection[UUID]) -> dict[UUID, int]:
    """Count what people have in hand, live; a statement of its own, so that it sees what was done before our lock."""
    rows = await tx.fetch(
        f"""select owner_id, count(*)::int as open_leads from crm.lead
             where tenant_id = $1::uuid and owner_id = any($2::uuid[]) and {OPEN} group by owner_id""",
        tx.actor.tenant_id,
        list(users),
    )
    return {row["owner_id"]: row["open_leads"] for row in rows}


async def _oldest_waiting(tx: Tx, team: Team, at_most: int) -> list[UUID]:
    """Return and lock a team's leads that have waited longest; one that somebody works on now is left for later."""
    if at_most <= 0:
        return []
    pools = ["team_id = $2::uuid"] + (["$2::uuid is not null and team_id is null"] if team.is_default else [])
    found = []
    for pool in pools:
        found += await tx.fetch(
            f"""select id, received_at from crm.lead where tenant_id = $1::uuid and {pool} and {WAITING}
                order by received_at, id limit $3::int for update skip locked""",
            tx.actor.tenant_id, team.id, at_most,
        )  # fmt: skip
    return [row["id"] for row in sorted(found, key=lambda row: (row["received_at"], row["id"]))[:at_most]]


async def _give(tx: Tx, decided: Sequence[Decided], credits: Credits, *, now: datetime) -> list[UUID]:
    if not decided:
        return []
    decisions = await _store_decisions(tx, decided, now=now)
    await tx.execute(
        """update crm.routing_member m set credit = i.credit
             from unnest($2::uuid[], $3::uuid[], $4::int[]) as i(team_id, user_id, credit)
            where m.tenant_id = $1::uuid and m.team_id = i.team_id and m.user_id = i.user_id
              and m.credit <> i.credit""",
        tx.actor.tenant_id, [team for team, _ in credits], [user for _, user in credits], list(credits.values()),
    )  # fmt: skip
    assignments = [
        Assignment(each.lead_id, each.pick.user_id, REASON, each.team_id, decision)
        for each, decision in zip(decided, decisions, strict=True)
    ]
    return await leads.assign_many(tx, assignments, only_waiting=True, now=now)


async def _keep_waiting(
    tx: Tx, arrived: Collection[UUID], full: dict[UUID, Pick], default: UUID | None, *, now: datetime
) -> list[UUID]:
    """Say once why an arrived lead waits."""
    rows = await tx.fetch(
        f"""select id, team_id from crm.lead l where tenant_id = $1::uuid and id = any($2::uuid[]) and {WAITING}
             and not exists (select from crm.routing_decision d
                              where d.tenant_id = $1::uuid and d.lead_id = l.id and d.user_id is null)""",
        tx.actor.tenant_id,
        list(arrived),
    )
    waits = []
    for row in rows:
        team = row["team_id"] or default
        nobody = full.get(team) if team else Pick(None, [{"code": "no_team"}])
        if nobody and nobody.user_id is None:
            waits.append(Decided(row["id"], team, nobody))
    await _store_decisions(tx, waits, now=now)
    await events.record_many(
        tx,
        [
            (
                "lead",
                each.lead_id,
                "lead.kept_waiting",
                {"reason": each.pick.reasons[0]["code"], "team_id": each.team_id},
            )
            for each in waits
        ],
        at=now,
    )
    return [each.lead_id for each in waits]


async def _store_decisions(tx: Tx, decided: Sequence[Decided], *, now: datetime) -> list[UUID]:
    """Keep decisions with their reasons; return their ids in order."""
    fresh = [ids.new() for _ in decided]
    await tx.executemany(
        """insert into crm.routing_decision (tenant_id, id, lead_id, team_id, user_id, strategy, reasons, decided_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::text, $7::jsonb, $8::timestamptz)""",
        [
            (tx.actor.tenant_id, decision, each.lead_id, each.team_id, each.pick.user_id, rules.STRATEGY,
             to_json(each.pick.reasons), now)
            for decision, each in zip(fresh, decided, strict=True)
        ],
    )  # fmt: skip
    return fresh


@operation("routing.manage")
async def set_member(
    tx: Tx, team_id: UUID, user_id: UUID, *, weight: int, capacity: int, accepting: bool = True, now: datetime
) -> None:
    """Let a person take leads of a team, or change how: `weight` is their share, `capacity` the most open leads.

    :raises UnknownMember: when there is no such team or active person.
    """
    known = await tx.fetchval(
        """select exists (select from crm.team where tenant_id = $1::uuid and id = $2::uuid)
              and exists (select from crm.user_account where tenant_id = $1::uuid and id = $3::uuid and is_active)""",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if not known:
        raise UnknownMember
    changed = await tx.fetchval(
        """insert into crm.routing_member as m (tenant_id, team_id, user_id, weight, capacity, accepting, updated_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::int, $6::boolean, $7::timestamptz)
           on conflict (tenant_id, team_id, user_id) do update
              set weight = excluded.weight, capacity = excluded.capacity, accepting = excluded.accepting,
                  updated_at = excluded.updated_at
            where (m.weight, m.capacity, m.accepting) <> (excluded.weight, excluded.capacity, excluded.accepting)
           returning true""",
        tx.actor.tenant_id, team_id, user_id, weight, capacity, accepting, now,
    )  # fmt: skip
    if not changed:
        tx.unchanged()
        return
    detail = {"user_id": user_id, "weight": weight, "capacity": capacity, "accepting": accepting}
    await events.record(tx, "team", team_id, "routing.member_changed", detail, at=now)
    await audit.record(tx, "routing.member_change", "team", team_id, detail, at=now)


@operation("routing.manage")
async def remove_member(tx: Tx, team_id: UUID, user_id: UUID, *, now: datetime) -> None:
    """Give a person no more leads of a team; those in their hands stay there.

    :raises UnknownMember: when they take none.
    """
    done = await tx.execute(
        "delete from crm.routing_member where tenant_id = $1::uuid and team_id = $2::uuid and user_id = $3::uuid",
        tx.actor.tenant_id, team_id, user_id,
    )  # fmt: skip
    if done == "DELETE 0":
        raise UnknownMember
    await events.record(tx, "team", team_id, "routing.member_removed", {"user_id": user_id}, at=now)
    await audit.record(tx, "routing.member_remove", "team", team_id, {"user_id": user_id}, at=now)


@operation("agent.availability")
async def set_availability(tx: Tx, *, accepting: bool, now: datetime) -> None:
    """Say for oneself whether one takes new leads now, in every team one belongs to.

    :raises UnknownMember: when one takes part in no distribution.
    """
    rows = await tx.fetch(
        "select accepting from crm.routing_member where tenant_id = $1::uuid and user_id = $2::uuid for update",
        tx.actor.tenant_id,
        tx.actor.user_id,
    )
    if not rows or tx.actor.user_id is None:
        raise UnknownMember("you take part in no distribution of leads")
    if all(row["accepting"] == accepting for row in rows):
        tx.unchanged()
        return
    await tx.execute(
        """update crm.routing_member set accepting = $3::boolean, updated_at = $4::timestamptz
            where tenant_id = $1::uuid and user_id = $2::uuid""",
        tx.actor.tenant_id, tx.actor.user_id, accepting, now,
    )  # fmt: skip
    detail = {"accepting": accepting, "team_id": tx.actor.team_id}
    await events.record(tx, "agent", tx.actor.user_id, "agent.availability_changed", detail, at=now)
    await audit.record(tx, "agent.availability", "user", tx.actor.user_id, {"accepting": accepting}, at=now)
