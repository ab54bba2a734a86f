"""Who may be told which numbers. Pure: an actor in, a scope out (docs/decisions/numbers-and-people.md)."""

from dataclasses import dataclass
from uuid import UUID

from crm import errors
from crm.actor import Actor

FLOOR = 5
"""What fewer than so many make is not told to who may see no person: it could be traced to one."""
OPERATIONAL = frozenset({1, 2, 3, 4})
"""Sections of the catalogue about a team's daily work."""
SEES_PEOPLE = ("lead.view.team", "lead.view.all")
"""Whoever holds one of these learns nothing new from a number that few made; seeing own leads alone does not do."""


class NotYours(errors.NotAllowed):
    """These numbers are not for your role."""

    code = "kpi.not-yours"


@dataclass(frozen=True, slots=True)
class Scope:
    """What an actor may be told: of which team (None: all), of which sections (None: all), of how few."""

    team: UUID | None = None
    sections: frozenset[int] | None = None
    floor: int = 0

    def allows(self, section: int) -> bool:
        """Tell whether a section of the catalogue may be asked for."""
        return self.sections is None or section in self.sections


def floor_of(actor: Actor) -> int:
    """Return of how few an actor may be told."""
    return 0 if any(actor.may(each) for each in SEES_PEOPLE) else FLOOR


def scope_of(actor: Actor) -> Scope:
    """Return what an actor may be told.

    :raises NotYours: when the actor may ask for the numbers of the own team only, and is in none.
    :raises Forbidden: when the actor may not ask for numbers at all.
    """
    if actor.may("kpi.view"):
        return Scope(floor=floor_of(actor))
    actor.require("kpi.view.team")
    if actor.team_id is None:
        raise NotYours("you may see the numbers of your team, and you are in none")
    return Scope(team=actor.team_id, sections=OPERATIONAL)
