"""What changes processes: drafting, publishing, retiring, and saying which calls follow them."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.experiments import queries as experiments
from crm.experiments.queries import UnknownExperiment
from crm.experiments.rules import Split, Status
from crm.operation import operation
from crm.processes import choosing, queries, soundness
from crm.processes.definition import Definition
from crm.processes.queries import UnknownProcess


class KeyTaken(errors.Conflict):
    """A process of this key exists already."""

    code = "process.key_taken"


class NoDraft(errors.Conflict):
    """This process has no draft: what is published stays as it is; save a draft of the next version first."""

    code = "process.no_draft"


class NotSound(errors.Invalid):
    """This process cannot be published as it is; `fields` names each step and what is wrong with it."""

    code = "process.not_sound"


class Retired(errors.Conflict):
    """This process is retired: no call gets it any more."""

    code = "process.retired"


class BadUse(errors.Invalid):
    """Calls cannot follow this."""

    code = "process.use_invalid"


@operation("process.manage")
async def create(
    tx: Tx, key: str, labels: Mapping[str, str], definition: Definition | None = None, *, now: datetime
) -> UUID:
    """Make a process, with a first draft when there is one; return its id. `labels`: its name by language.

    :raises KeyTaken: when there is one of that key.
    """
    process_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.process (tenant_id, id, key, labels, created_by, created_at, updated_at) values ($1::uuid,"
        " $2::uuid, $3::text, $4::jsonb, $5::uuid, $6::timestamptz, $6::timestamptz) on conflict (tenant_id, key)"
        " do nothing returning true",
        tx.actor.tenant_id, process_id, key, to_json(dict(labels)), tx.actor.user_id, now,
    )  # fmt: skip
    if not made:
        raise KeyTaken(fields={"key": "in use"})
    await _note(tx, process_id, "process.created", now, key=key)
    if definition is not None:
        await draft(tx, process_id, definition, now=now)
    return process_id


@operation("process.manage")
async def draft(tx: Tx, process_id: UUID, definition: Definition, *, now: datetime) -> int:
    """Save the draft of a process, in place of the one there is; return its version's number.

    It may be unsound as yet: publishing asks. `queries.versions` tells what a version holds.

    :raises UnknownProcess: when there is no such process.
    :raises Retired: when it is retired.
    """
    await _lock(tx, process_id)
    body = definition.model_dump(mode="json")
    row = await tx.fetchrow(DRAFT, tx.actor.tenant_id, process_id)
    if row is None:
        version_no: int = await tx.fetchval(
            "insert into crm.process_version (tenant_id, id, process_id, version_no, definition, created_by,"
            " created_at, updated_at) select $1::uuid, $3::uuid, $2::uuid, coalesce(max(version_no), 0) + 1, $4::jsonb,"
            " $5::uuid, $6::timestamptz, $6::timestamptz from crm.process_version where tenant_id = $1::uuid"
            " and process_id = $2::uuid returning version_no",
            tx.actor.tenant_id, process_id, ids.new(), to_json(body), tx.actor.user_id, now,
        )  # fmt: skip
    elif row["definition"] == body:
        tx.unchanged()
        return int(row["version_no"])
    else:
        version_no = row["version_no"]
        await tx.execute(
            "update crm.process_version set definition = $3::jsonb, updated_at = $4::timestamptz"
            " where tenant_id = $1::uuid and id = $2::uuid",
            tx.actor.tenant_id, row["id"], to_json(body), now,
        )  # fmt: skip
    await _note(tx, process_id, "process.drafted", now, version_no=version_no)
    return version_no


DRAFT = """
select id, version_no, definition from crm.process_version
 where tenant_id = $1::uuid and process_id = $2::uuid and published_at is null
"""


async def _draft_of(tx: Tx, process_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(DRAFT, tx.actor.tenant_id, process_id)
    if row is None:
        raise NoDraft
    return row


@operation("process.manage")
async def discard(tx: Tx, process_id: UUID, *, now: datetime) -> None:
    """Throw the draft of a process away; what is published stays.

    :raises UnknownProcess: when there is no such process.
    :raises NoDraft: when it has none.
    """
    await _lock(tx, process_id)
    row = await _draft_of(tx, process_id)
    await tx.execute(
        "delete from crm.process_version where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, row["id"]
    )
    await _note(tx, process_id, "process.discarded", now, version_no=row["version_no"])


@operation("process.manage")
async def publish(tx: Tx, process_id: UUID, *, now: datetime) -> int:
    """Publish the draft of a process: calls that start from now on follow it; return its version's number.

    :raises UnknownProcess: when there is no such process.
    :raises Retired: when it is retired.
    :raises NoDraft: when it has none.
    :raises NotSound: when the draft has steps that nothing leads to, that lead nowhere or in circles, words in one
        language only, unknown placeholders; `fields` names each.
    """
    await _lock(tx, process_id)
    row = await _draft_of(tx, process_id)
    if wrong := soundness.wrong_with(Definition.model_validate(row["definition"])):
        raise NotSound(fields=wrong)
    await tx.execute(
        "update crm.process_version set published_at = $3::timestamptz, published_by = $4::uuid,"
        " updated_at = $3::timestamptz where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, row["id"], now, tx.actor.user_id,
    )  # fmt: skip
    version_no: int = row["version_no"]
    await _note(tx, process_id, "process.published", now, version_no=version_no, process_version_id=row["id"])
    return version_no


@operation("process.manage")
async def retire(tx: Tx, process_id: UUID, version_no: int | None = None, *, now: datetime) -> None:
    """Retire a process, or one version of it: calls that start from now on get the version before, or none.

    Calls that follow it go on with it. Again the same changes nothing.

    :raises UnknownProcess: when there is no such process.
    :raises crm.processes.queries.UnknownVersion: when it has no such version.
    :raises NoDraft: when that version was never published.
    """
    await _lock(tx, process_id, is_retired_too=True)
    if version_no is None:
        sql = "update crm.process set retired_at = $3::timestamptz, updated_at = $3::timestamptz"
        which = process_id
    else:
        found = await queries.numbered(tx, process_id, version_no)
        if found.published_at is None:
            raise NoDraft("a draft is thrown away, not retired")
        sql = "update crm.process_version set retired_at = $3::timestamptz, updated_at = $3::timestamptz"
        which = found.id
    done = await tx.execute(
        f"{sql} where tenant_id = $1::uuid and id = $2::uuid and retired_at is null", tx.actor.tenant_id, which, now
    )
    if done == "UPDATE 0":
        tx.unchanged()
        return
    await _note(tx, process_id, "process.retired", now, version_no=version_no)


@operation("process.manage")
async def use(
    tx: Tx,
    process_id: UUID | None,
    *,
    campaign_id: UUID | None = None,
    queue: str | None = None,
    purpose: str | None = None,
    experiment: str | None = None,
    now: datetime,
) -> UUID:
    """Say that calls of a campaign, of a queue, or of a purpose follow a process from now on (None: none of their own).

    `experiment`: the key of an A/B test of scripts that chooses among versions as long as it runs. Return the id of
    this word; calls that have begun keep theirs.

    :raises UnknownProcess: when there is no such process.
    :raises Retired: when it is retired.
    :raises BadUse: when not exactly one scope is named, it does not exist, nothing is published, or the experiment
        does not compare scripts that are.
    """
    scope = {"campaign_id": campaign_id, "queue": queue, "purpose": purpose}
    await _require_scope(tx, scope)
    if process_id is not None:
        await _lock(tx, process_id)
        if await choosing.in_force(tx, process_id=process_id, at=now) is None:
            raise BadUse(fields={"process_id": "nothing of it is published"})
    if experiment is not None:
        await _require_scripts(tx, process_id, experiment, now=now)
    use_id = ids.new()
    await tx.execute(
        "insert into crm.process_use (tenant_id, id, campaign_id, queue, purpose, process_id, experiment, valid_from,"
        " set_by) values ($1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::uuid, $7::text, $8::timestamptz,"
        " $9::uuid)",
        tx.actor.tenant_id, use_id, campaign_id, queue, purpose, process_id, experiment, now, tx.actor.user_id,
    )  # fmt: skip
    told = {**scope, "process_id": process_id, "experiment": experiment}
    await events.record(tx, "process_use", use_id, "process.used", told, at=now)
    await audit.of_person(tx, "process.use", "process_use", use_id, told, at=now)
    return use_id


PURPOSES = frozenset({"click", "campaign", "callback", "inbound"})
"""What calls are made for."""


async def _require_scope(tx: Tx, scope: Mapping[str, object]) -> None:
    named = [name for name, value in scope.items() if value is not None]
    if len(named) != 1:
        raise BadUse(fields={"scope": "exactly one of campaign_id, queue and purpose"})
    if scope["purpose"] is not None and scope["purpose"] not in PURPOSES:
        raise BadUse(fields={"purpose": f"any of {', '.join(sorted(PURPOSES))}"})
    there = {
        "campaign_id": "select true from crm.dial_campaign where tenant_id = $1::uuid and id = $2::uuid",
        "queue": "select true from crm.queue where tenant_id = $1::uuid and code = $2::text",
    }.get(named[0])
    if there and not await tx.fetchval(there, tx.actor.tenant_id, scope[named[0]]):
        raise BadUse(fields={named[0]: "there is none"})


async def _require_scripts(tx: Tx, process_id: UUID | None, experiment: str, *, now: datetime) -> None:
    if process_id is None:
        raise BadUse(fields={"experiment": "with the process that is followed where it does not choose"})
    try:
        found = await experiments.by_key(tx, experiment)
    except UnknownExperiment:
        raise BadUse(fields={"experiment": "there is none"}) from None
    if found.design.split is not Split.script or found.status is Status.stopped:
        raise BadUse(fields={"experiment": "one that compares scripts and is not stopped"})
    for variant in found.design.variants:
        if variant.script is None or await choosing.of_script(tx, variant.script, at=now) is None:
            raise BadUse(fields={"experiment": f"the script of {variant.key} is no published process"})


async def _lock(tx: Tx, process_id: UUID, *, is_retired_too: bool = False) -> None:
    row = await tx.fetchrow(
        "select retired_at from crm.process where tenant_id = $1::uuid and id = $2::uuid for update",
        tx.actor.tenant_id, process_id,
    )  # fmt: skip
    if row is None:
        raise UnknownProcess
    if row["retired_at"] is not None and not is_retired_too:
        raise Retired


async def _note(tx: Tx, process_id: UUID, what: str, now: datetime, **detail: object) -> None:
    await events.record(tx, "process", process_id, what, detail, at=now)
    await audit.of_person(tx, what, "process", process_id, detail, at=now)
