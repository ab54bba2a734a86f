"""Phone numbers: E.164 inside, masked outside (phonenumbers is Google's libphonenumber for Python)."""

from typing import NewType

import phonenumbers

from crm import errors

Phone = NewType("Phone", str)
"""A number in E.164: +, country code, subscriber; at most 15 digits."""


class NotAPhone(errors.Invalid):
    """This is not a phone number that can be dialled."""

    code = "phone.invalid"


def parse(text: str, *, country: str = "TR") -> Phone:
    """Return the number in E.164; one without its country code is read as of `country` (ISO 3166, two letters).

    :raises NotAPhone: when no valid number can be read from the text. The message never repeats the number.
    """
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise NotAPhone(fields={"phone": "a number with its country code, as in +90 5xx xxx xx xx"}) from error
    if not phonenumbers.is_valid_number(number):
        raise NotAPhone(fields={"phone": "a number with its country code, as in +90 5xx xxx xx xx"})
    return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def country_of(phone: Phone) -> str | None:
    """Return the ISO 3166 country of the number, or None where the plan has none (satellite, toll-free)."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    return region if region and region != "001" else None


def mask(phone: Phone) -> str:
    """Return what people may see: country code and the last two digits, as in `+90 ••• ••• •• 67`.

    At most two digits of the subscriber's number are shown, and the mask's length says nothing about the number's.
    """
    code = phonenumbers.parse(phone).country_code
    return f"+{code} ••• ••• •• {phone[-2:]}"
