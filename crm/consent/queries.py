"""May I contact? The facts, read in one statement for one person or for many, and the answer of the rules.

Nothing is unsealed. Asking leaves no trace; whoever is about to contact somebody asks through `operations.check`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from crm import errors, paging, tenant_settings
from crm.consent import hours, last_word, own_hours, places, rules
from crm.consent import reach as reachable
from crm.consent.hours import Place
from crm.consent.reach import Reach
from crm.consent.rules import ADDRESS, COVERED_BY, HAS_HOURS, Answer, Channel, Facts, Purpose, Said, Status
from crm.contacts.queries import ContactNotFound
from crm.db import Tx
from crm.paging import Filter, Page
from crm.phone import Phone
from crm.sql import Args

DAY, WEEK = timedelta(days=1), timedelta(days=7)
PENDING = timedelta(minutes=15)
"""How long a contact that was allowed counts as an attempt before it is recorded as one: two who ask at the same time
must not both be the last one the cap allows."""


class Cap(BaseModel):
    """How often a person may be contacted by us on a channel: in 24 hours, in 7 days; None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_day: Annotated[int, Field(ge=1, le=100)] | None = None
    per_week: Annotated[int, Field(ge=1, le=100)] | None = None


Outcome = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]

CAPS = tenant_settings.declare(
    "consent.frequency_caps",
    dict[Channel, Cap],
    {
        Channel.call: Cap(per_day=4, per_week=12),
        Channel.sms: Cap(per_day=2, per_week=5),
        Channel.whatsapp: Cap(per_day=4, per_week=12),
        Channel.email: Cap(per_day=2, per_week=5),
    },
    tr="Kanal başına temas sınırı (24 saat ve 7 gün)",
    en="Contacts per channel at most, in 24 hours and in 7 days",
)
COOLING_OFF = tenant_settings.declare(
    "consent.cooling_off_hours",
    dict[Outcome, Annotated[int, Field(ge=1, le=2160)]],
    {"not_interested": 168, "refused": 168, "hung_up": 24},
    tr="Görüşme sonucundan sonra bekleme süresi (saat)",
    en="Hours without contact after an outcome",
)
ENQUIRY_DAYS = tenant_settings.declare(
    "consent.enquiry_days",
    Annotated[int, Field(ge=1, le=3650)],
    365,
    tr="Başvuru kaç gün boyunca temas için dayanak olur",
    en="Days for which a person's enquiry allows answering it",
)


class UnknownLead(errors.NotFound):
    """There is no such lead of this contact."""

    code = "consent.lead_not_found"


# `offset 0` keeps the look-ups on the person: on young tables the planner takes the whole tenant for as good.
FACTS = f"""
select c.id, c.country, c.phone_masked, c.erased_at, c.archived_at, t.timezone,
       (case $4::text when 'email' then c.email_masked else c.phone_masked end) is not null as has_address,
       exists (select from (select kind, blind_index from crm.contact_point
                             where tenant_id = $1::uuid and contact_id = c.id offset 0) p
                 join crm.dnc_entry d on d.tenant_id = $1::uuid and d.kind = p.kind
                                     and d.blind_index = p.blind_index and d.removed_at is null
                where p.kind = $4::text) as is_listed,
       s.id as consent_id, s.status,
       (select l.id from (select id, received_at, is_test from crm.lead
                           where tenant_id = $1::uuid and contact_id = c.id offset 0) l
         where not l.is_test and l.received_at > $6::timestamptz - make_interval(days => $7::int)
           and l.received_at <= $6::timestamptz
         order by l.received_at desc, l.id desc limit 1) as lead_id,
       array(select a.occurred_at from crm.activity a
              where a.tenant_id = $1::uuid and a.contact_id = c.id and a.direction = 'outbound'
                and a.kind in ('call', 'message') and a.channel = $3::text
                and a.occurred_at > $6::timestamptz - interval '7 days' and a.occurred_at <= $6::timestamptz
              order by a.occurred_at desc limit 100) as made,
       array(select k.checked_at from crm.consent_check k
              where k.tenant_id = $1::uuid and k.contact_id = c.id and k.channel = $3::text and k.is_allowed
                and k.checked_at > $6::timestamptz - $10::interval and k.checked_at <= $6::timestamptz
              order by k.checked_at desc limit 100) as allowed,
       (select max(a.occurred_at + make_interval(hours => o.hours))
          from unnest($8::text[], $9::int[]) as o(outcome, hours)
          join crm.activity a on a.tenant_id = $1::uuid and a.contact_id = c.id and a.outcome = o.outcome
           and a.kind in ('call', 'message', 'meeting')
           and a.occurred_at > $6::timestamptz - make_interval(hours => o.hours)
           and a.occurred_at <= $6::timestamptz) as rests_until
  from unnest($2::uuid[]) as wanted(id)
  join crm.contact c on c.tenant_id = $1::uuid and c.id = wanted.id
  join crm.tenant t on t.tenant_id = $1::uuid
  left join lateral (
    select f.id, f.status from crm.consent f
     where f.tenant_id = $1::uuid and f.contact_id = c.id and f.channel = $3::text
       and f.purpose in (select unnest($5::text[])) and {last_word.holds("$6::timestamptz")}
     order by {last_word.ORDER} limit 1) s on true
"""


async def may_contact(
    tx: Tx, contact_id: UUID, channel: Channel, purpose: Purpose, *, at: datetime, number: Phone | None = None,
    reach: Reach | None = None,
) -> Answer:  # fmt: skip
    """Return whether a person may be contacted at an instant (UTC): yes with its evidence, or no with the first reason.

    `number`: the one about to be dialled, which narrows where the person may be, and says whether it is one that the
    firm calls; `reach` says the latter alone. Whether the asker sees the person is not asked here.

    :raises ContactNotFound: when there is no such contact.
    """
    found = await may_contact_many(
        tx,
        [contact_id],
        channel,
        purpose,
        at=at,
        numbers={contact_id: number},
        reaches={contact_id: reach} if reach else None,
    )
    if contact_id not in found:
        raise ContactNotFound
    return found[contact_id]


async def may_contact_many(
    tx: Tx,
    contact_ids: Iterable[UUID],
    channel: Channel,
    purpose: Purpose,
    *,
    at: datetime,
    numbers: Mapping[UUID, Phone | None] | None = None,
    reaches: Mapping[UUID, Reach] | None = None,
) -> dict[UUID, Answer]:
    """Return the same for several people at once; those who do not exist are left out."""
    caps, cooling, days, kinds, countries = await tenant_settings.values(
        tx, CAPS, COOLING_OFF, ENQUIRY_DAYS, reachable.NUMBER_KINDS, reachable.COUNTRIES, at=at
    )
    told = {contact_id: reachable.of(number) for contact_id, number in (numbers or {}).items() if number is not None}
    barred = {
        contact_id
        for contact_id, each in (told | dict(reaches or {})).items()
        if ADDRESS[channel] == "phone" and not reachable.is_called(each, kinds, countries)
    }
    rows = await tx.fetch(
        FACTS, tx.actor.tenant_id, list(contact_ids), channel.value, ADDRESS[channel],
        [each.value for each in COVERED_BY[purpose]], at, days, list(cooling), list(cooling.values()),
        PENDING,
    )  # fmt: skip
    opens = await _opens(tx, rows, channel, numbers or {}, at=at)
    return {
        row["id"]: rules.answer(
            _facts(row, caps.get(channel, Cap()), opens[row["id"]], is_barred=row["id"] in barred), purpose, at
        )
        for row in rows
    }


async def _opens(
    tx: Tx, rows: Iterable[asyncpg.Record], channel: Channel, numbers: Mapping[UUID, Phone | None], *, at: datetime
) -> dict[UUID, datetime | None]:
    """Return when each person may be called, by the hours of everywhere they may be."""
    if channel not in HAS_HOURS:
        return {row["id"]: at for row in rows}
    where = {
        row["id"]: places.of_contact(
            row["country"], row["phone_masked"], numbers.get(row["id"]), home=row["timezone"]
        )
        for row in rows
    }  # fmt: skip
    known = await own_hours.of(tx, sorted({country for each in where.values() for country, _ in each}))
    instants: dict[frozenset[places.Where], datetime | None] = {
        each: hours.opens_at([Place(country, places.zone(zone), known[country]) for country, zone in each], at)
        for each in set(where.values())
    }
    return {contact_id: instants[each] for contact_id, each in where.items()}


def _facts(row: asyncpg.Record, cap: Cap, opens_at: datetime | None, *, is_barred: bool) -> Facts:
    said = Said(row["consent_id"], Status(row["status"])) if row["consent_id"] else None
    attempts = rules.attempts(row["made"], row["allowed"])
    ends = [rules.capped_until(attempts, cap.per_day, DAY), rules.capped_until(attempts, cap.per_week, WEEK)]
    return Facts(
        is_erased=row["erased_at"] is not None,
        is_archived=row["archived_at"] is not None,
        has_address=row["has_address"],
        is_barred=is_barred,
        is_listed=row["is_listed"],
        said=said,
        lead_id=row["lead_id"],
        opens_at=opens_at,
        rests_until=row["rests_until"],
        capped_until=max((end for end in ends if end is not None), default=None),
    )


LEDGER_ITEM = """json_build_object(
  'id', f.id, 'contact_id', f.contact_id, 'channel', f.channel, 'purpose', f.purpose, 'status', f.status,
  'legal_basis', f.legal_basis, 'source', f.source, 'evidence', f.evidence, 'lead_id', f.lead_id,
  'valid_from', coalesce(f.valid_from, f.recorded_at), 'valid_until', f.valid_until, 'withdraws', f.withdraws,
  'recorded_by', case when u.id is not null then json_build_object('id', u.id, 'name', u.name) end,
  'recorded_at', f.recorded_at)::text"""


async def ledger(tx: Tx, contact_id: UUID) -> list[str]:
    """Return all a person ever said about being contacted, as JSON texts, the latest word first."""
    rows = await tx.fetch(
        f"select {LEDGER_ITEM} as item from crm.consent f"
        " left join crm.user_account u on u.tenant_id = f.tenant_id and u.id = f.recorded_by"
        " where f.tenant_id = $1::uuid and f.contact_id = $2::uuid"
        f" order by {last_word.ORDER}",
        tx.actor.tenant_id, contact_id,
    )  # fmt: skip
    return [row["item"] for row in rows]


CHECKS = {
    "contact": Filter("k.contact_id", "uuid"),
    "channel": Filter("k.channel", "text"),
    "reason": Filter("k.reason", "text"),
    "is_allowed": Filter("k.is_allowed", "boolean", paging.Operator.holds),
}
CHECK_ITEM = """json_build_object(
  'id', k.id, 'contact_id', k.contact_id, 'lead_id', k.lead_id, 'channel', k.channel, 'purpose', k.purpose,
  'is_allowed', k.is_allowed, 'reason', k.reason,
  'evidence', case when k.evidence_id is not null
                   then json_build_object('kind', k.evidence_kind, 'id', k.evidence_id) end,
  'actor', case when u.id is not null then json_build_object('id', u.id, 'name', u.name) end,
  'checked_at', k.checked_at)::text"""


@dataclass(frozen=True, slots=True)
class WantedChecks:
    """A question for checks, the latest first; `filters` by the names of `CHECKS`."""

    filters: Mapping[str, Any]
    limit: int = 50
    cursor: str | None = None


async def checks(tx: Tx, wanted: WantedChecks) -> Page:
    """Return a page of the checks made before contacts: who asked, and what the answer was.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    order = paging.order("-id", {"id": "uuid"}, alias="k")
    cursor = paging.Cursor.of("contact-checks", tx.actor, filter=wanted.filters)
    args = Args()
    where = [f"k.tenant_id = {args.add(tx.actor.tenant_id, 'uuid')}"]
    where += paging.conditions(CHECKS, wanted.filters, args)
    if wanted.cursor:
        where.append(order.after(args, cursor.read(wanted.cursor, order.kind)))
    size = max(1, min(wanted.limit, paging.LARGEST))
    await tx.execute(paging.PLAN_FOR_THESE_VALUES)
    found = await tx.fetch(
        f"select k.id, {CHECK_ITEM} as item from crm.consent_check k"
        " left join crm.user_account u on u.tenant_id = k.tenant_id and u.id = k.actor_user_id"
        f" where {' and '.join(where)} order by {order.sql} limit {size + 1}",
        *args,
    )
    last = found[size - 1]["id"] if len(found) > size else None
    return Page([row["item"] for row in found[:size]], last and cursor.sign(None, last))
