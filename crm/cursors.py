"""Cursors: where a client stands in a list or a stream. Opaque and signed: nobody else can make or alter one.

A cursor is bound to a purpose, a tenant and whatever else the caller names (who asks, the filters, the sort): taken
elsewhere it does not open, and says what it does not go with.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from crm import errors
from crm.settings import settings

TAG = 16

Bound = str | Mapping[str, str]
"""What a cursor is bound to: parts by name (`user`, `sort`, `filter`); a text alone counts as the filter."""


class BadCursor(errors.Invalid):
    """This cursor is not one of ours, or was altered; start again without it."""

    code = "cursor.invalid"


class OtherList(BadCursor):
    """This cursor belongs to another list; start again without it."""

    code = "cursor.other_list"


class OtherUser(BadCursor):
    """This cursor was made for another person; start again without it."""

    code = "cursor.other_user"


class OtherSort(BadCursor):
    """This cursor was made for another sort; keep the sort while paging, or start again without the cursor."""

    code = "cursor.other_sort"


class OtherFilter(BadCursor):
    """This cursor was made for other filters; keep the filters while paging, or start again without the cursor."""

    code = "cursor.other_filter"


BELONGS: dict[str, type[BadCursor]] = {"user": OtherUser, "sort": OtherSort, "filter": OtherFilter}
"""What is wrong when a part is another one, by the part's name; asked in this order."""


def sign(position: Any, *, purpose: str, tenant_id: UUID, bound_to: Bound = "") -> str:
    """Return a JSON-ready position as an opaque, signed text."""
    key = settings().derived("cursor")
    kept = [purpose, _marks(key, bound_to), position]
    body = json.dumps(kept, separators=(",", ":"), default=str).encode()
    return urlsafe_b64encode(_tag(key, body, tenant_id) + body).rstrip(b"=").decode()


def read(cursor: str, *, purpose: str, tenant_id: UUID, bound_to: Bound = "") -> Any:
    """Return the position that was signed.

    :raises BadCursor: when it was altered or is another tenant's; its kinds: when it was made for another list,
        person, sort or filter.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, NotBase64) as error:
        raise BadCursor(fields={"cursor": "not a cursor"}) from error
    key, tag, body = settings().derived("cursor"), raw[:TAG], raw[TAG:]
    # The decoder overlooks foreign characters and spare bits: only the text we gave out is the cursor.
    is_ours = urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor
    if not is_ours or not hmac.compare_digest(tag, _tag(key, body, tenant_id)):
        raise BadCursor(fields={"cursor": "not a cursor of ours, or altered"})
    made_for, marks, position = json.loads(body)
    if made_for != purpose:
        raise OtherList(fields={"cursor": "of another list"})
    wanted = _marks(key, bound_to)
    for part, kind in BELONGS.items():
        if marks.get(part) != wanted.get(part):
            raise kind(fields={"cursor": f"made for another {part}"})
    return position


def _marks(key: bytes, bound_to: Bound) -> dict[str, str]:
    """Return a keyed hash of each part: a filter may hold a name, and a cursor travels in addresses."""
    parts = {"filter": bound_to} if isinstance(bound_to, str) else bound_to
    if unknown := parts.keys() - BELONGS.keys():
        raise ValueError(f"a cursor knows no {', '.join(sorted(unknown))}")
    return {part: hmac.digest(key, f"{part} {text}".encode(), "sha256")[:8].hex() for part, text in parts.items()}


def _tag(key: bytes, body: bytes, tenant_id: UUID) -> bytes:
    return hmac.digest(key, tenant_id.bytes + body, "sha256")[:TAG]
