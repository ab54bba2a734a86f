"""How much of its patience the Graph API has left, as it says with every answer, and what that means for us."""

import json
from datetime import timedelta
from typing import Any

HEADER = "X-Business-Use-Case-Usage"
CAREFUL, FULL = 75.0, 95.0
"""Per cent of a limit from which no call is started, and from which the time the API names is waited for."""
SHORT = timedelta(minutes=1)
"""How long no call is started between the two: the limits look back over an hour, so that usage soon sinks."""
UNNAMED = timedelta(minutes=5)
"""How long to wait when a limit is reached and no time is named."""
SHARES = ("call_count", "total_cputime", "total_time")


def pause(header: str | None) -> timedelta | None:
    """Return for how long no call may be started after an answer with this header; None: go on.

    From 75 % of any limit nothing is started for a minute, from 95 % not before the time the API names has passed
    (`estimated_time_to_regain_access`, in minutes).
    """
    pauses = [found for limit in _limits(header) if (found := _pause(limit))]
    return max(pauses, default=None)


def _limits(header: str | None) -> list[dict[str, Any]]:
    try:
        told = json.loads(header or "{}")
    except ValueError:
        return []
    objects = told.values() if isinstance(told, dict) else []
    return [limit for limits in objects if isinstance(limits, list) for limit in limits if isinstance(limit, dict)]


def _pause(limit: dict[str, Any]) -> timedelta | None:
    used = max((_number(limit.get(share)) for share in SHARES), default=0.0)
    minutes = _number(limit.get("estimated_time_to_regain_access"))
    if used >= FULL or minutes > 0:
        return timedelta(minutes=minutes) if minutes > 0 else UNNAMED
    return SHORT if used >= CAREFUL else None


def _number(value: object) -> float:
    try:
        found = float(str(value))
    except ValueError:
        return 0.0
    return found if 0.0 <= found <= 100_000.0 else 0.0
