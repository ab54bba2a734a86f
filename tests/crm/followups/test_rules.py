"""Suggested next steps: examples of what a person would do, and what must hold for every lead."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.followups import rules
from crm.followups.rules import CONTACTS, MOVES, Ask, CheckIn, Facts, Quote, suggest
from crm.followups.steps import BECAUSE, LABELS, Code, Reason
from crm.leads import lifecycle
from crm.leads.lifecycle import Needed
from crm.leads.quotes import QuoteStatus
from crm.leads.rules import TERMINAL, Status

NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
AGO = NOW - timedelta(hours=5)
EVERYWHERE = {code.value: NOW for code in CONTACTS}
ID = UUID(int=7)


def facts(status, **fields):
    machine = lifecycle.DEFAULT
    usual = {
        "status_since": AGO, "began_at": AGO, "may_become": frozenset(machine.choices(status)),
        "required": machine.required, "channels": EVERYWHERE, "service_channels": EVERYWHERE,
    }  # fmt: skip
    return Facts(status=status, **{**usual, **fields})


def first(*args, **fields):
    return suggest(facts(*args, **fields), NOW)[0]


class TestSuggest:
    def test_a_fresh_lead_is_called_at_once(self):
        step = first(Status.assigned)

        assert (step.code, step.reason, step.figures, step.due_at) == (Code.call, "not_tried", {"minutes": 300}, NOW)

    def test_calls_wait_for_the_hours_in_which_they_are_allowed(self):
        opens = NOW + timedelta(hours=14)

        steps = suggest(facts(Status.assigned, channels={"call": opens, "email": NOW}), NOW)

        assert [(step.code, step.due_at) for step in steps] == [(Code.email, NOW), (Code.call, opens)]

    @pytest.mark.parametrize(("unanswered", "pause"), [(1, 2), (2, 6), (3, 24), (4, 48)])
    def test_pauses_grow_while_nobody_answers(self, unanswered, pause):
        last = NOW - timedelta(hours=1)

        steps = suggest(facts(Status.no_answer, attempts=unanswered, unanswered=unanswered, last_attempt_at=last), NOW)

        (call,) = [step for step in steps if step.code is Code.call]
        assert (call.due_at, call.reason) == (last + timedelta(hours=pause), "not_reached")
        assert call.figures["unanswered"] == unanswered

    def test_after_enough_attempts_it_is_given_up_with_a_reason(self):
        step = first(Status.no_answer, attempts=5, unanswered=5, last_attempt_at=AGO, last_outcome="busy")

        assert (step.code, step.needs) == (Code.close_lost, (Needed.reason,))
        assert step.figures == {"attempts": 5, "unanswered": 5, "outcome": "busy"}

    def test_who_wrote_is_answered_at_once_and_where_they_wrote(self):
        ask = Ask("whatsapp", NOW - timedelta(minutes=12))

        step = first(Status.no_answer, attempts=3, last_attempt_at=AGO, ask=ask)

        assert (step.code, step.reason, step.due_at) == (Code.whatsapp, Reason.asked, NOW)
        assert step.because("en") == "Has waited for an answer for 12 minutes"

    def test_who_called_us_is_not_called_untried(self):
        (call, *_) = suggest(facts(Status.contacted, channels={"call": NOW}, spoke_at=AGO), NOW)

        assert (call.reason, call.due_at) == (Reason.keep_talking, AGO + timedelta(days=1))

    def test_who_is_qualified_gets_a_quote(self):
        assert first(Status.qualified, attempts=2, last_attempt_at=AGO).code is Code.make_quote

    def test_a_quote_is_asked_about_before_it_expires(self):
        quote = Quote("open", AGO, NOW + timedelta(days=1, hours=4))

        steps = suggest(facts(Status.proposal, attempts=1, last_attempt_at=AGO, quote=quote), NOW)

        (ask,) = [step for step in steps if step.code is Code.follow_up_quote]
        assert ask.due_at == NOW + timedelta(hours=4)

    @pytest.mark.parametrize(
        ("quote", "code"),
        [
            (Quote("open", AGO, NOW), Code.renew_quote),
            (Quote("accepted", AGO), Code.record_sale),
            (Quote("declined", AGO), Code.make_quote),
            (Quote("withdrawn", AGO), Code.make_quote),
        ],
    )
    def test_quotes_are_gone_on_with(self, quote, code):
        assert first(Status.proposal, attempts=1, last_attempt_at=AGO, quote=quote).code is code

    def test_after_the_sale_come_the_day_and_the_check_ins(self):
        check_in = CheckIn(ID, 7, NOW + timedelta(days=2))

        undated = suggest(facts(Status.won), NOW)
        dated = suggest(facts(Status.won, has_procedure_day=True, check_ins=(check_in,)), NOW)

        assert [step.code for step in undated] == [Code.plan_procedure]
        assert [(step.code, step.due_at, step.figures["channel"]) for step in dated] == [
            (Code.check_in, check_in.due_at, "call")
        ]

    def test_a_check_in_that_is_due_comes_before_everything(self):
        late = CheckIn(ID, 7, AGO)

        assert first(Status.recycled, check_ins=(late,)).code is Code.check_in

    def test_nobody_is_contacted_who_may_not_be(self):
        late = CheckIn(ID, 7, AGO)
        nowhere = {"channels": {}, "service_channels": {}}

        assert [step.code for step in suggest(facts(Status.assigned, **nowhere), NOW)] == [Code.review]
        assert suggest(facts(Status.won, has_procedure_day=True, check_ins=(late,), **nowhere), NOW) == []

    def test_a_lost_lead_may_be_reopened_where_the_machine_says_so(self):
        assert first(Status.lost).code is Code.reopen
        assert suggest(facts(Status.lost, may_become=frozenset()), NOW) == []

    def test_a_lead_of_nobody_is_given_to_somebody(self):
        assert first(Status.recycled, unowned_since=AGO).code is Code.assign


moments = st.integers(-400_000, 400_000).map(lambda minutes: NOW + timedelta(minutes=minutes))
past = st.integers(0, 400_000).map(lambda minutes: NOW - timedelta(minutes=minutes))
channels = st.dictionaries(st.sampled_from([code.value for code in CONTACTS]), moments.map(lambda at: max(at, NOW)))
quote_states = st.sampled_from([each.value for each in QuoteStatus])


@st.composite
def tries(draw):
    """Return attempts that go together: so many in all, so many in vain at the end, the last one when there was one."""
    attempts = draw(st.integers(0, 9))
    return attempts, draw(st.integers(0, attempts)), draw(past) if attempts else None


def _facts(tried, **fields):
    attempts, unanswered, last_attempt_at = tried
    return Facts(attempts=attempts, unanswered=unanswered, last_attempt_at=last_attempt_at, **fields)


anything = st.builds(
    _facts,
    tries(),
    status=st.sampled_from(Status),
    status_since=past,
    began_at=past,
    unowned_since=st.none() | past,
    may_become=st.frozensets(st.sampled_from(Status)),
    required=st.dictionaries(st.sampled_from(Status), st.frozensets(st.sampled_from(Needed))),
    channels=channels,
    service_channels=channels,
    last_outcome=st.sampled_from([None, "answered", *sorted(rules.UNANSWERED)]),
    spoke_at=st.none() | past,
    ask=st.none() | st.builds(Ask, st.sampled_from(["call", "whatsapp", "sms", "email"]), past),
    quote=st.none() | st.builds(Quote, quote_states, past, st.none() | moments),
    check_ins=st.lists(st.builds(CheckIn, st.uuids(), st.integers(0, 400), moments), max_size=3).map(tuple),
    has_procedure_day=st.booleans(),
)


class TestEveryLead:
    @given(anything)
    def test_an_open_one_has_something_to_do(self, given_facts):
        assert suggest(given_facts, NOW) or given_facts.status in TERMINAL

    @given(anything)
    def test_the_same_facts_give_the_same_answer(self, given_facts):
        assert suggest(given_facts, NOW) == suggest(given_facts, NOW)

    @given(anything)
    def test_nothing_is_suggested_that_is_not_allowed(self, given_facts):
        for step in suggest(given_facts, NOW):
            assert step.code not in MOVES or MOVES[step.code] in given_facts.may_become
            if step.code in CONTACTS:
                assert step.due_at >= given_facts.channels[step.code.value]
            if step.code is Code.check_in:
                assert step.due_at >= given_facts.service_channels[step.figures["channel"]]
            if step.code is Code.follow_up_quote:
                assert given_facts.channels

    @given(anything)
    def test_each_is_said_once_what_is_due_before_what_is_to_come(self, given_facts):
        steps = suggest(given_facts, NOW)

        assert len({step.code for step in steps}) == len(steps)
        later = [step.due_at for step in steps if step.due_at and step.due_at > NOW]
        assert [step.due_at for step in steps[len(steps) - len(later) :]] == sorted(later)

    @given(anything)
    def test_each_says_why_in_words_with_its_figures(self, given_facts):
        for step in suggest(given_facts, NOW):
            for language in ("tr", "en"):
                assert step.because(language)
                assert "{" not in step.because(language)

    @given(anything)
    def test_the_reasons_are_true(self, given_facts):
        holds = {
            Reason.not_tried: given_facts.attempts == 0,
            Reason.asked: given_facts.ask is not None,
            Reason.not_reached: given_facts.unanswered > 0,
            Reason.keep_talking: given_facts.unanswered == 0 and given_facts.ask is None,
            Reason.interested: given_facts.status is Status.interested,
            Reason.not_interested: given_facts.status is Status.not_interested,
            Reason.unowned: given_facts.unowned_since is not None,
            Reason.wrong_number: given_facts.status is Status.wrong_number,
            Reason.blocked: given_facts.status is Status.blocked,
            Reason.was_lost: given_facts.status is Status.lost,
            Reason.sold_without_day: given_facts.status is Status.won and not given_facts.has_procedure_day,
            Reason.check_in_scheduled: bool(given_facts.check_ins),
            Reason.no_quote: given_facts.quote is None or given_facts.quote.status in ("superseded", "withdrawn"),
            Reason.nothing_else: True,
        }
        states = {"quote_declined": "declined", "quote_accepted": "accepted", "quote_open": "open"}
        for step in suggest(given_facts, NOW):
            if step.reason in holds:
                assert holds[step.reason], step
            elif step.reason is Reason.quote_expired:
                assert given_facts.quote.is_expired(NOW)
            else:
                assert given_facts.quote.status == states[step.reason]

    def test_every_step_has_labels(self):
        assert set(LABELS) == set(Code)
        assert set(BECAUSE) == set(Reason)
        assert all(set(label) == {"tr", "en"} for label in (*LABELS.values(), *BECAUSE.values()))
