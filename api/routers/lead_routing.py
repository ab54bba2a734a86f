"""Why a lead went where it went."""

from uuid import UUID

from api.deps import CurrentActor, Router, permission
from api.schemas.routing import LeadRouting
from crm import db, visibility
from crm.routing import queries

router = Router("/leads")


@router.get("/{lead_id}/routing")
@permission(*visibility.ANY)
async def read_routing(lead_id: UUID, actor: CurrentActor) -> LeadRouting:
    """Return why this agent, or why nobody: in codes, in Turkish and English, with everybody who was considered."""
    return LeadRouting.model_validate(await db.run(actor, lambda tx: queries.why(tx, lead_id)))
