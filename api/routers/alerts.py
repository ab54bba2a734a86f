"""What the person on duty was told about the pipeline."""

from api.deps import CurrentActor, Router, permission
from api.pages import CursorText, Limit
from api.schemas.alerts import AlertPage, AlertRead
from crm import alerts, db

router = Router("/alerts")


@router.get("")
@permission("alert.view")
async def list_alerts(
    actor: CurrentActor, is_open: bool | None = None, limit: Limit = 50, cursor: CursorText = None
) -> AlertPage:
    """List what failed in a row and was told of, the latest first; `is_open` leaves out the rest."""
    found, following = await db.run(actor, lambda tx: alerts.page(tx, is_open=is_open, limit=limit, cursor=cursor))
    return AlertPage(items=[AlertRead.model_validate(alert) for alert in found], next_cursor=following)
