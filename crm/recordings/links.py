"""Links that play a recording once: a signature, and a row that is used up.

Bound to its purpose by the key it is signed with (HMAC-SHA-256), to firm and row by what is signed. Whether the person
may still listen is asked again when it is used.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import timedelta
from uuid import UUID

from crm import errors
from crm.settings import settings

GOOD_FOR = timedelta(seconds=60)
TAG = 32
BODY = 32


class BadLink(errors.NotAllowed):
    """This link is not one of ours, or not for this recording."""

    code = "recording.link_invalid"


class LinkUsed(errors.Gone):
    """This link was good once, for a minute; ask for a new one."""

    code = "recording.link_used"


def sign(tenant_id: UUID, link_id: UUID) -> str:
    """Return the token of a link."""
    body = tenant_id.bytes + link_id.bytes
    return urlsafe_b64encode(_tag(body) + body).rstrip(b"=").decode()


def read(token: str) -> tuple[UUID, UUID]:
    """Return whose link a token is (tenant) and which.

    :raises BadLink: when it was altered, or is none.
    """
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, NotBase64) as error:
        raise BadLink from error
    tag, body = raw[:TAG], raw[TAG:]
    is_ours = urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    if not is_ours or len(body) != BODY or not hmac.compare_digest(tag, _tag(body)):
        raise BadLink
    return UUID(bytes=body[:16]), UUID(bytes=body[16:])


def _tag(body: bytes) -> bytes:
    return hmac.digest(settings().derived("recording-link"), body, "sha256")
