"""How attempts end, and what follows."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.calls.facts import Verdict
from crm.calls.story import Outcome
from crm.dialling import rules
from crm.dialling.rules import DEFAULT_RETRY, Again, Ending, Result, Retry

HOUR = timedelta(hours=1)


def ending(outcome: Outcome, **of: object) -> Ending:
    known = {"has_begun": True, "is_answered": False, "is_connected": False, "verdict": None, "agent_first": False} | of
    return rules.ending_of(outcome, **known)


class TestEndingOf:
    @pytest.mark.parametrize(
        ("outcome", "wanted"),
        [
            (Outcome.busy, Ending.busy), (Outcome.no_answer, Ending.no_answer), (Outcome.rejected, Ending.rejected),
            (Outcome.congestion, Ending.congestion), (Outcome.invalid, Ending.invalid),
            (Outcome.failed, Ending.failed), (Outcome.unknown, Ending.failed),
            (Outcome.agent_no_answer, Ending.no_agent),
        ],
    )  # fmt: skip
    def test_of_calls_nobody_answered_is_why(self, outcome: Outcome, wanted: Ending):
        assert ending(outcome) is wanted

    def test_of_a_machine_is_voicemail_whoever_else_was_there(self):
        assert ending(Outcome.machine, is_answered=True) is Ending.voicemail
        assert ending(Outcome.answered, is_answered=True, is_connected=True, verdict=Verdict.machine) is (
            Ending.voicemail
        )

    def test_of_an_answer_is_whether_an_agent_came(self):
        assert ending(Outcome.answered, is_answered=True, is_connected=True) is Ending.reached
        assert ending(Outcome.abandoned, is_answered=True) is Ending.abandoned
        assert ending(Outcome.dropped, is_answered=True) is Ending.abandoned

    def test_of_what_the_exchange_never_had_is_no_call(self):
        assert ending(Outcome.failed, has_begun=False) is Ending.unsent

    def test_with_the_agent_first_nobody_is_abandoned(self):
        assert ending(Outcome.answered, is_answered=True, agent_first=True) is Ending.reached

    @given(st.sampled_from(Outcome), st.booleans(), st.booleans(), st.sampled_from([None, *Verdict]), st.booleans())
    def test_knows_every_outcome(self, outcome, is_answered, is_connected, verdict, agent_first):
        found = rules.ending_of(
            outcome,
            has_begun=True,
            is_answered=is_answered,
            is_connected=is_connected,
            verdict=verdict,
            agent_first=agent_first,
        )

        assert found in rules.RESULT_OF


class TestWasAbandoned:
    @pytest.mark.parametrize(("delay", "wanted"), [(0.0, False), (2.0, False), (2.01, True), (None, True)])
    def test_is_a_live_answer_without_an_agent_within_two_seconds(self, delay: float | None, wanted: bool):
        found = Ending.abandoned if delay is None else Ending.reached

        assert rules.was_abandoned(found, delay, agent_first=False) is wanted

    def test_is_no_machine_and_nobody_whose_agent_was_there_first(self):
        assert not rules.was_abandoned(Ending.voicemail, None, agent_first=False)
        assert not rules.was_abandoned(Ending.reached, None, agent_first=True)


class TestNextTry:
    def test_waits_its_cool_down_and_ends_with_its_most(self):
        retry = Retry(5, {Ending.busy: Again(HOUR, 2)})

        first = rules.next_try(retry, Ending.busy, {"busy": 1}, lock_out=HOUR)
        second = rules.next_try(retry, Ending.busy, {"busy": 2}, lock_out=HOUR)

        assert first.wait == HOUR
        assert (second.wait, second.reason) == (None, "tried_enough")

    def test_ends_after_so_many_attempts_of_any_kind(self):
        found = rules.next_try(DEFAULT_RETRY, Ending.busy, {"busy": 1, "no_answer": 4, "voicemail": 3}, lock_out=HOUR)

        assert found.reason == "tried_enough"

    @pytest.mark.parametrize("no_try", [Ending.no_agent, Ending.unsent])
    def test_does_not_count_calls_in_which_nobody_was_called(self, no_try: Ending):
        found = rules.next_try(DEFAULT_RETRY, no_try, {no_try: 20, "busy": 3}, lock_out=HOUR)

        assert found.wait is not None

    def test_leaves_the_abandoned_alone_as_long_as_it_must(self):
        retry = Retry(5, {Ending.abandoned: Again(HOUR, 3)})

        found = rules.next_try(retry, Ending.abandoned, {"abandoned": 1}, lock_out=72 * HOUR)

        assert found.wait == 72 * HOUR

    def test_is_done_with_whom_it_spoke_and_with_numbers_that_are_none(self):
        assert rules.next_try(DEFAULT_RETRY, Ending.reached, {"reached": 1}, lock_out=HOUR).reason == "spoken"
        assert rules.next_try(DEFAULT_RETRY, Ending.invalid, {"invalid": 1}, lock_out=HOUR).reason == "no_such_number"

    @given(st.lists(st.sampled_from([each for each in Ending if each not in rules.NO_TRY]), max_size=40))
    def test_every_lead_is_done_after_its_most_attempts(self, endings: list[Ending]):
        counts: Counter[str] = Counter()
        done = False
        for each in endings:
            if done:
                break
            counts[each] += 1
            done = rules.next_try(DEFAULT_RETRY, each, counts, lock_out=HOUR).reason is not None

        assert sum(counts.values()) <= DEFAULT_RETRY.most
        assert done or len(endings) < DEFAULT_RETRY.most


class TestMayBecome:
    def test_every_status_can_be_stopped_but_a_draft(self):
        stoppable = {status for status, to in rules.MAY_BECOME.items() if rules.Status.stopped in to}

        assert stoppable == set(rules.Status) - {rules.Status.draft, rules.Status.stopped}

    def test_results_of_endings_are_the_catalogues(self):
        assert set(rules.RESULT_OF.values()) <= {None, *Result}
