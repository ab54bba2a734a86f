"""Phone numbers: E.164 inside, masked outside (phonenumbers is Google's libphonenumber for Python)."""

import re
from functools import cache, lru_cache
from typing import NamedTuple, NewType

import phonenumbers

from crm import errors

Phone = NewType("Phone", str)
"""A number in E.164: +, country code, subscriber; at most 15 digits."""

FORMATTING = str.maketrans("", "", " ()-./\u00a0")
"""What people write between digits."""
KINDS = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail", "fixed_line",
    "mobile",
)  # fmt: skip
"""The kinds of number that libphonenumber counts as valid."""

_FIXED_OR_MOBILE = frozenset({"fixed_line", "mobile"})


class NotAPhone(errors.Invalid):
    """This is not a phone number that can be dialled."""

    code = "phone.invalid"


class Reading(NamedTuple):
    """A number with what is asked of it most: its country (None where the plan has none), and its mask."""

    number: Phone
    country: str | None
    masked: str


def read(text: str, *, country: str = "TR") -> Reading:
    """Return the number in E.164; without a country code it is read as one of `country` (ISO 3166, two letters).

    :raises NotAPhone: when no valid number can be read from the text. The message never repeats the number.
    """
    return _read_plainly(text, country) or _read(text, country)


def parse(text: str, *, country: str = "TR") -> Phone:
    """Return the number alone; see `read`."""
    return read(text, country=country).number


def country_of(phone: Phone) -> str | None:
    """Return the ISO 3166 country of the number, or None where the plan has none (satellite, toll-free)."""
    return read(phone).country


@lru_cache(maxsize=4096)
def kinds_of(phone: Phone) -> frozenset[str]:
    """Return of which of `KINDS` a number is: two where the plan does not tell mobiles from others, none if unknown."""
    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(phonenumbers.parse(phone))).lower()
    return _FIXED_OR_MOBILE if kind == "fixed_line_or_mobile" else frozenset({kind}) & frozenset(KINDS)


def mask(phone: Phone) -> str:
    """Return what people may see: country code and the last two digits, as in `+90 ••• ••• •• 67`.

    At most two digits of the subscriber's number are shown, and the mask's length says nothing about the number's.
    """
    return read(phone).masked


def _masked(code: object, digits: str) -> str:
    return f"+{code} ••• ••• •• {digits[-2:]}"


def _read(text: str, country: str) -> Reading:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise NotAPhone(fields={"phone": "a number with its country code, as in +90 5xx xxx xx xx"}) from error
    region = phonenumbers.region_code_for_number(number)
    if region is None or not phonenumbers.is_valid_number_for_region(number, region):
        raise NotAPhone(fields={"phone": "a number with its country code, as in +90 5xx xxx xx xx"})
    found = Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return Reading(found, region if region != "001" else None, _masked(number.country_code, found))


class _Plan(NamedTuple):
    """How numbers of a country that has a code of its own look."""

    region: str
    code: str
    valid: re.Pattern[str]
    abroad: re.Pattern[str]
    trunk: re.Pattern[str]


@cache
def _plan(region: str) -> _Plan | None:
    """Return a country's plan, or None where reading takes more than a look at the digits."""
    code = phonenumbers.country_code_for_region(region)
    if not code or len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]) > 1:
        return None
    plan = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if plan is None or plan.national_prefix_transform_rule:
        return None
    never = "(?!)"
    patterns = [desc.national_number_pattern for kind in KINDS if (desc := getattr(plan, kind)) is not None]
    valid = "|".join(f"(?:{pattern})" for pattern in patterns if pattern)
    general = plan.general_desc.national_number_pattern if plan.general_desc else None
    return _Plan(
        region,
        str(code),
        re.compile(f"(?={general or never}$)(?:{valid})"),
        re.compile(plan.international_prefix or never),
        re.compile(plan.national_prefix_for_parsing or never),
    )


@cache
def _region_of_code(code: str) -> str | None:
    """Return the one country that has a country code, or None."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    return regions[0] if len(regions) == 1 and regions[0] != "001" else None


def _read_plainly(text: str, country: str) -> Reading | None:
    """Return a number that is written plainly, in a tenth of libphonenumber's time; None leaves it to the library.

    The patterns are the library's own, and a test holds both to the same answer.
    """
    digits = text.translate(FORMATTING)
    if digits[:1] == "+":
        digits = digits[1:]
        region = _region_of_code(digits[:2]) or _region_of_code(digits[:3]) if _is_digits(digits[:3]) else None
        plan = _plan(region) if region else None
        subscriber = digits[len(plan.code) :] if plan else ""
    else:
        plan = _plan(country)
        # What begins with its own country's code may or may not have it.
        if plan is None or plan.abroad.match(digits) or digits.startswith(plan.code):
            return None
        trunk = plan.trunk.match(digits)
        subscriber = digits[trunk.end() :] if trunk and not trunk.lastindex else digits
    if plan is None or not _is_digits(subscriber) or plan.trunk.match(subscriber):
        return None
    if not plan.valid.fullmatch(subscriber):
        return None
    return Reading(Phone(f"+{plan.code}{subscriber}"), plan.region, _masked(plan.code, subscriber))


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
