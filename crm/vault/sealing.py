"""Sealing: AES-256-GCM (NIST SP 800-38D) under a key per person; HMAC-SHA-256 blind index for exact look-ups."""

import hmac
import os
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm import errors
from crm.settings import settings

NONCE = 12
"""Bytes of nonce before each ciphertext; random, one key seals a handful of values."""


class Unreadable(errors.NotFound):
    """The value cannot be read: its key was destroyed, or it was altered."""

    code = "vault.unreadable"


def seal(plaintext: str, cipher: AESGCM, *, bound_to: bytes) -> bytes:
    """Return nonce and ciphertext of a text. `bound_to` (tenant and key id) must be given again to open it."""
    nonce = os.urandom(NONCE)
    return nonce + cipher.encrypt(nonce, plaintext.encode(), bound_to)


def open_sealed(sealed: bytes, cipher: AESGCM, *, bound_to: bytes) -> str:
    """Return the text that was sealed.

    :raises Unreadable: when the key, the binding or the bytes are not those it was sealed with.
    """
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], bound_to).decode()
    except InvalidTag as error:
        raise Unreadable from error


def binding(tenant_id: UUID, key_id: UUID) -> bytes:
    """Return what every sealed value of a person is bound to, so that it opens in no other row's place."""
    return tenant_id.bytes + key_id.bytes


@lru_cache(maxsize=1024)
def wrapping_key(tenant_id: UUID) -> bytes:
    """Return the tenant's key that wraps the keys of its people."""
    return settings().derived(f"vault:wrap:{tenant_id}")


@lru_cache(maxsize=1024)
def _index_key(tenant_id: UUID) -> hmac.HMAC:
    return hmac.new(settings().derived(f"vault:index:{tenant_id}"), digestmod="sha256")


def blind_index(tenant_id: UUID, kind: str, value: str) -> bytes:
    """Return the 32 bytes under which a value is found again without being readable; each tenant has its own."""
    digest = _index_key(tenant_id).copy()
    digest.update(f"{kind}:{value}".encode())
    return digest.digest()


@lru_cache(maxsize=1024)
def _tenant_cipher(tenant_id: UUID) -> AESGCM:
    return AESGCM(wrapping_key(tenant_id))


def wrap(tenant_id: UUID, key_id: UUID, key: bytes) -> bytes:
    """Return a person's key sealed under the tenant's key."""
    nonce = os.urandom(NONCE)
    return nonce + _tenant_cipher(tenant_id).encrypt(nonce, key, key_id.bytes)


def unwrap(tenant_id: UUID, key_id: UUID, wrapped: bytes) -> bytes:
    """Return a person's key.

    :raises Unreadable: when it was wrapped for another tenant or id.
    """
    try:
        return _tenant_cipher(tenant_id).decrypt(wrapped[:NONCE], wrapped[NONCE:], key_id.bytes)
    except InvalidTag as error:
        raise Unreadable from error
