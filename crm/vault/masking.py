"""Masks: what people may see of an address, and what is left of free text that may hold one."""

import re
from collections.abc import Mapping
from typing import Any

EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
DIGITS = re.compile(r"\+?\(?\d(?:[\s().\-/]{0,3}\d){6,}")
IDENTIFIER = re.compile(r"\d{14,}")
"""Longer than any number that is dialled: ids of forms, ads and campaigns."""
LABEL = re.compile(r"(?:[A-Za-z]{1,12}[-_:]?)?[1-9]\d*|[^\d@]*")
"""What no telephone number or address is: an id, or a text without digits."""
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]?[\d:.+\-Z]*)?|\d{1,2}[./]\d{1,2}[./]\d{4}")
A_DIGIT = re.compile(r"\d")
HIDDEN = "•••"


def mask_email(email: str) -> str:
    """Return `a•••@example.com`: the first letter and the domain."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}{HIDDEN}@{domain}"


def scrub(text: str) -> str:
    """Return free text with e-mail addresses and runs of seven or more digits hidden; dates and long ids stay.

    It errs on the side of hiding: an order number of seven digits is hidden too.
    """
    if "@" in text:
        text = EMAIL.sub(HIDDEN, text)
    return DIGITS.sub(_hide, text) if A_DIGIT.search(text) else text


def scrub_label(text: str | None) -> str | None:
    """Return the name or id of an advertisement or a form with e-mail addresses and telephone numbers hidden.

    An id stays whatever its length: digits that do not begin with 0, after a short word perhaps (`c:20123456789`).
    """
    return text if text is None or LABEL.fullmatch(text) else scrub(text)


def scrub_all(value: Any) -> Any:
    """Return a JSON value with every text in it scrubbed, keys among them."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {scrub(str(key)): scrub_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_all(item) for item in value]
    return value


def _hide(found: re.Match[str]) -> str:
    text = found[0].strip()
    return found[0] if DATE.fullmatch(text) or IDENTIFIER.fullmatch(text) else HIDDEN
