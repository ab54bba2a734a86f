"""What of metrics needs no database: who may be told what, what is hidden, which filters fit."""

import asyncio
import itertools
from datetime import date
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import errors
from crm.actor import Actor, Forbidden
from crm.users import rules
from kpis import access, questions, suppression
from kpis.access import FLOOR, NotYours, Scope
from kpis.cache import Kept
from kpis.questions import BadFilter, Filter, Order, Query, Unknown


def somebody(role: str, *, team: bool = True) -> Actor:
    return Actor(
        uuid4(), uuid4(), uuid4() if team else None, frozenset([role]), permissions=rules.permissions_of([role])
    )  # fmt: skip


class TestScopeOf:
    @pytest.mark.parametrize("role", ["admin", "sales_manager", "compliance_auditor"])
    def test_is_everything_for_who_sees_people(self, role: str) -> None:
        assert access.scope_of(somebody(role)) == Scope()

    def test_hides_the_few_from_who_sees_no_person(self) -> None:
        assert access.scope_of(somebody("analyst")) == Scope(floor=FLOOR)

    def test_is_the_daily_work_of_the_own_team_for_an_agent(self) -> None:
        agent = somebody("sales_agent")

        scope = access.scope_of(agent)

        assert (scope.team, scope.floor) == (agent.team_id, 0)
        assert [section for section in range(1, 8) if scope.allows(section)] == [1, 2, 3, 4]

    def test_hides_the_few_from_who_sees_own_leads_alone_besides(self) -> None:
        both = Actor(uuid4(), uuid4(), uuid4(), permissions=rules.permissions_of(["analyst", "sales_agent"]))

        assert access.scope_of(both) == Scope(floor=FLOOR)

    def test_is_nothing_for_who_is_in_no_team_or_has_no_role(self) -> None:
        with pytest.raises(NotYours):
            access.scope_of(somebody("sales_agent", team=False))
        with pytest.raises(Forbidden):
            access.scope_of(somebody("nobody"))


class TestHidden:
    @pytest.mark.parametrize(
        ("counts", "hidden"),
        [
            ([], set()),
            ([10, 20], set()),
            ([3, 20, 10], {0, 2}),
            ([3, 4, 10], {0, 1}),
            ([2, 1, 10, 8], {0, 1, 3}),
            ([0, 9], set()),
            ([0, 3, 9], {1, 2}),
            ([4], {0}),
            ([5, 5], set()),
        ],
    )
    def test_is_what_few_made_and_what_would_give_it_away(self, counts: list[int], hidden: set[int]) -> None:
        assert suppression.hidden(counts, [range(len(counts))], floor=5) == hidden

    def test_is_the_few_alone_where_no_total_can_be_known(self) -> None:
        assert suppression.hidden([3, 20, 10], floor=5) == {0}

    @given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=3))
    def test_leaves_nothing_of_few_and_no_total_that_gives_it_away(self, data: st.DataObject, sizes: list[int]) -> None:
        """A table of one to three dimensions with its totals, each over one of them."""
        cells = list(itertools.product(*(range(size) for size in sizes)))
        made_by = data.draw(st.lists(st.integers(0, 30), min_size=len(cells), max_size=len(cells)))
        lines = [line for axis in range(len(sizes)) for line in lines_along(axis, cells)]

        hidden = suppression.hidden(made_by, lines, floor=FLOOR)

        assert {place for place, count in enumerate(made_by) if 0 < count < FLOOR} <= hidden
        assert not hidden or any(0 < made_by[place] < FLOOR for place in hidden)
        for line in lines:
            silent = [made_by[place] for place in line if place in hidden]
            told = [made_by[place] for place in line if place not in hidden and made_by[place]]
            assert not silent or not told or (len(silent) > 1 and sum(silent) >= FLOOR)


def lines_along(axis: int, cells: list[tuple[int, ...]]) -> list[list[int]]:
    """Return the cells that differ along an axis only, by their places."""
    found: dict[tuple[int, ...], list[int]] = {}
    for place, cell in enumerate(cells):
        found.setdefault(cell[:axis] + cell[axis + 1 :], []).append(place)
    return list(found.values())


class TestCondition:
    @pytest.mark.parametrize(
        ("op", "kind", "values"),
        [
            ("in", "text", ["a", "b"]), ("not_in", "boolean", ["true"]), ("gte", "number", ["1.5"]),
            ("lt", "date", ["2026-03-02"]), ("is_null", "text", []), ("in", "number", ["1"]),
        ],
    )  # fmt: skip
    def test_fits_its_kind(self, op: str, kind: str, values: list[str]) -> None:
        sql = questions.condition(Filter("d", op, values), kind)  # type: ignore[arg-type]

        assert "{column}" in sql
        assert "{type}" not in sql
        assert not any(value in sql for value in values if len(value) > 1)

    @pytest.mark.parametrize(
        ("op", "kind", "values"),
        [
            ("gt", "text", ["a"]), ("gt", "boolean", ["true"]), ("gt", "number", ["1", "2"]), ("gt", "number", []),
            ("in", "number", ["one"]), ("in", "number", ["nan"]), ("lt", "date", ["yesterday"]),
            ("gt", "number", ["٣"]), ("gt", "number", ["1e999999"]), ("gt", "number", ["1_0"]),
            ("lt", "date", ["20260302"]),
            ("in", "boolean", ["yes"]), ("is_null", "text", ["a"]),
        ],
    )  # fmt: skip
    def test_is_refused_where_it_does_not(self, op: str, kind: str, values: list[str]) -> None:
        with pytest.raises(BadFilter):
            questions.condition(Filter("d", op, values), kind)  # type: ignore[arg-type]


class TestCheck:
    @pytest.mark.parametrize(
        "query",
        [
            Query(["a"], since=date(2026, 3, 2), until=date(2026, 3, 2)),
            Query(["a"], limit=0),
            Query(["a"], limit=questions.MOST_ROWS + 1),
            Query(["a"], definitions={"b": "0" * 16}),
        ],
    )
    def test_refuses_what_no_metric_could_answer(self, query: Query) -> None:
        with pytest.raises(errors.Invalid):
            questions.check(query)

    def test_knows_the_columns_to_order_by(self) -> None:
        questions.check_order(Query(["a"], order=[Order("a")]), ["a"])

        with pytest.raises(Unknown):
            questions.check_order(Query(["a"], order=[Order("b")]), ["a"])


class TestKept:
    async def test_lets_one_work_while_the_others_wait(self) -> None:
        kept: Kept[int] = Kept(2)
        asked = 0

        async def make() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return asked

        found = await asyncio.gather(*(kept.get("a", make) for _ in range(5)))

        assert (found, asked) == ([1] * 5, 1)

    async def test_keeps_no_failure_and_forgets_the_oldest(self) -> None:
        kept: Kept[str] = Kept(2)

        async def fail() -> str:
            raise ValueError

        async def value() -> str:
            return "value"

        with pytest.raises(ValueError):
            await kept.get("a", fail)
        for key in ("a", "b", "a", "c"):
            await kept.get(key, value)

        assert ("a" in kept, "b" in kept, "c" in kept, len(kept)) == (True, False, True, 2)

    async def test_refuses_whoever_waits_for_what_is_refused(self) -> None:
        kept: Kept[str] = Kept(2)
        asked = 0

        async def refuse() -> str:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            raise errors.Invalid("this takes half a minute each time")

        found = await asyncio.gather(*(kept.get("a", refuse) for _ in range(5)), return_exceptions=True)

        assert ([type(each) for each in found], asked) == ([errors.Invalid] * 5, 1)

    async def test_keeps_so_much_and_hands_out_what_is_too_large(self) -> None:
        kept: Kept[str] = Kept(10, weigh=len)

        async def value(text: str) -> str:
            return text

        for text in ("four", "five", "seven", "sixteen letters"):
            assert await kept.get(text, lambda text=text: value(text)) == text  # type: ignore[misc]

        assert [text for text in ("four", "five", "seven", "sixteen letters") if text in kept] == ["five", "seven"]
