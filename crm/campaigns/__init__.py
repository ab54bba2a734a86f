"""Advertising campaigns as the CRM knows them: what money is spent on, and where leads came from."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from crm import audit, errors, events, ids
from crm.db import Tx
from crm.operation import operation

COLUMNS = "id, platform, external_id, name, status, created_at, updated_at"


class CampaignStatus(StrEnum):
    """Whether money is spent on it now."""

    active = "active"
    paused = "paused"
    ended = "ended"


class UnknownCampaign(errors.NotFound):
    """There is no such campaign."""

    code = "campaign.not_found"


class CampaignKnown(errors.Conflict):
    """This platform's campaign is known already."""

    code = "campaign.known"


@operation("campaign.manage")
async def create(
    tx: Tx,
    *,
    platform: str,
    external_id: str,
    name: str,
    status: CampaignStatus = CampaignStatus.active,
    now: datetime,
) -> UUID:
    """Make a campaign known under its platform's own id, the one that leads and advertising reports carry.

    :raises CampaignKnown: when that platform's id is known.
    """
    campaign_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.campaign (tenant_id, id, platform, external_id, name, status, created_at, updated_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::timestamptz, $7::timestamptz)"
        " on conflict (tenant_id, platform, external_id) do nothing returning true",
        tx.actor.tenant_id, campaign_id, platform, external_id, name, status.value, now,
    )  # fmt: skip
    if not made:
        raise CampaignKnown(fields={"external_id": "known already"})
    detail = {"platform": platform, "external_id": external_id, "status": status.value}
    await events.record(tx, "campaign", campaign_id, "campaign.created", detail, at=now)
    await audit.record(tx, "campaign.created", "campaign", campaign_id, detail, at=now)
    return campaign_id


@operation("inbox.process")
async def learn(tx: Tx, *, platform: str, external_id: str, name: str, now: datetime) -> None:
    """Make a campaign known that a lead came from; one that is known keeps the name it has."""
    campaign_id = ids.new()
    made = await tx.fetchval(
        "insert into crm.campaign (tenant_id, id, platform, external_id, name, created_at, updated_at) values"
        " ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::timestamptz, $6::timestamptz)"
        " on conflict (tenant_id, platform, external_id) do nothing returning true",
        tx.actor.tenant_id, campaign_id, platform, external_id, name, now,
    )  # fmt: skip
    if not made:
        tx.unchanged()
        return
    detail = {"platform": platform, "external_id": external_id, "status": CampaignStatus.active.value}
    await events.record(tx, "campaign", campaign_id, "campaign.created", detail, at=now)


@operation("campaign.manage")
async def update(
    tx: Tx, campaign_id: UUID, *, name: str | None = None, status: CampaignStatus | None = None, now: datetime
) -> None:
    """Change a campaign's name or status; None leaves a thing as it is.

    :raises UnknownCampaign: when there is no such campaign.
    """
    before = await get(tx, campaign_id, lock=True)
    after = {"name": name or before["name"], "status": status.value if status else before["status"]}
    changed = [field for field, value in after.items() if value != before[field]]
    if not changed:
        tx.unchanged()
        return
    await tx.execute(
        "update crm.campaign set name = $3::text, status = $4::text, updated_at = $5::timestamptz"
        " where tenant_id = $1::uuid and id = $2::uuid",
        tx.actor.tenant_id, campaign_id, after["name"], after["status"], now,
    )  # fmt: skip
    detail = {"fields": changed, "status": after["status"]}
    await events.record(tx, "campaign", campaign_id, "campaign.updated", detail, at=now)
    await audit.record(tx, "campaign.updated", "campaign", campaign_id, detail, at=now)


async def get(tx: Tx, campaign_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """Return a campaign's row, locked until the transaction ends if asked.

    :raises UnknownCampaign: when there is no such campaign.
    """
    row = await tx.fetchrow(
        f"select {COLUMNS} from crm.campaign where tenant_id = $1::uuid and id = $2::uuid"
        + (" for update" if lock else ""),
        tx.actor.tenant_id, campaign_id,
    )  # fmt: skip
    if row is None:
        raise UnknownCampaign
    return row


async def page(tx: Tx, *, after: UUID | None = None, platform: str | None = None, limit: int) -> list[asyncpg.Record]:
    """Return campaigns, latest first, after one in that order; `platform` narrows them."""
    return await tx.fetch(
        f"select {COLUMNS} from crm.campaign where tenant_id = $1::uuid and ($2::uuid is null or id < $2::uuid)"
        " and ($3::text is null or platform = $3::text) order by id desc limit $4::int",
        tx.actor.tenant_id, after, platform, limit,
    )  # fmt: skip
