"""Links that open one file for one person for a few minutes: a signature and nothing to look up.

Bound to its purpose by the key it is signed with (HMAC-SHA-256), to firm, person and file by what is signed. Whether
the person may still open it is asked again when it is used.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crm import errors
from crm.settings import settings

GOOD_FOR = timedelta(minutes=5)
TAG = 32
BODY = 16 * 3 + 8


class BadLink(errors.NotAllowed):
    """This link is not one of ours, or not for this file."""

    code = "attachment.link_invalid"


class LinkExpired(errors.NotAllowed):
    """This link was good for a few minutes; ask for a new one."""

    code = "attachment.link_expired"


@dataclass(frozen=True, slots=True)
class Link:
    """Whom a link opens what for, and until when (UTC, whole seconds)."""

    tenant_id: UUID
    user_id: UUID
    attachment_id: UUID
    expires_at: datetime


def make(tenant_id: UUID, user_id: UUID, attachment_id: UUID, *, now: datetime) -> tuple[str, datetime]:
    """Return a link's token and until when it is good."""
    ends = int((now + GOOD_FOR).timestamp())
    body = tenant_id.bytes + user_id.bytes + attachment_id.bytes + ends.to_bytes(8, "big")
    token = urlsafe_b64encode(_tag(body) + body).rstrip(b"=").decode()
    return token, datetime.fromtimestamp(ends, UTC)


def read(token: str, attachment_id: UUID, *, now: datetime) -> Link:
    """Return what a token stands for.

    :raises BadLink: when it was altered, or made for another file.
    :raises LinkExpired: when its minutes are over.
    """
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, NotBase64) as error:
        raise BadLink from error
    tag, body = raw[:TAG], raw[TAG:]
    is_ours = urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    if not is_ours or len(body) != BODY or not hmac.compare_digest(tag, _tag(body)):
        raise BadLink
    tenant_id, user_id, of_file = (UUID(bytes=body[at : at + 16]) for at in (0, 16, 32))
    link = Link(tenant_id, user_id, of_file, _instant(body[48:]))
    if link.attachment_id != attachment_id:
        raise BadLink
    if now >= link.expires_at:
        raise LinkExpired
    return link


def _instant(raw: bytes) -> datetime:
    return datetime.fromtimestamp(int.from_bytes(raw, "big"), UTC)


def _tag(body: bytes) -> bytes:
    return hmac.digest(settings().derived("attachment-link"), body, "sha256")
