"""What a tenant may set about distribution."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from crm import tenant_settings
from crm.leads.rules import Status

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Hours = Annotated[int, Field(ge=1, le=24 * 366)]

COOLING_OFF: tenant_settings.Setting[dict[str, int]] = tenant_settings.declare(
    "routing.cooling_off_hours",
    Annotated[dict[Code, Hours], Field(max_length=100)],
    {"not_interested": 30 * 24, "wrong_number": 30 * 24, "blocked": 30 * 24},
    tr="Bir başvurunun, bu durum veya sonuçtan sonra aynı kişiye dönmeyeceği saat sayısı",
    en="Hours for which a lead does not return to the same agent, by status or outcome",
)
QUEUED: tenant_settings.Setting[list[Status]] = tenant_settings.declare(
    "routing.queued_statuses",
    Annotated[list[Status], Field(max_length=len(Status))],
    [Status.wrong_number, Status.blocked],
    tr="Başvuruyu sahibinden alıp yönetici kuyruğuna taşıyan durumlar",
    en="Statuses that take a lead from its owner to the administrators' queue",
)
QUEUE_TEAM: tenant_settings.Setting[UUID | None] = tenant_settings.declare(
    "routing.queue_team",
    UUID | None,
    None,
    tr="Yönetici kuyruğunun ekibi; boşsa varsayılan ekip",
    en="The team of the administrators' queue; the default team when none is set",
)
