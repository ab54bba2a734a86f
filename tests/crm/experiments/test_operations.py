"""Experiments on a real database: designed, run, exposed once, counted by what happened."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crm import db, events, ids
from crm.actor import Forbidden
from crm.experiments import counting, queries, readout
from crm.experiments import operations as experiments
from crm.experiments.counts import Counts
from crm.experiments.operations import BadDesign, KeyTaken, NotDraft, NotRunning, UnknownVariant
from crm.experiments.queries import UnknownExperiment
from crm.experiments.rules import Design, Outcome, Split, Status, Unit, Variant, bucket
from crm.leads import intake, statuses
from crm.leads.intake import NewLead
from crm.leads.rows import LeadNotFound
from crm.leads.rules import Status as LeadStatus
from tests.conftest import Tenant, settled

DAY = timedelta(days=1)
SCRIPTS = Design(
    "A shorter opening sells more", Split.script,
    (Variant("long", 1, script="opening.long"), Variant("short", 1, script="opening.short")),
    metric="event", event=Outcome("lead.status_changed", {"to": "won"}), window_days=30,
)  # fmt: skip


async def running(tenant: Tenant, now: datetime, design: Design = SCRIPTS, key: str = "opening") -> UUID:
    experiment_id = await db.run(tenant.admin, lambda tx: experiments.create(tx, key=key, design=design, now=now))
    await db.run(tenant.admin, lambda tx: experiments.start(tx, experiment_id, now=now))
    return experiment_id


async def arrive(tenant: Tenant, count: int, now: datetime, **more: Any) -> list[UUID]:
    rows = [NewLead(source="api", **more) for _ in range(count)]
    return [one.lead_id for one in await db.run(tenant.system, lambda tx: intake.create_many(tx, rows, now=now))]


async def expose(tenant: Tenant, leads: list[UUID], now: datetime, key: str = "opening") -> dict[UUID, Variant]:
    return await db.run(tenant.system, lambda tx: experiments.expose_many(tx, key, leads, now=now))


async def move(tenant: Tenant, lead: UUID, to: LeadStatus, now: datetime) -> None:
    await db.run(tenant.admin, lambda tx: statuses.change_status(tx, lead, to, is_told=True, now=now))


async def counts(tenant: Tenant, experiment_id: UUID, as_of: datetime) -> list[tuple[int, ...]]:
    async with db.transaction(tenant.system) as tx:
        rows = await queries.counts(tx, await queries.one(tx, experiment_id), as_of=as_of)
    return [(row.exposures, row.conversions, row.decided, row.decided_conversions) for row in rows]


async def told(tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    async with db.transaction(tenant.system) as tx:
        rows = await tx.fetch("select payload_json from crm.event_log where event_type = $1::text order by id", kind)
    return [row[0] for row in rows]


class TestCreate:
    async def test_keeps_the_design(self, tenant: Tenant, now: datetime) -> None:
        event = Outcome("lead.status_changed", {"to": "qualified"})
        teams = tuple(Variant(key, 2, team_id=tenant.team_id) for key in ("one", "other"))
        design = Design("Team one is better", Split.team, teams, Unit.contact, "event", event, 14, 0.01)

        experiment_id = await db.run(
            tenant.admin, lambda tx: experiments.create(tx, key="teams", design=design, now=now)
        )

        found = await db.run(tenant.admin, lambda tx: queries.one(tx, experiment_id))
        assert (found.key, found.design, found.status) == ("teams", design, Status.draft)

    async def test_is_for_administrators_and_each_key_once(self, tenant: Tenant, now: datetime) -> None:
        await running(tenant, now)

        with pytest.raises(KeyTaken):
            await running(tenant, now)
        with pytest.raises(Forbidden):
            await db.run(
                tenant.sales_manager, lambda tx: experiments.create(tx, key="another", design=SCRIPTS, now=now)
            )

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"variants": SCRIPTS.variants[:1]}, "variants"),
            ({"variants": (SCRIPTS.variants[0],) * 2}, "variants"),
            ({"variants": (replace(SCRIPTS.variants[0], share=0), SCRIPTS.variants[1])}, "variants.0.share"),
            ({"variants": (SCRIPTS.variants[0], Variant("none"))}, "variants.1.script"),
            ({"split": Split.team, "variants": (Variant("a", team_id=ids.new()), Variant("b", team_id=ids.new()))},
             "variants.0.team_id"),
            ({"metric": "aht_s", "event": None}, "metric"),
            ({"event": None}, "event"),
            ({"metric": "conversion_rate", "window_days": 90}, "event"),
            ({"metric": "conversion_rate", "event": None}, "window_days"),
            ({"metric": "conversion_rate", "event": None, "window_days": 90, "unit": Unit.contact}, "unit"),
            ({"metric": "event", "event": Outcome("drop table", {})}, "event.event_type"),
            ({"metric": "event", "event": Outcome("lead.updated", {"note": "free text"})}, "event.match"),
            ({"hypothesis": " "}, "hypothesis"),
            ({"alpha": 0.9}, "alpha"),
            ({"window_days": 0}, "window_days"),
        ],
    )  # fmt: skip
    async def test_names_the_field_at_fault(
        self, tenant: Tenant, now: datetime, wrong: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(BadDesign) as refusal:
            await running(tenant, now, replace(SCRIPTS, **wrong))

        assert field in refusal.value.fields


class TestLife:
    async def test_changes_drafts_only(self, tenant: Tenant, now: datetime) -> None:
        design = replace(SCRIPTS, window_days=60)
        draft = await db.run(tenant.admin, lambda tx: experiments.create(tx, key="draft", design=SCRIPTS, now=now))
        await db.run(tenant.admin, lambda tx: experiments.redesign(tx, draft, design, now=now))
        await db.run(tenant.admin, lambda tx: experiments.start(tx, draft, now=now))

        for again in (
            lambda tx: experiments.redesign(tx, draft, SCRIPTS, now=now),
            lambda tx: experiments.start(tx, draft, now=now),
        ):
            with pytest.raises(NotDraft):
                await db.run(tenant.admin, again)

        found = await db.run(tenant.admin, lambda tx: queries.one(tx, draft))
        assert (found.design, found.status, found.started_at) == (design, Status.running, now)

    async def test_ends_once(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)

        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, now=now + DAY))

        with pytest.raises(NotRunning):
            await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, now=now + DAY))

    async def test_of_another_firm_is_not_there(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        theirs = await running(other_tenant, now)

        with pytest.raises(UnknownExperiment):
            await db.run(tenant.admin, lambda tx: experiments.stop(tx, theirs, now=now))


class TestExpose:
    async def test_gives_each_lead_the_variant_of_its_hash_once(self, tenant: Tenant, now: datetime) -> None:
        await running(tenant, now)
        leads = await arrive(tenant, 40, now)

        first = await expose(tenant, leads[:30], now)
        again = await expose(tenant, leads, now + DAY)

        assert again == {lead: SCRIPTS.variants[bucket("opening", lead, [1, 1])] for lead in leads}
        assert first == {lead: again[lead] for lead in leads[:30]}
        exposed = await told(tenant, "experiment.exposed")
        assert sorted(event["lead_id"] for event in exposed) == sorted(map(str, leads))
        assert {event["variant"] for event in exposed} == {"long", "short"}

    async def test_counts_once_when_two_ask_at_the_same_time(self, tenant: Tenant, now: datetime) -> None:
        await running(tenant, now)
        leads = await arrive(tenant, 20, now)

        answers = await asyncio.gather(*(expose(tenant, leads, now) for _ in range(5)))

        assert all(answer == answers[0] for answer in answers)
        assert len(await told(tenant, "experiment.exposed")) == 20

    async def test_keeps_a_person_in_one_variant(self, tenant: Tenant, now: datetime) -> None:
        await running(tenant, now, replace(SCRIPTS, unit=Unit.contact))
        leads = await arrive(tenant, 3, now, phone="+905321234567")

        found = await expose(tenant, leads, now)

        assert len(set(found.values())) == 1
        assert len(await told(tenant, "experiment.exposed")) == 1

    async def test_counts_no_test_lead(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        leads = await arrive(tenant, 2, now, is_test=True)

        found = await expose(tenant, leads, now)

        assert set(found) == set(leads)
        assert await counts(tenant, experiment_id, now) == [(0, 0, 0, 0)] * 2

    async def test_stops_with_the_experiment_and_remembers(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        early, late = await arrive(tenant, 2, now)
        got = await expose(tenant, [early], now)

        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, now=now))

        assert await expose(tenant, [early], now) == got
        with pytest.raises(NotRunning):
            await expose(tenant, [late], now)

    async def test_gives_the_winner_uncounted_to_who_comes_later(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        leads = await arrive(tenant, 20, now)
        got = await expose(tenant, leads[:10], now)

        with pytest.raises(UnknownVariant):
            await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, winner="none", now=now))
        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, winner="short", now=now))
        after = await expose(tenant, leads, now)

        assert {lead: after[lead] for lead in leads[:10]} == got
        assert {after[lead].key for lead in leads[10:]} == {"short"}
        assert len(await told(tenant, "experiment.exposed")) == 10
        assert [event["winner"] for event in await told(tenant, "experiment.stopped")] == ["short"]

    async def test_shows_agents_their_own_leads_only(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        await running(tenant, now)
        [lead] = await arrive(tenant, 1, now)
        [foreign] = await arrive(other_tenant, 1, now)

        for actor, one in ((tenant.sales_agent, lead), (tenant.admin, foreign)):
            with pytest.raises(LeadNotFound):
                await db.run(actor, lambda tx, one=one: experiments.expose(tx, "opening", one, now=now))

    async def test_shows_what_a_lead_is_in(self, tenant: Tenant, now: datetime) -> None:
        await running(tenant, now)
        [lead] = await arrive(tenant, 1, now)
        variant = (await expose(tenant, [lead], now))[lead]

        [row] = await db.run(tenant.admin, lambda tx: queries.of_lead(tx, lead))

        assert (row["key"], row["variant"], row["script"]) == ("opening", variant.key, variant.script)


class TestCount:
    """Exposures that distribution made by its own rules and told as events."""

    async def tell(self, tenant: Tenant, lead: UUID, variant: str, at: datetime, key: str = "opening") -> None:
        async with db.transaction(tenant.system) as tx:
            told = {"experiment": key, "variant": variant, "lead_id": lead}
            await events.record(tx, "lead", lead, "experiment.exposed", told, at=at)

    async def test_takes_over_what_was_told_once(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        one, other, ours = await arrive(tenant, 3, now)
        await self.tell(tenant, one, "short", now + DAY)
        await self.tell(tenant, one, "short", now + 2 * DAY)
        await self.tell(tenant, other, "long", now + DAY)
        await expose(tenant, [ours], now)

        await settled()

        for _ in range(2):
            await counting.catch_up(now + 3 * DAY)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch(
                "select lead_id, position, exposed_at from crm.experiment_exposure where lead_id <> $1::uuid", ours
            )
        assert {tuple(row) for row in rows} == {(one, 1, now + DAY), (other, 0, now + DAY)}
        assert len(await told(tenant, "experiment.unit_counted")) == 2
        assert sum(row[0] for row in await counts(tenant, experiment_id, now + 3 * DAY)) == 3

    async def test_leaves_alone_what_is_none_of_ours(self, tenant: Tenant, other_tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        await db.run(tenant.admin, lambda tx: experiments.stop(tx, experiment_id, now=now + DAY))
        leads = await arrive(tenant, 4, now)
        [theirs] = await arrive(other_tenant, 1, now)

        await self.tell(tenant, leads[0], "short", now - DAY)
        await self.tell(tenant, leads[1], "short", now + DAY)
        await self.tell(tenant, leads[2], "none", now)
        await self.tell(tenant, leads[3], "short", now, key="unknown")
        await self.tell(other_tenant, theirs, "short", now)
        await settled()
        await counting.catch_up(now)

        assert await counts(tenant, experiment_id, now + 3 * DAY) == [(0, 0, 0, 0)] * 2


class TestCounts:
    """One lead in a variant of its own: its only story is what is counted."""

    async def story(self, tenant: Tenant, now: datetime, design: Design = SCRIPTS) -> tuple[UUID, UUID, int]:
        experiment_id = await running(tenant, now, design)
        [lead] = await arrive(tenant, 1, now)
        await expose(tenant, [lead], now)
        return experiment_id, lead, bucket("opening", lead, [1, 1])

    @pytest.mark.parametrize(
        ("moves", "converted"),
        [
            ([], False),
            ([(29, LeadStatus.won)], True),
            ([(30, LeadStatus.won)], False),
            ([(3, LeadStatus.qualified), (5, LeadStatus.lost)], False),
        ],
        ids=["never", "within", "at its end", "another"],
    )
    async def test_counts_events_within_the_window(
        self, tenant: Tenant, now: datetime, moves: list[tuple[int, LeadStatus]], converted: bool
    ) -> None:
        experiment_id, lead, position = await self.story(tenant, now)

        for day, to in moves:
            await move(tenant, lead, to, now + day * DAY)

        row = (await counts(tenant, experiment_id, now + 60 * DAY))[position]
        assert row == (1, int(converted), 1, int(converted))

    async def test_has_decided_when_nothing_can_change_any_more(self, tenant: Tenant, now: datetime) -> None:
        experiment_id, lead, position = await self.story(tenant, now)
        await move(tenant, lead, LeadStatus.won, now + 2 * DAY)

        days = [(await counts(tenant, experiment_id, now + day * DAY))[position] for day in (-1, 1, 2, 29, 30)]

        assert days == [(0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0), (1, 1, 1, 1)]

    async def test_counts_an_event_by_what_it_holds(self, tenant: Tenant, now: datetime) -> None:
        event = Outcome("lead.status_changed", {"to": "qualified"})
        design = replace(SCRIPTS, event=event)
        experiment_id, lead, position = await self.story(tenant, now, design)

        await move(tenant, lead, LeadStatus.contacted, now + DAY)
        before = (await counts(tenant, experiment_id, now + 30 * DAY))[position]
        await move(tenant, lead, LeadStatus.qualified, now + 2 * DAY)
        after = (await counts(tenant, experiment_id, now + 30 * DAY))[position]

        assert (before, after) == ((1, 0, 1, 0), (1, 1, 1, 1))

    async def test_counts_a_person_once_for_all_their_leads(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now, replace(SCRIPTS, unit=Unit.contact))
        leads = await arrive(tenant, 2, now, phone="+905321234567")
        await expose(tenant, leads, now)

        for lead in leads:
            await move(tenant, lead, LeadStatus.won, now + DAY)

        rows = await counts(tenant, experiment_id, now + 60 * DAY)
        assert sorted(rows) == [(0, 0, 0, 0), (1, 1, 1, 1)]

    async def test_does_not_see_the_leads_of_another_firm(
        self, tenant: Tenant, other_tenant: Tenant, now: datetime
    ) -> None:
        experiment_id, lead, position = await self.story(tenant, now)
        async with db.transaction(other_tenant.system) as tx:
            await events.record(tx, "lead", lead, "lead.status_changed", {"to": "won"}, at=now + DAY)

        assert (await counts(tenant, experiment_id, now + 60 * DAY))[position] == (1, 0, 1, 0)


class TestReadOut:
    async def test_says_in_both_languages_what_is_shown(self, tenant: Tenant, now: datetime) -> None:
        experiment_id = await running(tenant, now)
        experiment = await db.run(tenant.admin, lambda tx: queries.one(tx, experiment_id))

        said = readout.reading(experiment, [row(2000, 160), row(2000, 300)], as_of=now, outcomes_as_of=now)

        control, short = said.variants
        assert (control.verdict, short.verdict, said.ratio_verdict) == (None, "better", "kept")
        assert short.difference is not None
        assert short.difference.low > 0
        assert short.sentence is not None
        assert short.sentence["en"].startswith("short does better than the control (long): by +")
        assert "," in short.sentence["tr"]

    @pytest.mark.parametrize(
        ("base", "other", "verdict", "ratio"),
        [
            ((0, 0), (0, 0), "nothing_decided", "no_units"),
            ((100, 10), (100, 11), "open", "kept"),
            ((2000, 300), (2000, 160), "worse", "kept"),
            ((1000, 100), (1300, 130), "open", "broken"),
        ],
    )
    async def test_is_careful(
        self, tenant: Tenant, now: datetime, base: tuple[int, int], other: tuple[int, int], verdict: str, ratio: str
    ) -> None:
        experiment_id = await running(tenant, now)
        experiment = await db.run(tenant.admin, lambda tx: queries.one(tx, experiment_id))

        said = readout.reading(experiment, [row(*base), row(*other)], as_of=now, outcomes_as_of=now)

        assert (said.variants[1].verdict, said.ratio_verdict) == (verdict, ratio)

    async def test_shares_alpha_out_among_the_comparisons(self, tenant: Tenant, now: datetime) -> None:
        three = (*SCRIPTS.variants, Variant("none", 1, script="opening.none"))
        experiment_id = await running(tenant, now, replace(SCRIPTS, variants=three))
        experiment = await db.run(tenant.admin, lambda tx: queries.one(tx, experiment_id))

        said = readout.reading(experiment, [row(9, 1)] * 3, as_of=now, outcomes_as_of=now)

        assert said.alpha == 0.025


def row(units: int, conversions: int) -> Counts:
    return Counts(units, units, conversions, conversions)
