"""Codes: what stands in events, audit rows and reasons where free text must not."""

import re

from crm import errors

CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


class NotACode(errors.Invalid):
    """A code is lower-case letters, digits, dots, dashes and underscores, at most sixty; free text goes into a note."""

    code = "code.invalid"


def require(**fields: str) -> None:
    """:raises NotACode: when one of the fields holds anything but a code."""
    if wrong := [name for name, value in fields.items() if not CODE.fullmatch(value)]:
        raise NotACode(fields=dict.fromkeys(wrong, "lower-case letters, digits, . - _; at most 60"))
