"""Money: minor units and an ISO 4217 currency with its exponent."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from crm import errors

CURRENCIES = frozenset({
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD", "BIF", "BMD", "BND",
    "BOB", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CUP", "CVE",
    "CZK", "DJF", "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP", "GMD",
    "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY",
    "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD",
    "MDL", "MGA", "MKD", "MMK", "MNT", "MOP", "MRU", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO",
    "NOK", "NPR", "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF",
    "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN", "SVC", "SYP", "SZL", "THB",
    "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VED", "VES", "VND",
    "VUV", "WST", "XAF", "XCD", "XCG", "XOF", "XPF", "YER", "ZAR", "ZMW", "ZWG",
})  # fmt: skip
"""What people pay with (ISO 4217, in circulation; funds, metals and test codes left out)."""
_WHOLE = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
)  # fmt: skip
_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
EXPONENT = dict.fromkeys(_WHOLE, 0) | dict.fromkeys(_THOUSANDTHS, 3)
"""Digits after the point (ISO 4217), where they are not two."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (kuruş, cents) of a currency."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> "Money":
        """Return `amount` in major units as money, rounded half to even.

        :raises errors.Invalid: when the currency is none of ISO 4217 or the amount is not a finite number.
        """
        code = currency.strip().upper()
        if code not in CURRENCIES:
            raise errors.Invalid(f"{currency!r} is not a currency", fields={"currency": "an ISO 4217 code, as EUR"})
        return cls(int(_in_minor(amount, code).to_integral_value(ROUND_HALF_EVEN)), code)

    @classmethod
    def exactly(cls, amount: Decimal | str | int, currency: str) -> "Money":
        """Return the same, never rounded: for what people are promised.

        :raises errors.Invalid: also when the amount is finer than the currency's smallest unit.
        """
        money = cls.of(amount, currency)
        if money.amount != Decimal(amount):
            digits = f"at most {money.exponent} digits after the point in {money.currency}"
            raise errors.Invalid(f"{amount} {money.currency} cannot be paid", fields={"amount": digits})
        return money

    @property
    def exponent(self) -> int:
        """How many digits of the minor units stand after the point."""
        return EXPONENT.get(self.currency, 2)

    @property
    def amount(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.minor).scaleb(-self.exponent)


def _in_minor(amount: Decimal | str | int, code: str) -> Decimal:
    try:
        minor = Decimal(amount).scaleb(EXPONENT.get(code, 2))
    except (ArithmeticError, ValueError) as error:
        raise errors.Invalid(f"{amount!r} is not an amount", fields={"amount": "a number"}) from error
    if not minor.is_finite():
        raise errors.Invalid(f"{amount!r} is not an amount", fields={"amount": "a number"})
    return minor
