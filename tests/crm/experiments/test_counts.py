"""Counting what became of exposed units, against counting one by one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crm.experiments.counts import Counts, Cycle, Exposure, tally

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FINAL = 104 * DAY
DAYS = st.integers(0, 300).map(lambda days: BEGIN + days * DAY)
LEADS = [UUID(int=number) for number in range(6)]


def lead_of(exposed_at: datetime, *began: tuple[datetime, bool]) -> tuple[Exposure, list[Cycle]]:
    return Exposure(LEADS[0], 0, exposed_at), [Cycle(LEADS[0], at, won) for at, won in began]


def counted(exposure: Exposure, cycles: list[Cycle], known_until: datetime) -> tuple[int, int, int]:
    [found] = tally([exposure], cycles, variants=1, final_after=FINAL, known_until=known_until)
    return found.conversions, found.decided, found.decided_conversions


class TestTally:
    def test_takes_the_cycle_of_the_exposure(self) -> None:
        cycles = [(BEGIN, True), (BEGIN + 30 * DAY, False)]

        first = lead_of(BEGIN + 29 * DAY, *cycles)
        second = lead_of(BEGIN + 30 * DAY, *reversed(cycles))

        assert counted(*first, BEGIN + 300 * DAY) == (1, 1, 1)
        assert counted(*second, BEGIN + 300 * DAY) == (0, 1, 0)

    def test_has_decided_when_nothing_can_change_any_more(self) -> None:
        story = lead_of(BEGIN + 5 * DAY, (BEGIN, True))

        assert counted(*story, BEGIN + FINAL - timedelta(microseconds=1)) == (1, 0, 0)
        assert counted(*story, BEGIN + FINAL) == (1, 1, 1)

    def test_knows_nothing_of_a_lead_without_cycles(self) -> None:
        assert counted(*lead_of(BEGIN), BEGIN + 300 * DAY) == (0, 0, 0)

    @given(
        st.dictionaries(st.sampled_from(LEADS), st.tuples(st.integers(0, 2), DAYS)),
        st.dictionaries(st.tuples(st.sampled_from(LEADS), DAYS), st.booleans()),
        DAYS,
    )
    def test_counts_as_one_by_one(
        self,
        exposed: dict[UUID, tuple[int, datetime]],
        cycles: dict[tuple[UUID, datetime], bool],
        known_until: datetime,
    ) -> None:
        found = tally(
            [Exposure(lead, position, at) for lead, (position, at) in exposed.items()],
            [Cycle(lead, began, won) for (lead, began), won in cycles.items()],
            variants=3,
            final_after=FINAL,
            known_until=known_until,
        )

        for position in range(3):
            mine = {lead: at for lead, (where, at) in exposed.items() if where == position}
            outcomes = []
            for lead, at in mine.items():
                began = sorted(when for one, when in cycles if one == lead)
                running = [when for when in began if when <= at] or began[:1]
                if running:
                    outcomes.append((running[-1] + FINAL <= known_until, cycles[lead, running[-1]]))
            assert found[position] == Counts(
                len(mine),
                sum(final for final, _ in outcomes),
                sum(final and won for final, won in outcomes),
                sum(won for _, won in outcomes),
            )
