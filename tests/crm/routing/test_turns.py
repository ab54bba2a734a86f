"""Fair turns: shares never off by more than a lead, ties without favourites."""

from collections import Counter
from fractions import Fraction
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from crm import ids
from crm.routing import turns

WEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def play(weights, able_at, *, pool="team:1", holders=None):
    """Take turns and return who was chosen at each, with the credits at the end."""
    credits = [0] * len(weights)
    lots = turns.lots_of(holders or [UUID(int=n) for n in range(len(weights))])
    chosen = [turns.take(pool, n, weights, credits, able, lots)[0] for n, able in enumerate(able_at)]
    return chosen, credits


class TestTake:
    @settings(deadline=None)
    @given(WEIGHTS, st.integers(1, 400))
    def test_nobody_is_ever_a_lead_away_from_their_share(self, weights, leads):
        everyone = range(len(weights))

        chosen, _ = play(weights, [everyone] * leads)

        got = Counter()
        bound = 1 - Fraction(1, max(2, 2 * len(weights) - 2)) + Fraction(1, 10**6)  # Tijdeman's, and rounding
        for n, place in enumerate(chosen, start=1):
            got[place] += 1
            for each, weight in enumerate(weights):
                assert abs(got[each] - Fraction(n * weight, sum(weights))) <= bound

    @settings(deadline=None)
    @given(WEIGHTS, st.integers(1, 4))
    def test_after_whole_rounds_shares_are_exact(self, weights, rounds):
        chosen, credits = play(weights, [range(len(weights))] * (rounds * sum(weights)))

        assert Counter(chosen) == {place: rounds * weight for place, weight in enumerate(weights)}
        assert max(map(abs, credits)) < turns.LEAD // 1000

    @settings(deadline=None)
    @given(st.data())
    def test_credit_is_neither_made_nor_lost_whoever_comes_and_goes(self, data):
        weights = data.draw(WEIGHTS)
        some = st.lists(st.sampled_from(range(len(weights))), min_size=1, unique=True)
        able_at = data.draw(st.lists(some, max_size=60))

        chosen, credits = play(weights, able_at)

        assert sum(credits) == 0
        assert all(place in able for place, able in zip(chosen, able_at, strict=True))

    def test_who_is_away_keeps_their_credit(self):
        weights, credits = [1, 1, 1], [0, 0, 0]
        lots = turns.lots_of([UUID(int=n) for n in range(3)])
        turns.take("p", 0, weights, credits, [0, 1, 2], lots)
        before = credits[2]

        for n in range(1, 9):
            turns.take("p", n, weights, credits, [0, 1], lots)

        assert credits[2] == before

    def test_who_came_first_is_not_favoured_in_ties(self):
        holders = [ids.new() for _ in range(5)]  # ids sort by when people were hired
        lots = turns.lots_of(holders)
        first = Counter(turns.take(f"pool {n}", 0, [1] * 5, [0] * 5, range(5), lots)[0] for n in range(4000))

        # Of 4,000 draws each of five gets 800 ± 25 (one sigma); six sigma is not chance.
        assert all(abs(first[place] - 800) < 152 for place in range(5))

    def test_nor_is_anybody_from_round_to_round_of_one_pool(self):
        chosen, _ = play([1] * 5, [range(5)] * 4000)
        first = Counter(chosen[::5])

        # Each round of five begins with everybody tied: 800 draws, 160 ± 11 each.
        assert all(abs(first[place] - 160) < 68 for place in range(5))

    def test_the_same_turn_draws_the_same(self):
        def draw():
            return turns.take("p", 7, [1] * 6, [0] * 6, range(6), turns.lots_of([UUID(int=n) for n in range(6)]))

        assert draw() == draw()
        assert draw()[1] == turns.Draw("p", 7, 6)
