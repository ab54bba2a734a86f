"""Which rule a lead is under, and which rules can be."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm.leads.rules import Status
from crm.sla.rules import BUILT_IN, DEFAULTS, RULES, Facts, Kind, Priority, Rule, RuleSet, in_force

TEAM = UUID(int=1)
FACTS = Facts(status="new", campaign="spring", team_id=TEAM, priority=Priority.high)
CONDITIONS = {
    "campaigns": ("spring",), "teams": (TEAM,), "priorities": (Priority.high,), "statuses": ("new",)
}  # fmt: skip
NOW = datetime(2026, 3, 3, tzinfo=UTC)


def rule(code="r", **fields) -> Rule:
    return Rule(**{"code": code, "kind": Kind.first_response, "target_s": 60, **fields})


def named(*conditions: str) -> Rule:
    return rule("-".join(conditions) or "any", **{name: CONDITIONS[name] for name in conditions})


class TestChoose:
    @pytest.mark.parametrize(
        ("stronger", "weaker"),
        [
            (("campaigns",), ("teams", "priorities", "statuses")),
            (("teams",), ("priorities", "statuses")),
            (("priorities",), ("statuses",)),
            (("statuses",), ()),
            (("campaigns", "statuses"), ("campaigns",)),
        ],
    )
    def test_prefers_what_says_more(self, stronger, weaker):
        for rules in ((named(*stronger), named(*weaker)), (named(*weaker), named(*stronger))):
            chosen = RuleSet(1, None, rules).choose(Kind.first_response, FACTS)

            assert chosen.code == named(*stronger).code

    def test_takes_the_first_of_equals(self):
        rules = (rule("first", statuses=("new",)), rule("second", statuses=("new", "assigned")))

        assert RuleSet(1, None, rules).choose(Kind.first_response, FACTS).code == "first"

    @pytest.mark.parametrize(
        "facts",
        [
            Facts("won", "spring", TEAM, Priority.high),
            Facts("new", "autumn", TEAM, Priority.high),
            Facts("new", None, TEAM, Priority.high),
            Facts("new", "spring", None, Priority.high),
            Facts("new", "spring", TEAM, Priority.low),
        ],
    )
    def test_finds_nothing_where_one_condition_fails(self, facts):
        rules = (named("campaigns", "teams", "priorities", "statuses"),)

        assert RuleSet(1, None, rules).choose(Kind.first_response, facts) is None


class TestInForce:
    @given(st.lists(st.integers(0, 20), max_size=6), st.integers(-5, 25))
    def test_is_the_latest_that_has_begun(self, begins, at):
        sets = [BUILT_IN, *(RuleSet(n, NOW + timedelta(days=day), ()) for n, day in enumerate(sorted(begins), start=1))]

        found = in_force(sets, NOW + timedelta(days=at))

        begun = [each for each in sets if each.valid_from is None or each.valid_from <= NOW + timedelta(days=at)]
        assert found is begun[-1]


class TestRules:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"target_s": 0},
            {"target_s": -60},
            {"reminders": (-60,)},
            {"reminders": (30, 30)},
            {"repeats": 1},
            {"statuses": ("new",), "pause_in": ("new",)},
            {"escalations": ({"to": "owner"}, {"to": "owner", "after_s": 60})},
            {"escalations": ({"to": "owner", "after_s": -1},)},
            {"code": "Über"},
            {"priorities": ("urgent",)},
            {"someday": True},
            {"statuses": ("nosuch",)},
            {"pause_in": ("nosuch",)},
        ],
    )
    def test_refuse_what_does_not_hang_together(self, wrong):
        with pytest.raises(ValidationError):
            rule(**wrong)

    def test_survive_being_stored(self):
        assert RULES.validate_json(RULES.dump_json(DEFAULTS)) == DEFAULTS

    def test_by_default_cover_every_status_in_which_something_is_to_be_done(self):
        covered = {status for each in DEFAULTS for status in each.statuses}

        assert covered == {each.value for each in Status} - {"won", "lost"}
