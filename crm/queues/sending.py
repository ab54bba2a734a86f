"""Sending a waiting caller another way."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crm import events, exchange
from crm.db import Tx
from crm.exchange import Kind
from crm.queues.rules import Way

# The contexts of our dialplan: who is sent on comes like a caller, whoever called whom in the beginning.
TO_QUEUE, TO_MESSAGE, TO_CALLBACK = "inbound", "announce", "callback"

WAITING = """
select v.call_id, v.visit_no, v.queue, v.queue_id, v.enqueued_at, v.due_at, v.priority, v.asked_priority,
       v.asked_priority_at, v.in_hours, v.sent_at, v.sent_why, v.sent_to, a.status as ask_status, c.direction,
       c.contact_id, l.leg_id,
       exists (select from crm.exchange_ask p where p.tenant_id = $1::uuid and p.call_id = v.call_id
                  and p.kind = 'caller_priority' and p.asked_at = v.asked_priority_at
                  and p.status in ('refused', 'expired', 'unanswered')) as is_place_unsure,
       array(select o.queue from crm.queue_visit o where o.tenant_id = $1::uuid and o.call_id = v.call_id) as been
  from crm.queue_visit v
  join crm.call c on c.tenant_id = $1::uuid and c.id = v.call_id
 cross join lateral (
   select leg_id from crm.call_leg where tenant_id = $1::uuid and call_id = v.call_id and party = 'customer'
      and ended_at is null limit 1
 ) l
  left join crm.exchange_ask a on a.tenant_id = $1::uuid and a.id = v.sent_ask_id
 where v.tenant_id = $1::uuid and v.outcome = 'waiting' and v.left_at is null and not v.is_historical
   and c.ended_at is null and ($2::uuid is null or v.call_id = $2::uuid)
 order by v.enqueued_at, v.call_id
"""
"""Who waits now, each with the leg that the exchange knows them by and the queues they have been in."""


async def send(tx: Tx, caller: Mapping[str, Any], way: Way, why: str, *, now: datetime) -> None:
    """Have the exchange send a waiting caller (a row of `WAITING`) another way, and note why.

    How the stay has gone is decided when the exchange has done it: one who hangs up meanwhile has given up.
    """
    context, exten = {
        "queue": (TO_QUEUE, way.queue), "message": (TO_MESSAGE, way.prompt), "callback": (TO_CALLBACK, caller["queue"]),
    }[way.to]  # fmt: skip
    ask_id = await exchange.ask(
        tx, Kind.redirect, {"leg": caller["leg_id"], "context": context, "exten": exten}, call_id=caller["call_id"],
        now=now,
    )  # fmt: skip
    reason = "callback" if way.to == "callback" else why
    await tx.execute(
        "update crm.queue_visit set sent_why = $4::text, sent_to = $5::text, sent_at = $6::timestamptz,"
        " sent_ask_id = $7::uuid where tenant_id = $1::uuid and call_id = $2::uuid and visit_no = $3::int",
        tx.actor.tenant_id, caller["call_id"], caller["visit_no"], reason, exten, now, ask_id,
    )  # fmt: skip
    told = {
        "visit_no": caller["visit_no"], "queue": caller["queue"], "way": way.to, "to": exten, "why": why,
    }  # fmt: skip
    await events.record(tx, "queue_visit", caller["call_id"], "queue_visit.sent", told, at=now)
