"""A call's way through its process: the version it started with, what was answered, and what to say next.

Each saving is a revision of its own. What people say in their own words is kept scrubbed for everyone, and, where
scrubbing changed it, as written and sealed for those who may reveal it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from crm import audit, errors, events, timeline, vault, visibility
from crm.contacts import revealing
from crm.contacts.revealing import NothingToReveal
from crm.db import Tx, to_json
from crm.operation import operation
from crm.processes import queries, rules, wording
from crm.processes.definition import Definition, Kind, Value
from crm.processes.queries import Version
from crm.processes.rules import Walk
from crm.sql import Args


class RunNotFound(errors.NotFound):
    """There is no such call, it follows no process, or it is not yours."""

    code = "process.run_not_found"


class MovedOn(errors.Conflict):
    """Somebody else has saved answers of this call meanwhile; read them again."""

    code = "process.moved_on"


@dataclass(frozen=True, slots=True)
class Run:
    """How far a call has come in its process. `revision` 0: nothing is saved yet. `facts` fill the placeholders."""

    call_id: UUID
    version: Version
    revision: int
    saved_at: datetime | None
    walk: Walk
    facts: Mapping[str, str | None]


LAST = """
select r.revision, r.answers, r.texts_key_id, r.texts_sealed, r.at_step, r.saved_at from crm.process_run r
 where r.tenant_id = $1::uuid and r.call_id = $2::uuid order by r.revision desc limit 1
"""
KEEP = """
insert into crm.process_run (tenant_id, call_id, revision, process_version_id, answers, texts_key_id, texts_sealed,
                             at_step, disposition, saved_by, saved_at)
values ($1::uuid, $2::uuid, $3::int, $4::uuid, $5::jsonb, $6::uuid, $7::bytea, $8::text, $9::text, $10::uuid,
        $11::timestamptz)
"""


async def get(tx: Tx, call_id: UUID) -> Run:
    """Return how far a call has come: to whoever speaks on it, and whoever sees its lead.

    :raises RunNotFound: when there is no such call for the actor, or it follows no process.
    """
    return await _run(tx, await _call(tx, call_id, is_own=False))


@operation("process.work")
async def save(
    tx: Tx, call_id: UUID, answers: Mapping[str, Value | None], *, revision: int | None = None, now: datetime
) -> Run:
    """Save all answers of one's call so far, in place of those before, and return what comes next.

    Answers to what the path taken does not ask are dropped. `revision`: the one that these are based on.

    :raises RunNotFound: when there is no such call of the actor's, or it follows no process.
    :raises MovedOn: when others were saved since that revision.
    :raises crm.processes.answers.BadAnswer: when something is no answer to its question.
    """
    call = await _call(tx, call_id, is_own=True)
    version = await queries.version(tx, call["process_version_id"])
    walk = rules.walk(version.definition, answers)
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, call_id)
    stands = last["revision"] if last else 0
    if revision is not None and revision != stands:
        raise MovedOn(fields={"revision": f"is {stands} by now"})
    shown = _scrubbed(version.definition, walk.kept)
    hidden = {key: value for key, value in walk.kept.items() if shown[key] != value}
    if last and last["answers"] == shown and await _written(tx, last) == hidden:
        tx.unchanged()
        return await _run(tx, call)
    key = (await vault.take(tx.actor.tenant_id))[0] if hidden else None
    await tx.execute(
        KEEP, tx.actor.tenant_id, call_id, stands + 1, version.id, to_json(shown), key and key.id,
        key and key.seal(json.dumps(hidden)), walk.at and walk.at.key, walk.end and walk.end.disposition,
        tx.actor.user_id, now,
    )  # fmt: skip
    await _note(tx, call, walk, stands + 1, is_first_end=walk.at is None and not (last and last["at_step"] is None),
                now=now)  # fmt: skip
    return await _run(tx, call)


async def _note(
    tx: Tx, call: asyncpg.Record, walk: Walk, revision: int, *, is_first_end: bool, now: datetime
) -> None:  # fmt: skip
    told: dict[str, Any] = {
        "process_version_id": call["process_version_id"], "lead_id": call["lead_id"],
        "agent_user_id": call["agent_user_id"], "revision": revision,
        "at_step": walk.at and walk.at.key, "disposition": walk.end and walk.end.disposition,
    }  # fmt: skip
    await events.record(tx, "call", call["id"], "process.answered", told, at=now)
    await audit.of_person(tx, "process.answer", "call", call["id"], told, at=now)
    if is_first_end and call["contact_id"] is not None:
        await timeline.record(
            tx, call["contact_id"], "process.completed", at=now, lead_id=call["lead_id"],
            outcome=told["disposition"],
            detail={"call_id": call["id"], "process_version_id": call["process_version_id"]},
        )  # fmt: skip


@operation("contact.reveal")
async def reveal(tx: Tx, call_id: UUID, reason: str, *, now: datetime) -> dict[str, Value]:
    """Return the answers of a call in the customer's own words as they were written; the look counts and is recorded.

    :raises RunNotFound: when there is no such call for the actor, or it follows no process.
    :raises NothingToReveal: when nothing in them is hidden.
    :raises crm.contacts.revealing.TooManyReveals: when the person has looked at as much as an hour allows.
    :raises crm.vault.Unreadable: when the person was erased.
    """
    await _call(tx, call_id, is_own=False)
    await revealing.count(tx, now=now)
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, call_id)
    if last is None or last["texts_sealed"] is None:
        raise NothingToReveal
    written = await _written(tx, last)
    if not written:
        raise vault.Unreadable
    await revealing.record(tx, "call", call_id, reason, {"what": "answers", "revision": last["revision"]}, now=now)
    return written


async def _written(tx: Tx, last: asyncpg.Record) -> dict[str, Value]:
    """Return what of a revision is sealed, as it was written; nothing when nothing is, or its key is destroyed."""
    if last["texts_sealed"] is None:
        return {}
    keys = await vault.find(tx.actor.tenant_id, [last["texts_key_id"]])
    if last["texts_key_id"] not in keys:
        return {}
    written: dict[str, Value] = json.loads(keys[last["texts_key_id"]].open(last["texts_sealed"]))
    return written


def _scrubbed(definition: Definition, answers: Mapping[str, Value]) -> dict[str, Value]:
    texts = {question.key for step in definition.steps for question in step.questions if question.kind is Kind.text}
    return {
        key: vault.scrub(value) if key in texts and isinstance(value, str) else value for key, value in answers.items()
    }


async def _call(tx: Tx, call_id: UUID, *, is_own: bool) -> asyncpg.Record:
    """Return a call that follows a process, with what its placeholders name, as far as the actor may see it."""
    args = Args([tx.actor.tenant_id, call_id, tx.actor.user_id])
    lead = visibility.condition(tx.actor, args)
    contact = visibility.contact_condition(tx.actor, args)
    row = await tx.fetchrow(
        "select k.id, k.lead_id, k.contact_id, k.agent_user_id, k.process_version_id, c.name as contact_name,"
        " u.name as agent_name, t.name as firm_name, l.campaign, l.form, l.source,"
        " coalesce(k.agent_user_id = $3::uuid or k.requested_by = $3::uuid, false) as is_own,"
        f" coalesce({lead}, false) as is_seen, coalesce({contact}, false) as is_known from crm.call k"
        " join crm.tenant t on t.tenant_id = k.tenant_id"
        " left join crm.lead l on l.tenant_id = k.tenant_id and l.id = k.lead_id"
        " left join crm.contact c on c.tenant_id = k.tenant_id and c.id = k.contact_id"
        " left join crm.user_account u on u.tenant_id = k.tenant_id"
        " and u.id = coalesce($3::uuid, k.agent_user_id)"
        " where k.tenant_id = $1::uuid and k.id = $2::uuid and k.process_version_id is not null",
        *args,
    )
    mine = row is not None and (row["is_own"] or tx.actor.is_system)
    if row is None or not (mine or (row["is_seen"] and not is_own)):
        raise RunNotFound
    return row


async def _run(tx: Tx, call: asyncpg.Record) -> Run:
    version = await queries.version(tx, call["process_version_id"])
    last = await tx.fetchrow(LAST, tx.actor.tenant_id, call["id"])
    name = call["contact_name"]
    is_known = call["is_known"] and tx.actor.may("contact.view")
    facts = {
        "contact.name": name and (name if is_known else wording.initials(name)),
        "agent.name": call["agent_name"], "firm.name": call["firm_name"],
        "lead.campaign": call["campaign"], "lead.form": call["form"], "lead.source": call["source"],
    }  # fmt: skip
    return Run(
        call["id"], version, last["revision"] if last else 0, last and last["saved_at"],
        rules.walk(version.definition, last["answers"] if last else {}), facts,
    )  # fmt: skip
