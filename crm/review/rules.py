"""Words about what needs a person, and how a message is shown and mended. No database, no clock."""

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from crm import vault

HIDDEN = "•••"
WANTS_TO_BE_ADDRESS = re.compile(r"\S*@\S*")
SECRETS = ("key", "token", "secret")
"""How names of fields end whose values belong to nobody's eyes."""


class Kind(StrEnum):
    """What needs a person."""

    import_row = "import_row"
    inbox_message = "inbox_message"
    duplicate = "duplicate"


def is_secret(name: str) -> bool:
    """Tell whether a field's value is for nobody's eyes, not even for those who may see addresses."""
    return name.rpartition(".")[2].lower().endswith(SECRETS)


def shown(name: str, value: Any) -> str:
    """Return a value of a message as it may be shown: addresses, numbers and secrets hidden."""
    return HIDDEN if is_secret(name) else veiled(text(value))


def text(value: Any) -> str:
    """Return a value of a JSON document as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def veiled(value: str) -> str:
    """Return a text with addresses and numbers hidden, and with all that wants to be an address: what failed is just
    what no pattern of an address knows."""
    return WANTS_TO_BE_ADDRESS.sub(lambda found: shape(found[0]), vault.scrub(value))


def shape(value: str) -> str:
    """Return how an address is written without what it is: `0532 12 3x` is `•••• •2 3x`, `ay@sup` is `a•@•••`.

    The first letter and the last two digits stay, as in the masks of good addresses, and blanks and signs.
    """
    digits = [place for place, sign in enumerate(value) if sign.isdigit()][-2:]
    letter = next((place for place, sign in enumerate(value) if sign.isalpha()), None)
    stay = {*digits, letter}
    return "".join("•" if sign.isalnum() and place not in stay else sign for place, sign in enumerate(value))


def fields(body: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a JSON document under its dotted path (`user_column_data.0.string_value`)."""
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else None
    if parts is None:
        yield path, body
        return
    for name, value in parts:
        yield from fields(value, f"{path}.{name}" if path else str(name))


def mended(body: Any, values: Mapping[str, str]) -> tuple[Any, list[str]]:
    """Return a JSON document with the values at these paths in their place, and the paths it does not have.

    A number stays a number where the new value is one.
    """
    unknown = sorted(values.keys() - dict(fields(body)).keys())
    return _mended(body, values, ""), unknown


def _mended(body: Any, values: Mapping[str, str], path: str) -> Any:
    if isinstance(body, dict):
        return {name: _mended(value, values, f"{path}.{name}" if path else str(name)) for name, value in body.items()}
    if isinstance(body, list):
        return [_mended(value, values, f"{path}.{n}" if path else str(n)) for n, value in enumerate(body)]
    if path not in values:
        return body
    new = values[path]
    return int(new) if isinstance(body, int) and not isinstance(body, bool) and new.isdecimal() else new
