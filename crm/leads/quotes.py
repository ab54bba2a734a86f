"""Quotes (LEAD-5): what a treatment would cost. A new one supersedes the one before; at most one is open per lead."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, ids
from crm.db import Tx
from crm.leads import closing, procedures, rows
from crm.leads.rules import TERMINAL, Status
from crm.money import Money
from crm.operation import operation


class QuoteStatus(StrEnum):
    """How a quote stands. Whether an open one has expired is read from `valid_until`, not stored."""

    open = "open"
    accepted = "accepted"
    declined = "declined"
    superseded = "superseded"
    withdrawn = "withdrawn"


class Answer(StrEnum):
    """What the customer says to a quote."""

    accepted = "accepted"
    declined = "declined"


class QuoteNotFound(errors.NotFound):
    """This lead has no such quote."""

    code = "quote.not_found"


class QuoteClosed(errors.Conflict):
    """This quote is not to be had any more: answered, superseded, withdrawn, expired, or of an earlier cycle."""

    code = "quote.closed"


class CycleEnded(errors.Conflict):
    """This lead is won or lost: reopen it first."""

    code = "lead.cycle_ended"


STORE = """
insert into crm.quote (tenant_id, id, lead_id, cycle_no, version, amount_minor, currency, exponent, procedure_type,
                       valid_until, created_by, created_at)
select $1::uuid, $2::uuid, $3::uuid, $4::int, coalesce(max(q.version), 0) + 1, $5::bigint, $6::text, $7::int, $8::text,
       $9::timestamptz, $10::uuid, $11::timestamptz
  from crm.quote q where q.tenant_id = $1::uuid and q.lead_id = $3::uuid
returning version
"""

DECIDE = """
update crm.quote set status = $3::text, reason = $4::text, decided_at = $5::timestamptz, decided_by = $6::uuid
 where tenant_id = $1::uuid and id = $2::uuid
"""


@operation("quote.edit")
async def make(
    tx: Tx,
    lead_id: UUID,
    money: Money,
    *,
    procedure_type: str | None = None,
    valid_until: datetime | None = None,
    note: str | None = None,
    now: datetime,
) -> UUID:
    """Offer a lead a price until an instant (UTC; None: until further notice), and return the quote's id.

    An open quote of before is superseded. The status of the lead stays as it is.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises CycleEnded: when it is won or lost.
    :raises crm.leads.procedures.UnknownProcedure: when the procedure is not in the tenant's catalogue.
    :raises errors.Invalid: when the amount is not positive or the quote would be over before it began.
    """
    if money.minor <= 0:
        raise errors.Invalid("a quote has a positive amount", fields={"amount": "more than nothing"})
    if valid_until is not None and valid_until <= now:
        raise errors.Invalid("a quote holds for some time", fields={"valid_until": "lies in the future"})
    await procedures.require_known(tx, procedure_type, at=now)
    row = await rows.lock(tx, lead_id)
    if Status(row["status"]) in TERMINAL:
        raise CycleEnded
    await _supersede(tx, row, now=now)
    quote_id = ids.new()
    version = await tx.fetchval(
        STORE, tx.actor.tenant_id, quote_id, lead_id, row["cycle_no"], money.minor, money.currency, money.exponent,
        procedure_type, valid_until, tx.actor.user_id, now,
    )  # fmt: skip
    told: dict[str, Any] = {
        "quote_id": quote_id, "version": version, "amount_minor": money.minor, "currency": money.currency,
        "exponent": money.exponent, "valid_until": valid_until, "cycle_no": row["cycle_no"],
    }  # fmt: skip
    await closing.trace(tx, row, "quote.made", told, note=note, now=now)
    await audit.of_person(tx, "quote.make", "lead", lead_id, {"quote_id": quote_id}, at=now)
    return quote_id


async def _supersede(tx: Tx, row: asyncpg.Record, *, now: datetime) -> None:
    before = await tx.fetchval(
        "select id from crm.quote where tenant_id = $1::uuid and lead_id = $2::uuid and status = 'open' for update",
        tx.actor.tenant_id, row["id"],
    )  # fmt: skip
    if before:
        await _decide(tx, row, before, QuoteStatus.superseded, None, now=now)


async def _decide(
    tx: Tx, row: asyncpg.Record, quote_id: UUID, status: QuoteStatus, reason: str | None, *, now: datetime
) -> None:
    await tx.execute(DECIDE, tx.actor.tenant_id, quote_id, status.value, reason, now, tx.actor.user_id)
    told = {"quote_id": quote_id, "reason": reason, "cycle_no": row["cycle_no"]}
    await closing.trace(tx, row, f"quote.{status}", told, now=now)


async def _find(tx: Tx, row: asyncpg.Record, quote_id: UUID) -> asyncpg.Record:
    quote = await tx.fetchrow(
        "select * from crm.quote where tenant_id = $1::uuid and lead_id = $2::uuid and id = $3::uuid for update",
        tx.actor.tenant_id, row["id"], quote_id,
    )  # fmt: skip
    if quote is None:
        raise QuoteNotFound
    return quote


def _require_valid(quote: asyncpg.Record, row: asyncpg.Record, *, now: datetime) -> None:
    if quote["cycle_no"] != row["cycle_no"] or (quote["valid_until"] and quote["valid_until"] <= now):
        raise QuoteClosed


async def take(tx: Tx, row: asyncpg.Record, quote_id: UUID, *, now: datetime) -> asyncpg.Record:
    """Return the quote a locked lead is sold on, accepted now if it was not before; within the sale's operation.

    :raises QuoteNotFound: when it is not one of this lead.
    :raises QuoteClosed: when it is neither open nor accepted, has expired unanswered, or is of an earlier cycle.
    """
    quote = await _find(tx, row, quote_id)
    if quote["status"] == QuoteStatus.accepted and quote["cycle_no"] == row["cycle_no"]:
        return quote
    if quote["status"] != QuoteStatus.open:
        raise QuoteClosed
    _require_valid(quote, row, now=now)
    await _decide(tx, row, quote_id, QuoteStatus.accepted, None, now=now)
    return quote


@operation("quote.edit")
async def answer(
    tx: Tx, lead_id: UUID, quote_id: UUID, said: Answer, *, reason: str | None = None, now: datetime
) -> None:
    """Record what the customer said to an open quote; `reason` is a code. The same answer again changes nothing.

    A quote that has expired can still be declined, not accepted.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises QuoteNotFound: when it is not one of this lead.
    :raises QuoteClosed: when it is no longer open, or has expired and would be accepted.
    """
    if reason is not None:
        rows.require_code("reason", reason)
    row = await rows.lock(tx, lead_id)
    quote = await _find(tx, row, quote_id)
    if quote["status"] == said.value:
        tx.unchanged()
        return
    if quote["status"] != QuoteStatus.open:
        raise QuoteClosed
    if said is Answer.accepted:
        _require_valid(quote, row, now=now)
    await _decide(tx, row, quote_id, QuoteStatus(said.value), reason, now=now)
    await audit.of_person(tx, f"quote.{said}", "lead", lead_id, {"quote_id": quote_id, "reason": reason}, at=now)


@operation("quote.edit")
async def withdraw(tx: Tx, lead_id: UUID, quote_id: UUID, *, reason: str, now: datetime) -> None:
    """Take back an open quote, for a reason (a code). Again changes nothing.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises QuoteNotFound: when it is not one of this lead.
    :raises QuoteClosed: when it was answered or superseded.
    """
    rows.require_code("reason", reason)
    row = await rows.lock(tx, lead_id)
    quote = await _find(tx, row, quote_id)
    if quote["status"] == QuoteStatus.withdrawn:
        tx.unchanged()
        return
    if quote["status"] != QuoteStatus.open:
        raise QuoteClosed
    await _decide(tx, row, quote_id, QuoteStatus.withdrawn, reason, now=now)
    await audit.of_person(tx, "quote.withdraw", "lead", lead_id, {"quote_id": quote_id, "reason": reason}, at=now)


async def of_lead(tx: Tx, lead_id: UUID, *, now: datetime) -> list[asyncpg.Record]:
    """Return the quotes of a lead one sees, the newest first; `is_expired`: open, and over by its own words."""
    return await tx.fetch(
        "select *, status = 'open' and coalesce(valid_until <= $3::timestamptz, false) as is_expired from crm.quote"
        " where tenant_id = $1::uuid and lead_id = $2::uuid order by version desc",
        tx.actor.tenant_id, lead_id, now,
    )  # fmt: skip
