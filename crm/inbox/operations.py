"""The inbox: one row a message, sealed as it came, worked off once. Redeliveries and replays change nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import uniform
from uuid import UUID

import asyncpg

from crm import audit, campaigns, errors, events, ids, phone, vault
from crm.db import Tx
from crm.inbox import clicks, health
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


class UnknownMessage(errors.NotFound):
    """There is no such message."""

    code = "inbox.not_found"


class NotFailed(errors.Conflict):
    """Only a message that was given up can be mended."""

    code = "inbox.not_failed"


class Erased(errors.Conflict):
    """What the message said was erased."""

    code = "inbox.erased"


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
    tx: Tx, connection_id: UUID, source: Source, bodies: Sequence[bytes], *, now: datetime
) -> list[UUID]:
    """Store several messages of one connection, as `receive` does one; return the ids of those that are new."""
    tenant_id = tx.actor.tenant_id
    sealed = [
        (ids.new(), vault.blind_index(tenant_id, "inbox", hashlib.sha256(body).hexdigest()), key.id, key.seal(text))
        for key, body, text in zip(await vault.take(tenant_id, len(bodies)), bodies, map(_as_text, bodies), strict=True)
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


def _as_text(body: bytes) -> str:
    """Return any bytes as text, one character each, which is what can be sealed."""
    return body.decode("latin-1")


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
    return {
        each.id: keys[each.key_id].open(each.sealed).encode("latin-1") for each in claimed if each.key_id in keys
    }  # fmt: skip


async def seal(tenant_id: UUID, message: Claimed, body: bytes) -> bytes | None:
    """Return another body of a message sealed under its own key; None when that was destroyed."""
    return await _seal(tenant_id, message.key_id, body)


async def _seal(tenant_id: UUID, key_id: UUID, body: bytes) -> bytes | None:
    keys = await vault.find(tenant_id, [key_id])
    return keys[key_id].seal(_as_text(body)) if key_id in keys else None


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
async def put_off(
    tx: Tx, message: Claimed, reason: str, *, now: datetime, for_good: bool = False, completed: bytes | None = None
) -> None:
    """Try a message again later, after pauses that double and vary; or give it up, at once or after many attempts."""
    if not await _is_still_ours(tx, message):
        tx.unchanged()
        return
    detail = {"reason": reason, "attempts": message.attempt, "source": message.source.value}
    if for_good or message.attempt >= MOST_ATTEMPTS:
        await _finish(tx, message, "failed", reason, completed=completed, now=now)
        await events.record(tx, "inbox_message", message.id, "inbox.failed", detail, at=now)
        return
    await tx.execute(
        """update crm.inbox_message set next_attempt_at = $3::timestamptz, last_error = $4::text
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, now + pause_after(message.attempt), reason,
    )  # fmt: skip
    await events.record(tx, "inbox_message", message.id, "inbox.put_off", detail, at=now)


def pause_after(attempt: int) -> timedelta:
    """Return how long to wait after the n-th attempt: twice as long each time, anywhere in the upper half of that."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return timedelta(seconds=longest * uniform(0.5, 1.0))


async def _finish(
    tx: Tx, message: Claimed, status: str, reason: str | None, *, completed: bytes | None, now: datetime
) -> None:
    if completed is not None:
        await _replace_body(tx, message.id, completed, "fetched", now=now)
    await tx.execute(
        """update crm.inbox_message set status = $3::text, last_error = $4::text, processed_at = $5::timestamptz
            where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message.id, status, reason, now,
    )  # fmt: skip


async def _replace_body(tx: Tx, message_id: UUID, sealed: bytes, because: str, *, now: datetime) -> None:
    """Put another body in the place of a message's own, which is kept. Its fingerprint stays that of what came."""
    await tx.execute(
        """insert into crm.inbox_version (tenant_id, message_id, version_no, key_id, sealed, replaced_because,
                                          replaced_at, replaced_by)
           select $1::uuid, $2::uuid, (select count(*) + 1 from crm.inbox_version
                                        where tenant_id = $1::uuid and message_id = $2::uuid),
                  key_id, sealed, $3::text, $4::timestamptz, $5::uuid
             from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid""",
        tx.actor.tenant_id, message_id, because, now, tx.actor.user_id,
    )  # fmt: skip
    await tx.execute(
        "update crm.inbox_message set sealed = $3::bytea where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, message_id, sealed,
    )  # fmt: skip


@operation("inbox.replay")
async def replay(tx: Tx, message_id: UUID, *, now: datetime) -> None:
    """Have a message worked off again from the beginning; what it brought already changes nothing the second time.

    :raises UnknownMessage: when there is none.
    """
    row = await _lock(tx, message_id)
    await _again(tx, [message_id], now)
    detail = {"was": row["status"]}
    await events.record(tx, "inbox_message", message_id, "inbox.replayed", detail, at=now)
    await audit.of_person(tx, "inbox.replayed", "inbox_message", message_id, detail, at=now)


@operation("inbox.replay")
async def replay_failed(
    tx: Tx, *, reason: str | None = None, connection_id: UUID | None = None, at_most: int = 1000, now: datetime
) -> int:
    """Replay messages that were given up by now, oldest first, of one reason or connection if asked; return how many.

    Called again with the same `now` it goes on with the rest, and comes to an end whatever fails again meanwhile.
    """
    rows = await tx.fetch(
        """select id from crm.inbox_message
            where tenant_id = $1::uuid and status = 'failed' and ($2::text is null or last_error = $2::text)
              and ($3::uuid is null or connection_id = $3::uuid) and processed_at <= $5::timestamptz
            order by id limit $4::int for update skip locked""",
        tx.actor.tenant_id, reason, connection_id, at_most, now,
    )  # fmt: skip
    if not rows:
        tx.unchanged()
        return 0
    found = [row["id"] for row in rows]
    await _again(tx, found, now)
    detail = {"was": "failed", "reason": reason}
    await events.record_many(tx, [("inbox_message", each, "inbox.replayed", detail) for each in found], at=now)
    await audit.of_person(
        tx, "inbox.replayed", "connection", connection_id, {**detail, "messages": len(found)}, at=now
    )  # fmt: skip
    return len(found)


@operation("inbox.replay")
async def resubmit(tx: Tx, message_id: UUID, body: bytes, *, now: datetime) -> None:
    """Put a mended body in the place of a failed message's own and have it worked off; the earlier body is kept.

    The same message delivered again by its source is still recognised as the one that came first.

    :raises UnknownMessage: when there is none.
    :raises NotFailed: when it was not given up: it may be being worked off, or has brought its leads.
    :raises Erased: when what it said was erased.
    """
    row = await _lock(tx, message_id)
    if row["status"] != "failed":
        raise NotFailed
    sealed = await _seal(tx.actor.tenant_id, row["key_id"], body)
    if sealed is None:
        raise Erased
    await _replace_body(tx, message_id, sealed, "mended", now=now)
    await _again(tx, [message_id], now)
    detail = {"was": row["status"], "mended": True, "reason": row["last_error"]}
    await events.record(tx, "inbox_message", message_id, "inbox.replayed", detail, at=now)
    await audit.of_person(tx, "inbox.resubmitted", "inbox_message", message_id, detail, at=now)


async def _lock(tx: Tx, message_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(
        "select status, key_id, last_error from crm.inbox_message"
        " where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    return row


async def _again(tx: Tx, message_ids: Sequence[UUID], now: datetime) -> None:
    await tx.execute(
        """update crm.inbox_message m set status = 'pending', attempts = 0, next_attempt_at = $3::timestamptz,
                  processed_at = null
             from unnest($2::uuid[]) as wanted(id)
            where m.tenant_id = $1::uuid and m.id = wanted.id""",
        tx.actor.tenant_id, list(message_ids), now,
    )  # fmt: skip


async def content(tx: Tx, message_id: UUID) -> bytes:
    """Return what a message says now, completed or mended. It holds personal data: whoever calls checks and audits.

    :raises UnknownMessage: when there is none.
    :raises Erased: when it was erased.
    """
    row = await tx.fetchrow(
        "select key_id, sealed from crm.inbox_message where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, message_id,
    )  # fmt: skip
    if row is None:
        raise UnknownMessage
    keys = await vault.find(tx.actor.tenant_id, [row["key_id"]])
    if row["key_id"] not in keys:
        raise Erased
    return keys[row["key_id"]].open(row["sealed"]).encode("latin-1")


SHOWN = """id, connection_id, source, status, attempts, next_attempt_at, last_error, received_at, processed_at"""


async def page(
    tx: Tx,
    *,
    status: str | None = None,
    reason: str | None = None,
    connection_id: UUID | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Return messages without what they say, latest first, after one in that order; failed ones are dead letters."""
    return await tx.fetch(
        f"""select {SHOWN} from crm.inbox_message
             where tenant_id = $1::uuid and ($2::text is null or status = $2::text)
               and ($3::text is null or last_error = $3::text) and ($4::uuid is null or connection_id = $4::uuid)
               and ($5::uuid is null or id < $5::uuid)
             order by id desc limit $6::int""",
        tx.actor.tenant_id, status, reason, connection_id, after, limit,
    )  # fmt: skip


async def reasons(tx: Tx) -> list[asyncpg.Record]:
    """Return why messages were given up, each reason with its source and how many, the most frequent first."""
    return await tx.fetch(
        """select last_error as reason, source, count(*)::int as messages, min(received_at) as oldest_received_at
             from crm.inbox_message where tenant_id = $1::uuid and status = 'failed'
            group by last_error, source order by count(*) desc, last_error""",
        tx.actor.tenant_id,
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
