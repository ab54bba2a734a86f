"""Cursors: where a client stands in a list or a stream. Opaque and signed: nobody else can make or alter one.

A cursor is bound to a purpose, a tenant and whatever else the caller names (the filters of a list): taken elsewhere it
does not open.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Any
from uuid import UUID

from crm import errors
from crm.settings import settings

TAG = 16


class BadCursor(errors.Invalid):
    """This cursor is not one of ours for this list; start again without it."""

    code = "cursor.invalid"


def sign(position: Any, *, purpose: str, tenant_id: UUID, bound_to: str = "") -> str:
    """Return a JSON-ready position as an opaque, signed text."""
    body = json.dumps(position, separators=(",", ":"), default=str).encode()
    return urlsafe_b64encode(_tag(body, purpose, tenant_id, bound_to) + body).rstrip(b"=").decode()


def read(cursor: str, *, purpose: str, tenant_id: UUID, bound_to: str = "") -> Any:
    """Return the position that was signed.

    :raises BadCursor: when it was altered, or made for another purpose, tenant or list.
    """
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, NotBase64) as error:
        raise BadCursor(fields={"cursor": "not a cursor"}) from error
    tag, body = raw[:TAG], raw[TAG:]
    # The decoder overlooks foreign characters and spare bits: only the text we gave out is the cursor.
    is_ours = urlsafe_b64encode(raw).rstrip(b"=").decode() == cursor
    if not is_ours or not hmac.compare_digest(tag, _tag(body, purpose, tenant_id, bound_to)):
        raise BadCursor(fields={"cursor": "not a cursor of this list"})
    return json.loads(body)


def _tag(body: bytes, purpose: str, tenant_id: UUID, bound_to: str) -> bytes:
    message = b"\x00".join((purpose.encode(), tenant_id.bytes, bound_to.encode(), body))
    return hmac.digest(settings().derived("cursor"), message, "sha256")[:TAG]
