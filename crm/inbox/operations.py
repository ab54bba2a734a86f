"""The inbox: one row a message, sealed as it came, worked off once. Redeliveries and replays change nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import uniform
from uuid import UUID

from crm import campaigns, events, ids, phone, vault
from crm.db import Tx
from crm.inbox import clicks, health, versions
from crm.inbox.connections import ASKED, Connection, Source
from crm.inbox.reading import Reading, Unusable
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.operation import operation

LEASE = timedelta(seconds=15)
"""How long whoever claimed a message has for it; after that it is anybody's again."""
MOST_ATTEMPTS = 20
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0
"""Seconds before the second attempt and between late ones; twenty attempts take about half a day."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message somebody works on now: the `attempt`-th time. Instants are UTC."""

    id: UUID
    connection_id: UUID
    source: Source
    key_id: UUID
    sealed: bytes
    attempt: int
    received_at: datetime
    trace_id: UUID


@operation("inbox.receive")
async def receive(tx: Tx, connection: Connection, body: bytes, *, now: datetime) -> UUID | None:
    """Store what arrived, sealed under a fresh key, and return its id; None when these very bytes came before.

    Whoever calls has checked the signature. Nothing of the body is read; what is recognised is a keyed hash of it.
    """
    stored = await receive_many(tx, connection.id, connection.source, [body], now=now)
    if not stored:
        tx.unchanged()
        return None
    return stored[0]


@operation("inbox.receive")
async def receive_many(
    tx: Tx, connection_id: UUID, source: Source, contents: Sequence[bytes], *, now: datetime
) -> list[UUID]:
    """Store several messages of one connection, as `receive` does one; return the ids of those that are new."""
    tenant_id = tx.actor.tenant_id
    sealed = [
        (ids.new(), _fingerprint(tenant_id, body), key.id, key.seal(versions.as_text(body)))
        for key, body in zip(await vault.take(tenant_id, len(contents)), contents, strict=True)
    ]
    rows = await tx.fetch(
        """insert into crm.inbox_message (tenant_id, id, connection_id, source, body_hash, key_id, sealed,
                                          next_attempt_at, trace_id, received_at)
           select $1::uuid, i.id, $2::uuid, $3::text, i.body_hash, i.key_id, i.sealed, $4::timestamptz, $5::uuid,
                  $4::timestamptz
             from unnest($6::uuid[], $7::bytea[], $8::uuid[], $9::bytea[]) as i(id, body_hash, key_id, sealed)
           on conflict (tenant_id, connection_id, body_hash) do nothing returning id""",
        tenant_id, connection_id, source.value, now, tx.actor.trace_id, *map(list, zip(*sealed, strict=True)),
    )  # fmt: skip
    if not rows:
        tx.unchanged()
        return []
    detail = {"connection_id": connection_id, "source": source.value}
    stored = [UUID(str(row["id"])) for row in rows]
    await events.record_many(tx, [("inbox_message", each, "inbox.received", detail) for each in stored], at=now)
    return stored


def _fingerprint(tenant_id: UUID, body: bytes) -> bytes:
    """Return what a body is recognised by; without our key it says nothing of what is in it."""
    return vault.blind_index(tenant_id, "inbox", hashlib.sha256(body).hexdigest())


async def claim(tx: Tx, *, at_most: int, now: datetime) -> list[Claimed]:
    """Take messages whose time has come, oldest first; to others they come again only when the lease has run out.

    Those whose source has to be asked, and is to be left in peace, wait without an attempt being counted.
    """
    rows = await tx.fetch(
        """with due as (
             select m.id from crm.inbox_message m
              where m.tenant_id = $1::uuid and m.status = 'pending' and m.next_attempt_at <= $2::timestamptz
                and not (m.source in (select unnest($5::text[])) and exists (
                      select from crm.connection_health h
                       where h.tenant_id = $1::uuid and h.connection_id = m.connection_id
                         and h.blocked_until > $2::timestamptz))
              order by m.next_attempt_at limit $3::int for update of m skip locked)
           update crm.inbox_message m set attempts = m.attempts + 1, next_attempt_at = $4::timestamptz
             from due where m.tenant_id = $1::uuid and m.id = due.id
           returning m.id, m.connection_id, m.source, m.key_id, m.sealed, m.attempts, m.received_at, m.trace_id""",
        tx.actor.tenant_id, now, at_most, now + LEASE, sorted(ASKED),
    )  # fmt: skip
    claimed = [
        Claimed(
            row["id"], row["connection_id"], Source(row["source"]), row["key_id"], row["sealed"], row["attempts"],
            row["received_at"], row["trace_id"] or ids.new(),
        )
        for row in rows
    ]  # fmt: skip
    return sorted(claimed, key=lambda each: (each.received_at, each.id))


async def bodies(tenant_id: UUID, claimed: Sequence[Claimed]) -> dict[UUID, bytes]:
    """Return the bytes of messages as they came; one whose key was destroyed is not among them."""
    keys = await vault.find(tenant_id, {each.key_id for each in claimed})
    return {each.id: versions.as_bytes(keys[each.key_id].open(each.sealed)) for each in claimed if each.key_id in keys}


async def _is_still_ours(tx: Tx, message: Claimed) -> bool:
    """Lock a message; tell whether nobody finished it or took it over since we claimed it."""
    row = await tx.fetchrow(
        "select status, attempts from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, message.id,
    )  # fmt: skip
    return row is not None and (row["status"], row["attempts"]) == ("pending", message.attempt)


@operation("inbox.process")
async def settle(tx: Tx, message: Claimed, reading: Reading, *, completed: bytes | None = None, now: datetime) -> None:
    """Store the leads of a message and mark it done, both or neither; they count as received when it was.

    `completed` is the sealed body that takes the place of the message's own. Parts become messages of their own.

    :raises Unusable: when a lead has no way to be reached.
    """
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    once = {lead.external_id: lead for lead in reading.leads}
    usable = [_usable(lead) for lead in once.values()]
    stored = await intake.create_many(tx, usable, now=message.received_at) if usable else []
    for external_id, name in reading.campaigns.items():
        await campaigns.learn(tx, platform=message.source.value, external_id=external_id, name=name, now=now)
    await clicks.want(tx, message.connection_id, reading, list(zip(usable, stored, strict=True)), now=now)
    if reading.parts:
        await receive_many(tx, message.connection_id, message.source, reading.parts, now=message.received_at)
    await _finish(tx, message, "done", None, completed=completed, now=now)
    if reading.body is not None or reading.pause:
        await health.answered(tx, message.connection_id, pause=reading.pause, now=now)
    outcomes = [one.outcome for one in stored]
    detail = {"leads": len(stored), **{word: outcomes.count(word) for word in sorted(set(outcomes))}}
    if reading.parts:
        detail["parts"] = len(reading.parts)
    await events.record(tx, "inbox_message", message.id, "inbox.processed", detail, at=now)


def _usable(lead: NewLead) -> NewLead:
    """Return a lead without the number that cannot be dialled; it stays in the sealed message.

    :raises Unusable: when neither a phone number nor an e-mail address is left of a real lead.
    """
    if lead.phone:
        try:
            phone.parse(lead.phone, country=lead.country or "TR")
        except phone.NotAPhone:
            lead = replace(lead, phone="", attributes={**lead.attributes, "phone_problem": "cannot_be_dialled"})
    if not (lead.phone or lead.email or lead.is_test):
        raise Unusable("lead.unreachable")
    return lead


@operation("inbox.process")
async def put_off(tx: Tx, message: Claimed, reason: str, *, wait: timedelta | None = None, now: datetime) -> None:
    """Try a message again later, after pauses that double and vary; or give it up after many attempts.

    `wait`: how long its source is left in peace; an attempt that this cut short does not count.
    """
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    attempts = message.attempt - (1 if wait else 0)
    if attempts >= MOST_ATTEMPTS:
        await _fail(tx, message, reason, now=now)
        return
    await tx.execute(
        """update crm.inbox_message set next_attempt_at = $3::timestamptz, last_error = $4::text, attempts = $5::int
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, now + (wait or pause_after(attempts)), reason, attempts,
    )  # fmt: skip
    detail = {"reason": reason, "attempts": attempts, "source": message.source.value}
    await events.record(tx, "inbox_message", message.id, "inbox.put_off", detail, at=now)


@operation("inbox.process")
async def give_up(tx: Tx, message: Claimed, reason: str, *, completed: bytes | None = None, now: datetime) -> None:
    """Make a message a dead letter, which no second look will make readable; `completed` as with `settle`."""
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    await _fail(tx, message, reason, completed=completed, now=now)


async def _fail(tx: Tx, message: Claimed, reason: str, *, completed: bytes | None = None, now: datetime) -> None:
    await _finish(tx, message, "failed", reason, completed=completed, now=now)
    detail = {"reason": reason, "attempts": message.attempt, "source": message.source.value}
    await events.record(tx, "inbox_message", message.id, "inbox.failed", detail, at=now)


def pause_after(attempt: int) -> timedelta:
    """Return how long to wait after the n-th attempt: twice as long each time, anywhere in the upper half of that."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return timedelta(seconds=longest * uniform(0.5, 1.0))


async def _finish(
    tx: Tx, message: Claimed, status: str, reason: str | None, *, completed: bytes | None, now: datetime
) -> None:
    if completed is not None:
        await versions.replace(tx, message.id, completed, "fetched", now=now)
    await tx.execute(
        """update crm.inbox_message set status = $3::text, last_error = $4::text, processed_at = $5::timestamptz
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, status, reason, now,
    )  # fmt: skip
