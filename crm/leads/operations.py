"""What changes a lead after it was stored. Each writes state, timeline, event and, done by a person, an audit row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm import audit, errors, events, timeline, vault
from crm.codes import CODE, NotACode
from crm.db import Tx, to_json
from crm.leads import rows, rules
from crm.leads.assigning import Assignment, UnknownAssignee, assign, assign_many
from crm.leads.lifecycle import BadTransition, FieldsMissing, UnknownReason
from crm.leads.rows import LeadNotFound
from crm.leads.rules import Channel, Direction
from crm.leads.sales import cancel_sale, record_sale
from crm.leads.statuses import change_status, reopen
from crm.operation import operation
from crm.sql import Args

__all__ = [
    "CODE",
    "Assignment",
    "BadTransition",
    "FieldsMissing",
    "LeadNotFound",
    "NotACode",
    "UnknownAssignee",
    "UnknownReason",
    "assign",
    "assign_many",
    "cancel_sale",
    "change_status",
    "record_activity",
    "record_sale",
    "reopen",
    "update",
]

EDITABLE = {"tags": "text[]", "attributes": "jsonb", "geography": "text", "keyword": "text"}
"""What may be changed by hand: nothing that says where the lead came from, nothing that has its own operation."""


@operation("lead.edit")
async def update(tx: Tx, lead_id: UUID, changes: Mapping[str, Any], *, note: str | None = None, now: datetime) -> None:
    """Change fields of a lead (`EDITABLE`) and add a note to its timeline; their texts are scrubbed.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises errors.Invalid: when a field is not one that may be changed.
    """
    if unknown := changes.keys() - EDITABLE.keys():
        raise errors.Invalid("this cannot be changed", fields=dict.fromkeys(sorted(unknown), "cannot be changed"))
    row = await rows.lock(tx, lead_id)
    wanted = {name: value if value is None else vault.scrub_all(value) for name, value in changes.items()}
    changed = {name: value for name, value in wanted.items() if row[name] != value}
    if not changed and not note:
        tx.unchanged()
        return
    args = Args([tx.actor.tenant_id, lead_id, now])
    settings = "".join(
        f", {name} = {args.add(to_json(value) if name == 'attributes' else value, EDITABLE[name])}"
        for name, value in changed.items()
    )
    await tx.execute(
        f"update crm.lead set updated_at = $3::timestamptz{settings} where tenant_id = $1::uuid and id = $2::uuid",
        *args,
    )
    fields = sorted(changed)
    await timeline.record(
        tx, row["contact_id"], "lead.updated" if changed else "note", at=now, lead_id=lead_id,
        detail={"fields": fields}, note=note,
    )  # fmt: skip
    await events.record(tx, "lead", lead_id, "lead.updated", {"fields": fields, "has_note": bool(note)}, at=now)
    await audit.of_person(tx, "lead.update", "lead", lead_id, {"fields": fields}, at=now)


@operation("activity.create")
async def record_activity(
    tx: Tx,
    lead_id: UUID,
    channel: Channel,
    direction: Direction | None,
    outcome: str | None,
    *,
    note: str | None = None,
    is_human: bool | None = None,
    by_user_id: UUID | None = None,
    occurred_at: datetime | None = None,
    now: datetime,
) -> UUID:
    """Record a call, a message, a meeting or a note of a lead and return the activity's id.

    `is_human` tells whether a person of ours did it (default: whether the actor is one); the first outbound call or
    message by a person is the lead's first attempt. `by_user_id`: which one, where the actor is not the person
    themselves. `occurred_at` (UTC) defaults to now.

    :raises LeadNotFound: when there is no such lead for the actor.
    :raises errors.Invalid: when it lies in the future, or a call or message has no direction.
    """
    happened, human = occurred_at or now, tx.actor.user_id is not None if is_human is None else is_human
    kind = rules.KIND[channel]
    if happened > now:
        raise errors.Invalid("what is recorded has happened", fields={"occurred_at": "lies in the future"})
    if kind in rules.DIRECTED and direction is None:
        raise errors.Invalid(f"a {kind} has a direction", fields={"direction": "inbound or outbound"})
    if outcome is not None:
        rows.require_code("outcome", outcome)
    row = await rows.lock(tx, lead_id)
    is_attempt = human and direction is Direction.outbound and kind in rules.DIRECTED
    await tx.execute(
        "update crm.lead set updated_at = $3::timestamptz, first_attempt_at = least(first_attempt_at, $4::timestamptz)"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, lead_id, now, happened if is_attempt else row["first_attempt_at"],
    )  # fmt: skip
    activity_id = await timeline.record(
        tx, row["contact_id"], kind, at=happened, lead_id=lead_id, channel=channel.value,
        direction=direction and direction.value, outcome=outcome, detail={"is_human": human}, note=note,
    )  # fmt: skip
    payload = {
        "contact_id": row["contact_id"], "activity_id": activity_id, "channel": channel.value,
        "direction": direction and direction.value, "outcome": outcome, "is_human": human, "kind": kind,
        "by_user_id": by_user_id or tx.actor.user_id if human else None,
    }  # fmt: skip
    await events.record(tx, "lead", lead_id, "activity.recorded", payload, at=happened)
    await audit.of_person(tx, "activity.create", "lead", lead_id, {"activity_id": activity_id, "kind": kind}, at=now)
    return activity_id
