"""How units are divided."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.experiments.rules import bucket

SHARES = st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any)


def units(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(count)]


def chi_square(counts: list[int], shares: list[int]) -> float:
    total = sum(counts)
    expected = [total * share / sum(shares) for share in shares]
    return sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(counts, expected, strict=True))


class TestBucket:
    @given(st.text(max_size=40), st.uuids(), SHARES)
    def test_names_a_share_that_is_not_empty_and_always_the_same(self, key: str, unit: UUID, shares: list[int]) -> None:
        found = bucket(key, unit, shares)

        assert shares[found] > 0
        assert bucket(key, unit, shares) == found

    @given(st.text(max_size=40), st.uuids(), SHARES, st.integers(1, 50))
    def test_depends_on_proportions_alone(self, key: str, unit: UUID, shares: list[int], times: int) -> None:
        assert bucket(key, unit, [share * times for share in shares]) == bucket(key, unit, shares)

    @pytest.mark.parametrize("shares", [[1, 1], [90, 10], [5, 3, 2], [1] * 10])
    def test_divides_by_the_shares(self, shares: list[int]) -> None:
        counts = [0] * len(shares)

        for unit in units(50_000):
            counts[bucket("opening", unit, shares)] += 1

        # The 99.9 % quantile of chi-square with nine degrees of freedom is 27.9; fewer degrees stay below it.
        assert chi_square(counts, shares) < 27.9

    def test_divides_differently_under_another_key(self) -> None:
        table = [0] * 4

        for unit in units(20_000):
            table[2 * bucket("one", unit, [1, 1]) + bucket("two", unit, [1, 1])] += 1

        assert chi_square(table, [1, 1, 1, 1]) < 16.3  # 99.9 % quantile, three degrees of freedom

    def test_moves_nobody_but_to_the_share_that_grew(self) -> None:
        before = [bucket("opening", unit, [50, 50]) for unit in units(5_000)]
        after = [bucket("opening", unit, [60, 40]) for unit in units(5_000)]

        assert {(was, became) for was, became in zip(before, after, strict=True) if was != became} == {(1, 0)}

    def test_is_what_it_was(self) -> None:
        found = [bucket("opening", unit, [50, 50]) for unit in units(12)]

        assert found == [0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1], (
            "units that were exposed must stay in their share for ever"
        )

    @pytest.mark.parametrize("shares", [[], [0, 0], [3, -1]])
    def test_refuses_what_are_no_shares(self, shares: list[int]) -> None:
        with pytest.raises(ValueError, match="no shares"):
            bucket("opening", uuid4(), shares)
