"""What a tenant may set."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime

from api.deps import CurrentActor, Now, Router, permission
from api.schemas import Listing
from api.schemas.settings import SettingChange, SettingHistoryRead, SettingRead
from crm import db, health, tenancy, tenant_settings
from crm.calls import forgetting
from crm.db import Tx
from crm.recordings import retention
from crm.tenant_settings import Standing

router = Router("/settings")

DECLARING = (tenancy, retention, forgetting, health)
"""Modules that declare settings and that no other router imports. A test holds the list against all of `crm`."""

At = Annotated[AwareDatetime | None, Query(description="The instant that is asked about; default: now.")]


def _read(standing: Standing) -> SettingRead:
    setting = standing.setting
    return SettingRead(
        key=setting.key,
        labels=setting.labels,
        value=standing.value,
        default=setting.shown(setting.default),
        schema=setting.kind.json_schema(),
        since=standing.since,
        set_by=standing.set_by,
        version=standing.version,
        planned_from=standing.planned_from,
    )


@router.get("")
@permission("settings.view")
async def list_settings(actor: CurrentActor, now: Now, at: At = None) -> Listing[SettingRead]:
    """List everything the firm may set, as it stands now or stood at an instant."""
    found = await db.run(actor, lambda tx: tenant_settings.standing(tx, at=at or now))
    return Listing(items=[_read(each) for each in found])


@router.get("/{key}")
@permission("settings.view")
async def read_setting(key: str, actor: CurrentActor, now: Now, at: At = None) -> SettingRead:
    """Return one setting."""
    return await db.run(actor, lambda tx: _one(tx, key, at or now))


async def _one(tx: Tx, key: str, at: datetime) -> SettingRead:
    [found] = await tenant_settings.standing(tx, [key], at=at)
    return _read(found)


@router.put("/{key}")
@permission("settings.manage")
async def change_setting(key: str, body: SettingChange, actor: CurrentActor, now: Now) -> SettingRead:
    """Set something, now or from a later instant on; the answer is how it stands then."""

    async def work(tx: Tx) -> Any:
        await tenant_settings.change(tx, key, body.value, valid_from=body.valid_from, version=body.version, now=now)
        return await _one(tx, key, body.valid_from or now)

    return await db.run(actor, work)


@router.get("/{key}/history")
@permission("settings.view")
async def read_setting_history(key: str, actor: CurrentActor) -> Listing[SettingHistoryRead]:
    """List every change of a setting, planned ones too, the latest first."""
    rows = await db.run(actor, lambda tx: tenant_settings.history(tx, key))
    return Listing(items=[SettingHistoryRead.model_validate(dict(row)) for row in rows])
