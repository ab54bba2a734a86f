"""Which calls an actor sees: those they took or began, and those of the leads they see."""

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
    return f"({call}.agent_user_id = {me} or {call}.requested_by = {me} or {of_lead})"
