"""Which calls an actor sees: those they took or began, those of their team's agents, those of the leads they see."""

from crm import visibility
from crm.actor import Actor
from crm.sql import Args


def condition(actor: Actor, args: Args, *, call: str = "c") -> str:
    """Return the condition on `crm.call` that leaves out what the actor may not see."""
    if visibility.sees_all(actor):
        return "true"
    me = args.add(actor.user_id, "uuid")
    lead = visibility.condition(actor, args)
    of_lead = (
        f"exists (select from crm.lead l where l.tenant_id = {call}.tenant_id and l.id = {call}.lead_id and {lead})"
    )
    own = f"{call}.agent_user_id = {me} or {call}.requested_by = {me}"
    if actor.team_id is None or not actor.may("lead.view.team"):
        return f"({own} or {of_lead})"
    team = args.add(actor.team_id, "uuid")
    of_team = (
        f"exists (select from crm.user_account u where u.tenant_id = {call}.tenant_id"
        f" and u.id = {call}.agent_user_id and u.team_id = {team})"
    )
    return f"({own} or {of_team} or {of_lead})"
