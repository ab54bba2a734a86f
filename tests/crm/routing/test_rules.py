"""Weighted round robin with capacity: shares, bounds, explanations."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crm.routing import rules
from crm.routing.rules import Member


def person(n: int, **more) -> Member:
    return Member(UUID(int=n), **{"weight": 1, "capacity": 1000, **more})


MEMBERS = st.lists(
    st.builds(
        Member,
        user_id=st.uuids(),
        weight=st.integers(1, 9),
        capacity=st.integers(0, 30),
        open_leads=st.integers(0, 30),
        credit=st.integers(-20, 20),
        accepting=st.booleans(),
        is_active=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda each: each.user_id,
)
LEADS = st.integers(0, 60)


class TestPick:
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 5))
    def test_shares_follow_weights(self, weights, rounds):
        members = [person(n, weight=weight) for n, weight in enumerate(weights)]

        picks, after = rules.pick(members, rounds * sum(weights))

        given_to = Counter(one.user_id for one in picks)
        assert given_to == {UUID(int=n): rounds * weight for n, weight in enumerate(weights)}
        assert all(each.credit == 0 for each in after)

    @given(st.lists(st.integers(1, 9), min_size=2, max_size=8), LEADS)
    def test_nobody_is_ever_far_from_their_share(self, weights, leads):
        picks, _ = rules.pick([person(n, weight=weight) for n, weight in enumerate(weights)], leads)

        given_to = Counter(one.user_id for one in picks)
        for n, weight in enumerate(weights):
            assert abs(given_to[UUID(int=n)] - leads * weight / sum(weights)) < len(weights)

    @given(MEMBERS, LEADS)
    def test_capacity_is_never_exceeded(self, members, leads):
        picks, after = rules.pick(members, leads)

        given_to = Counter(one.user_id for one in picks if one.user_id)
        for each in members:
            most = 0 if each.reason_against else each.capacity - each.open_leads
            assert given_to[each.user_id] <= most
        assert sum(given_to.values()) == min(leads, rules.room(members))
        assert {each.user_id: each.open_leads for each in after} == {
            each.user_id: each.open_leads + given_to[each.user_id] for each in members
        }

    @given(MEMBERS, LEADS)
    def test_credit_is_neither_made_nor_lost(self, members, leads):
        _, after = rules.pick(members, leads)

        assert sum(each.credit for each in after) == sum(each.credit for each in members)

    @given(MEMBERS, LEADS, st.randoms())
    def test_the_same_facts_give_the_same_choice(self, members, leads, chance):
        shuffled = members[:]
        chance.shuffle(shuffled)

        assert rules.pick(members, leads) == rules.pick(shuffled, leads)

    @given(MEMBERS, st.integers(0, 30), st.integers(0, 30))
    def test_one_batch_or_two_choose_the_same(self, members, first, second):
        one, standing = rules.pick(members, first)
        two, _ = rules.pick(standing, second)

        assert rules.pick(members, first + second)[0] == one + two

    def test_says_who_was_considered_and_how_they_stood(self):
        members = [
            person(1, weight=3),
            person(2, credit=1),
            person(3, capacity=5, open_leads=5),
            person(4, accepting=False),
            person(5, is_active=False),
        ]

        [only], _ = rules.pick(members, 1)

        assert only.user_id == UUID(int=1)
        assert [(reason["code"], reason["user_id"].int) for reason in only.reasons] == [
            ("chosen", 1), ("has_room", 1), ("has_room", 2), ("full", 3), ("not_accepting", 4), ("inactive", 5),
        ]  # fmt: skip
        assert [reason["credit"] for reason in only.reasons[1:3]] == [3, 2]

    def test_nobody_with_room_is_an_answer_too(self):
        [full], _ = rules.pick([person(1, capacity=0)], 1)
        [empty], _ = rules.pick([], 1)

        assert (full.user_id, full.reasons[0]["code"]) == (None, "no_capacity")
        assert (empty.user_id, empty.reasons[0]["code"]) == (None, "no_members")
