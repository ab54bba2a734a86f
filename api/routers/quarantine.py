"""What the gates at the border hold back from the numbers, and letting it in."""

from uuid import UUID

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.quarantine import HoldRead, Release
from crm import db, quarantine

router = Router("/quarantine")


@router.get("")
@permission("quarantine.view")
async def list_holds(actor: CurrentActor) -> Listing[HoldRead]:
    """List what is held, then what only is to be looked at, the latest first, each with the rules it breaks."""
    found = await db.run(actor, quarantine.standing)
    return Listing(items=[HoldRead.model_validate(hold) for hold in found])


@router.post("/{hold_id}/release", status_code=204)
@permission("quarantine.release")
async def release_hold(hold_id: UUID, body: Release, actor: CurrentActor, now: Now) -> None:
    """Let a held set into the numbers as it is; the next run of the pipeline counts it."""
    await db.run(actor, lambda tx: quarantine.release(tx, hold_id, because=body.because, now=now))
