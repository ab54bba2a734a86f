"""The clinic made through the operations: tenant, teams, accounts, and how leads are shared among agents."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cli.demo import hours, staff
from cli.demo.agenda import Agent
from crm import db, ids, tenancy, views
from crm.actor import Actor
from crm.calendars import operations as calendars
from crm.calendars.rules import DAY, weekly
from crm.db import Tx
from crm.experiments import operations as experiments
from crm.routing import operations as routing
from crm.routing import sets
from crm.users import operations as users
from crm.users import passwords, profiles, rules, teams
from crm.users.rules import Role

ALWAYS = weekly(range(7), 0, DAY)
"""When everybody is given leads: at any hour, for live traffic has no night; whose shift it is, desks know."""
DAY_BEFORE = timedelta(days=1)
"""Hours are said a day ahead at the latest."""


@dataclass
class Clinic:
    """Who is who in the demo's tenant."""

    system: Actor
    teams: dict[str, UUID]
    agents: dict[str, Actor] = field(default_factory=dict)
    managers: dict[str, Actor] = field(default_factory=dict)
    actors: dict[UUID, Actor] = field(default_factory=dict)
    campaigns: dict[str, UUID] = field(default_factory=dict)

    def team_of(self, country: str) -> UUID:
        """Return the team that speaks with people of a country."""
        return self.teams["Türkiye" if country == "TR" else "International"]

    def manager(self, team: str) -> Actor:
        """Return the manager of a team."""
        return self.managers[team]


async def open_clinic(agents: Sequence[Agent], *, now: datetime) -> Clinic:
    """Make the tenant with everybody who works there; all sign in with `staff.password()`."""
    password_hash = await passwords.hashed(staff.password())
    async with db.transaction(Actor.system(ids.unique())) as tx:
        first = staff.LOGINS[0]
        home, abroad = staff.TEAMS
        made = await tenancy.create(
            tx,
            slug=staff.SLUG,
            name=staff.CLINIC,
            admin_email=first.email,
            admin_name=first.name,
            admin_password_hash=password_hash,
            team_name=home,
            is_demo=True,
            now=now,
        )
        clinic = Clinic(tx.actor, {home: made.team_id})
        clinic.teams[abroad] = await teams.create(tx, name=abroad, region=staff.TEAMS[abroad], now=now)
        await _hire(_Hiring(tx, clinic, password_hash, now), agents)
        await _set_up(tx, clinic, now=now)
    async with db.transaction(clinic.manager(abroad)) as tx:
        await views.create(tx, staff.HOT, now=now)
    return clinic


async def _hire(hired: "_Hiring", agents: Sequence[Agent]) -> None:
    """Make everybody's account, and let the agents take leads: at any hour, for live traffic has no night."""
    tx, clinic, now = hired.tx, hired.clinic, hired.now
    for login in staff.LOGINS[1:]:
        if login.role != Role.sales_agent:
            await hired.hire(login.role, login.email, login.name, login.team)
    await hired.hire(Role.sales_manager, f"manager.tr@{staff.DOMAIN}", "Gülay Önder", next(iter(staff.TEAMS)))
    for agent in agents:
        await hired.hire(Role.sales_agent, agent.email, agent.name, agent.team)
        user_id = clinic.agents[agent.email].user_id
        await routing.set_member(
            tx, clinic.teams[agent.team], user_id, weight=agent.weight, capacity=agent.capacity, now=now
        )
        await profiles.change(tx, user_id, staff.profile(agent), now=now)
        await calendars.set_hours(
            tx, ALWAYS, user_id=user_id, valid_from=now.astimezone(hours.ZONE).date(), now=now - DAY_BEFORE
        )


async def _set_up(tx: Tx, clinic: Clinic, *, now: datetime) -> None:
    """Set what a manager sets: the rules of distribution, who leads which team, the experiment."""
    drafted = await sets.draft(tx, name="Kampanyalar", definition=_rules(clinic), now=now)
    await sets.publish(tx, drafted, now=now)
    for team, manager in clinic.managers.items():
        await teams.update(tx, clinic.teams[team], lead_user_id=manager.user_id, now=now)
    opening = await experiments.create(tx, key=staff.OPENING, design=staff.OPENINGS, now=now)
    await experiments.start(tx, opening, now=now)


def _rules(clinic: Clinic) -> dict[str, Any]:
    """Return the clinic's rules: German to who speaks it well, dental searches to the Turkish team, the rest as ever.

    What nobody takes within the hour may go to the other team, too.
    """
    home, abroad = (str(clinic.teams[name]) for name in staff.TEAMS)
    german = {
        "kind": "skills", "team_ids": [abroad], "require": {"german": 2},
        "relax": [{"after_minutes": 20, "require": {"german": 1}}, {"after_minutes": 45, "require": {}}],
    }  # fmt: skip
    return {
        "rules": [
            {"name": "german", "when": {"geography": ["DE", "AT", "CH"], "language": ["de"]}, "target": german},
            {
                "name": "dental-search",
                "when": {"keyword": ["implant", "diş"], "language": ["tr"]},
                "target": {"kind": "pool", "shares": [{"team_id": home, "percent": 100}]},
            },
        ],
        "hold": {"minutes": 60, "overflow_team_id": home},
    }


@dataclass
class _Hiring:
    tx: Tx
    clinic: Clinic
    password_hash: str
    now: datetime

    async def hire(self, role: str, email: str, name: str, team: str | None) -> None:
        """Make one account and its actor."""
        tx, clinic = self.tx, self.clinic
        team_id = clinic.teams[team] if team else None
        user_id = await users.create(
            tx,
            email=email,
            name=name,
            roles=[role],
            team_id=team_id,
            locale="en" if team == "International" else "tr",
            password_hash=self.password_hash,
            now=self.now,
        )
        actor = Actor(tx.actor.tenant_id, user_id, team_id, frozenset({role}), rules.permissions_of([role]))
        clinic.actors[user_id] = actor
        if role == Role.sales_agent:
            clinic.agents[email] = actor
        elif role == Role.sales_manager and team:
            clinic.managers[team] = actor
