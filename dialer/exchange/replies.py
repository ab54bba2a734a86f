"""Answers to AMI's actions."""

from collections.abc import Sequence

from dialer.exchange.switchboard import Header

Said = dict[str, str]
Rows = Sequence[Sequence[Header]]
Reply = tuple[str, Sequence[Header], Rows]
"""Response, its headers, and the rows of a list."""


def refuse(message: str) -> Reply:
    """Refuse an action."""
    return "Error", [("Message", message)], ()


def done(message: str = "") -> Reply:
    """Say that an action is done, or under way."""
    return "Success", [("Message", message)] if message else [], ()


def listed(message: str, rows: Rows) -> Reply:
    """Answer with a list."""
    return "Success", [("EventList", "start"), ("Message", message)], rows
