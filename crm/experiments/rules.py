"""How an experiment divides its units, and what it may count. No database, no clock."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from uuid import UUID


def bucket(key: str, unit: UUID, shares: Sequence[int]) -> int:
    """Return the index of the share that a unit falls into: always the same for one key, uniform over units.

    SHA-256 of `key:unit` gives 64 bits; a share of the sum takes its part of them (bias below 2⁻⁴⁰ for sums up to a
    million). Different keys divide the same units independently.

    :raises ValueError: when a share is negative or all are nothing.
    """
    if not shares or min(shares) < 0 or sum(shares) == 0:
        raise ValueError(f"these are no shares: {list(shares)}")
    digest = hashlib.sha256(f"{key}:{unit}".encode()).digest()
    point = (int.from_bytes(digest[:8]) * sum(shares)) >> 64
    return bisect_right(list(accumulate(shares)), point)
