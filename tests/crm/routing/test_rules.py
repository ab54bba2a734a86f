"""Who gets a lead: the cascade, every kind of target, every reason against somebody, holds and rings."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.routing import cascade, explain, rules, rulesets
from crm.routing.floor import ABSENT, CLOSED, Floor, Person, Seat
from crm.routing.rules import Enquiry

NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
A, B, C, D = (UUID(int=n) for n in range(1, 5))
TEAM, OTHER = UUID(int=101), UUID(int=102)
MINUTE = timedelta(minutes=1)


def floor(*people, seats=None, default_team=TEAM, **more):
    """Return a floor of people who each sit in the first team, unless seats are named."""
    people = people or (Person(A), Person(B))
    seats = seats or [Seat(TEAM, person.user_id, 1, 50) for person in people]
    return Floor(seats, people, {}, default_team=default_team, **more)


def lead(n=1, since=NOW, **more):
    return Enquiry(UUID(int=1000 + n), since, **more)


def compiled(*found, **more):
    return cascade.compile_rules(rulesets.read({"rules": list(found), **more}))


def rule(name, target=None, **when_and_more):
    when = {key: value for key, value in when_and_more.items() if key in rulesets.CASCADE}
    more = {key: value for key, value in when_and_more.items() if key not in rulesets.CASCADE}
    return {"name": name, "when": when, "target": target or {"kind": "team", "team_id": str(TEAM)}, **more}


def agent(user):
    return {"kind": "agent", "user_id": str(user)}


def decide(found, people, enquiry, at=NOW):
    return rules.decide(found, people, enquiry, at)


def counts(decision):
    return {reason["code"]: reason["count"] for reason in decision.reasons[1:]}


class TestCascade:
    ALL = (
        rule("by_place", geography=["tr"]),
        rule("by_keyword", keyword=["implant"]),
        rule("by_adset", adset=["wide"]),
        rule("by_campaign", campaign=["spring*"]),
        rule("by_both", campaign=["spring*"], geography=["de"]),
    )

    @pytest.mark.parametrize(
        ("facts", "name"),
        [
            ({"campaign": "Spring 26", "adset": "wide", "keyword": "implant", "geography": "TR"}, "by_campaign"),
            ({"adset": "WIDE", "keyword": "implant", "geography": "TR"}, "by_adset"),
            ({"keyword": "diş implant fiyat", "country": "TR"}, "by_keyword"),
            ({"keyword": "implantologist", "country": "TR"}, "by_place"),
            ({"geography": "Tr"}, "by_place"),
            ({}, "default_team"),
            ({"team_id": TEAM}, "own_team"),
            ({"team_id": TEAM, "handed": True, "campaign": "spring"}, "handed_to_team"),
        ],
    )
    def test_asks_level_by_level(self, facts, name):
        assert decide(compiled(*self.ALL), floor(), lead(**facts)).rule == name

    def test_within_a_level_the_first_written_wins(self):
        found = compiled(rule("one", campaign=["x"]), rule("two", campaign=["x"], geography=["de"]))

        assert decide(found, floor(), lead(campaign="x", geography="de")).rule == "one"

    def test_every_condition_of_a_rule_must_hold(self):
        found = compiled(rule("both", campaign=["x"], geography=["de"]))

        assert decide(found, floor(), lead(campaign="x", geography="tr")).rule == "default_team"

    def test_the_default_of_the_rules_comes_before_the_firms(self):
        found = compiled(default={"target": agent(B)})

        assert decide(found, floor(), lead()).user_id == B

    def test_the_queue_is_left_to_rules_that_name_it(self):
        found = compiled(rule("all", campaign=["*"]), rule("again", agent(B), queue=["wrong_number"]))
        queued = {"queue": "wrong_number", "campaign": "x", "team_id": TEAM}

        assert decide(found, floor(), lead(**queued)).user_id == B
        assert decide(compiled(rule("all", campaign=["*"])), floor(), lead(**queued)).reasons == [{"code": "in_queue"}]
        assert decide(found, floor(), lead(campaign="x")).rule == "all"


class TestTargets:
    def test_a_pool_shares_by_percent(self):
        shares = [{"user_id": str(A), "percent": 70}, {"user_id": str(B), "percent": 30}]
        found = compiled(default={"target": {"kind": "pool", "shares": shares}})

        got = Counter(each.user_id for each in rules.decide_all(found, floor(), map(lead, range(20)), NOW))

        assert got == {A: 14, B: 6}

    def test_a_pool_of_teams_shares_by_percent_and_inside_by_weight(self):
        people = [Person(user) for user in (A, B, C)]
        seats = [Seat(TEAM, A, 3, 50), Seat(TEAM, B, 1, 50), Seat(OTHER, C, 1, 50)]
        shares = [{"team_id": str(TEAM), "percent": 80}, {"team_id": str(OTHER), "percent": 20}]
        found = compiled(default={"target": {"kind": "pool", "shares": shares}})

        on = floor(*people, seats=seats)
        got = Counter(each.user_id for each in rules.decide_all(found, on, map(lead, range(40)), NOW))

        assert got == {A: 24, B: 8, C: 8}

    def test_the_share_of_a_full_team_goes_to_the_other(self):
        seats = [Seat(TEAM, A, 1, 1), Seat(OTHER, B, 1, 50)]
        shares = [{"team_id": str(TEAM), "percent": 80}, {"team_id": str(OTHER), "percent": 20}]
        found = compiled(default={"target": {"kind": "pool", "shares": shares}})

        on = floor(Person(A), Person(B), seats=seats)
        got = Counter(each.user_id for each in rules.decide_all(found, on, map(lead, range(5)), NOW))

        assert got == {A: 1, B: 4}

    def test_skills_relax_ring_by_ring(self):
        rings = [{"after_minutes": 10, "require": {"implant": 2}}, {"after_minutes": 30, "require": {}}]
        found = compiled(default={"target": {"kind": "skills", "require": {"implant": 4}, "relax": rings}})
        expert, knows, new = (
            Person(A, skills={"implant": 4}, open_leads=50),
            Person(B, skills={"implant": 3}),
            Person(C),
        )

        now = decide(found, floor(expert, knows, new), lead(), NOW)
        later = decide(found, floor(expert, knows, new), lead(), NOW + 10 * MINUTE)
        last = decide(found, floor(expert, new), lead(), NOW + 30 * MINUTE)

        assert (now.user_id, now.next_at, counts(now)) == (None, NOW + 10 * MINUTE, {"skill": 2, "full": 1})
        assert (later.user_id, later.reasons[0]["ring"]) == (B, 1)
        assert last.user_id == C

    def test_a_split_gives_a_lead_the_same_side_always(self):
        sides = [{"name": "a", "share": 1, "target": agent(A)}, {"name": "b", "share": 3, "target": agent(B)}]
        found = compiled(default={"target": {"kind": "split", "experiment": "x", "variants": sides}})
        wide = [Seat(TEAM, user, 1, 10_000) for user in (A, B)]

        once = rules.decide_all(found, floor(seats=wide), map(lead, range(2000)), NOW)
        again = rules.decide_all(found, floor(seats=wide), map(lead, range(2000)), NOW)

        sides = Counter(each.variant for each in once)
        assert [each.variant for each in once] == [each.variant for each in again]
        assert {each.user_id for each in once if each.variant == "a"} == {A}
        assert abs(sides["a"] - 500) < 6 * (2000 * 0.25 * 0.75) ** 0.5

    def test_an_agent_of_two_teams_is_asked_once(self):
        seats = [Seat(TEAM, A, 1, 50), Seat(OTHER, A, 1, 50, accepting=False)]
        found = compiled(default={"target": agent(A)})

        decision = decide(found, floor(Person(A), seats=seats), lead())

        assert (decision.user_id, decision.team_id, counts(decision)) == (A, TEAM, {"able": 1})


@st.composite
def percentages(draw, most=6):
    """Return whole percentages that make 100."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), max_size=most - 1)))
    return [right - left for left, right in zip([0, *cuts], [*cuts, 100], strict=True)]


class TestShares:
    @settings(deadline=None)
    @given(percentages(), st.integers(1, 250))
    def test_a_pool_is_never_a_lead_away_from_its_percentages(self, percents, arrived):
        users = [UUID(int=n) for n in range(1, len(percents) + 1)]
        shares = [{"user_id": str(user), "percent": each} for user, each in zip(users, percents, strict=True)]
        found = compiled(default={"target": {"kind": "pool", "shares": shares}})
        on = floor(*map(Person, users), seats=[Seat(TEAM, user, 1, 1000) for user in users])

        got = Counter()
        for n, each in enumerate(rules.decide_all(found, on, map(lead, range(arrived)), NOW), start=1):
            got[each.user_id] += 1
            assert all(
                abs(got[user] - Fraction(n * percent, 100)) <= 1 for user, percent in zip(users, percents, strict=True)
            )

    @settings(deadline=None)
    @given(percentages(4), st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=4, max_size=4))
    def test_a_pool_of_teams_is_fair_between_teams_and_inside_each(self, percents, weights):
        teams = [UUID(int=200 + n) for n in range(len(percents))]
        seats = [
            Seat(team, UUID(int=1000 * n + place + 1), weight, 1000)
            for n, team in enumerate(teams)
            for place, weight in enumerate(weights[n])
        ]
        shares = [{"team_id": str(team), "percent": each} for team, each in zip(teams, percents, strict=True)]
        found = compiled(default={"target": {"kind": "pool", "shares": shares}})
        on = floor(*(Person(seat.user_id) for seat in seats), seats=seats)

        done = rules.decide_all(found, on, map(lead, range(130)), NOW)

        of_team, got = Counter(each.team_id for each in done), Counter(each.user_id for each in done)
        for team, percent in zip(teams, percents, strict=True):
            inside = [seat for seat in seats if seat.team_id == team]
            assert abs(of_team[team] - Fraction(130 * percent, 100)) <= 1
            for seat in inside:
                share = Fraction(of_team[team] * seat.weight, sum(other.weight for other in inside))
                assert abs(got[seat.user_id] - share) <= 1

    @settings(deadline=None)
    @given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
    def test_skills_only_ever_relax_and_each_ring_at_its_minute(self, levels, data):
        minutes = sorted(data.draw(st.sets(st.integers(1, 300), max_size=4)))
        asks = sorted(data.draw(st.lists(st.integers(1, 5), min_size=len(minutes) + 1, max_size=len(minutes) + 1)))[
            ::-1
        ]
        rings = [
            {"after_minutes": after, "require": {"implant": level}}
            for after, level in zip(minutes, asks[1:], strict=True)
        ]
        found = compiled(default={"target": {"kind": "skills", "require": {"implant": asks[0]}, "relax": rings}})
        people = [Person(UUID(int=n + 1), skills={"implant": level}) for n, level in enumerate(levels)]

        for waited in sorted({0, *minutes, *(after - 1 for after in minutes), 400}):
            decision = decide(found, floor(*people), lead(), NOW + waited * MINUTE)

            asked = asks[sum(after <= waited for after in minutes)]
            able = {person.user_id for person in people if person.skills["implant"] >= asked}
            later = [NOW + after * MINUTE for after in minutes if after > waited]
            assert counts(decision).get("able", 0) == len(able)
            assert (decision.user_id in able) if able else (decision.next_at == min(later, default=None))


class TestReasonsAgainst:
    @pytest.mark.parametrize(
        ("person", "code"),
        [
            (Person(A, is_active=False), "inactive"),
            (Person(A, away=ABSENT), "absent"),
            (Person(A, away=CLOSED), "closed"),
            (Person(A, regions=frozenset({"de"})), "territory"),
            (Person(A, languages=frozenset({"de"})), "language"),
            (Person(A, daily_cap=3, today=3), "day_full"),
            (Person(A, open_leads=50), "full"),
        ],
    )
    def test_each_is_a_code(self, person, code):
        found = compiled(default={"target": {"kind": "team", "team_id": str(TEAM)}})

        decision = decide(found, floor(person), lead(country="TR", language="tr"))

        assert decision.user_id is None
        assert (decision.reasons[0]["code"], counts(decision)) == ("nobody_free", {code: 1})

    def test_who_pauses(self):
        paused = floor(Person(A), seats=[Seat(TEAM, A, 1, 50, accepting=False)])

        assert counts(decide(cascade.NOTHING, paused, lead())) == {"not_accepting": 1}

    def test_cooling_off_is_until_an_instant(self):
        cooled = lead(cooled={A: NOW + 5 * MINUTE})

        before = decide(cascade.NOTHING, floor(Person(A)), cooled)
        after = decide(cascade.NOTHING, floor(Person(A)), cooled, NOW + 5 * MINUTE)

        assert (counts(before), before.next_at) == ({"cooling_off": 1}, NOW + 5 * MINUTE)
        assert after.user_id == A

    def test_who_has_no_profile_has_no_restriction(self):
        asked = lead(country="GB", language="en")

        assert decide(compiled(default={"target": agent(A)}), floor(), asked).user_id == A

    def test_a_rule_may_ask_for_neither_language_nor_territory(self):
        deaf = Person(A, languages=frozenset({"de"}), regions=frozenset({"de"}))
        found = compiled(default={"target": agent(A), "language": False, "territory": False})

        assert decide(found, floor(deaf), lead(country="GB", language="en")).user_id == A


HELD = {"target": agent(A), "hold": {"minutes": 30, "overflow_team_id": str(OTHER)}}


class TestHold:
    def on(self):
        seats = [Seat(TEAM, A, 1, 1), Seat(OTHER, B, 1, 50)]
        return floor(Person(A, open_leads=1), Person(B, languages=frozenset({"de"})), seats=seats)

    def test_waits_until_its_deadline(self):
        decision = decide(compiled(default=HELD), self.on(), lead(language="tr"), NOW + 29 * MINUTE)

        assert (decision.user_id, decision.next_at) == (None, NOW + 30 * MINUTE)

    def test_goes_to_the_overflow_team_then(self):
        decision = decide(compiled(default=HELD), self.on(), lead(language="tr"), NOW + 30 * MINUTE)

        assert (decision.user_id, decision.reasons[0]["stage"]) == (B, "overflow")

    def test_the_target_comes_first_even_then(self):
        free = floor(Person(A), Person(B), seats=[Seat(TEAM, A, 1, 1), Seat(OTHER, B, 1, 50)])

        assert decide(compiled(default=HELD), free, lead(), NOW + 40 * MINUTE).user_id == A

    def test_the_next_moment_is_when_somebody_comes_back(self):
        away = floor(Person(A, away=CLOSED, away_until=NOW + 7 * MINUTE))

        assert decide(cascade.NOTHING, away, lead()).next_at == NOW + 7 * MINUTE


PEOPLE = st.lists(
    st.builds(
        Person,
        user_id=st.uuids(),
        is_active=st.booleans(),
        daily_cap=st.none() | st.integers(0, 20),
        open_leads=st.integers(0, 20),
        today=st.integers(0, 10),
        languages=st.frozensets(st.sampled_from(["tr", "en", "de"]), max_size=2),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda person: person.user_id,
)
LANGUAGES = st.lists(st.sampled_from([None, "tr", "en", "ru"]), max_size=60)


class TestDecideAll:
    @settings(deadline=None)
    @given(PEOPLE, st.integers(0, 20), LANGUAGES)
    def test_no_limit_is_ever_exceeded_and_nobody_free_is_true(self, people, capacity, languages):
        seats = [Seat(TEAM, person.user_id, 1 + n, capacity) for n, person in enumerate(people)]
        on = floor(*people, seats=seats)
        arrived = [lead(n, language=language) for n, language in enumerate(languages)]

        decisions = rules.decide_all(cascade.NOTHING, on, arrived, NOW)

        got = Counter(each.user_id for each in decisions if each.user_id)
        for person in people:
            most = max(0, capacity - person.open_leads)
            if person.daily_cap is not None:
                most = min(most, max(0, person.daily_cap - person.today))
            assert got[person.user_id] <= (most if person.is_active else 0)
        for one, each in zip(arrived, decisions, strict=True):
            if each.user_id is None:
                assert not any(
                    person.is_active
                    and (not person.languages or one.language is None or one.language in person.languages)
                    and on.open[person.user_id] < capacity
                    and (person.daily_cap is None or on.today[person.user_id] < person.daily_cap)
                    for person in people
                )

    @settings(deadline=None)
    @given(PEOPLE, LANGUAGES, st.randoms())
    def test_the_order_in_which_facts_come_changes_nothing(self, people, languages, chance):
        seats = [Seat(TEAM, person.user_id, 1, 20) for person in people]
        arrived = [lead(n, since=NOW + n * MINUTE, language=language) for n, language in enumerate(languages)]
        mixed = [seats[:], people[:], arrived[:]]
        for each in mixed:
            chance.shuffle(each)

        one = rules.decide_all(cascade.NOTHING, floor(*people, seats=seats), arrived, NOW + 60 * MINUTE)
        two = rules.decide_all(cascade.NOTHING, floor(*mixed[1], seats=mixed[0]), mixed[2], NOW + 60 * MINUTE)

        assert one == two

    def test_one_run_or_two_take_the_same_turns(self):
        wide = [Seat(TEAM, user, weight, 100) for user, weight in ((A, 3), (B, 2), (C, 7))]
        people = [Person(user) for user in (A, B, C)]
        arrived = [lead(n, since=NOW + n * MINUTE) for n in range(60)]

        whole = rules.decide_all(cascade.NOTHING, floor(*people, seats=wide), arrived, NOW + 60 * MINUTE)
        first = floor(*people, seats=wide)
        parts = rules.decide_all(cascade.NOTHING, first, arrived[:23], NOW + 60 * MINUTE)
        first.settled()
        then = Floor(wide, people, first.pools, default_team=TEAM)
        parts += rules.decide_all(cascade.NOTHING, then, arrived[23:], NOW + 60 * MINUTE)

        assert [(each.user_id, each.reasons[0]) for each in whole] == [
            (each.user_id, each.reasons[0]) for each in parts
        ]


SAME_IN_EVERY_PROCESS = """
from datetime import UTC, datetime
from uuid import UUID
from crm.routing import cascade, explain, rules, rulesets
from crm.routing.floor import Floor, Person, Seat

team, at = UUID(int=9), datetime(2026, 3, 3, tzinfo=UTC)
codes = ("tr", "en", "de", "ar", "ru")
people = [
    Person(UUID(int=100 + n), languages=frozenset(codes[: n % 5]), regions=frozenset(codes[n % 5 :]), daily_cap=9)
    for n in range(20)
]
seats = [Seat(team, person.user_id, 1 + n % 3, 8) for n, person in enumerate(people)]
skills = {"kind": "skills", "require": {"a": 1, "b": 1}, "relax": [{"after_minutes": 5, "require": {}}]}
rule = {"name": "s", "when": {"campaign": list(codes)}, "target": skills}
found = cascade.compile_rules(rulesets.read({"rules": [rule]}))
floor = Floor(seats, people, {}, default_team=team)
leads = [
    rules.Enquiry(UUID(int=n), at, language=codes[n % 5], country=codes[n % 4], campaign="de" if n % 7 == 0 else None)
    for n in range(250)
]
for each in rules.decide_all(found, floor, leads, at):
    print(each.user_id, each.demand, each.reasons, explain.pack(each.standings, floor.place).hex())
"""


class TestRepeatable:
    def test_neither_hash_seed_nor_process_changes_a_decision(self):
        told = {
            subprocess.run(
                [sys.executable, "-c", SAME_IN_EVERY_PROCESS], env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True, check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }  # fmt: skip

        assert len(told) == 1
        assert b"nobody_free" in next(iter(told))


class TestExplain:
    def test_what_is_kept_is_what_was_seen(self):
        people = [Person(UUID(int=n), open_leads=50 * (n % 3 == 0)) for n in range(1, 301)]
        on = floor(*people)
        decision = decide(cascade.NOTHING, on, lead())

        kept = explain.pack(decision.standings, on.place)
        told = explain.unpack(kept, on.seats)

        assert len(kept) < 1500, "three hundred people in a kilobyte and a half"
        assert [(each["user_id"].int, each["code"]) for each in told] == [
            (n, "full" if n % 3 == 0 else "able") for n in range(1, 301)
        ]
        assert all(each["weight"] == 1 and each["credit"] == 0 for each in told)

    @pytest.mark.parametrize(
        ("people", "tr", "en"),
        [
            ((Person(A),), "sıra ondaydı", "it was their turn"),
            ((Person(A, away=ABSENT),), "1 kişi izinli", "1 are out of office"),
        ],
    )
    def test_says_it_in_both_languages(self, people, tr, en):
        decision = decide(cascade.NOTHING, floor(*people), lead())

        told = explain.sentences(decision.rule, decision.reasons)

        assert tr in told["tr"]
        assert en in told["en"]
        assert told["en"].startswith("It fell to the default team: ")


TO_TEAM = {"kind": "team", "team_id": str(TEAM)}


class TestRead:
    @pytest.mark.parametrize(
        ("definition", "place"),
        [
            ({"rules": [{"name": "a", "when": {}, "target": TO_TEAM}]}, "rules.0.when"),
            ({"rules": [{"name": "a", "when": {"campaign": None}, "target": TO_TEAM}]}, "rules.0.when"),
            ({"rules": [{"name": "a", "when": {"colour": ["red"]}, "target": TO_TEAM}]}, "rules.0.when.colour"),
            ({"rules": [rule("a", campaign=["x"])] * 2}, "definition"),
            ({"rules": [rule("default", campaign=["x"])]}, "definition"),
            ({"default": {"target": {"kind": "magic"}}}, "default.target"),
            ({"default": {"target": {"kind": "pool", "shares": [{"user_id": str(A), "percent": 99}]}}},
             "default.target.pool"),
            ({"default": {"target": {"kind": "skills", "require": {"a": 2},
                                     "relax": [{"after_minutes": 5, "require": {"a": 3}}]}}}, "default.target.skills"),
            ({"default": {"target": {"kind": "skills", "require": {"a": 9}}}}, "default.target.skills.require.a"),
            ([], "definition"),
        ],
    )  # fmt: skip
    def test_says_where_a_definition_is_wrong(self, definition, place):
        with pytest.raises(rulesets.BadRules) as refused:
            rulesets.read(definition)

        assert place in refused.value.fields

    def test_finds_everybody_whom_rules_name(self):
        definition = {
            "rules": [rule("one", agent(A), campaign=["x"], hold={"minutes": 1, "overflow_team_id": str(OTHER)})],
            "default": {"target": {"kind": "skills", "team_ids": [str(TEAM)], "require": {"a": 1}}},
        }

        people, teams = rulesets.people_and_teams(rulesets.read(definition))

        assert (set(people), set(teams)) == ({A}, {TEAM, OTHER})
