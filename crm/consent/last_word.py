"""The last word: which of a person's facts holds at an instant, said once for every statement that asks.

A fact counts from when the person said it, not from when it was typed in; of two words of one instant the no holds. A
yes that has lapsed counts no more, and what was said before it stands again. A no does not lapse.
"""

SAID_AT = "coalesce(f.valid_from, f.recorded_at)"
"""When the person said it."""

ORDER = f"{SAID_AT} desc, f.status = 'granted', f.recorded_at desc, f.id desc"
"""The order of facts `f` in which the first is the last word."""


def lasts(at: str) -> str:
    """Return the condition that a fact `f` of `crm.consent` has not lapsed at an instant (SQL text)."""
    return f"(f.valid_until is null or f.valid_until > {at})"


def holds(at: str) -> str:
    """Return the condition that a fact `f` of `crm.consent` was said and has not lapsed at an instant (SQL text)."""
    return f"{SAID_AT} <= {at} and {lasts(at)}"
