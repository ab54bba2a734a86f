"""Secrets handed to people once and kept as a hash: refresh tokens and invitations."""

import hashlib
import hmac
import os
from base64 import urlsafe_b64encode
from uuid import UUID

from crm.settings import settings


def new_refresh_token() -> str:
    """Return a refresh token: 256 random bits."""
    return urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def invitation_token(invitation_id: UUID) -> str:
    """Return an invitation's token. It follows from its id under our key, so that it need not be kept to be shown."""
    mac = hmac.digest(settings().derived("invitation"), invitation_id.bytes, "sha256")
    return urlsafe_b64encode(invitation_id.bytes + mac).rstrip(b"=").decode()


def kept(token: str) -> bytes:
    """Return what is stored of a token: its SHA-256. The token has 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode()).digest()
