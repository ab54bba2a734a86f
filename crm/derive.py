"""Key derivation: one secret, many purposes."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive(secret: bytes, purpose: str) -> bytes:
    """Return a 32-byte key for a purpose; keys of different purposes say nothing about each other (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=b"santral", info=purpose.encode()).derive(secret)
