"""Which leads an actor sees: all, those of the team, or one's own. Another's lead is exactly as not found as none.

Every query and every mutation of leads asks here; what hangs on leads (contacts, timelines) follows.
"""

from crm.actor import Actor
from crm.sql import Args

ANY = ("lead.view.own", "lead.view.team", "lead.view.all")
"""Holding any of these lets a person ask for leads at all; which ones they see is decided row by row."""


def sees_all(actor: Actor) -> bool:
    """Tell whether no lead is hidden from the actor."""
    return actor.may("lead.view.all")


def branches(actor: Actor, args: Args, *, lead: str = "l") -> list[str]:
    """Return conditions on `crm.lead` whose union is what the actor sees.

    Each alone fits an index, so that a page is read in order from each and merged, where one `or` would be sorted.
    """
    if sees_all(actor):
        return ["true"]
    if not any(actor.may(permission) for permission in ANY):
        return ["false"]
    owned = f"{lead}.owner_id = {args.add(actor.user_id, 'uuid')}"
    if actor.team_id is None or not actor.may("lead.view.team"):
        return [owned]
    return [f"{lead}.team_id = {args.add(actor.team_id, 'uuid')}", owned]


def condition(actor: Actor, args: Args, *, lead: str = "l") -> str:
    """Return the same as one condition, for where one row is asked for by its id."""
    return "(" + " or ".join(branches(actor, args, lead=lead)) + ")"


def contact_branches(actor: Actor, args: Args) -> list[str]:
    """Return conditions on `crm.contact c` whose union is what the actor sees.

    One sees the people behind the leads one sees, and those one entered oneself.
    """
    if sees_all(actor):
        return ["true"]
    leads = condition(actor, args)
    behind = f"exists (select from crm.lead l where l.tenant_id = c.tenant_id and l.contact_id = c.id and {leads})"
    return [behind, f"c.created_by = {args.add(actor.user_id, 'uuid')}"]


def contact_condition(actor: Actor, args: Args) -> str:
    """Return the same as one condition, for where one row is asked for by its id."""
    return "(" + " or ".join(contact_branches(actor, args)) + ")"
