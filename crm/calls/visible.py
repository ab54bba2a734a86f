"""Which calls an actor sees: those they took or began, those of their team's agents, those of the leads they see."""

from crm import visibility
from crm.actor import Actor
from crm.sql import Args


def branches(actor: Actor, args: Args, *, call: str = "c") -> list[str]:
    """Return conditions on `crm.call` whose union is what the actor sees; a list is read in order from each."""
    if visibility.sees_all(actor):
        return ["true"]
    me = args.add(actor.user_id, "uuid")
    lead = visibility.condition(actor, args)
    found = [
        f"{call}.agent_user_id = {me}",
        f"{call}.requested_by = {me}",
        f"exists (select from crm.lead l where l.tenant_id = {call}.tenant_id and l.id = {call}.lead_id and {lead})",
    ]
    if actor.team_id is not None and actor.may("lead.view.team"):
        team = args.add(actor.team_id, "uuid")
        found.append(
            f"exists (select from crm.user_account u where u.tenant_id = {call}.tenant_id"
            f" and u.id = {call}.agent_user_id and u.team_id = {team})"
        )
    return found


def condition(actor: Actor, args: Args, *, call: str = "c") -> str:
    """Return the same as one condition, for where one call is asked for by its id."""
    return "(" + " or ".join(branches(actor, args, call=call)) + ")"
