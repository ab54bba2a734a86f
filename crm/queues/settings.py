"""Which settings of a queue hold at an instant: its own, and the firm's where it says nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from crm import tenant_settings
from crm.calendars import queries as calendars
from crm.calendars.rules import ALWAYS, Calendar
from crm.db import Tx
from crm.queues.rules import SHORT_S, SL_S, Settings

SERVICE_LEVEL_S = tenant_settings.declare(
    "queue.service_level_s", Annotated[int, Field(ge=1, le=3600)], SL_S, told=int,
    tr="Servis seviyesi: kaç saniye içinde yanıt", en="Service level: answered within so many seconds",
)  # fmt: skip
SHORT_ABANDON_S = tenant_settings.declare(
    "queue.short_abandon_s", Annotated[int, Field(ge=0, le=3600)], SHORT_S, told=int,
    tr="Kısa vazgeçme: en fazla kaç saniye bekleyen sayılmaz", en="Short abandon: who waits no longer does not count",
)  # fmt: skip
SERVICE_LEVEL_TARGET = tenant_settings.declare(
    "queue.service_level_target", Annotated[float, Field(gt=0, le=1)], 0.8, told=float,
    tr="Servis seviyesi hedefi (0-1)", en="Target of the service level (0-1)",
)  # fmt: skip
WRAP = (SERVICE_LEVEL_S, SHORT_ABANDON_S, SERVICE_LEVEL_TARGET)


@dataclass(frozen=True, slots=True)
class Standing:
    """A queue as it stands at an instant; `sl_s`, `short_s`, `sl_target` are its own or the firm's."""

    id: UUID
    code: str
    settings: Settings
    sl_s: int
    short_s: int
    sl_target: float
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a firm promises callers of queues that promise nothing themselves."""

    sl_s: int
    short_s: int
    sl_target: float


async def promise(tx: Tx, *, at: datetime) -> Promise:
    """Return what the firm had set for all queues at an instant (UTC)."""
    sl_s, short_s, target = await tenant_settings.values(tx, *WRAP, at=at)
    return Promise(sl_s, min(short_s, sl_s), target)


def standing(row: Mapping[str, Any], firm: Promise) -> Standing:
    """Return a queue from its row (`id, code, settings, retired_at`)."""
    own = Settings.model_validate(row["settings"])
    sl_s = firm.sl_s if own.sl_s is None else own.sl_s
    short_s = min(firm.short_s if own.short_s is None else own.short_s, sl_s)
    target = firm.sl_target if own.sl_target is None else own.sl_target
    return Standing(row["id"], row["code"], own, sl_s, short_s, target, row["retired_at"])


IN_FORCE = """
select q.id, q.code, q.retired_at, v.settings from crm.queue q
 cross join lateral (
   select settings from crm.queue_version v where v.tenant_id = $1::uuid and v.queue_id = q.id
      and v.valid_from <= $2::timestamptz order by v.valid_from desc, v.id desc limit 1
 ) v
 where q.tenant_id = $1::uuid and (q.retired_at is null or q.retired_at > $2::timestamptz)
   and ($3::text is null or q.code = $3::text)
 order by q.code
"""


async def in_force(tx: Tx, *, at: datetime) -> dict[str, Standing]:
    """Return every queue in use at an instant (UTC) by its code."""
    rows = await tx.fetch(IN_FORCE, tx.actor.tenant_id, at, None)
    firm = await promise(tx, at=at)
    return {row["code"]: standing(row, firm) for row in rows}


async def of(tx: Tx, code: str, *, at: datetime) -> Standing | None:
    """Return a queue as it stood at an instant (UTC); None when it was not in use then."""
    row = await tx.fetchrow(IN_FORCE, tx.actor.tenant_id, at, code)
    return standing(row, await promise(tx, at=at)) if row else None


async def calendar(tx: Tx, settings: Settings | None, *, at: datetime) -> tuple[Calendar, str]:
    """Return when a queue is open, as known at an instant (UTC), and the zone its days are counted in.

    Without settings (a queue only the exchange knows): always open, in the firm's zone.
    """
    whose = await calendars.of_team(tx, settings.team_id if settings else None, at)
    zone = settings.timezone if settings and settings.timezone else whose.zone.key
    is_always = settings is None or settings.hours == "always"
    return (ALWAYS if is_always else whose), zone
