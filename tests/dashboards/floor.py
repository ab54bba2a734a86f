"""A lively floor to look at: a loopback exchange, a bridge, agents with invented names, callers, three campaigns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cli import demo
from crm import tenant_settings
from crm.actor import Actor
from crm.agents import operations as agents
from crm.dialling import budgets
from crm.dialling import campaigns as designs
from crm.dialling.rules import Mode
from crm.queues import operations as queues
from crm.queues.rules import Need, Ring, Settings
from crm.users import passwords, profiles
from dialer.exchange.people import Party
from tests.conftest import Tenant
from tests.crm.dialling.floor import do, make_campaign
from tests.dialer.dialling_floor import DiallingFloor, dialling

NAMES = (
    "Ayşe Demir",
    "Mert Kaya",
    "Elif Şahin",
    "Can Aydın",
    "Zeynep Çelik",
    "Deniz Arslan",
    "Emre Koç",
    "Selin Yıldız",
)
CHATTY = Party(rings_s=1, stays_s=25, patience_s=60)
PATIENT = Party(rings_s=1, stays_s=10_000, patience_s=10_000)
HASTY = Party(rings_s=1, stays_s=10_000, patience_s=7)
SPENT, BROKEN = "summer", "winter"


@asynccontextmanager
async def lively(tenant: Tenant) -> AsyncIterator[DiallingFloor]:
    """Open the floor.

    Agents serve the queue `sales`. Who may serve `vip` is at lunch: two callers wait there, one hung up. The last agent
    has gone home. The campaign `spring` runs; `summer` is paused, its error budget spent; `winter` is paused, its cap
    broken.
    """
    async with dialling(tenant, agents=len(NAMES), speed=1.0, others=CHATTY) as floor:
        await introduce(tenant, floor.agents, floor.now)
        vip = Settings(
            labels={"tr": "Özel hat", "en": "VIP line"}, hours="always", sl_s=10,
            rings=(Ring(needs=(Need(skill="vip", level=4),)),),
        )  # fmt: skip
        await do(tenant.admin, lambda tx: queues.create(tx, code="vip", settings=vip, now=floor.now))
        await do(tenant.admin, lambda tx: tenant_settings.change(tx, "call.wrap_s", 12, now=floor.now))
        hungry, home = floor.agents[-2:]
        await do(tenant.admin, lambda tx: profiles.change(tx, hungry.user_id, {"skills": {"vip": 5}}, now=floor.now))
        await do(hungry, lambda tx: agents.pause(tx, "lunch", now=floor.now))
        await do(home, lambda tx: agents.sign_off(tx, now=floor.now))
        member = "select from crm.queue_member where queue = 'vip' and is_member and is_paused"
        await floor.until(lambda: floor.rows(member))
        floor.people |= {
            f"90532{1_000_000 + n}": Party(rings_s=1 + n % 5, stays_s=12 + n * 17 % 50, patience_s=60)
            for n in range(60)
        }
        spring = await floor.campaign(60, code="spring", name="Bahar", mode=Mode.predictive)
        await _dialled(floor, spring, answered=1240, abandoned=14)
        await _past(floor, SPENT, "Yaz", Mode.predictive, answered=640, abandoned=19)
        await _past(floor, BROKEN, "Kış", Mode.power, answered=150, abandoned=21)
        for n, party in enumerate((PATIENT, PATIENT, HASTY)):
            floor.exchange.call_in("vip", f"+9053299900{n:02}", party)
        yield floor


async def introduce(tenant: Tenant, people: list[Actor], now: datetime) -> None:
    """Give people their names, and take them among those who take leads."""
    for name, actor in zip(NAMES, people, strict=True):

        async def work(tx: Any, name: str = name, actor: Actor = actor) -> None:
            await tx.execute(
                "update crm.user_account set name = $2::text where id = $1::uuid", actor.user_id, name
            )  # fmt: skip
            await tx.execute(
                "insert into crm.routing_member (tenant_id, team_id, user_id, updated_at)"
                " values ($1::uuid, $2::uuid, $3::uuid, $4::timestamptz) on conflict do nothing",
                tenant.id, tenant.team_id, actor.user_id, now,
            )  # fmt: skip

        await do(tenant.system, work)


async def let_in(tenant: Tenant, *roles: str) -> None:
    """Give the firm's people of some roles the demo's password."""
    secret = await passwords.hashed(demo.password())
    for role in roles:
        await do(
            tenant.system,
            lambda tx, role=role: tx.execute(
                "update crm.user_account set password_hash = $2::text where id = $1::uuid",
                getattr(tenant, role).user_id, secret,
            ),
        )  # fmt: skip


async def _past(floor: DiallingFloor, code: str, name: str, mode: Mode, *, answered: int, abandoned: int) -> UUID:
    """Make a campaign that dialled three days ago, and is paused now."""
    campaign = await make_campaign(floor.tenant, code=code, name=name, mode=mode, now=floor.now)
    await _dialled(floor, campaign, answered=answered, abandoned=abandoned)
    await do(floor.tenant.admin, lambda tx: designs.start(tx, campaign, override="pilot", now=floor.now))
    await do(floor.tenant.admin, lambda tx: designs.pause(tx, campaign, reason="weekend", now=floor.now))
    return campaign


async def _dialled(floor: DiallingFloor, campaign: UUID, *, answered: int, abandoned: int) -> None:
    """Count answers of three days ago."""
    counted = {"attempts": 3 * answered, "answered": answered, "abandoned": abandoned}
    at = floor.now - timedelta(days=3)
    await do(floor.tenant.system, lambda tx: budgets.add(tx, campaign, at, **counted))
