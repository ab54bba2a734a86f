"""What a replay puts into people's hands, counted as time goes on. No database."""

import heapq
from bisect import insort
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(slots=True)
class Hands:
    """Leads put into hands since the beginning: how many each holds, and when each got theirs. Time only goes on."""

    holds: Counter[UUID] = field(default_factory=Counter)
    got: dict[UUID, list[datetime]] = field(default_factory=dict)
    ends: list[tuple[datetime, UUID]] = field(default_factory=list)

    def take(self, user_id: UUID, since: datetime, until: datetime | None) -> None:
        """Note that somebody got a lead, and when it leaves their hands, where that is known."""
        self.holds[user_id] += 1
        insort(self.got.setdefault(user_id, []), since)
        if until is not None:
            self.leave(user_id, until)

    def leave(self, user_id: UUID, at: datetime) -> None:
        """Note when a lead leaves somebody's hands."""
        heapq.heappush(self.ends, (at, user_id))

    def open(self, user_id: UUID, at: datetime) -> int:
        """Return how many of them somebody holds at an instant."""
        while self.ends and self.ends[0][0] <= at:
            self.holds[heapq.heappop(self.ends)[1]] -= 1
        return self.holds[user_id]

    def today(self, user_id: UUID, midnight: datetime | None) -> int:
        """Return how many somebody got on the day that ends at `midnight`."""
        got = self.got.get(user_id, ())
        if midnight is None or not got:
            return 0
        return sum(midnight - timedelta(days=1) <= since < midnight for since in got[-1000:])
