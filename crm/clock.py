"""The clock. Only the edges read it; everything inside takes `now` as an argument (DESIGN contract 7)."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return this instant, in UTC."""
    return datetime.now(UTC)
