"""Roles, and what makes a password too easy."""

import pytest

from crm.users import rules
from crm.users.rules import ROLES, Role


class TestRoles:
    def test_leave_an_auditor_nothing_to_change(self) -> None:
        held = ROLES[Role.compliance_auditor] - {"view.manage"}  # the views one saves are one's own

        verbs = {permission.split(".")[1] for permission in held}

        assert verbs == {"view", "read", "audit", "play"}  # a recording is looked at by playing it

    def test_show_an_analyst_no_person(self) -> None:
        nouns = {permission.split(".")[0] for permission in ROLES[Role.analyst]}

        assert not nouns & {"lead", "contact", "inbox", "import", "audit", "realtime"}

    def test_reveal_contacts_to_administrators_only(self) -> None:
        assert [role for role, held in ROLES.items() if "contact.reveal" in held] == [Role.admin]

    def test_manage_users_by_administrators_only(self) -> None:
        assert [role for role, held in ROLES.items() if "user.manage" in held] == [Role.admin]

    def test_add_up(self) -> None:
        together = rules.permissions_of(["sales_agent", "analyst"])

        assert together == ROLES[Role.sales_agent] | ROLES[Role.analyst]

    def test_allow_nothing_when_unknown(self) -> None:
        assert rules.permissions_of(["king"]) == frozenset()


class TestReasonAgainstPassword:
    @pytest.mark.parametrize("password", ["kısa", "aaaaaaaaaaaaaa", "ababababab", "ADA-1815-babbage"])
    def test_is_given_for_what_is_easy(self, password: str) -> None:
        assert rules.reason_against_password(password, email="ada@mail.example")

    def test_is_none_for_what_is_not(self) -> None:
        assert rules.reason_against_password("mavi-kedi-42-uyur", email="ada@mail.example") is None
