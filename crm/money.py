"""Money: minor units and an ISO 4217 currency with its exponent."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from crm import errors

EXPONENT = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "BHD": 3, "KWD": 3, "OMR": 3, "JOD": 3, "TND": 3, "IQD": 3}
"""Digits after the point (ISO 4217), where they are not two."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (kuruş, cents) of a currency."""

    minor: int
    currency: str

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> "Money":
        """Return `amount` in major units as money, rounded half to even.

        :raises errors.Invalid: when the currency is not three letters or the amount is not a finite number.
        """
        code = currency.strip().upper()
        if len(code) != 3 or not code.isascii() or not code.isalpha():
            raise errors.Invalid(f"{currency!r} is not an ISO 4217 currency code", fields={"currency": "three letters"})
        try:
            value = Decimal(amount)
            minor = int((value * 10 ** EXPONENT.get(code, 2)).to_integral_value(ROUND_HALF_EVEN))
        except (ArithmeticError, ValueError) as error:
            raise errors.Invalid(f"{amount!r} is not an amount", fields={"amount": "a number"}) from error
        return cls(minor, code)

    @property
    def exponent(self) -> int:
        """How many digits of the minor units stand after the point."""
        return EXPONENT.get(self.currency, 2)

    @property
    def amount(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.minor).scaleb(-self.exponent)
