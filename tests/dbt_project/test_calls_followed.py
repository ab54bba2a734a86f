"""Telephony marts that follow events hold what a rebuild from nothing holds."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from crm import db
from crm.calls import history
from crm.calls.facts import Fact
from crm.calls.story import Outcome
from tests.conftest import Tenant
from tests.dbt_project import telephony
from tests.dbt_project.telephony import DAY, Line
from tests.pipeline import Build, rows

FACTS = ("--select", "+fct_call_leg", "--exclude-resource-type", "test")
MARTS = ("fct_queue_visit", "fct_call", "fct_call_leg")
OUTCOMES = (Outcome.answered, Outcome.abandoned, Outcome.cancelled)


class TestFollowing:
    @pytest.mark.parametrize("seed", [1])
    async def test_equals_building_anew(self, build: Build, tenant: Tenant, seed: int) -> None:
        floor = _Floor(tenant, random.Random(seed))
        for round_no in range(3):
            await floor.something_happens(round_no)
            if round_no == 1:
                # Its transaction starts before the build and ends after it: the build must not skip it for good.
                async with db.transaction(tenant.system) as tx:
                    late = [telephony.past("late", DAY, Outcome.answered, 3.0, talk_s=30.0)]
                    await history.store(tx, late, now=datetime.now(UTC))
                    await floor.something_happens(10)
                    await build(*FACTS)
            await build(*FACTS)
        gone = await floor.unimport()
        await build(*FACTS)
        followed = {mart: await _content(tenant, mart) for mart in MARTS}

        await build("--full-refresh", *FACTS)

        anew = {mart: await _content(tenant, mart) for mart in MARTS}
        assert followed == anew
        assert len(anew["fct_call_leg"]) > len(anew["fct_call"]) > len(anew["fct_queue_visit"]) > 10
        left = [row for row in followed["fct_queue_visit"] if any(str(call_id) in row for call_id in gone)]
        assert left == [], "none is left of what was no stay"


class _Floor:
    """Calls that are told in pieces, late, twice, in any order, and imported ones that are told otherwise later."""

    def __init__(self, tenant: Tenant, chance: random.Random) -> None:
        self.tenant, self.chance = tenant, chance
        self.untold: list[tuple[Line, list[Fact]]] = []

    async def something_happens(self, round_no: int) -> None:
        """Tell parts of new calls and of earlier ones; import calls, some for the second time."""
        for n in range(4):
            line = await Line.begin(self.tenant, DAY + timedelta(days=round_no, minutes=n))
            self.untold.append((line, self._facts(line)))
        untold, self.untold = self.untold, []
        for line, facts in untold:
            self.chance.shuffle(facts)
            cut = self.chance.randrange(len(facts) + 1)
            if facts[:cut]:
                await line.hear(200, *facts[:cut])
            if facts[cut:]:
                self.untold.append((line, facts[cut - 1 if cut else 0 :]))  # one of them once more
        past = [self._past(f"{round_no // 2}-{n}") for n in range(8)]
        await telephony.import_calls(self.tenant, past)

    async def unimport(self) -> list[UUID]:
        """Import calls anew: their callers had hung up before any queue, which was not known at first."""
        calls = [self._past(f"0-{n}", Outcome.cancelled) for n in range(8)]
        await telephony.import_calls(self.tenant, calls)
        async with db.transaction(self.tenant.system) as tx:
            found = [await history.id_of(tx, call.source, call.external_id) for call in calls]
        return [call_id for call_id in found if call_id]

    def _facts(self, line: Line) -> list[Fact]:
        answered = [*line.comes(), *line.connects(9, "agent-1")]
        return self.chance.choice(
            [
                [*line.comes(), *line.gives_up(30)],
                [*answered, line.goes(60, "agent-1"), line.goes(60)],
                [
                    *answered, *line.gives(20, "agent-1", is_attended=False), *line.waits(20, "care"),
                    *line.connects(31, "agent-2", queue="care", bridge="b2"), line.goes(90), line.goes(90, "agent-2"),
                ],
            ]
        )  # fmt: skip

    def _past(self, name: str, outcome: Outcome | None = None) -> history.PastCall:
        outcome = outcome or self.chance.choice(OUTCOMES)
        at = DAY + timedelta(days=1)
        if outcome is Outcome.cancelled:
            return telephony.past(name, at, outcome, queue=None)
        talk_s = 60.0 if outcome is Outcome.answered else None
        return telephony.past(name, at, outcome, float(self.chance.randrange(90)), talk_s=talk_s)


async def _content(tenant: Tenant, mart: str) -> list[str]:
    return sorted(str(tuple(row)) for row in await rows(tenant.admin, f"select * from published.{mart}"))
