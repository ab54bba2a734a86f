"""Who answers a queue's calls: rings of agents, the next one opening when the first caller has waited long enough.

No database, no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from crm.queues.rules import Ring, Settings

BEST = 5
"""The highest level of a skill."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who is signed on; `skills`: code → level, 1 (learning) to 5 (expert)."""

    user_id: UUID
    endpoint: str
    team_id: UUID | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    is_paused: bool = False


def may_answer(ring: Ring, agent: Agent) -> bool:
    """Tell whether a ring is for an agent."""
    if ring.teams and agent.team_id not in ring.teams:
        return False
    return all(agent.skills.get(need.skill, 0) >= need.level for need in ring.needs)


def ring_of(rings: Sequence[Ring], agent: Agent) -> int | None:
    """Return the first ring an agent is in; None when in none."""
    return next((n for n, ring in enumerate(rings) if may_answer(ring, agent)), None)


def open_to(rings: Sequence[Ring], longest_wait_s: float) -> int:
    """Return the last ring that is open when the first caller has waited so long; the first one always is."""
    return max(n for n, ring in enumerate(rings) if n == 0 or ring.after_s <= longest_wait_s)


def penalty(settings: Settings, ring: int, agent: Agent) -> int:
    """Return an agent's penalty on the exchange, which calls the lowest first: by ring, then by how well they do it.

    Among equals the exchange calls whoever has been free for longest.
    """
    if settings.choice == "longest_idle":
        return ring * (BEST + 1)
    needs = settings.rings[ring].needs
    least = min((agent.skills.get(need.skill, 0) for need in needs), default=BEST)
    return ring * (BEST + 1) + BEST - min(least, BEST)


def wanted(settings: Settings, agents: Iterable[Agent], longest_wait_s: float) -> dict[str, int]:
    """Return the endpoints that are to take a queue's calls now, with their penalties."""
    last = open_to(settings.rings, longest_wait_s)
    found: dict[str, int] = {}
    for agent in agents:
        ring = ring_of(settings.rings, agent)
        if ring is not None and ring <= last:
            found[agent.endpoint] = penalty(settings, ring, agent)
    return found
