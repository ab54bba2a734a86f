"""The filter language: printed as it is read, and refused with the place and what may stand there."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import filtering, ids
from crm.actor import Actor
from crm.filtering import BadFilter, FilterNotAllowed, Operator, PersonalFilter
from crm.leads.filters import FIELDS
from tests.crm.leads.filters import clauses


class TestParse:
    @given(clauses())
    def test_reads_what_is_shown(self, clause):
        text = filtering.show(clause, FIELDS)

        assert filtering.parse(text, FIELDS) == clause
        assert filtering.show(filtering.parse(text, FIELDS), FIELDS) == text

    @given(st.text(max_size=60) | st.from_regex(r"\A(status|owner|tags|received_at|name):[a-z_]*:[^\x00]{0,20}\Z"))
    def test_reads_or_says_where_it_fails(self, text):
        try:
            clause = filtering.parse(text, FIELDS)
        except BadFilter as refusal:
            place = int(re.match(r"at character (\d+): expected .", refusal.fields["filter"])[1])
            assert 1 <= place <= len(text) + 1
        else:
            assert filtering.parse(filtering.show(clause, FIELDS), FIELDS) == clause

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("stage:in:new", "at character 1: expected one of status, owner"),
            ("status", "at character 7: expected a colon and an operator"),
            ("status:is:new", "at character 8: expected one of in, not_in"),
            ("status:in", "at character 10: expected a colon and a value"),
            ("status:in:", "at character 11: expected a value"),
            ("status:in:new,,won", "at character 15: expected a value"),
            ("status:in:new,old", "at character 15: expected one of new, assigned"),
            ('tags:any:"vip', "at character 14: expected a closing quote"),
            ('tags:any:"vip"x', "at character 15: expected a comma or the end"),
            ('tags:any:"a\\b"', "at character 13: expected a quote or a backslash"),
            ("owner:is:you", "at character 10: expected one of me, null, set"),
            ("owner:in:me", "at character 10: expected an id"),
            ("received_at:gte:soon", "at character 17: expected a day"),
            ("received_at:gte:2026-03-05T09:00", "at character 17: expected a day"),
            ("received_at:during:someday", "at character 20: expected one of today"),
            ("received_at:gte:2026-03-05,2026-03-06", "at character 28: expected the end"),
            ("cycle_no:gte:two", "at character 14: expected a whole number"),
        ],
    )
    def test_says_where_and_what_is_allowed(self, text, said):
        with pytest.raises(BadFilter) as refusal:
            filtering.parse(text, FIELDS, at="filter.0")

        assert refusal.value.fields["filter.0"].startswith(said)

    def test_repeats_nothing_of_what_was_sent(self):
        for text in ("phone:eq:0532x1234567", "email:eq:ada.mail.example", "ada@mail.example:in:1"):
            with pytest.raises(BadFilter) as refusal:
                filtering.parse(text, FIELDS)
            assert "0532" not in str(refusal.value.fields)
            assert "mail" not in str(refusal.value.fields).replace("e-mail", "").replace(", email", "")

    def test_one_value_said_twice_is_one(self):
        assert filtering.parse("tags:any:a,b,a", FIELDS).values == ("a", "b")

    def test_takes_only_so_much(self):
        with pytest.raises(BadFilter):
            filtering.parse("tags:any:" + ",".join(map(str, range(filtering.MOST_VALUES + 1))), FIELDS)
        with pytest.raises(BadFilter):
            filtering.parse_all(["status:in:new"] * (filtering.MOST_FILTERS + 1), FIELDS)


class TestGuards:
    @pytest.mark.parametrize("text", ["name:starts:ada", "phone:eq:05321234567", "email:eq:ada@mail.example"])
    def test_people_are_filtered_by_in_bodies_only(self, text):
        with pytest.raises(PersonalFilter):
            filtering.parse_all([text], FIELDS)

        assert filtering.parse_all([text], FIELDS, personal=True)

    def test_what_one_may_not_see_one_may_not_filter_by(self):
        nobody = Actor(ids.new(), ids.new())
        for name, field in FIELDS.items():
            clause = filtering.Clause(name, field.operators[0], ())
            if field.permission is None:
                filtering.require_allowed([clause], FIELDS, nobody)
                continue
            with pytest.raises(FilterNotAllowed) as refusal:
                filtering.require_allowed([clause], FIELDS, nobody)
            assert field.permission in refusal.value.fields[name]

    def test_every_operator_is_of_some_field_and_has_its_condition(self):
        used = {operator for field in FIELDS.values() for operator in field.operators}

        assert used == set(Operator)
        for field in FIELDS.values():
            assert field.own or set(field.operators) <= set(filtering.CONDITIONS)
