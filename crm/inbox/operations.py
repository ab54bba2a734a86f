"""The inbox: one row a message, sealed as it came, worked off once. Redeliveries and replays change nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import uniform
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids, phone, vault
from crm.db import Tx
from crm.inbox.connections import Connection, Source
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.operation import operation

LEASE = timedelta(seconds=15)
"""How long whoever claimed a message has for it; after that it is anybody's again."""
MOST_ATTEMPTS = 20
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0
"""Seconds before the second attempt and between late ones; twenty attempts take about half a day."""


class UnknownMessage(errors.NotFound):
    """There is no such message."""

    code = "inbox.not_found"


class Unusable(errors.Invalid):
    """A message that no second look will make readable; `reason` is a code without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the message cannot be used: {reason}")
        self.reason = reason


class NotNow(errors.Unavailable):
    """A message whose source does not answer now; `reason` is a code without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the source does not answer: {reason}")
        self.reason = reason


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
    key = (await vault.take(tx.actor.tenant_id))[0]
    message_id = await tx.fetchval(
        """insert into crm.inbox_message (tenant_id, id, connection_id, source, body_hash, key_id, sealed,
                                          next_attempt_at, trace_id, received_at)
           values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::bytea, $6::uuid, $7::bytea, $8::timestamptz, $9::uuid,
                   $8::timestamptz)
           on conflict (tenant_id, connection_id, body_hash) do nothing returning id""",
        tx.actor.tenant_id, ids.new(), connection.id, connection.source.value,
        vault.blind_index(tx.actor.tenant_id, "inbox", hashlib.sha256(body).hexdigest()),
        key.id, key.seal(_as_text(body)), now, tx.actor.trace_id,
    )  # fmt: skip
    if message_id is None:
        tx.unchanged()
        return None
    detail = {"connection_id": connection.id, "source": connection.source.value}
    await events.record(tx, "inbox_message", message_id, "inbox.received", detail, at=now)
    return UUID(str(message_id))


def _as_text(body: bytes) -> str:
    """Return any bytes as text, one character each, which is what can be sealed."""
    return body.decode("latin-1")


async def claim(tx: Tx, *, at_most: int, now: datetime) -> list[Claimed]:
    """Take messages whose time has come, oldest first; to others they come again only when the lease has run out."""
    rows = await tx.fetch(
        """with due as (
             select id from crm.inbox_message
              where tenant_id = $1::uuid and status = 'pending' and next_attempt_at <= $2::timestamptz
              order by next_attempt_at limit $3::int for update skip locked)
           update crm.inbox_message m set attempts = m.attempts + 1, next_attempt_at = $4::timestamptz
             from due where m.tenant_id = $1::uuid and m.id = due.id
           returning m.id, m.connection_id, m.source, m.key_id, m.sealed, m.attempts, m.received_at, m.trace_id""",
        tx.actor.tenant_id, now, at_most, now + LEASE,
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
    return {
        each.id: keys[each.key_id].open(each.sealed).encode("latin-1") for each in claimed if each.key_id in keys
    }  # fmt: skip


async def _is_still_ours(tx: Tx, message: Claimed) -> bool:
    """Lock a message; tell whether nobody finished it or took it over since we claimed it."""
    row = await tx.fetchrow(
        "select status, attempts from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, message.id,
    )  # fmt: skip
    return row is not None and (row["status"], row["attempts"]) == ("pending", message.attempt)


@operation("inbox.process")
async def settle(tx: Tx, message: Claimed, leads: Sequence[NewLead], *, now: datetime) -> None:
    """Store the leads of a message and mark it done, both or neither; they count as received when it was.

    :raises Unusable: when a lead has no way to be reached.
    """
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    once = {lead.external_id: lead for lead in leads}
    usable = [_usable(lead) for lead in once.values()]
    stored = await intake.create_many(tx, usable, now=message.received_at) if usable else []
    await _close(tx, message, "done", None, now=now)
    outcomes = [one.outcome for one in stored]
    detail = {"leads": len(stored), **{word: outcomes.count(word) for word in sorted(set(outcomes))}}
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
async def put_off(tx: Tx, message: Claimed, reason: str, *, now: datetime, for_good: bool = False) -> None:
    """Try a message again later, after pauses that double and vary; or give it up, at once or after many attempts."""
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    if for_good or message.attempt >= MOST_ATTEMPTS:
        await _close(tx, message, "failed", reason, now=now)
        detail = {"reason": reason, "attempts": message.attempt, "source": message.source.value}
        await events.record(tx, "inbox_message", message.id, "inbox.failed", detail, at=now)
        return
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (message.attempt - 1)) * uniform(0.5, 1.0)
    await tx.execute(
        """update crm.inbox_message set next_attempt_at = $3::timestamptz, last_error = $4::text
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, now + timedelta(seconds=pause), reason,
    )  # fmt: skip
    detail = {"reason": reason, "attempts": message.attempt, "source": message.source.value}
    await events.record(tx, "inbox_message", message.id, "inbox.put_off", detail, at=now)


async def _close(tx: Tx, message: Claimed, status: str, reason: str | None, *, now: datetime) -> None:
    await tx.execute(
        """update crm.inbox_message set status = $3::text, last_error = $4::text, processed_at = $5::timestamptz
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, status, reason, now,
    )  # fmt: skip


@operation("inbox.replay")
async def replay(tx: Tx, message_id: UUID, *, now: datetime) -> None:
    """Have a message worked off again from the beginning; what it brought already changes nothing the second time.

    :raises UnknownMessage: when there is none.
    """
    row = await tx.fetchrow(
        "select status from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    await tx.execute(
        """update crm.inbox_message set status = 'pending', attempts = 0, next_attempt_at = $3::timestamptz,
                  processed_at = null
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message_id, now,
    )  # fmt: skip
    detail = {"was": row["status"]}
    await events.record(tx, "inbox_message", message_id, "inbox.replayed", detail, at=now)
    await audit.record(tx, "inbox.replayed", "inbox_message", message_id, detail, at=now)


SHOWN = """id, connection_id, source, status, attempts, next_attempt_at, last_error, received_at, processed_at"""


async def page(tx: Tx, *, status: str | None = None, after: UUID | None = None, limit: int) -> list[asyncpg.Record]:
    """Return messages without what they say, latest first, after one in that order."""
    return await tx.fetch(
        f"""select {SHOWN} from crm.inbox_message
             where tenant_id = $1::uuid and ($2::text is null or status = $2::text)
               and ($3::uuid is null or id < $3::uuid)
             order by id desc limit $4::int""",
        tx.actor.tenant_id, status, after, limit,
    )  # fmt: skip


async def get(tx: Tx, message_id: UUID) -> asyncpg.Record:
    """Return a message without what it says.

    :raises UnknownMessage: when there is none.
    """
    row = await tx.fetchrow(
        f"select {SHOWN} from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    return row
