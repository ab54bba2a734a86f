"""Money: minor units with the currency's own exponent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import errors
from crm.money import CURRENCIES, EXPONENT, Money


class TestMoney:
    @pytest.mark.parametrize(
        ("amount", "currency", "minor"),
        [
            ("12.34", "TRY", 1234),
            ("12.345", "eur", 1234),
            ("12.355", "EUR", 1236),
            ("500", "JPY", 500),
            ("1.5", "KWD", 1500),
        ],
    )
    def test_counts_in_minor_units_rounded_half_to_even(self, amount: str, currency: str, minor: int):
        money = Money.of(amount, currency)

        assert (money.minor, money.currency) == (minor, currency.upper())

    @given(st.integers(-(10**12), 10**12), st.sampled_from(["TRY", "JPY", "KWD", "USD"]))
    def test_survives_the_way_there_and_back(self, minor: int, currency: str):
        assert Money.of(Money(minor, currency).amount, currency).minor == minor

    @pytest.mark.parametrize(
        ("amount", "currency"), [("x", "TRY"), ("NaN", "TRY"), ("1", "TL"), ("1", "₺₺₺"), ("1", "ABC")]
    )
    def test_refuses_what_is_no_money(self, amount: str, currency: str):
        with pytest.raises(errors.Invalid):
            Money.of(amount, currency)

    @pytest.mark.parametrize(("amount", "currency"), [("12.345", "EUR"), ("0.5", "JPY"), ("1.2345", "KWD")])
    def test_exactly_refuses_what_cannot_be_paid(self, amount: str, currency: str):
        with pytest.raises(errors.Invalid, match="cannot be paid"):
            Money.exactly(amount, currency)

    @given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(CURRENCIES)))
    def test_exactly_keeps_every_amount_that_can(self, minor: int, currency: str):
        money = Money(minor, currency)

        assert Money.exactly(money.amount, currency) == money
        assert Money.exactly(str(money.amount) + ("00" if "." in str(money.amount) else ""), currency) == money

    def test_every_exponent_is_of_a_currency(self):
        assert EXPONENT.keys() < CURRENCIES

    def test_shows_major_units(self):
        assert Money(1234, "TRY").amount == Decimal("12.34")
