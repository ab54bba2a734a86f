"""Tenants: the few questions asked before one is known, and making a new one."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

import phonenumbers
from pydantic import AfterValidator, StringConstraints

from crm import audit, db, errors, events, tenant_settings
from crm.calendars import operations as calendars
from crm.db import Tx
from crm.operation import operation
from crm.users import operations as users
from crm.users import rules, teams


class SlugTaken(errors.Conflict):
    """A tenant of this short name exists already."""

    code = "tenant.slug_taken"


@cache
def _zones() -> set[str]:
    return available_timezones()


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("not an IANA time zone, as Europe/Istanbul")
    return name


def _country(code: str) -> str:
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("not an ISO 3166 country, as TR")
    return code


NAME = tenant_settings.declare(
    "tenant.name", Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)], "",
    tr="Firma adı", en="Name of the firm", column="name",
)  # fmt: skip
TIMEZONE = tenant_settings.declare(
    "tenant.timezone", Annotated[str, AfterValidator(_zone)], "Europe/Istanbul",
    tr="Saat dilimi", en="Time zone", column="timezone",
)  # fmt: skip
COUNTRY = tenant_settings.declare(
    "tenant.country", Annotated[str, StringConstraints(pattern="^[A-Z]{2}$"), AfterValidator(_country)], "TR",
    tr="Ülke", en="Country", column="country",
)  # fmt: skip
CURRENCY = tenant_settings.declare(
    "tenant.currency", Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")], "TRY",
    tr="Para birimi", en="Currency", column="currency",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A firm just made, with its default team and first administrator."""

    id: UUID
    team_id: UUID
    admin_id: UUID


async def tenants() -> list[UUID]:
    """Return every tenant of this installation."""
    return [row[0] for row in await db.ask("select crm.tenants()")]


async def by_slug(slug: str) -> UUID | None:
    """Return the tenant of that short name, or None."""
    rows = await db.ask("select crm.tenant_by_slug($1::text)", slug)
    return rows[0][0] if rows else None


@operation("tenant.create")
async def create(
    tx: Tx,
    *,
    slug: str,
    name: str,
    admin_email: str,
    admin_name: str,
    admin_password_hash: str | None,
    team_name: str = "Satış",
    timezone: str = "Europe/Istanbul",
    country: str = "TR",
    currency: str = "TRY",
    is_demo: bool = False,
    now: datetime,
) -> NewTenant:
    """Make a firm with a default team, a calendar and a first administrator.

    The transaction is one of the system for the new id: `db.run(Actor.system(ids.new()), lambda tx: create(tx, ...))`.
    The password comes hashed (`crm.users.passwords.hashed`); without one, nobody can sign in until it is set.

    :raises SlugTaken: when there is a firm of that short name.
    :raises crm.users.operations.EmailTaken: when the address has an account, in any firm.
    """
    tenant_id = tx.actor.tenant_id
    made = await tx.fetchval(
        "insert into crm.tenant (tenant_id, slug, name, timezone, country, currency, is_demo, created_at) values"
        " ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bool, $8::timestamptz)"
        " on conflict (slug) do nothing returning true",
        tenant_id, slug, name, timezone, country, currency, is_demo, now,
    )  # fmt: skip
    if not made:
        raise SlugTaken(fields={"slug": "in use"})
    await events.record(tx, "tenant", tenant_id, "tenant.created", {"country": country}, at=now)
    await audit.record(tx, "tenant.created", "tenant", tenant_id, at=now)
    team_id = await teams.create(tx, name=team_name, timezone=timezone, is_default=True, now=now)
    await calendars.begin(tx, country, now=now)
    admin_id = await users.create(
        tx,
        email=admin_email,
        name=admin_name,
        roles=[rules.Role.admin],
        team_id=team_id,
        password_hash=admin_password_hash,
        now=now,
    )
    return NewTenant(tenant_id, team_id, admin_id)
