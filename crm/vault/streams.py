"""Sealing what is too long for one piece: a file in chunks, each of which proves its place.

STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance,
2015) over AES-256-GCM: the nonce is the chunk's number and whether it is the last, so that chunks can be neither
changed nor moved, left out, repeated, nor the end cut off. Each stream has a key of its own, derived from the person's
key and a random salt, which stands first.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm.derive import derive
from crm.vault import sealing
from crm.vault.keyring import DataKey

SALT = 16
CHUNK = 64 * 1024
"""Bytes of clear text in a chunk; every one but the last is full."""
TAG = 16
SEALED_CHUNK = CHUNK + TAG


def _cipher(key: DataKey, salt: bytes) -> AESGCM:
    return AESGCM(derive(key.secret, f"stream:{salt.hex()}"))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(sealing.NONCE - 1, "big") + bytes([is_last])


async def _pieces(source: AsyncIterable[bytes], size: int) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield a stream in pieces of a size, each with whether it is the last; the last may be short or empty."""
    held = bytearray()
    async for part in source:
        held += part
        while len(held) > size:  # a full piece is held back until more comes: it may be the last
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True


async def seal_stream(key: DataKey, source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield a stream sealed under a person's key."""
    salt = os.urandom(SALT)
    cipher, bound = _cipher(key, salt), sealing.binding(key.tenant_id, key.id)
    yield salt
    number = 0
    async for piece, is_last in _pieces(source, CHUNK):
        yield cipher.encrypt(_nonce(number, is_last=is_last), piece, bound)
        number += 1


async def open_stream(key: DataKey, source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield what was sealed, each chunk once it has proved itself.

    :raises sealing.Unreadable: at the first chunk that is not what was sealed there, and when the end is missing.
    """
    salt, rest = await _split(source, SALT)
    cipher, bound = _cipher(key, salt), sealing.binding(key.tenant_id, key.id)
    number = 0
    async for piece, is_last in _pieces(rest, SEALED_CHUNK):
        try:
            yield cipher.decrypt(_nonce(number, is_last=is_last), piece, bound)
        except InvalidTag as error:
            raise sealing.Unreadable from error
        number += 1


async def _split(source: AsyncIterable[bytes], size: int) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes of a stream, and the rest of it."""
    parts = aiter(source)
    head = b""
    async for part in parts:
        head += part
        if len(head) >= size:
            break

    async def rest() -> AsyncIterator[bytes]:
        yield head[size:]
        async for part in parts:
            yield part

    return head[:size], rest()
