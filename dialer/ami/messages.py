"""Words of AMI: what was heard as one tidy message, and what is to be said, checked before it goes out.

The wire: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/. A value that carried a
line break would begin a command of its own on the server; such a value is refused and never repaired.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crm import errors

LONGEST_LINE = 1000
"""Bytes of one header line, its end not counted; the server refuses a little over 1,015."""
MOST_VARIABLES = 100
"""Variables of one action; the server refuses about 200 lines."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,63}")
OF_CHANNEL = re.compile(r"(dest)?chanvariable(\(.*\))?")
LISTED = frozenset({"variable", "content"})
"""Headers that may come several times or are the library's own, and that nobody here reads."""


class Unspeakable(errors.Invalid):
    """What was to be said does not fit into a line of AMI."""

    code = "ami.unspeakable"


@dataclass(frozen=True, slots=True)
class Message:
    """A message heard: header by lower-case name, and the variables of its channel and of the other leg's.

    A header that came twice says two things, so it is left out; so is one with a NUL, which no text has.
    """

    fields: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    dest_variables: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return a header's value by its lower-case name; empty when it was empty or did not come."""
        return self.fields.get(name, "")

    @property
    def event(self) -> str:
        """The event's name, empty for an answer."""
        return self["event"]

    @property
    def at(self) -> datetime | None:
        """When the server wrote it (UTC), by its own clock; None when it does not say (`timestampevents = no`)."""
        try:
            return datetime.fromtimestamp(float(self["timestamp"]), UTC)
        except (ValueError, OverflowError, OSError):
            return None


def heard(headers: Mapping[str, object]) -> Message | None:
    """Return headers as a message, each value a text or a list of texts; None when one cannot tell what it is."""
    fields: dict[str, str] = {}
    variables: dict[str, str] = {}
    dest_variables: dict[str, str] = {}
    for header, value in headers.items():
        name = header.lower()
        if kind := OF_CHANNEL.fullmatch(name):
            (dest_variables if kind[1] else variables).update(_pairs(value))
        elif isinstance(value, str) and "\0" not in value:
            fields[name] = value
        elif name not in LISTED:
            fields.pop(name, None)
    if not fields.get("event") and not fields.get("response"):
        return None
    return Message(fields, variables, dest_variables)


def _pairs(value: object) -> dict[str, str]:
    lines: Iterable[object] = value if isinstance(value, list) else [value]
    parted = (line.partition("=") for line in lines if isinstance(line, str))
    return {name: said for name, _, said in parted}


def action(name: str, fields: Mapping[str, object], variables: Mapping[str, object]) -> dict[str, object]:
    """Return an action as the library takes it, after checking each key and value; None leaves a field out.

    :raises Unspeakable: for a line break, a NUL, a name that is none, a comma in a variable (it would split there), a
        line that is too long, or too many variables.
    """
    said: dict[str, object] = {"Action": _value("Action", name)}
    for header, value in fields.items():
        if value is not None:
            _check_name(NAME, header)
            said[header] = _value(header, value)
    if len(variables) > MOST_VARIABLES:
        raise Unspeakable(f"an action takes at most {MOST_VARIABLES} variables")
    if variables:
        said["Variable"] = [_variable(header, value) for header, value in variables.items()]
    return said


def _check_name(pattern: re.Pattern[str], name: str) -> None:
    if not pattern.fullmatch(name):
        raise Unspeakable(f"{name!r} is no name of a header or variable")


def _value(header: str, value: object) -> str:
    text = str(value)
    if any(sign in text for sign in "\r\n\0"):
        raise Unspeakable(f"{header} holds a line break or a NUL")
    if len(f"{header}: {text}".encode()) > LONGEST_LINE:
        raise Unspeakable(f"{header} is longer than {LONGEST_LINE} bytes")
    return text


def _variable(name: str, value: object) -> str:
    _check_name(VARIABLE, name)
    if "," in str(value):
        raise Unspeakable(f"{name} holds a comma, at which a variable is split")
    return _value("Variable", f"{name}={value}")
