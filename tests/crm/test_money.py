"""Money: minor units with the currency's own exponent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm import errors
from crm.money import Money


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

    @pytest.mark.parametrize(("amount", "currency"), [("x", "TRY"), ("NaN", "TRY"), ("1", "TL"), ("1", "₺₺₺")])
    def test_refuses_what_is_no_money(self, amount: str, currency: str):
        with pytest.raises(errors.Invalid):
            Money.of(amount, currency)

    def test_shows_major_units(self):
        assert Money(1234, "TRY").amount == Decimal("12.34")
