"""Processes on a real database: drafted, published as they stay, retired, and followed by the calls that should."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from crm import db, ids
from crm.actor import Forbidden
from crm.experiments import operations as experiments
from crm.experiments.rules import Design, Outcome, Split, Unit, Variant, bucket
from crm.leads import intake
from crm.leads.intake import NewLead
from crm.processes import operations as processes
from crm.processes import queries, version_for
from crm.processes.definition import Definition
from crm.processes.operations import BadUse, KeyTaken, NoDraft, NotSound, Retired
from crm.processes.queries import UnknownProcess, UnknownVersion
from tests.conftest import Tenant
from tests.crm.processes.scripts import label, offer, read

NAME = {"tr": "Teklif", "en": "Offer"}
MINUTE = timedelta(minutes=1)


def other(text: str = "Something else.") -> Definition:
    """Return another process than `offer`."""
    return read({"start": "only", "steps": [{"key": "only", "text": label(text), "ends": {}}]})


async def published(tenant: Tenant, now: datetime, key: str = "offer", definition: Definition | None = None) -> UUID:
    """Make and publish a process."""
    body = definition or read(offer())
    process_id = await db.run(tenant.admin, lambda tx: processes.create(tx, key, NAME, body, now=now))
    await db.run(tenant.admin, lambda tx: processes.publish(tx, process_id, now=now))
    return process_id


async def publish_next(tenant: Tenant, process_id: UUID, definition: Definition, now: datetime) -> int:
    """Draft and publish the next version."""
    await db.run(tenant.admin, lambda tx: processes.draft(tx, process_id, definition, now=now))
    return await db.run(tenant.admin, lambda tx: processes.publish(tx, process_id, now=now))


async def chosen(tenant: Tenant, now: datetime, **scope: Any) -> tuple[str, int] | None:
    """Return key and number of the version that a call of the system gets."""
    version_id = await db.run(tenant.system, lambda tx: version_for(tx, **{"purpose": "click", **scope}, at=now))
    if version_id is None:
        return None
    found = await db.run(tenant.system, lambda tx: queries.version(tx, version_id))
    return found.key, found.version_no


async def arrive(tenant: Tenant, now: datetime, count: int = 1) -> list[UUID]:
    """Store leads."""
    rows = [NewLead(source="api") for _ in range(count)]
    return [one.lead_id for one in await db.run(tenant.system, lambda tx: intake.create_many(tx, rows, now=now))]


class TestCreate:
    async def test_keeps_the_first_draft(self, tenant: Tenant, now: datetime) -> None:
        process_id = await db.run(
            tenant.admin, lambda tx: processes.create(tx, "offer", NAME, read(offer()), now=now)
        )  # fmt: skip

        found = await db.run(tenant.admin, lambda tx: queries.one(tx, process_id))
        draft = await db.run(tenant.admin, lambda tx: queries.numbered(tx, process_id, 1))
        assert (found["key"], found["labels"], found["version_no"], found["draft_no"]) == ("offer", NAME, None, 1)
        assert (draft.status, draft.definition) == ("draft", read(offer()))

    async def test_takes_each_key_once_and_needs_the_permission(self, tenant: Tenant, now: datetime) -> None:
        await published(tenant, now)

        with pytest.raises(KeyTaken):
            await published(tenant, now)
        with pytest.raises(Forbidden):
            await db.run(tenant.sales_agent, lambda tx: processes.create(tx, "mine", NAME, now=now))


class TestPublish:
    async def test_gives_versions_their_numbers_and_calls_the_latest(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)

        second = await publish_next(tenant, process_id, other(), now + MINUTE)

        found = await db.run(tenant.admin, lambda tx: queries.versions(tx, process_id))
        assert second == 2
        assert [(each.version_no, each.status) for each in found] == [(2, "published"), (1, "published")]

    async def test_refuses_what_is_not_sound_and_keeps_the_draft(self, tenant: Tenant, now: datetime) -> None:
        body = offer()
        body["steps"][1]["otherwise"] = "hello"
        process_id = await db.run(tenant.admin, lambda tx: processes.create(tx, "offer", NAME, read(body), now=now))

        with pytest.raises(NotSound) as caught:
            await db.run(tenant.admin, lambda tx: processes.publish(tx, process_id, now=now))

        assert set(caught.value.fields) == {"steps.hello", "steps.details"}
        assert (await db.run(tenant.admin, lambda tx: queries.one(tx, process_id)))["draft_no"] == 1

    async def test_needs_a_draft(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)

        with pytest.raises(NoDraft):
            await db.run(tenant.admin, lambda tx: processes.publish(tx, process_id, now=now))
        with pytest.raises(UnknownProcess):
            await db.run(tenant.admin, lambda tx: processes.publish(tx, ids.new(), now=now))

    async def test_fixes_what_is_published_by_the_databases_own_word(self, tenant: Tenant, now: datetime) -> None:
        await published(tenant, now)

        for change in ("update crm.process_version set definition = '{}'", "delete from crm.process_version"):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="stays as it is"):
                async with db.transaction(tenant.system) as tx:
                    await tx.execute(change)


class TestDraft:
    async def test_is_replaced_until_it_is_published(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)

        numbers = [
            await db.run(tenant.admin, lambda tx, each=each: processes.draft(tx, process_id, each, now=now))
            for each in (other("One."), other("Two."), other("Two."))
        ]

        found = await db.run(tenant.admin, lambda tx: queries.numbered(tx, process_id, 2))
        events = await db.run(
            tenant.admin,
            lambda tx: tx.fetch(
                "select event_type from crm.event_log where aggregate_id = $1::uuid order by id", process_id
            ),
        )
        assert (numbers, found.definition) == ([2, 2, 2], other("Two."))
        assert [row[0] for row in events].count("process.drafted") == 3  # the first version's, and two of three

    async def test_is_thrown_away(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await db.run(tenant.admin, lambda tx: processes.draft(tx, process_id, other(), now=now))

        await db.run(tenant.admin, lambda tx: processes.discard(tx, process_id, now=now))

        with pytest.raises(NoDraft):
            await db.run(tenant.admin, lambda tx: processes.discard(tx, process_id, now=now))
        with pytest.raises(UnknownVersion):
            await db.run(tenant.admin, lambda tx: queries.numbered(tx, process_id, 2))


class TestRetire:
    async def test_of_a_version_brings_the_one_before_back(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await publish_next(tenant, process_id, other(), now)
        await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", now=now))

        for _ in range(2):
            await db.run(tenant.admin, lambda tx: processes.retire(tx, process_id, 2, now=now + MINUTE))

        assert await chosen(tenant, now) == ("offer", 2)
        assert await chosen(tenant, now + MINUTE) == ("offer", 1)

    async def test_of_a_process_leaves_calls_without(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", now=now))

        await db.run(tenant.admin, lambda tx: processes.retire(tx, process_id, now=now + MINUTE))

        assert await chosen(tenant, now) == ("offer", 1)
        assert await chosen(tenant, now + MINUTE) is None
        with pytest.raises(Retired):
            await db.run(tenant.admin, lambda tx: processes.draft(tx, process_id, other(), now=now))


class TestVersionFor:
    async def test_follows_the_closest_word_that_held_when_the_call_began(self, tenant: Tenant, now: datetime) -> None:
        everyone = await published(tenant, now)
        of_queue = await published(tenant, now, "queue", other())
        await _add_queue(tenant, "sales", now)
        await db.run(tenant.admin, lambda tx: processes.use(tx, everyone, purpose="inbound", now=now))
        await db.run(tenant.admin, lambda tx: processes.use(tx, of_queue, queue="sales", now=now + MINUTE))
        await db.run(tenant.admin, lambda tx: processes.use(tx, None, queue="sales", now=now + 2 * MINUTE))

        found = [
            await chosen(tenant, now + n * MINUTE, purpose="inbound", queue=queue)
            for n, queue in ((-1, "sales"), (0, "sales"), (1, "sales"), (1, "service"), (1, None), (2, "sales"))
        ]

        assert found == [None, ("offer", 1), ("queue", 1), ("offer", 1), ("offer", 1), ("offer", 1)]
        assert await chosen(tenant, now, purpose="click") is None

    async def test_exposes_the_lead_to_an_experiment_of_scripts(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await publish_next(tenant, process_id, other(), now)
        await _run_experiment(tenant, process_id, now)
        leads = await arrive(tenant, now, 12)

        got = {lead: await chosen(tenant, now, lead_id=lead) for lead in (*leads, *leads)}

        exposed = await db.run(tenant.system, lambda tx: tx.fetch("select lead_id, position from "
                               "crm.experiment_exposure"))  # fmt: skip
        assert got == {lead: ("offer", 1 + bucket("words", lead, [1, 1])) for lead in leads}
        assert {number for _, number in got.values()} == {1, 2}
        assert {row["lead_id"]: row["position"] for row in exposed} == {
            lead: number - 1 for lead, (_, number) in got.items()
        }

    async def test_falls_back_on_the_process_when_no_experiment_chooses(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await publish_next(tenant, process_id, other(), now)
        experiment_id = await _run_experiment(tenant, process_id, now)
        [lead] = await arrive(tenant, now)

        without_lead = await chosen(tenant, now)
        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, now=now))

        assert without_lead == await chosen(tenant, now, lead_id=lead) == ("offer", 2)

    async def test_gives_latecomers_the_winner(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await publish_next(tenant, process_id, other(), now)
        experiment_id = await _run_experiment(tenant, process_id, now)
        leads = await arrive(tenant, now, 6)

        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, winner="old", now=now))

        assert {await chosen(tenant, now, lead_id=lead) for lead in leads} == {("offer", 1)}

    async def test_keeps_firms_apart(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", now=now))

        assert await chosen(other_tenant, now) is None
        with pytest.raises(UnknownProcess):
            await db.run(other_tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", now=now))


class TestUse:
    @pytest.mark.parametrize(
        ("scope", "field"),
        [
            ({}, "scope"),
            ({"purpose": "click", "queue": "sales"}, "scope"),
            ({"purpose": "fun"}, "purpose"),
            ({"queue": "nowhere"}, "queue"),
            ({"campaign_id": UUID(int=7)}, "campaign_id"),
            ({"purpose": "click", "experiment": "nothing"}, "experiment"),
        ],
    )
    async def test_names_what_does_not_exist(
        self, tenant: Tenant, now: datetime, scope: dict[str, Any], field: str
    ) -> None:  # fmt: skip
        process_id = await published(tenant, now)

        with pytest.raises(BadUse) as caught:
            await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, **scope, now=now))

        assert list(caught.value.fields) == [field]

    async def test_refuses_what_is_not_published(self, tenant: Tenant, now: datetime) -> None:
        drafted = await db.run(tenant.admin, lambda tx: processes.create(tx, "new", NAME, other(), now=now))
        process_id = await published(tenant, now)
        scripts = (Variant("a", script="offer.v1"), Variant("b", script="offer.v9"))
        await _experiment(tenant, scripts, now)

        for args in ({"process_id": drafted}, {"process_id": process_id, "experiment": "words"}):
            with pytest.raises(BadUse):
                await db.run(tenant.admin, lambda tx, args=args: processes.use(tx, purpose="click", **args, now=now))

    async def test_is_shown_as_it_stands(self, tenant: Tenant, now: datetime) -> None:
        process_id = await published(tenant, now)
        await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", now=now))
        await db.run(tenant.admin, lambda tx: processes.use(tx, process_id, purpose="inbound", now=now))
        await db.run(tenant.admin, lambda tx: processes.use(tx, None, purpose="click", now=now + MINUTE))

        shown = [
            [(row["purpose"], row["process"]) for row in await db.run(tenant.admin, lambda tx, at=at: queries.uses(
                tx, at=at))]
            for at in (now, now + MINUTE)
        ]  # fmt: skip

        assert shown == [[("click", "offer"), ("inbound", "offer")], [("inbound", "offer")]]


SCRIPTS = Design(
    "The other words sell more", Split.script, (Variant("old", script="offer.v1"), Variant("new", script="offer.v2")),
    Unit.lead, "event", Outcome("lead.status_changed", {"to": "won"}), 30,
)  # fmt: skip


async def _experiment(tenant: Tenant, variants: tuple[Variant, ...], now: datetime) -> UUID:
    design = replace(SCRIPTS, variants=variants)
    return await db.run(tenant.admin, lambda tx: experiments.create(tx, key="words", design=design, now=now))


async def _run_experiment(tenant: Tenant, process_id: UUID, now: datetime) -> UUID:
    experiment_id = await _experiment(tenant, SCRIPTS.variants, now)
    await db.run(
        tenant.admin, lambda tx: processes.use(tx, process_id, purpose="click", experiment="words", now=now)
    )  # fmt: skip
    await db.run(tenant.admin, lambda tx: experiments.start(tx, experiment_id, now=now))
    return experiment_id


async def _add_queue(tenant: Tenant, code: str, now: datetime) -> None:
    async with db.transaction(tenant.system) as tx:
        await tx.execute(
            "insert into crm.queue (tenant_id, id, code, created_at) values ($1::uuid, $2::uuid, $3::text,"
            " $4::timestamptz)",
            tenant.id, ids.new(), code, now,
        )  # fmt: skip
