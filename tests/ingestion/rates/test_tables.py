"""Tables of rates as banks publish them, and what is none."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.rates import tables
from ingestion.rates.tables import Unreadable
from tests.ingestion.rates import bank

FRIDAY = date(2026, 3, 13)


class TestTcmb:
    def test_reads_what_one_unit_is_worth(self) -> None:
        body = bank.tcmb(FRIDAY, USD=("1", "42.6010"), JPY=("100", "27.5000"), XYZ=("1", ""))

        found = tables.tcmb(body)

        assert (found.base, found.day) == ("TRY", FRIDAY)
        assert found.payload == {"base": "TRY", "rates": {"JPY": "0.275", "USD": "42.601"}}

    @pytest.mark.parametrize(
        "body",
        [
            "", "<html>busy</html>", "<Tarih_Date/>", bank.tcmb(FRIDAY), bank.tcmb(FRIDAY, USD=("0", "1")),
            bank.tcmb(FRIDAY, USD=("1", "-1")), bank.tcmb(FRIDAY, usd=("1", "1")), bank.tcmb(FRIDAY, USD=("1", "NaN")),
            '<!DOCTYPE x [<!ENTITY a "b">]>' + bank.tcmb(FRIDAY, USD=("1", "1")),
        ],
    )  # fmt: skip
    def test_refuses_what_is_no_table(self, body: str) -> None:
        with pytest.raises(Unreadable):
            tables.tcmb(body)

    @given(st.text())
    @example('<Tarih_Date Tarih="13.03.2026"><Currency/></Tarih_Date>')
    def test_never_fails_otherwise(self, body: str) -> None:
        for read in (tables.tcmb, tables.ecb):
            with pytest.raises(Unreadable):
                read(body)


class TestEcb:
    def test_turns_what_a_euro_is_into_what_a_unit_is_worth(self) -> None:
        body = bank.ecb({FRIDAY: {"USD": "1.25", "TRY": "50"}, date(2026, 3, 12): {"USD": "1.2"}})

        latest, earlier = tables.ecb(body)

        assert latest.payload == {"base": "EUR", "rates": {"EUR": "1", "TRY": "0.02", "USD": "0.8"}}
        assert earlier.rates["USD"] == Decimal("0.833333333333")


class TestCsv:
    def test_reads_days(self) -> None:
        text = "day,currency,rate,base\n2026-03-13,EUR,49.80,\n2026-03-13,USD,42.60,\n2026-03-12,USD,0.92,EUR\n"

        found = tables.csv(text, base="TRY")

        assert [(each.base, each.day.day, dict(each.rates)) for each in found] == [
            ("EUR", 12, {"USD": Decimal("0.92")}), ("TRY", 13, {"EUR": Decimal("49.8"), "USD": Decimal("42.6")}),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("day,currency\n", "columns are missing: rate"),
            ("day,currency,rate\n2026-03-13,EUR,x\n", "line 2 is no rate"),
            ("day,currency,rate\n2026-03-13,EUR,0\n", "line 2 is no rate"),
            ("day,currency,rate\n13.03.2026,EUR,1\n", "line 2 is no rate"),
            ("day,currency,rate\n2026-03-13,euro,1\n", "line 2 is no rate"),
            ("day,currency,rate\n2026-03-13\n", "line 2 is no rate"),
        ],
    )
    def test_names_the_line_that_is_none(self, text: str, why: str) -> None:
        with pytest.raises(Unreadable, match=why):
            tables.csv(text, base="TRY")
