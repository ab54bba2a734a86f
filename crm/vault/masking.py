"""Masks: what people may see of an address, and what is left of free text that may hold one."""

import re

EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
DIGITS = re.compile(r"\+?\(?\d(?:[\s().\-/]{0,3}\d){6,}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]?[\d:.+\-Z]*)?|\d{1,2}[./]\d{1,2}[./]\d{4}")
HIDDEN = "•••"


def mask_email(email: str) -> str:
    """Return `a•••@example.com`: the first letter and the domain."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}{HIDDEN}@{domain}"


def scrub(text: str) -> str:
    """Return free text with e-mail addresses and runs of seven or more digits hidden; dates stay.

    It errs on the side of hiding: an order number of seven digits is hidden too.
    """
    if "@" in text:
        text = EMAIL.sub(HIDDEN, text)
    return DIGITS.sub(lambda found: found[0] if DATE.fullmatch(found[0].strip()) else HIDDEN, text)
