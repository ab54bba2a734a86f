"""Codes: what stands in events, audit rows and reasons where free text must not."""

import re

from crm import errors

CODE = re.compile(r"(?=.{1,60}\Z)(?!.*(?:[0-9][_.-]*){9})[a-z0-9][a-z0-9_.-]{0,59}")
"""Nine digits could be somebody's telephone number: events and audit rows must not hold one."""


class NotACode(errors.Invalid):
    """A code is lower-case letters, fewer than nine digits, dots, dashes and underscores, at most sixty of them all.

    Free text goes into a note.
    """

    code = "code.invalid"


def require(**fields: str) -> None:
    """:raises NotACode: when one of the fields holds anything but a code."""
    if wrong := [name for name, value in fields.items() if not CODE.fullmatch(value)]:
        raise NotACode(fields=dict.fromkeys(wrong, "lower-case letters, fewer than 9 digits, . - _; at most 60"))
