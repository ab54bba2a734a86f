"""Sales: a lead is won for an amount, on a quote or without one, and lost again when the sale is cancelled."""

from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, ids
from crm.db import Tx
from crm.leads import closing, lifecycle, procedures, quotes, rows, statuses
from crm.leads.lifecycle import Needed
from crm.leads.rules import Status
from crm.money import Money
from crm.operation import operation


class NothingSold(errors.Conflict):
    """This lead has no sale that could be cancelled."""

    code = "sale.none"


STORE = """
insert into crm.sale (tenant_id, id, lead_id, cycle_no, quote_id, procedure_type, amount_minor, currency, exponent,
                      sold_by, sold_at)
values ($1::uuid, $2::uuid, $3::uuid, $4::int, $5::uuid, $6::text, $7::bigint, $8::text, $9::int, $10::uuid,
        $11::timestamptz)
"""


@operation("lead.status")
async def record_sale(
    tx: Tx,
    lead_id: UUID,
    money: Money | None,
    *,
    quote_id: UUID | None = None,
    procedure_type: str | None = None,
    note: str | None = None,
    now: datetime,
) -> UUID:
    """Close a lead as won and record the sale; the money's minor units count in its currency's own exponent.

    A quote it was sold on becomes accepted, and gives amount and procedure where they are not named. An open quote it
    was not sold on is withdrawn.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises BadTransition: when it is won already, or the machine has no way from where it stands.
    :raises FieldsMissing: when the tenant asks for more.
    :raises crm.leads.quotes.QuoteNotFound: when the quote is not one of this lead.
    :raises crm.leads.quotes.QuoteClosed: when it is no longer to be had, or of an earlier cycle.
    :raises errors.Invalid: when the amount is not positive, or there is none.
    """
    row, machine = await rows.lock_with_machine(tx, lead_id, now=now)
    lifecycle.require_transition(machine, Status(row["status"]), Status.won)
    quote = await quotes.take(tx, row, quote_id, now=now) if quote_id else None
    price = money or (quote and Money(quote["amount_minor"], quote["currency"]))
    if price is None or price.minor <= 0:
        raise errors.Invalid("a sale has a positive amount", fields={"amount": "more than nothing"})
    await procedures.require_known(tx, procedure_type, at=now)
    sold = procedure_type or (quote and quote["procedure_type"])
    given = {Needed.quote: quote, Needed.procedure_type: sold, Needed.note: note}
    await statuses.require_fields(tx, machine, row, Status.won, given, now=now)
    await statuses.move(tx, row, Status.won, note=note, now=now)
    return await _store(tx, row, price, quote_id, sold, now=now)


async def _store(
    tx: Tx, row: asyncpg.Record, price: Money, quote_id: UUID | None, procedure_type: str | None, *, now: datetime
) -> UUID:
    sale_id = ids.new()
    await tx.execute(
        STORE, tx.actor.tenant_id, sale_id, row["id"], row["cycle_no"], quote_id, procedure_type, price.minor,
        price.currency, price.exponent, tx.actor.user_id, now,
    )  # fmt: skip
    sale = {
        "amount_minor": price.minor, "currency": price.currency, "exponent": price.exponent,
        "sale_id": sale_id, "quote_id": quote_id, "procedure_type": procedure_type, "cycle_no": row["cycle_no"],
    }  # fmt: skip
    await closing.trace(tx, row, "lead.sold", sale, now=now)
    await audit.of_person(tx, "lead.sale", "lead", row["id"], {"sale_id": sale_id}, at=now)
    return sale_id


@operation("lead.status")
async def cancel_sale(tx: Tx, lead_id: UUID, *, reason: str, note: str | None = None, now: datetime) -> None:
    """Undo a sale: the lead is lost after it was won, for a reason of the catalogue.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises NothingSold: when it is not won.
    """
    row = await rows.lock(tx, lead_id)
    if row["status"] != Status.won:
        raise NothingSold
    await statuses.change_status(tx, lead_id, Status.lost, reason=reason, note=note, now=now)
