"""The catalogue of dispositions: what the product comes with, what a firm may set, which of them a call has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crm import db, tenant_settings
from crm.calls import catalogue
from crm.calls.catalogue import DEFAULT, Catalogue, Disposition
from crm.leads import lifecycle
from crm.leads.rules import RANK, STAGE, Status

NAMES = {"tr": "Kapora", "en": "Deposit"}
DEPOSIT = {"labels": NAMES, "status": "qualified"}


class TestDefault:
    def test_has_the_words_of_the_trade_in_both_languages(self):
        turkish = {code: each.labels.tr for code, each in DEFAULT.items()}

        expected = {
            "interested": "İlgili", "not_interested": "İlgisiz", "no_answer": "Cevapsız",
            "wrong_number": "Yanlış Numara", "blocked": "Block", "appointment": "Randevu",
        }  # fmt: skip
        assert expected.items() <= turkish.items()
        assert all(each.labels.en for each in DEFAULT.values())

    def test_leads_where_an_assigned_lead_can_go(self):
        for code, each in DEFAULT.items():
            assert each.status is None or lifecycle.DEFAULT.may_become(Status.assigned, each.status), code

    def test_losses_have_a_reason_of_the_catalogue(self):
        assert {each.loss_reason for each in DEFAULT.values()} - {None} <= lifecycle.LOSS_REASONS.keys()


class TestMoves:
    @given(st.sampled_from(list(DEFAULT.values())), st.sampled_from(Status))
    def test_at_least_never_leads_back(self, disposition: Disposition, current: Status):
        here, there = STAGE[current], disposition.status and STAGE[disposition.status]

        if disposition.at_least and disposition.moves(current) and here and there:
            assert RANK[here] < RANK[there]


class TestCatalogue:
    def test_a_process_has_its_own_in_the_place_of_the_firms(self):
        firm = Catalogue.model_validate({"default": {"a": DEPOSIT}, "by_process": {"sale": {"b": DEPOSIT}}})

        assert [list(firm.choices(process)) for process in (None, "other", "sale")] == [["a"], ["a"], ["b"]]
        assert Catalogue().choices("sale") is DEFAULT

    @pytest.mark.parametrize(
        "wrong",
        [
            {"none": DEPOSIT},
            {"Kapora": DEPOSIT},
            {"a": {"labels": {"tr": "Kapora"}}},
            {"a": {**DEPOSIT, "status": "assigned"}},
            {"a": {**DEPOSIT, "status": "lost"}},
            {"a": {**DEPOSIT, "loss_reason": "price"}},
            {"a": {**DEPOSIT, "needs": ["money"]}},
        ],
    )
    def test_refuses_what_means_nothing(self, wrong):
        with pytest.raises(ValidationError):
            Catalogue.model_validate({"default": wrong})

    async def test_is_dated_like_every_setting(self, tenant, now):
        async def change(tx):
            await tenant_settings.change(tx, "call.dispositions", {"default": {"deposit": DEPOSIT}}, now=now)

        await db.run(tenant.admin, change)

        async with db.transaction(tenant.system) as tx:
            assert list(await catalogue.of(tx, None, at=now)) == ["deposit"]
            assert await catalogue.of(tx, None, at=now.replace(year=2025)) == DEFAULT
