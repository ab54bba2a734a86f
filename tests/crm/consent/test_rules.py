"""The order of reasons, the ground of a contact, and the sliding cap."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from crm.consent import rules
from crm.consent.rules import Answer, Evidence, Facts, Purpose, Reason, Said, Status

AT = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
CONSENT, LEAD = UUID(int=1), UUID(int=2)
LATER = AT + timedelta(hours=3)
YES = Said(CONSENT, Status.granted)
FINE = Facts(said=YES, lead_id=LEAD, opens_at=AT)

AGAINST = {
    Reason.erased: {"is_erased": True},
    Reason.archived: {"is_archived": True},
    Reason.no_address: {"has_address": False},
    Reason.number_not_allowed: {"is_barred": True},
    Reason.dnc: {"is_listed": True},
    Reason.no_consent: {"said": None},
    Reason.opted_out: {"said": Said(CONSENT, Status.withdrawn)},
    Reason.outside_hours: {"opens_at": LATER},
    Reason.cooling_off: {"rests_until": LATER},
    Reason.frequency_cap: {"capped_until": LATER},
}
"""A fact that brings each reason about."""


def facts_with(reasons: set[Reason]) -> Facts:
    """Facts that speak for a contact but for these reasons; nobody has said nothing and no at once."""
    changes: dict = {}
    for reason in reasons:
        changes |= AGAINST[reason]
    return Facts(**{**{"said": YES, "lead_id": LEAD, "opens_at": AT}, **changes})


some_reasons = some.sets(some.sampled_from(Reason)).filter(
    lambda reasons: not {Reason.no_consent, Reason.opted_out} <= reasons
)


class TestAnswer:
    @given(some_reasons)
    def test_names_the_first_reason_and_no_other(self, reasons: set[Reason]):
        found = rules.answer(facts_with(reasons), Purpose.marketing, AT)

        first = next((reason for reason in Reason if reason in reasons), None)
        assert found.reason is first
        assert found.is_allowed is (not reasons)
        assert (found.evidence is not None) is found.is_allowed

    def test_keeps_the_order_of_the_contract(self):
        law = ["erased", "dnc", "no_consent", "opted_out", "outside_hours", "cooling_off", "frequency_cap"]

        assert [reason for reason in Reason if reason in law] == law

    @pytest.mark.parametrize("reason", [Reason.outside_hours, Reason.cooling_off, Reason.frequency_cap])
    def test_says_until_when_where_waiting_helps(self, reason: Reason):
        assert rules.answer(facts_with({reason}), Purpose.marketing, AT) == Answer(reason, not_before=LATER)

    def test_gives_no_instant_where_places_never_open_together(self):
        found = rules.answer(Facts(said=YES, opens_at=None), Purpose.marketing, AT)

        assert found == Answer(Reason.outside_hours)

    def test_lets_a_rest_end_at_its_instant(self):
        rested = Facts(said=YES, opens_at=AT, rests_until=AT, capped_until=AT)

        assert rules.answer(rested, Purpose.marketing, AT).is_allowed

    def test_says_every_reason_in_both_languages(self):
        assert set(rules.LABELS) == set(Reason)
        assert all(set(labels) == {"tr", "en"} for labels in rules.LABELS.values())


class TestGroundOf:
    @pytest.mark.parametrize("purpose", Purpose)
    @pytest.mark.parametrize("status", [Status.denied, Status.withdrawn])
    def test_no_enquiry_outweighs_a_no(self, purpose: Purpose, status: Status):
        assert rules.ground_of(Said(CONSENT, status), LEAD, purpose) is Reason.opted_out

    def test_marketing_needs_consent_whatever_was_asked(self):
        assert rules.ground_of(None, LEAD, Purpose.marketing) is Reason.no_consent

    @pytest.mark.parametrize("purpose", [Purpose.enquiry, Purpose.service])
    def test_a_persons_enquiry_allows_answering_it(self, purpose: Purpose):
        assert rules.ground_of(None, LEAD, purpose) == Evidence("lead", LEAD)
        assert rules.ground_of(None, None, purpose) is Reason.no_consent

    def test_a_consent_comes_before_the_enquiry_as_evidence(self):
        assert rules.ground_of(YES, LEAD, Purpose.enquiry) == Evidence("consent", CONSENT)


class TestAttempts:
    @given(some.lists(some.integers(0, 9), max_size=4), some.lists(some.integers(0, 9), max_size=3))
    def test_counts_as_few_as_the_contacts_made_can_explain(self, made: list[int], allowed: list[int]):
        def minutes(numbers: Iterable[int]) -> list[datetime]:
            return [AT + timedelta(minutes=each) for each in numbers]

        found = rules.attempts(minutes(made), minutes(allowed))

        # Every way to say which contact came of which permission: the one that explains the most is right.
        settled = max(
            sum(contact >= permission for contact, permission in zip(order, allowed, strict=False))
            for order in permutations(made + [-1] * len(allowed), len(allowed))
        )
        assert len(found) == len(made) + len(allowed) - settled
        assert found == sorted(found, reverse=True)
        assert set(minutes(made)) <= set(found) <= set(minutes(made + allowed))

    def test_one_contact_settles_one_permission_and_no_more(self):
        allowed = [AT, AT + timedelta(minutes=1), AT + timedelta(minutes=2)]
        contact = AT + timedelta(minutes=3)

        assert rules.attempts([contact], allowed) == [contact, allowed[2], allowed[1]]


class TestCappedUntil:
    @given(some.lists(some.integers(1, 10_000), max_size=30, unique=True), some.integers(1, 10))
    def test_is_the_first_minute_at_which_fewer_than_the_cap_lie_behind(self, minutes: list[int], most: int):
        day = timedelta(minutes=1440)
        attempts = sorted((AT - timedelta(minutes=each) for each in minutes), reverse=True)

        until = rules.capped_until(attempts, most, day)

        def counted(at: datetime) -> int:
            return sum(at - day < attempt <= at for attempt in attempts)

        assert (until is not None and until > AT) is (counted(AT) >= most)
        if until is not None and until > AT:
            assert counted(until) < most <= counted(until - timedelta(minutes=1))

    def test_knows_no_cap(self):
        assert rules.capped_until([AT] * 50, None, timedelta(days=1)) is None
