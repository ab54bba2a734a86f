"""Random walks through the statuses: the stored lead, its history and its events always say what the rules say."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crm import db
from crm.leads import intake, operations, queries, rules
from crm.leads.intake import NewLead
from crm.leads.rules import STAGE, TERMINAL, Stage, Status

START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
STATUS = st.sampled_from(Status)


class TestRules:
    @given(STATUS, STATUS, st.integers(1, 50))
    def test_only_reopening_opens_a_cycle(self, current, wanted, cycle):
        opened = rules.next_cycle(current, wanted, cycle) - cycle

        assert opened == (1 if current in TERMINAL and wanted not in TERMINAL else 0)

    @given(STATUS)
    def test_every_status_has_a_way_on_and_never_to_itself(self, status):
        assert rules.FOLLOWS[status]
        assert status not in rules.FOLLOWS[status]
        assert Status.new not in rules.FOLLOWS[status]

    def test_every_status_has_stage_and_labels(self):
        assert set(STAGE) == set(Status) == set(rules.LABELS)
        assert all(stage is None or stage in Stage for stage in STAGE.values())
        assert all(set(label) == {"tr", "en"} for label in rules.LABELS.values())


def walk_of(seed):
    """Return a walk of wanted statuses, the same for the same seed, allowed and not."""
    import random

    return random.Random(seed).choices(list(Status), k=25)


async def test_history_tiles_and_cycles_follow_the_rules(tenant):
    async def one(seed):
        lead = NewLead("api", email=f"walk{seed}@example.com")
        lead_id = (await db.run(tenant.system, lambda tx: intake.create(tx, lead, now=START))).lead_id
        expected, cycle = [(Status.new, 1)], 1
        for minute, wanted in enumerate(walk_of(seed), start=1):
            at, current = START + timedelta(minutes=minute), expected[-1][0]
            allowed = rules.may_become(current, wanted) and wanted is not Status.assigned
            try:
                await db.run(
                    tenant.admin,
                    lambda tx, wanted=wanted, at=at: operations.change_status(
                        tx, lead_id, wanted, reason="price", now=at
                    ),
                )
            except operations.BadTransition:
                assert not allowed
                continue
            assert allowed or wanted is current
            if wanted is not current:
                cycle = rules.next_cycle(current, wanted, cycle)
                expected.append((wanted, cycle))
        return lead_id, expected

    walks = await asyncio.gather(*(one(seed) for seed in range(12)))

    for lead_id, expected in walks:
        async with db.transaction(tenant.admin) as tx:
            history = await queries.status_history(tx, lead_id)
            stored = await tx.fetchrow(
                "select status, cycle_no, loss_reason from crm.lead where id = $1::uuid", lead_id
            )
            events = await tx.fetch(
                "select payload_json from crm.event_log where aggregate_id = $1::uuid"
                " and event_type = 'lead.status_changed' order by id",
                lead_id,
            )
        assert [(each["status"], each["cycle_no"]) for each in history] == expected
        assert [each["ended_at"] for each in history] == [each["started_at"] for each in history[1:]] + [None]
        assert [each["previous"] for each in history] == [None] + [status for status, _ in expected[:-1]]
        assert (stored["status"], stored["cycle_no"]) == expected[-1]
        assert (stored["loss_reason"] is not None) == (stored["status"] == Status.lost)
        cycles = [each["cycle_no"] for each in history]
        assert all(later - earlier in (0, 1) for earlier, later in pairwise(cycles))
        assert [(each["payload_json"]["to"], each["payload_json"]["cycle_no"]) for each in events] == expected[1:]
    assert max(cycle for _, expected in walks for _, cycle in expected) > 1
